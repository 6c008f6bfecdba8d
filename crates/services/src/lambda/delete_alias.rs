//! `DeleteAlias`: an alias goes, and with it its policy, its URL and its provisioned concurrency.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_DeleteAlias.html>

use super::Lambda;
use super::error::Error;
use super::function::Function;
use super::name::Named;
use super::policy::POLICIES;
use super::provisioned::{PROVISIONED, staff};
use super::url::record::forget_url;
use store::alias::ALIASES;
use wire::rest_json::Call;

/// Deletes an alias; one that does not exist is as good as deleted.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<(), Error> {
    let named = Named::whole(&call, call.label("FunctionName"))?;
    let arn = named.arn.qualified(call.label("Name"));
    lambda
        .store
        .write(move |tx| {
            Function::load(tx, &named)?;
            tx.delete(&ALIASES, arn.as_str())?;
            tx.delete(&POLICIES, arn.as_str())?;
            tx.delete(&PROVISIONED, arn.as_str())?;
            forget_url(tx, &arn)?;
            Ok(staff(tx, &named.arn)?)
        })
        .await
}
