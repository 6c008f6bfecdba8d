//! `InvokeAsync`: takes an event for later, as clients did before `Invoke` could.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_InvokeAsync.html>

use super::Lambda;
use super::error::Error;
use super::invoke::{check_payload, event, find};
use super::name::Named;
use model::{Source, limits};
use serde_json::{Value, json};
use wire::rest_json::Call;

/// Takes an event; it is on disk when the answer is there.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let named = Named::parse(&call, call.label("FunctionName"), None)?;
    check_payload(&call, "Event", limits::ASYNC_PAYLOAD)?;
    let event = event(lambda, &call, &named, Source::InvokeAsync)?;
    lambda
        .store
        .write(move |tx| {
            find(tx, &named)?;
            Ok::<_, Error>(tx.submit(&event)?)
        })
        .await?;
    Ok(json!({"Status": 202}))
}
