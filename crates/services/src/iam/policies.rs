//! Managed policies: `CreatePolicy`, `GetPolicy`, `ListPolicies`, `DeletePolicy`, `ListEntitiesForPolicy`.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html> and its siblings

use super::awss_policies::{self, is_awss};
use super::check::{self, Checks, required};
use super::record::{POLICIES, Policy, ROLES, Tag, Version, load_policy, new_id, policy_key, prefix};
use super::roles::{List, PAGE, page};
use super::{Iam, exists, in_use, not_yours};
use crate::error::Error;
use model::Scope;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::View;
use store::kv::From;
use wire::rpc::{Call, boolean};

/// How many characters a managed policy has.
pub(super) const DOCUMENT: usize = 6_144;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create {
    policy_name: Option<String>,
    path: Option<String>,
    policy_document: Option<String>,
    description: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

pub(super) async fn create(iam: &Iam, input: Create, call: &Call) -> Result<Value, Error> {
    let scope = call.scope();
    let name = required("policyName", input.policy_name)?;
    let document = required("policyDocument", input.policy_document)?;
    let path = input.path.unwrap_or_else(|| "/".to_owned());
    let mut checks = Checks::default();
    checks.name("policyName", &name, 128);
    checks.path(&path);
    checks.description(input.description.as_deref().unwrap_or_default());
    checks.finish()?;
    check::document(&document, false, DOCUMENT)?;
    check::tags(&input.tags)?;
    iam.store
        .write(move |tx| {
            let arn = format!("arn:aws:iam::{}:policy{path}{name}", scope.account);
            if tx.get(&POLICIES, policy_key(&scope, &arn))?.is_some() {
                let message =
                    format!("A policy called {name} already exists. Duplicate names are not allowed.");
                return Err(Error::from(exists(message)));
            }
            let now = tx.now();
            let policy = Policy {
                id: new_id("ANPA"),
                description: input.description,
                created: now,
                updated: now,
                tags: input.tags,
                default: 1,
                last: 1,
                versions: vec![Version { number: 1, document, created: now }],
                attachments: 0,
                name,
                path,
                arn,
            };
            tx.put(&POLICIES, policy_key(&scope, &policy.arn), &policy)?;
            Ok(json!({ "Policy": policy.shown(true) }))
        })
        .await
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    policy_arn: Option<String>,
}

impl Named {
    pub(super) fn arn(self) -> Result<String, Error> {
        let arn = required("policyArn", self.policy_arn)?;
        let mut checks = Checks::default();
        checks.policy_arn("policyArn", &arn);
        checks.finish()?;
        Ok(arn)
    }
}

pub(super) async fn get(iam: &Iam, input: Named, call: &Call) -> Result<Value, Error> {
    let arn = input.arn()?;
    let scope = call.scope();
    let policy = iam.store.read(|view| {
        let mut policy = load_policy(view, &scope, &arn)?;
        if is_awss(&arn) {
            policy.attachments = attachments(view, &scope)?.remove(&arn).unwrap_or_default();
        }
        Ok::<_, Error>(policy)
    })?;
    Ok(json!({ "Policy": policy.shown(true) }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListPolicies {
    scope: Option<String>,
    #[serde(default, deserialize_with = "boolean")]
    only_attached: Option<bool>,
    #[serde(flatten)]
    list: List,
}

pub(super) async fn list(iam: &Iam, input: ListPolicies, call: &Call) -> Result<Value, Error> {
    let scope = call.scope();
    let below = input.list.path_prefix.clone().unwrap_or_else(|| "/".to_owned());
    let only_attached = input.only_attached == Some(true);
    let start = input.list.marker.as_ref().map(|marker| policy_key(&scope, marker));
    let mut found = Vec::new();
    if input.scope.as_deref() != Some("AWS") {
        iam.store.read(|view| {
            let mut last = start;
            while found.len() <= input.list.limit() {
                let from = last.as_deref().map_or(From::At(b""), From::After);
                let batch = view.scan(&POLICIES, &prefix(&scope), from, PAGE.1)?;
                let Some((key, _)) = batch.last() else { break };
                last = Some(key.clone());
                let fits = |policy: &Policy| {
                    policy.path.starts_with(&below) && (!only_attached || policy.attachments > 0)
                };
                let fitting = batch.into_iter().map(|(_, policy)| policy).filter(fits);
                found.extend(fitting.map(|policy| (policy.arn.clone(), policy)));
            }
            Ok::<_, Error>(())
        })?;
    }
    // These come behind the account's own: their ARNs have letters where those have digits.
    if input.scope.as_deref() != Some("Local") && found.len() <= input.list.limit() {
        let attached = iam.store.read(|view| attachments(view, &scope))?;
        found.extend(awss_policies::all().filter_map(|policy| {
            let attachments = attached.get(&policy.arn).copied().unwrap_or_default();
            let fits = policy.path.starts_with(&below) && (!only_attached || attachments > 0);
            fits.then(|| (policy.arn.clone(), Policy { attachments, ..policy.clone() }))
        }));
    }
    Ok(page(found, &input.list, "Policies", |policy| policy.shown(false)))
}

/// How many of an account's roles have each of AWS's own policies.
fn attachments(view: &View<'_>, scope: &Scope) -> Result<BTreeMap<String, u32>, Error> {
    let mut found = BTreeMap::new();
    let mut last = Vec::new();
    loop {
        let batch = view.scan(&ROLES, &prefix(scope), From::After(&last), PAGE.1)?;
        let Some((key, _)) = batch.last() else { return Ok(found) };
        last = key.clone();
        for arn in batch.into_iter().flat_map(|(_, role)| role.attached).filter(|arn| is_awss(arn)) {
            *found.entry(arn).or_default() += 1;
        }
    }
}

pub(super) async fn delete(iam: &Iam, input: Named, call: &Call) -> Result<Value, Error> {
    let scope = call.scope();
    let arn = input.arn()?;
    if is_awss(&arn) {
        return Err(not_yours(call.operation, &arn).into());
    }
    iam.store
        .write(move |tx| {
            let policy = load_policy(tx, &scope, &arn)?;
            if policy.attachments > 0 {
                let message = "Cannot delete a policy attached to entities.";
                return Err(Error::from(in_use(message)));
            }
            if policy.versions.len() > 1 {
                let message = "This policy has more than one version. Before you delete a policy, you must delete \
                               the policy's versions. The default version is deleted with the policy.";
                return Err(in_use(message).into());
            }
            tx.delete(&POLICIES, policy_key(&scope, &arn))?;
            Ok(Value::Null)
        })
        .await
}

pub(super) async fn entities(iam: &Iam, input: Named, call: &Call) -> Result<Value, Error> {
    let scope = call.scope();
    let arn = input.arn()?;
    let roles = iam.store.read(|view| {
        load_policy(view, &scope, &arn)?;
        let mut roles = Vec::new();
        let mut last = Vec::new();
        loop {
            let batch = view.scan(&ROLES, &prefix(&scope), From::After(&last), PAGE.1)?;
            let Some((key, _)) = batch.last() else { return Ok::<_, Error>(roles) };
            last = key.clone();
            let having = batch.into_iter().map(|(_, role)| role).filter(|role| role.attached.contains(&arn));
            roles.extend(having.map(|role| json!({"RoleName": role.name, "RoleId": role.id})));
        }
    })?;
    Ok(json!({"PolicyRoles": roles, "PolicyUsers": [], "PolicyGroups": [], "IsTruncated": false}))
}
