//! `CreateFunction`: code and settings become a function.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html>

use super::Lambda;
use super::code::{Code, Staged};
use super::error::{Error, conflict, invalid};
use super::event_rules::check_queue;
use super::function::{About, Function, Phase, new_revision};
use super::name::Named;
use super::network;
use super::publish_version::publish;
use super::settings::Settings;
use super::start::Start;
use super::tag_resource::check_tags;
use super::validate::Checks;
use model::{FunctionArn, FunctionSpec, Timestamp};
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
    #[serde(default)]
    publish: bool,
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
    let arn = named(&call, name.unwrap_or_default())?;
    if settings.rest.get("PackageType").is_none_or(|kind| kind == "Zip")
        && (settings.runtime.is_none() || settings.handler.is_none())
    {
        return Err(invalid(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
        )
        .into());
    }
    settings.check(call.operation, &lambda.runtimes)?;
    settings.check_new()?;
    check_tags(&input.tags)?;
    let network = network::policy(&input.tags, lambda.most)?;
    let start = Start::of(&input.tags)?;
    // A look before the work; the transaction decides.
    if lambda.store.read(|view| Function::find(view, &arn))?.is_some() {
        return Err(exists(&arn));
    }
    let Some(code) = input.code else {
        return Err(invalid("Please provide a source for function code.").into());
    };
    let laid = lambda.lay(&call.scope, settings.layers.as_deref().unwrap_or_default(), &[]).await?;
    let staged = lambda.stage(call.operation, code).await?;
    if let Err(error) = lambda.check_size(&staged.id, laid.code()).await {
        lambda.discard(staged);
        return Err(error);
    }
    let mut function = new_function(arn.clone(), &staged, input.tags, lambda.store.now());
    function.spec.network = network;
    let fits = start.apply(&mut function.spec).and_then(|()| settings.apply(&mut function));
    if let Err(fault) = fits {
        lambda.discard(staged);
        return Err(fault.into());
    }
    let zip = staged.zip.id;
    let publish_too = input.publish;
    let created = lambda.store.write(move |tx| {
        if Function::find(tx, &function.spec.arn)?.is_some() {
            return Err(exists(&function.spec.arn));
        }
        if let Some(queue) = &function.spec.dead_letter {
            check_queue(tx, queue)?;
        }
        tx.link(&staged.zip)?;
        laid.give(tx, &mut function)?;
        function.save(tx)?;
        Ok(if publish_too { publish(tx, function, None)?.function } else { function })
    });
    match created.await {
        Ok(function) => Ok(function.configuration(arn.as_str(), Phase::Creating, &lambda.runtimes)),
        Err(error) => {
            lambda.remove_zip(zip);
            Err(error)
        }
    }
}

/// The ARN of a new function.
fn named(call: &Call, name: &str) -> Result<FunctionArn, Error> {
    match Named::parse(call, name, None)? {
        Named { arn, qualifier: None } => Ok(arn),
        _ => Err(invalid("The function name must not contain a version or an alias.").into()),
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
        spec: FunctionSpec::new(arn, "", "", staged.id.clone()),
        about: About {
            role: String::new(),
            description: String::new(),
            tags,
            zip: staged.zip.id,
            zip_len: staged.zip.len,
            revision: new_revision(),
            modified: now,
            environment: false,
            published: 0,
            layers: Vec::new(),
            update_runtime_on: None,
            described: None,
            snap_start: false,
        },
    }
}

#[cfg(test)]
mod tests {
    use crate::lambda::testing::{ARN, Bench, ZIP, base64};
    use crate::object::{Content, OBJECTS, Object, object_key};
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use model::{FunctionArn, Timestamp};
    use serde_json::json;
    use store::kv::SPECS;

    #[tokio::test]
    async fn a_function_is_pending_in_the_answer_and_active_at_the_next_look() {
        let bench = Bench::new();
        let created = bench.created().await;
        assert_eq!(created["State"], "Pending");
        assert_eq!(created["StateReasonCode"], "Creating");
        assert_eq!(created.get("LastUpdateStatus"), None);
        assert_eq!(created["FunctionArn"], ARN);
        assert_eq!((&created["Timeout"], &created["MemorySize"]), (&json!(3), &json!(128)));
        let found = bench.get("/2015-03-31/functions/f/configuration").await.body;
        assert_eq!((&found["State"], &found["LastUpdateStatus"]), (&json!("Active"), &json!("Successful")));
        // AWS counts the end of the creation as a change.
        assert_ne!(found["RevisionId"], created["RevisionId"]);
        let spec = bench.lambda.store.read(|view| view.get(&SPECS, ARN)).unwrap().unwrap();
        assert_eq!(spec.arn, FunctionArn::of("f"));
        let app = bench.lambda.store.packages().dir(&spec.code).join("app.py");
        assert_eq!(std::fs::read(app).unwrap(), b"x = 1");
    }

    #[tokio::test]
    async fn what_cannot_become_a_function_leaves_nothing() {
        let bench = Bench::new();
        const INVALID: &str = "InvalidParameterValueException";
        for (changes, code, part) in [
            (json!({"FunctionName": "a b"}), "ValidationException", "Value 'a b' at 'functionName'"),
            (json!({"Role": null}), "ValidationException", "Value null at 'role'"),
            (json!({"Runtime": null}), INVALID, "Runtime and Handler are mandatory"),
            (json!({"Runtime": "nodejs22.x"}), INVALID, "python3.11"),
            (json!({"PackageType": "Image"}), INVALID, "PackageType"),
            (json!({"FunctionName": "f:1"}), INVALID, "version or an alias"),
            (json!({"Architectures": []}), "ValidationException", "greater than or equal to 1"),
            (json!({"Architectures": ["x86_64", "arm64"]}), "ValidationException", "less than or equal to 1"),
            (json!({"Architectures": ["z80"]}), "ValidationException", "enum value set: [x86_64, arm64]"),
            (json!({"TracingConfig": {"Mode": "On"}}), "ValidationException", "[Active, PassThrough]"),
            (
                json!({"SnapStart": {"ApplyOn": "PublishedVersions"}}),
                INVALID,
                "python3.11 is not supported for",
            ),
            (json!({"Code": {}}), INVALID, "provide a source"),
            (json!({"Code": {"ImageUri": "x"}}), INVALID, "ImageUri"),
            (json!({"Code": {"ZipFile": ""}}), INVALID, "non-empty zip"),
            (json!({"Code": {"ZipFile": "*"}}), INVALID, "base64"),
            (json!({"Code": {"ZipFile": base64(b"hello")}}), INVALID, "Could not unzip uploaded file. "),
            (json!({"Code": {"ZipFile": ZIP, "S3Key": "k"}}), INVALID, "do not provide other"),
            (json!({"Code": {"S3Bucket": "b", "S3Key": "k"}}), INVALID, "S3 Error Code: NoSuchBucket"),
            (json!({"Tags": {"aws:x": "y"}}), INVALID, "reserved"),
        ] {
            bench.create(changes).await.refused(400, code, part);
        }
        assert_eq!(bench.zips(), 0);
        assert!(bench.lambda.store.packages().list().unwrap().is_empty());
        bench.created().await;
        let again = bench.create(json!({})).await;
        again.refused(409, "ResourceConflictException", "Function already exist: f");
    }

    #[tokio::test]
    async fn of_two_at_once_one_is_created() {
        let bench = Bench::new();
        let (one, two) = tokio::join!(bench.create(json!({})), bench.create(json!({})));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
        assert_eq!(bench.zips(), 1);
    }

    #[tokio::test]
    async fn code_comes_from_a_bucket() {
        let bench = Bench::new();
        let zip = BASE64_STANDARD.decode(ZIP).unwrap();
        let blob = bench.lambda.store.blobs().write(&zip).await.unwrap();
        bench
            .lambda
            .store
            .write(move |tx| {
                let object = Object::new(Content::Blob(blob.id), blob.len, Timestamp(0));
                tx.link(&blob)?;
                tx.put(&OBJECTS, object_key("bucket", "code.zip"), &object)
            })
            .await
            .unwrap();
        let missing = bench.create(json!({"Code": {"S3Bucket": "bucket", "S3Key": "other"}})).await;
        missing.refused(
            400,
            "InvalidParameterValueException",
            "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.",
        );
        let created = bench.create(json!({"Code": {"S3Bucket": "bucket", "S3Key": "code.zip"}})).await;
        assert_eq!((created.status, &created.body["CodeSize"]), (201, &json!(zip.len())));
    }
}
