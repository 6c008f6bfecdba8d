//! `UpdateFunctionUrlConfig`: changes who may call a function's URL; the address stays.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionUrlConfig.html>

use super::Lambda;
use super::create_function_url_config::{Input, auth_type, load_url, url_owner};
use super::error::Error;
use super::refusal::refuse;
use super::url::record::URLS;
use serde_json::Value;
use wire::rest_json::Call;

/// Changes the URL of a function.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let input: Input = call.input()?;
    refuse(call.operation, &input.rest)?;
    let named = url_owner(&input.function_name, input.qualifier.as_deref())?;
    let auth_type = auth_type(input.auth_type.as_deref())?;
    let (id, config) = lambda
        .store
        .write(move |tx| {
            let (id, mut config) = load_url(tx, &named)?;
            config.auth_type = auth_type.unwrap_or(config.auth_type);
            config.modified = tx.now();
            tx.put(&URLS, &id.0, &config)?;
            Ok::<_, Error>((id, config))
        })
        .await?;
    Ok(lambda.show_url(&id, &config, true))
}
