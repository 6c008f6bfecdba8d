//! `ListFunctionUrlConfigs`: the URLs of a function and of its aliases.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctionUrlConfigs.html>

use super::Lambda;
use super::error::{Error, not_found};
use super::function::Function;
use super::list_functions::{Page, next_marker, page};
use super::name::Named;
use super::url::record::{URL_OF, URLS, owner_key};
use super::validate::Checks;
use serde::Serialize;
use serde_json::Value;
use store::kv::From;
use wire::rest_json::Call;

/// The URLs of a function.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    function_url_configs: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

/// Lists the URL of a function, and those of its aliases.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Output, Error> {
    let input = Page::of(&call)?;
    let mut checks = Checks::default();
    let limit = page(&mut checks, input.max_items, 50);
    checks.finish()?;
    let named = Named::whole(&call, call.label("FunctionName"))?;
    let own = owner_key(&named.arn);
    let after = input.after(&own)?;
    let aliases = format!("{own}:");
    lambda.store.read(|view| {
        if Function::find(view, &named.arn)?.is_none() {
            return Err(not_found("Function does not exist").into());
        }
        let mut found = Vec::new();
        if after.is_none()
            && let Some(id) = view.get(&URL_OF, &own)?
        {
            found.push((own.clone(), id));
        }
        let from = after.as_deref().map_or(From::At(b""), |after| From::After(after.as_bytes()));
        for (key, id) in view.scan(&URL_OF, aliases.as_bytes(), from, limit + 1)? {
            found.push((String::from_utf8_lossy(&key).into_owned(), id));
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let next_marker = next_marker(more, found.last().map(|(key, _)| key.as_str()));
        let mut function_url_configs = Vec::new();
        for (_, id) in found {
            if let Some(config) = view.get(&URLS, &id.0)? {
                function_url_configs.push(lambda.show_url(&id, &config, true));
            }
        }
        Ok(Output { function_url_configs, next_marker })
    })
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
        let mut whole = updated.body;
        // The answer to Update does not repeat what was not asked for.
        assert_eq!(whole.get("InvokeMode"), None);
        whole["InvokeMode"] = json!("BUFFERED");
        assert_eq!(listed["FunctionUrlConfigs"], json!([whole]));
        assert_eq!(bench.send_with("DELETE", PATH, &[], "".into()).await.status, 204);
        bench.get(PATH).await.refused(404, "ResourceNotFoundException", "");
        let listed = bench.get("/2021-10-31/functions/f/urls").await.body;
        assert_eq!(listed["FunctionUrlConfigs"], json!([]));
    }

    #[tokio::test]
    async fn aliases_have_urls_of_their_own() {
        let bench = Bench::new();
        bench.create(json!({"Publish": true})).await;
        let alias = json!({"Name": "live", "FunctionVersion": "1"});
        bench.send("POST", "/2015-03-31/functions/f/aliases", alias).await;
        let input = json!({"AuthType": "NONE", "Cors": {"AllowOrigins": ["*"]}});
        let own = bench.send("POST", PATH, input.clone()).await.body;
        let live = bench.send("POST", &format!("{PATH}?Qualifier=live"), input.clone()).await.body;
        assert_eq!((&live["FunctionArn"], &live["Cors"]), (&json!(format!("{ARN}:live")), &input["Cors"]));
        assert_ne!(own["FunctionUrl"], live["FunctionUrl"]);
        let listed = bench.get("/2021-10-31/functions/f/urls").await.body;
        assert_eq!(listed["FunctionUrlConfigs"].as_array().unwrap().len(), 2);
        let got = bench.send("POST", &format!("{PATH}?Qualifier=1"), input.clone()).await;
        got.refused(400, "ValidationException", "'qualifier'");
        let got = bench.send("POST", &format!("{PATH}?Qualifier=dead"), input).await;
        got.refused(404, "ResourceNotFoundException", "Function does not exist");
        bench.send_with("DELETE", "/2015-03-31/functions/f/aliases/live", &[], "".into()).await;
        let got = bench.get(&format!("{PATH}?Qualifier=live")).await;
        got.refused(404, "ResourceNotFoundException", "does not exist");
    }

    #[tokio::test]
    async fn what_a_url_cannot_do_is_refused_by_name() {
        let bench = Bench::new();
        bench.created().await;
        let invalid = "InvalidParameterValueException";
        for (input, code, part) in [
            (json!({}), "ValidationException", "'authType'"),
            (json!({"AuthType": "BASIC"}), "ValidationException", "[NONE, AWS_IAM]"),
            (
                json!({"AuthType": "NONE", "InvokeMode": "SLOW"}),
                "ValidationException",
                "[RESPONSE_STREAM, BUFFERED]",
            ),
            (json!({"AuthType": "NONE", "Cors": {"MaxAge": -1}}), "ValidationException", "'cors.maxAge'"),
            (json!({"AuthType": "NONE", "Colour": "red"}), invalid, "Colour"),
        ] {
            bench.send("POST", PATH, input).await.refused(400, code, part);
        }
    }
}
