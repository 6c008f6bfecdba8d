//! `GetFunctionConfiguration`: a function's configuration by itself.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionConfiguration.html>

use super::Lambda;
use super::error::Error;
use super::function::Function;
use super::name::Named;
use serde_json::Value;
use wire::rest_json::Call;

/// Shows the configuration of one function.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let named = Named::parse(&call, call.label("FunctionName"), call.query("Qualifier"))?;
    let function = lambda.store.read(|view| Function::resolve(view, &named))?;
    Ok(lambda.shown(&function, &named.shown()))
}
