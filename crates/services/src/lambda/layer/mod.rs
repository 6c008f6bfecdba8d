//! Layers: packages that functions share, laid over each other at `/opt`.
//!
//! Versions of a layer are numbered and never change. A function that has one keeps its files, whatever becomes of the
//! layer: AWS lets functions go on with a deleted layer as well.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/chapter-layers.html>

pub(super) mod add_layer_version_permission;
pub(super) mod delete_layer_version;
pub(super) mod get_layer_version;
pub(super) mod get_layer_version_policy;
pub(super) mod list_layer_versions;
pub(super) mod list_layers;
mod name;
pub(super) mod of_function;
pub(super) mod publish_layer_version;
mod record;
pub(super) mod remove_layer_version_permission;

use super::Lambda;
use record::LayerVersion;
use serde_json::{Value, json};

pub(super) use name::LayerArn;
pub(super) use record::LAYERS;

impl Lambda {
    /// A version as lists show it.
    fn listed_layer(&self, arn: &LayerArn, number: u64, layer: &LayerVersion) -> Value {
        let mut shown = json!({
            "LayerVersionArn": arn.version(number),
            "Version": number,
            "Description": layer.description,
            "CreatedDate": layer.created.iso_lambda(),
        });
        if let Some(license) = &layer.license {
            shown["LicenseInfo"] = json!(license);
        }
        if let Some(runtimes) = &layer.runtimes {
            shown["CompatibleRuntimes"] = json!(runtimes);
        }
        if let Some(architectures) = &layer.architectures {
            shown["CompatibleArchitectures"] = json!(architectures);
        }
        shown
    }

    /// A version as it is shown by itself.
    fn shown_layer(&self, arn: &LayerArn, number: u64, layer: &LayerVersion) -> Value {
        let mut shown = self.listed_layer(arn, number, layer);
        shown["LayerArn"] = json!(arn.to_string());
        shown["Content"] = json!({
            "Location": self.location(&arn.version(number), &layer.code),
            "CodeSha256": super::function::base64_of_hex(&layer.code.0),
            "CodeSize": layer.zip_len,
        });
        shown
    }
}

#[cfg(test)]
mod tests {
    use crate::lambda::testing::{Bench, OTHER_ZIP, ROLE, ZIP};
    use serde_json::{Value, json};

    const PATH: &str = "/2018-10-31/layers/tools/versions";
    const LAYER: &str = "arn:aws:lambda:us-east-1:000000000000:layer:tools";

    async fn publish(bench: &Bench, zip: &str, more: Value) -> Value {
        let mut input = json!({"Content": {"ZipFile": zip}});
        for (name, value) in more.as_object().unwrap() {
            input[name] = value.clone();
        }
        let got = bench.send("POST", PATH, input).await;
        assert_eq!(got.status, 201, "{got:?}");
        got.body
    }

    #[tokio::test]
    async fn a_layer_is_published_found_and_deleted() {
        let bench = Bench::new();
        let more = json!({"CompatibleRuntimes": ["python3.11"], "LicenseInfo": "MIT", "Description": "d"});
        let first = publish(&bench, ZIP, more).await;
        assert_eq!((&first["Version"], &first["LayerArn"]), (&json!(1), &json!(LAYER)));
        assert_eq!(first["LayerVersionArn"], format!("{LAYER}:1"));
        assert_eq!(publish(&bench, OTHER_ZIP, json!({})).await["Version"], 2);
        assert_eq!(bench.get(&format!("{PATH}/1")).await.body, first);
        let by_arn = format!("/2018-10-31/layers?find=LayerVersion&Arn={LAYER}:1");
        assert_eq!(bench.get(&by_arn).await.body, first);
        let listed = bench.get(PATH).await.body;
        let numbers = |body: &Value| -> Vec<u64> {
            body["LayerVersions"].as_array().unwrap().iter().map(|v| v["Version"].as_u64().unwrap()).collect()
        };
        assert_eq!(numbers(&listed), [2, 1]);
        assert_eq!(numbers(&bench.get(&format!("{PATH}?CompatibleRuntime=python3.11")).await.body), [1]);
        let page = bench.get(&format!("{PATH}?MaxItems=1")).await.body;
        let marker = page["NextMarker"].as_str().unwrap();
        assert_eq!(numbers(&bench.get(&format!("{PATH}?MaxItems=1&Marker={marker}")).await.body), [1]);
        let layers = bench.get("/2018-10-31/layers").await.body;
        assert_eq!(layers["Layers"][0]["LayerName"], "tools");
        assert_eq!(layers["Layers"][0]["LatestMatchingVersion"]["Version"], 2);
        let location = first["Content"]["Location"].as_str().unwrap();
        let path = location.strip_prefix("http://127.0.0.1:4566/_mayfly/code/").unwrap();
        let (path, query) = path.split_once('?').unwrap();
        bench.lambda.may_have_code(path, query).unwrap();
        assert!(bench.lambda.code(path).unwrap().is_some());
        for _ in 0..2 {
            let gone = bench.send_with("DELETE", &format!("{PATH}/2"), &[], "".into()).await;
            assert_eq!(gone.status, 204);
        }
        let gone = bench.get(&format!("{PATH}/2")).await;
        gone.refused(404, "ResourceNotFoundException", "The resource you requested does not exist.");
        assert_eq!(publish(&bench, OTHER_ZIP, json!({})).await["Version"], 3);
        let zero = bench.get(&format!("{PATH}/0")).await;
        zero.refused(400, "InvalidParameterValueException", "Layer Version Cannot be less than 1");
    }

    #[tokio::test]
    async fn a_function_keeps_the_files_of_its_layers() {
        let bench = Bench::new();
        publish(&bench, ZIP, json!({})).await;
        publish(&bench, OTHER_ZIP, json!({})).await;
        let arn = format!("{LAYER}:1");
        let created = bench.create(json!({"Layers": [arn]})).await;
        assert_eq!(
            created.body["Layers"],
            json!([{"Arn": arn, "CodeSize": created.body["CodeSize"]}]),
            "{created:?}"
        );
        bench.send("POST", "/2015-03-31/functions/f/versions", json!({})).await;
        bench.send_with("DELETE", &format!("{PATH}/1"), &[], "".into()).await;
        let bench = bench.reopen();
        bench.lambda.sweep().await.unwrap();
        let spec = bench.lambda.store.read(|view| view.get(&store::kv::SPECS, crate::lambda::testing::ARN));
        let layers = spec.unwrap().unwrap().layers.unwrap();
        let file = bench.lambda.store.packages().dir(&layers).join("app.py");
        assert_eq!(std::fs::read(file).unwrap(), b"x = 1");
        let path = "/2015-03-31/functions/f/configuration";
        bench.send("PUT", path, json!({"Layers": []})).await;
        assert_eq!(bench.get(path).await.body.get("Layers"), None);
        let kept = bench.get(&format!("{path}?Qualifier=1")).await.body;
        assert_eq!(kept["Layers"][0]["Arn"], arn);
        bench.send_with("DELETE", "/2015-03-31/functions/f", &[], "".into()).await;
        // The second version's zip is left, and nothing else.
        assert_eq!(bench.zips(), 1);
    }

    #[tokio::test]
    async fn what_cannot_be_a_layer_is_refused() {
        let bench = Bench::new();
        publish(&bench, ZIP, json!({})).await;
        const INVALID: &str = "InvalidParameterValueException";
        let one = format!("{LAYER}:1");
        for (layers, status, code, part) in [
            (json!(["tools"]), 400, "ValidationException", "'layers'"),
            (json!([format!("{LAYER}:7")]), 400, INVALID, "Layer version"),
            (json!([one, one]), 400, INVALID, "Two different versions of the same layer"),
            (json!([1, 2, 3, 4, 5, 6].map(|n| format!("{LAYER}{n}:1"))), 400, INVALID, "more than 5 layers"),
            (
                json!(["arn:aws:lambda:eu-west-1:000000000000:layer:a:1"]),
                400,
                INVALID,
                "not in the same region",
            ),
        ] {
            bench.create(json!({"Layers": layers, "Role": ROLE})).await.refused(status, code, part);
        }
        for (input, code, part) in [
            (
                json!({"Content": {"ZipFile": ZIP}, "CompatibleRuntimes": ["cobol"]}),
                "ValidationException",
                "compatibleRuntimes",
            ),
            (
                json!({"Content": {"ZipFile": ZIP}, "CompatibleArchitectures": ["z80"]}),
                "ValidationException",
                "compatibleArchitectures",
            ),
            (json!({}), "ValidationException", "'content'"),
            (json!({"Content": {"ZipFile": "QQ=="}}), INVALID, "unzip"),
        ] {
            bench.send("POST", PATH, input).await.refused(400, code, part);
        }
        let got = bench
            .send("POST", "/2018-10-31/layers/a%20b/versions", json!({"Content": {"ZipFile": ZIP}}))
            .await;
        got.refused(400, "ValidationException", "'layerName'");
    }

    #[tokio::test]
    async fn a_layer_has_a_policy() {
        let bench = Bench::new();
        publish(&bench, ZIP, json!({})).await;
        let path = format!("{PATH}/1/policy");
        let none = bench.get(&path).await;
        none.refused(404, "ResourceNotFoundException", "No policy is associated with the given resource.");
        let input = json!({"StatementId": "all", "Action": "lambda:GetLayerVersion", "Principal": "*"});
        let added = bench.send("POST", &path, input.clone()).await;
        assert_eq!(added.status, 201);
        assert!(added.body["Statement"].as_str().unwrap().contains(&format!("{LAYER}:1")));
        bench.send("POST", &path, input.clone()).await.refused(409, "ResourceConflictException", "(all)");
        let policy = bench.get(&path).await.body;
        assert_eq!(policy["RevisionId"], added.body["RevisionId"]);
        let stale = bench.send_with("DELETE", &format!("{path}/all?RevisionId=x"), &[], "".into()).await;
        stale.refused(412, "PreconditionFailedException", "GetLayerPolicy");
        let bad = json!({"StatementId": "b", "Action": "lambda:*", "Principal": "*"});
        bench.send("POST", &path, bad).await.refused(400, "ValidationException", "lambda:GetLayerVersion");
        let missing = format!("{PATH}/9/policy");
        bench.send("POST", &missing, input).await.refused(404, "ResourceNotFoundException", "does not exist");
        let path = format!("{path}/all");
        assert_eq!(bench.send_with("DELETE", &path, &[], "".into()).await.status, 204);
        bench.send_with("DELETE", &path, &[], "".into()).await.refused(404, "ResourceNotFoundException", "");
    }
}
