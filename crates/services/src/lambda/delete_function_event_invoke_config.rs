//! `DeleteFunctionEventInvokeConfig`: a function's asynchronous events are as AWS has them again.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunctionEventInvokeConfig.html>

use super::Lambda;
use super::error::Error;
use super::event_rules::{key, load};
use super::name::Named;
use store::rules::EVENT_RULES;
use wire::rest_json::Call;

/// Removes the configuration.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<(), Error> {
    let named = Named::parse(&call, call.label("FunctionName"), call.query("Qualifier"))?;
    let written = lambda.store.write(move |tx| {
        load(tx, &named)?;
        Ok::<_, Error>(tx.delete(&EVENT_RULES, key(&named).as_str()).map(drop)?)
    });
    written.await
}
