//! `UpdateFunctionUrlConfig`: changes who may call a function's URL; the address stays.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionUrlConfig.html>

use super::Lambda;
use super::create_function_url_config::{Input, load_url, url_owner};
use super::error::{Error, not_found};
use super::function::Function;
use super::refusal::refuse;
use super::url::record::URLS;
use super::validate::Checks;
use serde_json::Value;
use wire::rest_json::Call;

/// Changes the URL of a function.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let input: Input = call.input()?;
    refuse(call.operation, &input.rest)?;
    let named = url_owner(&call, &input.function_name, input.qualifier.as_deref())?;
    let said = input.check(Checks::default())?;
    let said_mode = said.mode.is_some();
    let (id, config) = lambda
        .store
        .write(move |tx| {
            if Function::resolve(tx, &named).is_err() {
                return Err(not_found("Function does not exist").into());
            }
            let (id, mut config) = load_url(tx, &named)?;
            config.auth_type = said.auth_type.unwrap_or(config.auth_type);
            config.mode = said.mode.unwrap_or(config.mode);
            if let Some(cors) = input.cors {
                config.cors = Some(cors).filter(|cors| !cors.is_empty());
            }
            config.modified = tx.now();
            tx.put(&URLS, &id.0, &config)?;
            Ok::<_, Error>((id, config))
        })
        .await?;
    Ok(lambda.show_url(&id, &config, said_mode))
}
