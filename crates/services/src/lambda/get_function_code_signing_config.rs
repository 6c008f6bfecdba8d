//! `GetFunctionCodeSigningConfig`: no function has one, since code signing does not exist here; tools ask all the same.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionCodeSigningConfig.html>

use super::Lambda;
use super::error::Error;
use super::function::Function;
use super::name::Named;
use serde_json::{Value, json};
use wire::rest_json::Call;

/// Says that the function has none.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let named = Named::whole(&call, call.label("FunctionName"))?;
    lambda.store.read(|view| Function::load(view, &named))?;
    Ok(json!({}))
}
