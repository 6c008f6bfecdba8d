//! What is stored of a function URL.

use super::cors::Cors;
use model::{FunctionArn, Timestamp};
use serde::{Deserialize, Serialize};
use store::kv::{Stored, Table};
use store::{Result, Tx};

/// Function URLs by their id.
pub(in crate::lambda) const URLS: Table<UrlConfig> = Table::new("lambda.url");

/// The id of the URL of a function or an alias, by [`owner_key`].
pub(in crate::lambda) const URL_OF: Table<UrlId> = Table::new("lambda.url_of");

/// What names a function or an alias here: `NAME` or `NAME:ALIAS` in the usual account and region, elsewhere the ARN.
pub(in crate::lambda) fn owner_key(arn: &FunctionArn) -> String {
    match arn.qualifier() {
        Some(alias) => format!("{}:{alias}", arn.log_name()),
        None => arn.log_name(),
    }
}

/// Takes the URL of a function or an alias away, if it has one.
pub(in crate::lambda) fn forget_url(tx: &Tx<'_>, arn: &FunctionArn) -> Result<()> {
    let key = owner_key(arn);
    if let Some(url) = tx.get(&URL_OF, &key)? {
        tx.delete(&URLS, &url.0)?;
        tx.delete(&URL_OF, &key)?;
    }
    Ok(())
}

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

/// When the caller of a function URL gets the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::lambda) enum InvokeMode {
    /// When the function has ended.
    #[default]
    #[serde(rename = "BUFFERED")]
    Buffered,
    /// As the function writes it.
    #[serde(rename = "RESPONSE_STREAM")]
    Stream,
}

/// A function URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::lambda) struct UrlConfig {
    /// What it calls, by [`owner_key`].
    pub function: String,
    /// Who may call it.
    pub auth_type: AuthType,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub modified: Timestamp,
    /// What browsers may do with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// When its caller gets the answer.
    #[serde(default)]
    pub mode: InvokeMode,
}

impl Stored for UrlConfig {}

impl UrlConfig {
    /// The function or alias that it calls.
    pub(in crate::lambda) fn arn(&self) -> FunctionArn {
        FunctionArn::parse(&self.function).unwrap_or_else(|| FunctionArn::of(&self.function))
    }
}
