//! Versions of managed policies: `CreatePolicyVersion`, `GetPolicyVersion`, `ListPolicyVersions`, `DeletePolicyVersion`,
//! `SetDefaultPolicyVersion`.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicyVersion.html> and its siblings

use super::awss_policies::is_awss;
use super::check::{self, required};
use super::policies::DOCUMENT;
use super::record::{POLICIES, Policy, Version, load_policy, policy_key};
use super::{Iam, in_use, no_such, not_yours, too_many};
use crate::error::Error;
use serde::Deserialize;
use serde_json::{Value, json};
use wire::rpc::{Call, boolean};

/// How many versions a policy has.
const VERSIONS: usize = 5;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create {
    policy_arn: Option<String>,
    policy_document: Option<String>,
    #[serde(default, deserialize_with = "boolean")]
    set_as_default: Option<bool>,
}

pub(super) async fn create(iam: &Iam, input: Create, call: &Call) -> Result<Value, Error> {
    let arn = required("policyArn", input.policy_arn)?;
    let document = required("policyDocument", input.policy_document)?;
    check::document(&document, false, DOCUMENT)?;
    change(iam, call, arn, move |policy, now| {
        if policy.versions.len() >= VERSIONS {
            return Err(too_many(
                "A managed policy can have up to 5 versions. Before you create a new version, you must delete an \
                 existing version.",
            )
            .into());
        }
        policy.last += 1;
        let version = Version { number: policy.last, document, created: now };
        if input.set_as_default == Some(true) {
            policy.default = version.number;
        }
        policy.versions.push(version.clone());
        Ok(json!({ "PolicyVersion": policy.version(&version, false) }))
    })
    .await
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    policy_arn: Option<String>,
    version_id: Option<String>,
}

fn find(policy: &Policy, id: &str) -> Result<Version, Error> {
    let number = id.strip_prefix('v').and_then(|number| number.parse::<u32>().ok());
    let found = policy.versions.iter().find(|version| Some(version.number) == number);
    let missing =
        || no_such(format!("Policy {} version {id} does not exist or is not attachable.", policy.arn));
    Ok(found.cloned().ok_or_else(missing)?)
}

pub(super) async fn get(iam: &Iam, input: Named, call: &Call) -> Result<Value, Error> {
    let arn = required("policyArn", input.policy_arn)?;
    let id = required("versionId", input.version_id)?;
    let policy = iam.store.read(|view| load_policy(view, &call.scope(), &arn))?;
    Ok(json!({ "PolicyVersion": policy.version(&find(&policy, &id)?, true) }))
}

pub(super) async fn list(iam: &Iam, input: Named, call: &Call) -> Result<Value, Error> {
    let arn = required("policyArn", input.policy_arn)?;
    let policy = iam.store.read(|view| load_policy(view, &call.scope(), &arn))?;
    let versions: Vec<_> =
        policy.versions.iter().rev().map(|version| policy.version(version, false)).collect();
    Ok(json!({"Versions": versions, "IsTruncated": false}))
}

pub(super) async fn delete(iam: &Iam, input: Named, call: &Call) -> Result<Value, Error> {
    let arn = required("policyArn", input.policy_arn)?;
    let id = required("versionId", input.version_id)?;
    change(iam, call, arn, move |policy, _| {
        let version = find(policy, &id)?;
        if version.number == policy.default {
            return Err(in_use("Cannot delete the default version of a policy.").into());
        }
        policy.versions.retain(|other| other.number != version.number);
        Ok(Value::Null)
    })
    .await
}

pub(super) async fn set_default(iam: &Iam, input: Named, call: &Call) -> Result<Value, Error> {
    let arn = required("policyArn", input.policy_arn)?;
    let id = required("versionId", input.version_id)?;
    change(iam, call, arn, move |policy, _| {
        policy.default = find(policy, &id)?.number;
        Ok(Value::Null)
    })
    .await
}

/// Changes a policy, unless `work` refuses to.
pub(super) async fn change(
    iam: &Iam,
    call: &Call,
    arn: String,
    work: impl FnOnce(&mut Policy, model::Timestamp) -> Result<Value, Error> + Send + 'static,
) -> Result<Value, Error> {
    let scope = call.scope();
    if is_awss(&arn) {
        return Err(not_yours(call.operation, &arn).into());
    }
    iam.store
        .write(move |tx| {
            let mut policy = load_policy(tx, &scope, &arn)?;
            let answer = work(&mut policy, tx.now())?;
            policy.updated = tx.now();
            tx.put(&POLICIES, policy_key(&scope, &arn), &policy)?;
            Ok(answer)
        })
        .await
}
