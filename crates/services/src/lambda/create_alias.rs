//! `CreateAlias`: gives a version a name, or two of them by weight.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_CreateAlias.html>

use super::Lambda;
use super::alias::{self, Routing, check_name, check_routes, check_target};
use super::error::{Error, conflict, not_found};
use super::function::{Function, new_revision};
use super::name::Named;
use super::refusal::{Rest, refuse};
use super::validate::Checks;
use serde::Deserialize;
use serde_json::Value;
use store::alias::{ALIASES, Alias};
use wire::rest_json::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    function_name: String,
    name: Option<String>,
    function_version: Option<String>,
    description: Option<String>,
    routing_config: Option<Routing>,
    #[serde(flatten)]
    rest: Rest,
}

/// Creates an alias.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let input: Input = call.input()?;
    refuse(call.operation, &input.rest)?;
    let mut checks = Checks::default();
    if let Some(name) = checks.required("name", input.name.as_deref()) {
        check_name(&mut checks, name);
    }
    checks.required("functionVersion", input.function_version.as_deref());
    let (version, description) = (input.function_version.as_deref(), input.description.as_deref());
    check_target(&mut checks, version, description, input.routing_config.as_ref());
    checks.finish()?;
    let named = Named::whole(&call, &input.function_name)?;
    let arn = named.arn.qualified(&input.name.unwrap_or_default());
    let created = Alias {
        version: input.function_version.unwrap_or_default(),
        weights: input.routing_config.map(Routing::weights).unwrap_or_default(),
        description: input.description.unwrap_or_default(),
        revision: new_revision(),
    };
    lambda
        .store
        .write(move |tx| {
            if Function::find(tx, &named.arn)?.is_none() {
                let missing = named.arn.qualified(&created.version);
                return Err(not_found(format!("Function not found: {missing}")).into());
            }
            if tx.get(&ALIASES, arn.as_str())?.is_some() {
                return Err(conflict(format!("Alias already exists: {arn}")).into());
            }
            check_routes(tx, &named.arn, &created)?;
            tx.put(&ALIASES, arn.as_str(), &created)?;
            Ok::<_, Error>(alias::shown(&arn, &created))
        })
        .await
}

#[cfg(test)]
mod tests {
    use crate::lambda::testing::{ARN, Bench, OTHER_ZIP};
    use serde_json::json;

    const PATH: &str = "/2015-03-31/functions/f/aliases";

    async fn with_versions() -> Bench {
        let bench = Bench::new();
        bench.create(json!({"Publish": true})).await;
        let input = json!({"ZipFile": OTHER_ZIP, "Publish": true});
        bench.send("PUT", "/2015-03-31/functions/f/code", input).await;
        bench
    }

    #[tokio::test]
    async fn an_alias_lives_from_create_to_delete() {
        let bench = with_versions().await;
        let input = json!({
            "Name": "live", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.1}},
        });
        let created = bench.send("POST", PATH, input.clone()).await;
        assert_eq!(created.status, 201, "{created:?}");
        let revision = created.body["RevisionId"].clone();
        let expected = json!({
            "AliasArn": format!("{ARN}:live"), "Name": "live", "FunctionVersion": "1", "Description": "",
            "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.1}}, "RevisionId": revision,
        });
        assert_eq!(created.body, expected);
        let again = bench.send("POST", PATH, input).await;
        again.refused(409, "ResourceConflictException", &format!("Alias already exists: {ARN}:live"));
        let path = format!("{PATH}/live");
        assert_eq!(bench.get(&path).await.body, expected);
        let found = bench.get("/2015-03-31/functions/f?Qualifier=live").await.body;
        let configuration = &found["Configuration"];
        assert_eq!(configuration["FunctionArn"], format!("{ARN}:live"));
        assert_eq!(configuration["Version"], "1");
        let stale = bench.send("PUT", &path, json!({"RevisionId": "x"})).await;
        stale.refused(412, "PreconditionFailedException", "GetFunction/GetAlias");
        let input = json!({
            "RevisionId": revision, "FunctionVersion": "2", "Description": "d",
            "RoutingConfig": {"AdditionalVersionWeights": {}},
        });
        let updated = bench.send("PUT", &path, input).await.body;
        assert_eq!((&updated["FunctionVersion"], &updated["Description"]), (&json!("2"), &json!("d")));
        assert_eq!(updated.get("RoutingConfig"), None);
        assert_ne!(updated["RevisionId"], revision);
        bench.send("POST", PATH, json!({"Name": "a", "FunctionVersion": "1"})).await;
        let names = |body: &serde_json::Value| -> Vec<String> {
            body["Aliases"]
                .as_array()
                .unwrap()
                .iter()
                .map(|a| a["Name"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(names(&bench.get(PATH).await.body), ["a", "live"]);
        assert_eq!(names(&bench.get(&format!("{PATH}?FunctionVersion=2")).await.body), ["live"]);
        let first = bench.get(&format!("{PATH}?MaxItems=1")).await.body;
        let marker = first["NextMarker"].as_str().unwrap();
        let second = bench.get(&format!("{PATH}?MaxItems=1&Marker={marker}")).await.body;
        assert_eq!((names(&first), names(&second)), (vec!["a".to_owned()], vec!["live".to_owned()]));
        assert_eq!(second.get("NextMarker"), None);
        let held = bench.send_with("DELETE", "/2015-03-31/functions/f?Qualifier=2", &[], "".into()).await;
        held.refused(409, "ResourceConflictException", "live");
        for _ in 0..2 {
            assert_eq!(bench.send_with("DELETE", &path, &[], "".into()).await.status, 204);
        }
        let missing = format!("Cannot find alias arn: {ARN}:live");
        bench.get(&path).await.refused(404, "ResourceNotFoundException", &missing);
    }

    #[tokio::test]
    async fn where_no_alias_can_lead_is_refused() {
        let bench = with_versions().await;
        const INVALID: &str = "InvalidParameterValueException";
        const VALIDATION: &str = "ValidationException";
        for (name, version, weights, status, code, part) in [
            ("1", "1", json!({}), 400, VALIDATION, "(?!^[0-9]+$)([a-zA-Z0-9-_]+)"),
            ("a", "x", json!({}), 400, VALIDATION, "'functionVersion'"),
            ("a", "7", json!({}), 404, "ResourceNotFoundException", "function:f:7"),
            ("a", "1", json!({"7": 0.1}), 404, "ResourceNotFoundException", "function:f:7"),
            ("a", "1", json!({"2": 1.0}), 400, VALIDATION, "{2=1.0}"),
            ("a", "1", json!({"2": 2.0}), 400, VALIDATION, "Map value must satisfy"),
            ("a", "1", json!({"x": 0.1}), 400, VALIDATION, "Map keys must satisfy"),
            ("a", "1", json!({"1": 0.1}), 400, INVALID, "already included"),
            ("a", "1", json!({"2": 0.1, "3": 0.1}), 400, INVALID, "cannot be greater than 1"),
            ("a", "$LATEST", json!({"1": 0.1}), 400, INVALID, "$LATEST is not supported"),
        ] {
            let routing = json!({"AdditionalVersionWeights": weights});
            let input = json!({"Name": name, "FunctionVersion": version, "RoutingConfig": routing});
            bench.send("POST", PATH, input).await.refused(status, code, part);
        }
        let got = bench.send("POST", PATH, json!({"FunctionVersion": "1"})).await;
        got.refused(400, VALIDATION, "'name'");
        let other = "/2015-03-31/functions/g/aliases";
        bench.get(other).await.refused(404, "ResourceNotFoundException", "function:g");
    }
}
