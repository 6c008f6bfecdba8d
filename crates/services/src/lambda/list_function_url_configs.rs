//! `ListFunctionUrlConfigs`: the URLs of a function: one at the most, until aliases exist.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctionUrlConfigs.html>

use super::Lambda;
use super::error::Error;
use super::function::Function;
use super::list_functions::page;
use super::name::Named;
use super::refusal::{Rest, refuse};
use super::url::record::{URL_OF, URLS};
use super::validate::Checks;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::rest_json::{Call, number};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    function_name: String,
    /// There is one page only.
    #[serde(rename = "Marker")]
    _marker: Option<String>,
    #[serde(default, deserialize_with = "number")]
    max_items: Option<u64>,
    #[serde(flatten)]
    rest: Rest,
}

/// The URLs of a function.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    function_url_configs: Vec<Value>,
}

/// Lists the URLs of a function.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Output, Error> {
    let input: Input = call.input()?;
    refuse(call.operation, &input.rest)?;
    let mut checks = Checks::default();
    page(&mut checks, input.max_items, 50);
    checks.finish()?;
    let named = Named::whole(&input.function_name)?;
    let found = lambda.store.read(|view| {
        Function::load(view, &named)?;
        let Some(id) = view.get(&URL_OF, named.arn.name())? else { return Ok::<_, Error>(None) };
        Ok(view.get(&URLS, &id.0)?.map(|config| (id, config)))
    })?;
    let function_url_configs = found.iter().map(|(id, config)| lambda.show_url(id, config, true)).collect();
    Ok(Output { function_url_configs })
}

#[cfg(test)]
mod tests {
    use crate::lambda::testing::{ARN, Bench};
    use serde_json::json;

    const PATH: &str = "/2021-10-31/functions/f/url";

    #[tokio::test]
    async fn a_function_has_one_url_from_create_to_delete() {
        let bench = Bench::new();
        bench.created().await;
        bench.get(PATH).await.refused(404, "ResourceNotFoundException", "does not exist");
        let created = bench.send("POST", PATH, json!({"AuthType": "NONE", "InvokeMode": "BUFFERED"})).await;
        assert_eq!((created.status, &created.body["FunctionArn"]), (201, &json!(ARN)));
        let url = created.body["FunctionUrl"].as_str().unwrap();
        let id = url.strip_prefix("http://127.0.0.1:4566/lambda-url/").unwrap().strip_suffix('/').unwrap();
        assert!(id.len() == 32 && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()));
        let again = bench.send("POST", PATH, json!({"AuthType": "NONE"})).await;
        again.refused(409, "ResourceConflictException", "FunctionUrlConfig exists");
        let updated = bench.send("PUT", PATH, json!({"AuthType": "AWS_IAM"})).await;
        assert_eq!(
            (&updated.body["AuthType"], &updated.body["FunctionUrl"]),
            (&json!("AWS_IAM"), &json!(url))
        );
        let listed = bench.get("/2021-10-31/functions/f/urls").await.body;
        assert_eq!(listed["FunctionUrlConfigs"], json!([updated.body]));
        assert_eq!(bench.send_with("DELETE", PATH, &[], "".into()).await.status, 204);
        bench.get(PATH).await.refused(404, "ResourceNotFoundException", "");
        let listed = bench.get("/2021-10-31/functions/f/urls").await.body;
        assert_eq!(listed["FunctionUrlConfigs"], json!([]));
    }

    #[tokio::test]
    async fn what_a_url_cannot_do_is_refused_by_name() {
        let bench = Bench::new();
        bench.created().await;
        let invalid = "InvalidParameterValueException";
        for (input, code, part) in [
            (json!({}), "ValidationException", "'authType'"),
            (json!({"AuthType": "BASIC"}), "ValidationException", "[NONE, AWS_IAM]"),
            (json!({"AuthType": "NONE", "InvokeMode": "RESPONSE_STREAM"}), invalid, "InvokeMode"),
            (json!({"AuthType": "NONE", "Cors": {"AllowOrigins": ["*"]}}), invalid, "Cors"),
        ] {
            bench.send("POST", PATH, input).await.refused(400, code, part);
        }
    }
}
