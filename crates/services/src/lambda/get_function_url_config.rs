//! `GetFunctionUrlConfig`: the URL of a function.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionUrlConfig.html>

use super::Lambda;
use super::create_function_url_config::{load_url, url_owner};
use super::error::Error;
use serde_json::Value;
use wire::rest_json::Call;

/// Shows the URL of one function.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let named = url_owner(&call, call.label("FunctionName"), call.query("Qualifier"))?;
    let (id, config) = lambda.store.read(|view| load_url(view, &named))?;
    Ok(lambda.show_url(&id, &config, true))
}
