//! Roles: `CreateRole`, `GetRole`, `ListRoles`, `UpdateRole`, `UpdateAssumeRolePolicy`, `DeleteRole`, and what tools ask
//! before they delete one, `ListInstanceProfilesForRole`.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html> and its siblings

use super::check::{self, Checks, required};
use super::record::{ROLES, Role, Tag, load_role, new_id, prefix, role_key};
use super::{Iam, exists, in_use};
use crate::error::Error;
use serde::Deserialize;
use serde_json::{Value, json};
use store::kv::From;
use wire::rpc::{Call, integer};

/// How many characters of a policy of trust AWS takes; its default quota.
const TRUST: usize = 2_048;

/// How many items a page has at the most, and if nothing is said.
pub(super) const PAGE: (usize, usize) = (1_000, 100);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create {
    role_name: Option<String>,
    path: Option<String>,
    assume_role_policy_document: Option<String>,
    description: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    max_session_duration: Option<i64>,
    permissions_boundary: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

pub(super) async fn create(iam: &Iam, input: Create, call: &Call) -> Result<Value, Error> {
    let scope = call.scope();
    let name = required("roleName", input.role_name)?;
    let trust = required("assumeRolePolicyDocument", input.assume_role_policy_document)?;
    let path = input.path.unwrap_or_else(|| "/".to_owned());
    let max_session = input.max_session_duration.unwrap_or(3_600);
    let mut checks = Checks::default();
    checks.name("roleName", &name, 64);
    checks.path(&path);
    checks.session(max_session);
    checks.description(input.description.as_deref().unwrap_or_default());
    checks.finish()?;
    check::document(&trust, true, TRUST)?;
    check::tags(&input.tags)?;
    iam.store
        .write(move |tx| {
            if tx.get(&ROLES, role_key(&scope, &name))?.is_some() {
                return Err(Error::from(exists(format!("Role with name {name} already exists."))));
            }
            let role = Role {
                arn: format!("arn:aws:iam::{}:role{path}{name}", scope.account),
                id: new_id("AROA"),
                trust,
                description: input.description,
                max_session,
                boundary: input.permissions_boundary,
                created: tx.now(),
                tags: input.tags,
                inline: Default::default(),
                attached: Vec::new(),
                path,
                name,
            };
            tx.put(&ROLES, role_key(&scope, &role.name), &role)?;
            Ok(json!({ "Role": role.shown(true) }))
        })
        .await
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    pub(super) role_name: Option<String>,
}

pub(super) async fn get(iam: &Iam, input: Named, call: &Call) -> Result<Value, Error> {
    let name = required("roleName", input.role_name)?;
    let role = iam.store.read(|view| load_role(view, &call.scope(), &name))?;
    Ok(json!({ "Role": role.shown(true) }))
}

/// Which page of a list is wanted.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    pub(super) path_prefix: Option<String>,
    pub(super) marker: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    pub(super) max_items: Option<i64>,
}

impl List {
    /// How many items the page has.
    pub(super) fn limit(&self) -> usize {
        let asked = self.max_items.and_then(|items| usize::try_from(items).ok());
        asked.map_or(PAGE.1, |items| items.clamp(1, PAGE.0))
    }
}

/// A page of items that have names: those behind the marker.
pub(super) fn page<T>(
    mut items: Vec<(String, T)>,
    list: &List,
    member: &str,
    shown: impl Fn(T) -> Value,
) -> Value {
    if let Some(marker) = &list.marker {
        items.retain(|(name, _)| name > marker);
    }
    let more = items.len() > list.limit();
    items.truncate(list.limit());
    let marker = items.last().filter(|_| more).map(|(name, _)| name.clone());
    let items: Vec<Value> = items.into_iter().map(|(_, item)| shown(item)).collect();
    let mut page = json!({ "IsTruncated": more });
    page[member] = json!(items);
    if let Some(marker) = marker {
        page["Marker"] = json!(marker);
    }
    page
}

pub(super) async fn list(iam: &Iam, input: List, call: &Call) -> Result<Value, Error> {
    let scope = call.scope();
    let below = input.path_prefix.clone().unwrap_or_else(|| "/".to_owned());
    let start = input.marker.as_ref().map(|marker| role_key(&scope, marker));
    let mut found = Vec::new();
    iam.store.read(|view| {
        let mut last = start;
        // One more than shown tells whether there is a next page.
        while found.len() <= input.limit() {
            let from = last.as_deref().map_or(From::At(b""), From::After);
            let batch = view.scan(&ROLES, &prefix(&scope), from, PAGE.1)?;
            let Some((key, _)) = batch.last() else { break };
            last = Some(key.clone());
            let fitting =
                batch.into_iter().map(|(_, role)| role).filter(|role| role.path.starts_with(&below));
            found.extend(fitting.map(|role| (role.name.to_ascii_lowercase(), role)));
        }
        Ok::<_, Error>(())
    })?;
    Ok(page(found, &input, "Roles", |role| role.shown(false)))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Update {
    role_name: Option<String>,
    description: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    max_session_duration: Option<i64>,
}

pub(super) async fn update(iam: &Iam, input: Update, call: &Call) -> Result<Value, Error> {
    let name = required("roleName", input.role_name)?;
    let mut checks = Checks::default();
    checks.session(input.max_session_duration.unwrap_or(3_600));
    checks.description(input.description.as_deref().unwrap_or_default());
    checks.finish()?;
    change(iam, call, name, move |role| {
        role.description = input.description.or(role.description.take());
        role.max_session = input.max_session_duration.unwrap_or(role.max_session);
        Ok(())
    })
    .await?;
    Ok(json!({}))
}

/// `UpdateRoleDescription`: what `UpdateRole` has replaced, and tools still call.
pub(super) async fn describe(iam: &Iam, input: Update, call: &Call) -> Result<Value, Error> {
    let name = required("roleName", input.role_name)?;
    let description = required("description", input.description)?;
    let mut checks = Checks::default();
    checks.description(&description);
    checks.finish()?;
    let role = change(iam, call, name, move |role| {
        role.description = Some(description);
        Ok(())
    });
    Ok(json!({ "Role": role.await?.shown(true) }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Trust {
    role_name: Option<String>,
    policy_document: Option<String>,
}

pub(super) async fn update_trust(iam: &Iam, input: Trust, call: &Call) -> Result<Value, Error> {
    let name = required("roleName", input.role_name)?;
    let trust = required("policyDocument", input.policy_document)?;
    check::document(&trust, true, TRUST)?;
    change(iam, call, name, move |role| {
        role.trust = trust;
        Ok(())
    })
    .await?;
    Ok(Value::Null)
}

/// Changes a role, unless `work` refuses to.
pub(super) async fn change(
    iam: &Iam,
    call: &Call,
    name: String,
    work: impl FnOnce(&mut Role) -> Result<(), Error> + Send + 'static,
) -> Result<Role, Error> {
    let scope = call.scope();
    iam.store
        .write(move |tx| {
            let mut role = load_role(tx, &scope, &name)?;
            work(&mut role)?;
            tx.put(&ROLES, role_key(&scope, &name), &role)?;
            Ok(role)
        })
        .await
}

pub(super) async fn delete(iam: &Iam, input: Named, call: &Call) -> Result<Value, Error> {
    let scope = call.scope();
    let name = required("roleName", input.role_name)?;
    iam.store
        .write(move |tx| {
            let role = load_role(tx, &scope, &name)?;
            if !role.attached.is_empty() {
                return Err(Error::from(in_use("Cannot delete entity, must detach all policies first.")));
            }
            if !role.inline.is_empty() {
                return Err(in_use("Cannot delete entity, must delete policies first.").into());
            }
            tx.delete(&ROLES, role_key(&scope, &name))?;
            Ok(Value::Null)
        })
        .await
}

/// Instance profiles do not exist here, so no role is in one.
pub(super) async fn profiles(iam: &Iam, input: Named, call: &Call) -> Result<Value, Error> {
    let name = required("roleName", input.role_name)?;
    iam.store.read(|view| load_role(view, &call.scope(), &name))?;
    Ok(json!({"InstanceProfiles": [], "IsTruncated": false}))
}
