//! Policies of roles, inline and attached.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePolicy.html> and its siblings

use super::awss_policies::is_awss;
use super::check::{self, Checks, required};
use super::record::{POLICIES, ROLES, encoded, load_policy, load_role, policy_key, role_key};
use super::roles::{List, change, page};
use super::{Iam, no_such, too_many};
use crate::error::Error;
use serde::Deserialize;
use serde_json::{Value, json};
use wire::rpc::Call;

/// How many characters all inline policies of a role have together.
const INLINE: usize = 10_240;

/// How many managed policies a role has; AWS's default quota.
const ATTACHED: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Inline {
    role_name: Option<String>,
    policy_name: Option<String>,
    policy_document: Option<String>,
}

impl Inline {
    fn names(&self) -> Result<(String, String), Error> {
        let role = required("roleName", self.role_name.clone())?;
        let policy = required("policyName", self.policy_name.clone())?;
        let mut checks = Checks::default();
        checks.name("policyName", &policy, 128);
        checks.finish()?;
        Ok((role, policy))
    }
}

pub(super) async fn put(iam: &Iam, input: Inline, call: &Call) -> Result<Value, Error> {
    let (role, policy) = input.names()?;
    let document = required("policyDocument", input.policy_document)?;
    check::document(&document, false, INLINE)?;
    change(iam, call, role, move |role| {
        role.inline.insert(policy, document);
        let size = |text: &String| text.chars().filter(|c| !c.is_whitespace()).count();
        if role.inline.values().map(size).sum::<usize>() > INLINE {
            let message = format!("Maximum policy size of {INLINE} bytes exceeded for role {}", role.name);
            return Err(too_many(message).into());
        }
        Ok(())
    })
    .await?;
    Ok(Value::Null)
}

fn missing(policy: &str) -> Error {
    no_such(format!("The role policy with name {policy} cannot be found.")).into()
}

pub(super) async fn get(iam: &Iam, input: Inline, call: &Call) -> Result<Value, Error> {
    let (name, policy) = input.names()?;
    let role = iam.store.read(|view| load_role(view, &call.scope(), &name))?;
    let document = role.inline.get(&policy).ok_or_else(|| missing(&policy))?;
    Ok(json!({"RoleName": role.name, "PolicyName": policy, "PolicyDocument": encoded(document)}))
}

pub(super) async fn delete(iam: &Iam, input: Inline, call: &Call) -> Result<Value, Error> {
    let (name, policy) = input.names()?;
    change(iam, call, name, move |role| match role.inline.remove(&policy) {
        Some(_) => Ok(()),
        None => Err(missing(&policy)),
    })
    .await?;
    Ok(Value::Null)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfRole {
    role_name: Option<String>,
    #[serde(flatten)]
    list: List,
}

pub(super) async fn list(iam: &Iam, input: OfRole, call: &Call) -> Result<Value, Error> {
    let name = required("roleName", input.role_name)?;
    let role = iam.store.read(|view| load_role(view, &call.scope(), &name))?;
    let names = role.inline.into_keys().map(|name| (name.clone(), name)).collect();
    Ok(page(names, &input.list, "PolicyNames", |name| json!(name)))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Attach {
    role_name: Option<String>,
    policy_arn: Option<String>,
}

impl Attach {
    fn names(self) -> Result<(String, String), Error> {
        let (role, arn) = (required("roleName", self.role_name)?, required("policyArn", self.policy_arn)?);
        let mut checks = Checks::default();
        checks.policy_arn("policyArn", &arn);
        checks.finish()?;
        Ok((role, arn))
    }
}

pub(super) async fn attach(iam: &Iam, input: Attach, call: &Call) -> Result<Value, Error> {
    let scope = call.scope();
    let (name, arn) = input.names()?;
    iam.store
        .write(move |tx| {
            let mut role = load_role(tx, &scope, &name)?;
            // Not all of AWS's own policies are known here: any of them may be attached.
            let policy = if is_awss(&arn) { None } else { Some(load_policy(tx, &scope, &arn)?) };
            if role.attached.contains(&arn) {
                return Ok::<_, Error>(Value::Null);
            }
            if role.attached.len() >= ATTACHED {
                return Err(too_many(format!("Cannot exceed quota for PoliciesPerRole: {ATTACHED}")).into());
            }
            role.attached.push(arn.clone());
            tx.put(&ROLES, role_key(&scope, &name), &role)?;
            if let Some(mut policy) = policy {
                policy.attachments += 1;
                tx.put(&POLICIES, policy_key(&scope, &arn), &policy)?;
            }
            Ok(Value::Null)
        })
        .await
}

pub(super) async fn detach(iam: &Iam, input: Attach, call: &Call) -> Result<Value, Error> {
    let scope = call.scope();
    let (name, arn) = input.names()?;
    iam.store
        .write(move |tx| {
            let mut role = load_role(tx, &scope, &name)?;
            let before = role.attached.len();
            role.attached.retain(|attached| *attached != arn);
            if role.attached.len() == before {
                return Err(Error::from(no_such(format!("Policy {arn} was not found."))));
            }
            tx.put(&ROLES, role_key(&scope, &name), &role)?;
            if let Some(mut policy) = tx.get(&POLICIES, policy_key(&scope, &arn))? {
                policy.attachments = policy.attachments.saturating_sub(1);
                tx.put(&POLICIES, policy_key(&scope, &arn), &policy)?;
            }
            Ok(Value::Null)
        })
        .await
}

pub(super) async fn list_attached(iam: &Iam, input: OfRole, call: &Call) -> Result<Value, Error> {
    let name = required("roleName", input.role_name)?;
    let mut role = iam.store.read(|view| load_role(view, &call.scope(), &name))?;
    role.attached.sort();
    let items = role.attached.into_iter().map(|arn| (arn.clone(), arn)).collect();
    Ok(page(items, &input.list, "AttachedPolicies", |arn| {
        let name = arn.rsplit('/').next().unwrap_or_default();
        json!({"PolicyName": name, "PolicyArn": arn})
    }))
}
