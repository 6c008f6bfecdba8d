//! `CreateFunction`: code and settings become a function.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html>

use super::Lambda;
use super::code::{Code, Staged};
use super::error::{Error, conflict, invalid};
use super::function::{About, Function, Phase, new_revision};
use super::name::Named;
use super::settings::Settings;
use super::tag_resource::check_tags;
use super::validate::Checks;
use model::{FunctionArn, FunctionSpec, Timestamp, limits};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use wire::rest_json::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    code: Option<Code>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(flatten)]
    settings: Settings,
}

/// Creates a function; it can be called when the answer is there.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let input: Input = call.input()?;
    let settings = input.settings;
    let mut checks = Checks::default();
    let name = checks.required("functionName", settings.function_name.as_deref());
    checks.required("role", settings.role.as_deref());
    checks.required("code", input.code.as_ref());
    checks.finish()?;
    let arn = Named::whole(name.unwrap_or_default())?.arn;
    if settings.rest.get("PackageType").is_none_or(|kind| kind == "Zip")
        && (settings.runtime.is_none() || settings.handler.is_none())
    {
        return Err(invalid(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
        )
        .into());
    }
    settings.check(call.operation, &lambda.runtimes)?;
    check_tags(&input.tags)?;
    // A look before the work; the transaction decides.
    if lambda.store.read(|view| Function::find(view, &arn))?.is_some() {
        return Err(exists(&arn));
    }
    let Some(code) = input.code else {
        return Err(invalid("Please provide a source for function code.").into());
    };
    let staged = lambda.stage(call.operation, code).await?;
    let mut function = new_function(arn.clone(), &staged, input.tags, lambda.store.now());
    settings.apply(&mut function);
    let zip = staged.zip.id;
    let shown = function.configuration(arn.as_str(), Phase::Creating);
    let created = lambda.store.write(move |tx| {
        if Function::find(tx, &function.spec.arn)?.is_some() {
            return Err(exists(&function.spec.arn));
        }
        tx.link(&staged.zip)?;
        Ok(function.save(tx)?)
    });
    match created.await {
        Ok(()) => Ok(shown),
        Err(error) => {
            lambda.remove_zip(zip);
            Err(error)
        }
    }
}

fn exists(arn: &FunctionArn) -> Error {
    conflict(format!("Function already exist: {}", arn.name())).into()
}

/// A function with AWS's defaults.
fn new_function(
    arn: FunctionArn,
    staged: &Staged,
    tags: BTreeMap<String, String>,
    now: Timestamp,
) -> Function {
    Function {
        spec: FunctionSpec {
            arn,
            version: "$LATEST".to_owned(),
            runtime: String::new(),
            handler: String::new(),
            code: staged.id.clone(),
            environment: BTreeMap::new(),
            memory_mb: limits::MEMORY_MB.2,
            timeout_s: limits::TIMEOUT_S.2,
            ephemeral_storage_mb: limits::EPHEMERAL_STORAGE_MB.2,
        },
        about: About {
            role: String::new(),
            description: String::new(),
            tags,
            zip: staged.zip.id,
            zip_len: staged.zip.len,
            revision: new_revision(),
            modified: now,
        },
    }
}
