//! `PutRuntimeManagementConfig` and `GetRuntimeManagementConfig`: when a function gets a newer runtime. Here it has what
//! the machine has; another version than that cannot be asked for.
//!
//! Sources: <https://docs.aws.amazon.com/lambda/latest/api/API_PutRuntimeManagementConfig.html>,
//! <https://docs.aws.amazon.com/lambda/latest/api/API_GetRuntimeManagementConfig.html>

use super::Lambda;
use super::error::{Error, invalid};
use super::function::{Function, runtime_version_arn};
use super::name::Named;
use super::refusal::{Rest, refuse};
use super::validate::Checks;
use serde::Deserialize;
use serde_json::{Value, json};
use wire::rest_json::Call;

const AUTO: &str = "Auto";
const MANUAL: &str = "Manual";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    function_name: String,
    qualifier: Option<String>,
    update_runtime_on: Option<String>,
    runtime_version_arn: Option<String>,
    #[serde(flatten)]
    rest: Rest,
}

/// Keeps the setting.
pub(super) async fn put(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let input: Input = call.input()?;
    refuse(call.operation, &input.rest)?;
    let mut checks = Checks::default();
    if let Some(said) = checks.required("updateRuntimeOn", input.update_runtime_on.as_deref()) {
        checks.one_of("updateRuntimeOn", said, &[AUTO, MANUAL, "FunctionUpdate"]);
    }
    checks.finish()?;
    let update_on = input.update_runtime_on.unwrap_or_default();
    let arn = input.runtime_version_arn.filter(|arn| !arn.is_empty());
    if (update_on == MANUAL) != arn.is_some() {
        return Err(invalid(match update_on == MANUAL {
            true => "The parameter RuntimeVersionArn must be there when UpdateRuntimeOn is Manual.",
            false => "The parameter RuntimeVersionArn can only be there when UpdateRuntimeOn is Manual.",
        })
        .into());
    }
    let named = Named::parse(&call, &input.function_name, input.qualifier.as_deref())?;
    lambda
        .store
        .write(move |tx| {
            let mut function = Function::resolve(tx, &named)?;
            let present = runtime_version_arn(&function.spec);
            if let Some(other) = arn.filter(|arn| *arn != present) {
                return Err(invalid(format!(
                    "The parameter RuntimeVersionArn of PutRuntimeManagementConfig can only be what the function has: \
                     {present}, and not {other}."
                ))
                .into());
            }
            function.about.update_runtime_on = Some(update_on);
            function.save(tx)?;
            Ok::<_, Error>(shown(&function))
        })
        .await
}

/// Shows it.
pub(super) async fn get(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let named = Named::parse(&call, call.label("FunctionName"), call.query("Qualifier"))?;
    Ok(shown(&lambda.store.read(|view| Function::resolve(view, &named))?))
}

fn shown(function: &Function) -> Value {
    let update_on = function.about.update_runtime_on.as_deref().unwrap_or(AUTO);
    let mut shown = json!({
        "FunctionArn": function.spec.arn.qualified(&function.spec.version),
        "UpdateRuntimeOn": update_on,
    });
    if update_on == MANUAL {
        shown["RuntimeVersionArn"] = json!(runtime_version_arn(&function.spec));
    }
    shown
}

#[cfg(test)]
mod tests {
    use crate::lambda::testing::{ARN, Bench};
    use serde_json::json;

    #[tokio::test]
    async fn settings_that_only_rest_come_back() {
        let bench = Bench::new();
        let created = bench.created().await;
        let path = "/2021-07-20/functions/f/runtime-management-config";
        let auto = json!({"FunctionArn": format!("{ARN}:$LATEST"), "UpdateRuntimeOn": "Auto"});
        assert_eq!(bench.get(path).await.body, auto);
        let arn = &created["RuntimeVersionConfig"]["RuntimeVersionArn"];
        let manual = json!({"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": arn});
        let put = bench.send("PUT", path, manual).await;
        assert_eq!((put.status, &put.body["RuntimeVersionArn"]), (200, arn), "{put:?}");
        assert_eq!(bench.get(path).await.body, put.body);
        for (input, code) in [
            (json!({"UpdateRuntimeOn": "Manual"}), "InvalidParameterValueException"),
            (
                json!({"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": "x"}),
                "InvalidParameterValueException",
            ),
            (json!({"UpdateRuntimeOn": "Never"}), "ValidationException"),
        ] {
            bench.send("PUT", path, input).await.refused(400, code, "");
        }
        let path = "/2024-08-31/functions/f/recursion-config";
        assert_eq!(bench.get(path).await.body, json!({"RecursiveLoop": "Terminate"}));
        bench.send("PUT", path, json!({"RecursiveLoop": "Allow"})).await;
        assert_eq!(bench.get(path).await.body, json!({"RecursiveLoop": "Allow"}));
        bench.send("PUT", path, json!({"RecursiveLoop": "x"})).await.refused(400, "ValidationException", "");
        let path = "/2020-06-30/functions/f/code-signing-config";
        assert_eq!(bench.get(path).await.body, json!({}));
    }
}
