//! `DeleteFunctionUrlConfig`: takes a function's address away for good; a new one will be another.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunctionUrlConfig.html>

use super::Lambda;
use super::create_function_url_config::{load_url, url_owner};
use super::error::Error;
use super::url::record::{URL_OF, URLS};
use wire::rest_json::Call;

/// Deletes the URL of a function.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<(), Error> {
    let named = url_owner(call.label("FunctionName"), call.query("Qualifier"))?;
    lambda
        .store
        .write(move |tx| {
            let (id, _) = load_url(tx, &named)?;
            tx.delete(&URLS, &id.0)?;
            tx.delete(&URL_OF, named.arn.name())?;
            Ok(())
        })
        .await
}
