//! What is stored of a function URL.

use model::Timestamp;
use serde::{Deserialize, Serialize};
use store::kv::{Stored, Table};

/// Function URLs by their id.
pub(in crate::lambda) const URLS: Table<UrlConfig> = Table::new("lambda.url");

/// The id of a function's URL, by the function's name.
pub(in crate::lambda) const URL_OF: Table<UrlId> = Table::new("lambda.url_of");

/// The id in a function URL: 32 lower-case letters and digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::lambda) struct UrlId(pub String);

impl Stored for UrlId {}

/// Who may call a function URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::lambda) enum AuthType {
    /// Anybody who reaches the server.
    #[serde(rename = "NONE")]
    None,
    /// Whoever signs the request.
    #[serde(rename = "AWS_IAM")]
    Iam,
}

/// A function URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::lambda) struct UrlConfig {
    /// The function it calls.
    pub function: String,
    /// Who may call it.
    pub auth_type: AuthType,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub modified: Timestamp,
}

impl Stored for UrlConfig {}
