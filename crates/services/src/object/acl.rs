//! Access control lists as they rest in the records of objects and buckets.

use serde::{Deserialize, Serialize};

/// What an ACL grants. No ACL is `private`: the owner alone has access.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Acl {
    /// A canned one, by its name: what the owner has is not said.
    Canned(String),
    /// Grants, in the order in which they were given; the owner's own are among them.
    Grants(Vec<Granted>),
}

/// One grant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Granted {
    /// To whom.
    pub to: Grantee,
    /// What, in S3's word, such as `READ`.
    pub permission: String,
}

/// Who is granted something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Grantee {
    /// An account, by its id.
    Account(String),
    /// A group of S3's own, by its URI.
    Group(String),
}
