//! `DeleteProvisionedConcurrencyConfig`: nothing waits ahead of a version's events any more but what their rate asks for.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_DeleteProvisionedConcurrencyConfig.html>

use super::Lambda;
use super::error::Error;
use super::name::Named;
use super::provisioned::{PROVISIONED, staff};
use super::put_provisioned_concurrency_config::owner;
use super::validate::Checks;
use wire::rest_json::Call;

/// Takes back what was asked for; if nothing was, that is as good.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<(), Error> {
    let mut checks = Checks::default();
    checks.required("qualifier", call.query("Qualifier"));
    checks.finish()?;
    let named = Named::parse(&call, call.label("FunctionName"), call.query("Qualifier"))?;
    lambda
        .store
        .write(move |tx| {
            let arn = owner(tx, &named)?;
            tx.delete(&PROVISIONED, arn.as_str())?;
            Ok(staff(tx, &named.arn)?)
        })
        .await
}
