//! Buckets as they rest in the store.

use super::error::{Result, refuse};
use crate::object::acl::Acl;
use model::Timestamp;
use s3s::S3ErrorCode;
use serde::{Deserialize, Serialize};
use store::View;
use store::kv::{Stored, Table};

/// All buckets, by name.
pub(super) const BUCKETS: Table<Bucket> = Table::new("s3.bucket");

/// The most buckets of one installation, as S3's own default for an account.
pub(super) const MOST: usize = 10_000;

/// One bucket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Bucket {
    pub(super) created: Timestamp,
    /// The region that its creator named; `None` for the installation's own.
    pub(super) location: Option<String>,
    /// `None` until somebody turned versioning on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) versioning: Option<Versioning>,
    /// Object lock, if the bucket has it. Once on, it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lock: Option<Lock>,
    /// Whose ACLs count; `None` is `BucketOwnerEnforced`: nobody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ownership: Option<String>,
    /// What its ACL grants; `None`: nothing to anybody but its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) acl: Option<Acl>,
    /// The account that owns it, where it is another than the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<String>,
    /// Whether lifecycle rules are set.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) lifecycle: bool,
}

/// Whether new objects become versions beside older ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Versioning {
    Enabled,
    Suspended,
}

/// A bucket's object lock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Lock {
    pub(super) default: Option<DefaultRetention>,
}

/// The retention of new versions that do not bring one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct DefaultRetention {
    pub(super) compliance: bool,
    pub(super) days: u32,
    /// It was given in years.
    pub(super) years: Option<i32>,
}

impl Bucket {
    pub(super) fn new(created: Timestamp, location: Option<String>) -> Self {
        Bucket {
            created,
            location,
            versioning: None,
            lock: None,
            ownership: None,
            acl: None,
            owner: None,
            lifecycle: false,
        }
    }
}

impl Bucket {
    /// The account that owns it.
    pub(super) fn owner(&self) -> &str {
        self.owner.as_deref().unwrap_or(model::ACCOUNT)
    }
}

impl Stored for Bucket {}

/// The bucket called `name`.
pub(super) fn existing(view: &View<'_>, name: &str) -> Result<Bucket> {
    view.get(&BUCKETS, name)?
        .ok_or_else(|| refuse(S3ErrorCode::NoSuchBucket, "The specified bucket does not exist"))
}

/// Whether S3 allows a new bucket to have this name.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
pub(super) fn is_valid_new_name(name: &str) -> bool {
    const PREFIXES: &[&str] = &["xn--", "sthree-", "amzn-s3-demo-"];
    const SUFFIXES: &[&str] = &["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
    s3s::path::check_bucket_name(name)
        && !name.contains(".-")
        && !name.contains("-.")
        && !PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        && !SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_s3() {
        let long = "a".repeat(63);
        for name in ["abc", "my.bucket-1", "1-2", &long] {
            assert!(is_valid_new_name(name), "{name}");
        }
        let longer = "a".repeat(64);
        let wrong = [
            "ab",
            "Abc",
            "a_b",
            "-ab",
            "ab-",
            "a..b",
            "a-.b",
            "a.-b",
            "10.0.0.1",
            "xn--a",
            "sthree-a",
            "a-s3alias",
            "a--ol-s3",
            "",
            "a b",
            "a/b",
            "ä-b",
            &longer,
        ];
        for name in wrong {
            assert!(!is_valid_new_name(name), "{name}");
        }
    }
}
