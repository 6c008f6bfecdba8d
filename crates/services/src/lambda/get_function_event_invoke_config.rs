//! `GetFunctionEventInvokeConfig`: what follows from a function's asynchronous events.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionEventInvokeConfig.html>

use super::Lambda;
use super::error::Error;
use super::event_rules::{key, load, shown};
use super::name::Named;
use serde_json::Value;
use wire::rest_json::Call;

/// Shows the configuration.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let named = Named::parse(&call, call.label("FunctionName"), call.query("Qualifier"))?;
    let rules = lambda.store.read(|view| load(view, &named))?;
    Ok(shown(key(&named).as_str(), &rules))
}
