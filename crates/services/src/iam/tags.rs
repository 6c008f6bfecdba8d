//! Tags of roles and policies.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_TagRole.html> and its siblings

use super::Iam;
use super::check::{self, required};
use super::policy_versions;
use super::record::{Tag, load_policy, load_role};
use super::roles::change;
use crate::error::Error;
use serde::Deserialize;
use serde_json::{Value, json};
use wire::rpc::Call;

/// What all of them take.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tagging {
    role_name: Option<String>,
    policy_arn: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    tag_keys: Vec<String>,
}

/// Adds tags, over those of the same key.
fn add(present: &mut Vec<Tag>, added: Vec<Tag>) -> Result<(), Error> {
    check::tags(&added)?;
    present.retain(|tag| !added.iter().any(|other| other.key.eq_ignore_ascii_case(&tag.key)));
    present.extend(added);
    Ok(check::tags(present)?)
}

pub(super) async fn tag_role(iam: &Iam, input: Tagging, call: &Call) -> Result<Value, Error> {
    let name = required("roleName", input.role_name)?;
    change(iam, call, name, move |role| add(&mut role.tags, input.tags)).await?;
    Ok(Value::Null)
}

pub(super) async fn untag_role(iam: &Iam, input: Tagging, call: &Call) -> Result<Value, Error> {
    let name = required("roleName", input.role_name)?;
    change(iam, call, name, move |role| {
        role.tags.retain(|tag| !input.tag_keys.contains(&tag.key));
        Ok(())
    })
    .await?;
    Ok(Value::Null)
}

pub(super) async fn list_role_tags(iam: &Iam, input: Tagging, call: &Call) -> Result<Value, Error> {
    let name = required("roleName", input.role_name)?;
    let role = iam.store.read(|view| load_role(view, &call.scope(), &name))?;
    Ok(json!({"Tags": role.tags, "IsTruncated": false}))
}

pub(super) async fn tag_policy(iam: &Iam, input: Tagging, call: &Call) -> Result<Value, Error> {
    let arn = required("policyArn", input.policy_arn)?;
    policy_versions::change(iam, call, arn, move |policy, _| {
        add(&mut policy.tags, input.tags).map(|()| Value::Null)
    })
    .await
}

pub(super) async fn untag_policy(iam: &Iam, input: Tagging, call: &Call) -> Result<Value, Error> {
    let arn = required("policyArn", input.policy_arn)?;
    policy_versions::change(iam, call, arn, move |policy, _| {
        policy.tags.retain(|tag| !input.tag_keys.contains(&tag.key));
        Ok(Value::Null)
    })
    .await
}

pub(super) async fn list_policy_tags(iam: &Iam, input: Tagging, call: &Call) -> Result<Value, Error> {
    let arn = required("policyArn", input.policy_arn)?;
    let policy = iam.store.read(|view| load_policy(view, &call.scope(), &arn))?;
    Ok(json!({"Tags": policy.tags, "IsTruncated": false}))
}
