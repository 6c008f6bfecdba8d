//! Buckets as they rest in the store.

use super::error::{Result, refuse};
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
}

impl Stored for Bucket {}

/// The bucket called `name`.
pub(super) fn existing(view: &View<'_>, name: &str) -> Result<Bucket> {
    view.get(&BUCKETS, name)?.ok_or_else(|| {
        refuse(S3ErrorCode::NoSuchBucket, format!("The specified bucket does not exist: {name}."))
    })
}

/// Whether S3 allows a new bucket to have this name.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
pub(super) fn is_valid_new_name(name: &str) -> bool {
    const PREFIXES: &[&str] = &["xn--", "sthree-", "amzn-s3-demo-"];
    const SUFFIXES: &[&str] = &["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
    s3s::path::check_bucket_name(name)
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
