//! AWS's own managed policies: those that functions and the tools that deploy them usually have. They can be read as every
//! account can read them, and not be changed.
//!
//! Source: <https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html>

use super::record::{Policy, Version};
use model::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What the ARNs of AWS's own policies begin with; the path and the name follow.
const ARN: &str = "arn:aws:iam::aws:policy";

/// The policies by their ARNs.
static POLICIES: LazyLock<BTreeMap<String, Policy>> = LazyLock::new(|| {
    let written: Vec<Written> = serde_json::from_str(include_str!("awss_policies.json")).unwrap_or_default();
    written.into_iter().map(Written::read).map(|policy| (policy.arn.clone(), policy)).collect()
});

/// A policy as its file has it; times are seconds since 1970.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    name: String,
    path: String,
    created: i64,
    updated: i64,
    version: u32,
    document: Value,
}

impl Written {
    fn read(self) -> Policy {
        let updated = Timestamp(self.updated * 1_000);
        Policy {
            arn: format!("{ARN}{}{}", self.path, self.name),
            id: id(&self.name),
            description: None,
            created: Timestamp(self.created * 1_000),
            updated,
            tags: Vec::new(),
            default: self.version,
            last: self.version,
            versions: vec![Version {
                number: self.version,
                document: format!("{:#}", self.document),
                created: updated,
            }],
            attachments: 0,
            name: self.name,
            path: self.path,
        }
    }
}

/// Whether a policy is one of AWS's own, which every account has.
pub(super) fn is_awss(arn: &str) -> bool {
    arn.strip_prefix(ARN).is_some_and(|rest| rest.starts_with('/'))
}

/// The policy with this ARN, if it is known.
pub(super) fn find(arn: &str) -> Option<&'static Policy> {
    POLICIES.get(arn)
}

/// All that are known, in the order of their ARNs.
pub(super) fn all() -> impl Iterator<Item = &'static Policy> {
    POLICIES.values()
}

/// An id in AWS's form that is the same in every account and at any time.
fn id(name: &str) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let hash = Sha256::digest(name.as_bytes());
    let letters = hash.iter().take(17).map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
    "ANPA".chars().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn each_is_a_policy_that_could_be_made() {
        assert!(all().count() > 30);
        for policy in all() {
            assert!(is_awss(&policy.arn), "{}", policy.arn);
            for version in &policy.versions {
                check::document(&version.document, false, 6_144).unwrap();
            }
        }
        let logs = find("arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole").unwrap();
        assert!(logs.versions[0].document.contains("logs:PutLogEvents"));
        assert!(find("arn:aws:iam::aws:policy/AWSLambdaBasicExecutionRole").is_none());
    }
}
