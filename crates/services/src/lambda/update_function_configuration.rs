//! `UpdateFunctionConfiguration`: changes settings; those that are absent stay.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionConfiguration.html>

use super::Lambda;
use super::error::Error;
use super::function::{Function, Phase};
use super::name::Named;
use super::settings::Settings;
use serde::Deserialize;
use serde_json::Value;
use wire::rest_json::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    revision_id: Option<String>,
    #[serde(flatten)]
    settings: Settings,
}

/// Changes the configuration of a function.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let input: Input = call.input()?;
    let named = Named::whole(call.label("FunctionName"))?;
    input.settings.check(call.operation, &lambda.runtimes)?;
    lambda
        .store
        .write(move |tx| {
            let mut function = Function::load(tx, &named)?;
            function.expect_revision(input.revision_id.as_deref())?;
            input.settings.apply(&mut function);
            function.touch(tx.now());
            function.save(tx)?;
            Ok(function.configuration(named.arn.as_str(), Phase::Updating))
        })
        .await
}
