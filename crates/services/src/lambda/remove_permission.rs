//! `RemovePermission`: takes a statement out of a function's policy.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_RemovePermission.html>

use super::Lambda;
use super::add_permission::latest_is_refused;
use super::error::{Error, no_resource, not_found, stale_revision};
use super::function::{Function, new_revision};
use super::policy::POLICIES;
use wire::rest_json::Call;

/// Removes a permission.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<(), Error> {
    let named = latest_is_refused(call.label("FunctionName"), call.query("Qualifier"))?;
    let sid = call.label("StatementId").to_owned();
    let revision = call.query("RevisionId").map(str::to_owned);
    lambda
        .store
        .write(move |tx| {
            Function::load(tx, &named)?;
            let arn = named.arn.as_str();
            let Some(mut policy) = tx.get(&POLICIES, arn)? else { return Err(no_resource().into()) };
            if revision.is_some_and(|revision| revision != policy.revision) {
                return Err(stale_revision("GetPolicy").into());
            }
            let before = policy.statements.len();
            policy.statements.retain(|statement| statement.sid != sid);
            if policy.statements.len() == before {
                return Err(not_found(format!("Statement {sid} is not found in resource policy.")).into());
            }
            policy.revision = new_revision();
            if policy.statements.is_empty() {
                tx.delete(&POLICIES, arn)?;
            } else {
                tx.put(&POLICIES, arn, &policy)?;
            }
            Ok::<_, Error>(())
        })
        .await
}
