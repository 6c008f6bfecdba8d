//! The permissions boundaries of roles: kept and shown, enforced by later work.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePermissionsBoundary.html>

use super::Iam;
use super::check::{Checks, required};
use super::roles::{Named, change};
use crate::error::Error;
use serde::Deserialize;
use serde_json::Value;
use wire::rpc::Call;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Put {
    role_name: Option<String>,
    permissions_boundary: Option<String>,
}

/// `PutRolePermissionsBoundary`.
pub(super) async fn put(iam: &Iam, input: Put, call: &Call) -> Result<Value, Error> {
    let name = required("roleName", input.role_name)?;
    let arn = required("permissionsBoundary", input.permissions_boundary)?;
    let mut checks = Checks::default();
    checks.policy_arn("permissionsBoundary", &arn);
    checks.finish()?;
    change(iam, call, name, move |role| {
        role.boundary = Some(arn);
        Ok(())
    })
    .await?;
    Ok(Value::Null)
}

/// `DeleteRolePermissionsBoundary`.
pub(super) async fn delete(iam: &Iam, input: Named, call: &Call) -> Result<Value, Error> {
    let name = required("roleName", input.role_name)?;
    change(iam, call, name, |role| {
        role.boundary = None;
        Ok(())
    })
    .await?;
    Ok(Value::Null)
}
