//! `DeleteFunctionUrlConfig`: takes a function's address away for good; a new one will be another.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunctionUrlConfig.html>

use super::Lambda;
use super::create_function_url_config::{load_url, url_owner};
use super::error::Error;
use super::url::record::forget_url;
use wire::rest_json::Call;

/// Deletes the URL of a function.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<(), Error> {
    let named = url_owner(&call, call.label("FunctionName"), call.query("Qualifier"))?;
    lambda
        .store
        .write(move |tx| {
            load_url(tx, &named)?;
            Ok(forget_url(tx, &named.target())?)
        })
        .await
}
