//! `PutFunctionRecursionConfig` and `GetFunctionRecursionConfig`: what is to happen when a function calls itself without
//! end. The scheduler looks for it.
//!
//! Sources: <https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionRecursionConfig.html>,
//! <https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionRecursionConfig.html>

use super::Lambda;
use super::error::Error;
use super::function::Function;
use super::name::Named;
use super::refusal::{Rest, refuse};
use super::validate::Checks;
use serde::Deserialize;
use serde_json::{Value, json};
use store::rules::{LOOPS, Loops};
use wire::rest_json::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    function_name: String,
    recursive_loop: Option<String>,
    #[serde(flatten)]
    rest: Rest,
}

/// Keeps the setting.
pub(super) async fn put(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let input: Input = call.input()?;
    refuse(call.operation, &input.rest)?;
    let mut checks = Checks::default();
    if let Some(said) = checks.required("recursiveLoop", input.recursive_loop.as_deref()) {
        checks.one_of("recursiveLoop", said, &["Terminate", "Allow"]);
    }
    checks.finish()?;
    let named = Named::whole(&call, &input.function_name)?;
    let allow = input.recursive_loop.as_deref() == Some("Allow");
    lambda
        .store
        .write(move |tx| {
            Function::load(tx, &named)?;
            match allow {
                true => tx.put(&LOOPS, named.arn.as_str(), &Loops)?,
                false => drop(tx.delete(&LOOPS, named.arn.as_str())?),
            }
            Ok::<_, Error>(shown(allow))
        })
        .await
}

/// Shows it.
pub(super) async fn get(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let named = Named::whole(&call, call.label("FunctionName"))?;
    lambda.store.read(|view| Function::load(view, &named))?;
    Ok(shown(lambda.store.may_loop(&named.arn)?))
}

fn shown(allow: bool) -> Value {
    json!({"RecursiveLoop": if allow { "Allow" } else { "Terminate" }})
}
