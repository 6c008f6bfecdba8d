//! What is stored of roles and policies, and how it is shown.

use super::{awss_policies, no_such};
use crate::error::Error;
use model::{Scope, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use store::View;
use store::kv::{Stored, Table};
use uuid::Uuid;

/// Roles, by [`role_key`].
pub(super) const ROLES: Table<Role> = Table::new("iam.role");

/// Managed policies, by [`policy_key`].
pub(super) const POLICIES: Table<Policy> = Table::new("iam.policy");

/// What documents are shown with, as RFC 3986 has it.
const URI: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    pub(super) key: String,
    #[serde(default)]
    pub(super) value: String,
}

/// A role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Role {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) arn: String,
    pub(super) id: String,
    pub(super) trust: String,
    pub(super) description: Option<String>,
    pub(super) max_session: i64,
    pub(super) boundary: Option<String>,
    pub(super) created: Timestamp,
    pub(super) tags: Vec<Tag>,
    /// Inline policies by their names.
    pub(super) inline: BTreeMap<String, String>,
    /// The ARNs of managed policies.
    pub(super) attached: Vec<String>,
}

impl Stored for Role {}

/// A managed policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) arn: String,
    pub(super) id: String,
    pub(super) description: Option<String>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) tags: Vec<Tag>,
    /// Which version counts.
    pub(super) default: u32,
    /// The number of the last version that there ever was.
    pub(super) last: u32,
    pub(super) versions: Vec<Version>,
    /// How many roles have it.
    pub(super) attachments: u32,
}

impl Stored for Policy {}

/// A version of a managed policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) number: u32,
    pub(super) document: String,
    pub(super) created: Timestamp,
}

/// The key of a role. Names differ in more than the case of their letters.
pub(super) fn role_key(scope: &Scope, name: &str) -> Vec<u8> {
    format!("{}/{}", scope.account, name.to_ascii_lowercase()).into_bytes()
}

/// The key of a managed policy: the account, and its ARN.
pub(super) fn policy_key(scope: &Scope, arn: &str) -> Vec<u8> {
    format!("{}/{arn}", scope.account).into_bytes()
}

/// What the keys of an account begin with.
pub(super) fn prefix(scope: &Scope) -> Vec<u8> {
    format!("{}/", scope.account).into_bytes()
}

/// The role of this name.
pub(super) fn load_role(view: &View<'_>, scope: &Scope, name: &str) -> Result<Role, Error> {
    let missing = || no_such(format!("The role with name {name} cannot be found."));
    Ok(view.get(&ROLES, role_key(scope, name))?.ok_or_else(missing)?)
}

/// The managed policy with this ARN: the account's, or one of AWS's own.
pub(super) fn load_policy(view: &View<'_>, scope: &Scope, arn: &str) -> Result<Policy, Error> {
    let missing = || no_such(format!("Policy {arn} does not exist or is not attachable."));
    let own = view.get(&POLICIES, policy_key(scope, arn))?;
    Ok(own.or_else(|| awss_policies::find(arn).cloned()).ok_or_else(missing)?)
}

/// A new id, with the prefix that tells what it is of.
pub(super) fn new_id(prefix: &str) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let random = Sha256::digest(Uuid::new_v4().as_bytes());
    let letters = random.iter().take(17).map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
    prefix.chars().chain(letters).collect()
}

/// A document as the API shows it.
pub(super) fn encoded(document: &str) -> String {
    utf8_percent_encode(document, URI).to_string()
}

impl Role {
    /// The role as the API shows it; a list leaves tags and description of use away.
    pub(super) fn shown(&self, whole: bool) -> Value {
        let mut shown = json!({
            "Path": self.path,
            "RoleName": self.name,
            "RoleId": self.id,
            "Arn": self.arn,
            "CreateDate": self.created.iso_z(),
            "AssumeRolePolicyDocument": encoded(&self.trust),
            "Description": self.description,
            "MaxSessionDuration": self.max_session,
        });
        if let Some(boundary) = &self.boundary {
            shown["PermissionsBoundary"] = json!({
                "PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": boundary,
            });
        }
        if whole {
            if !self.tags.is_empty() {
                shown["Tags"] = json!(self.tags);
            }
            shown["RoleLastUsed"] = json!({});
        }
        shown
    }
}

impl Policy {
    /// The policy as the API shows it.
    pub(super) fn shown(&self, whole: bool) -> Value {
        let mut shown = json!({
            "PolicyName": self.name,
            "PolicyId": self.id,
            "Arn": self.arn,
            "Path": self.path,
            "DefaultVersionId": format!("v{}", self.default),
            "AttachmentCount": self.attachments,
            "PermissionsBoundaryUsageCount": 0,
            "IsAttachable": true,
            "CreateDate": self.created.iso_z(),
            "UpdateDate": self.updated.iso_z(),
        });
        if whole {
            shown["Description"] = json!(self.description);
            if !self.tags.is_empty() {
                shown["Tags"] = json!(self.tags);
            }
        }
        shown
    }

    /// A version of it as the API shows it.
    pub(super) fn version(&self, version: &Version, whole: bool) -> Value {
        let mut shown = json!({
            "VersionId": format!("v{}", version.number),
            "IsDefaultVersion": version.number == self.default,
            "CreateDate": version.created.iso_z(),
        });
        if whole {
            shown["Document"] = json!(encoded(&version.document));
        }
        shown
    }
}
