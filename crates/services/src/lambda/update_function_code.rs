//! `UpdateFunctionCode`: gives a function other code. Events that run meanwhile keep what they began with.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionCode.html>

use super::Lambda;
use super::code::Code;
use super::error::{Error, invalid};
use super::function::{Function, Phase};
use super::name::Named;
use super::publish_version::{Published, publish};
use super::settings::{check_architectures, has_architecture};
use super::validate::Checks;
use serde::Deserialize;
use serde_json::Value;
use wire::rest_json::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    function_name: String,
    revision_id: Option<String>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    publish: bool,
    architectures: Option<Vec<String>>,
    #[serde(flatten)]
    code: Code,
}

/// Replaces the code of a function.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let Input { function_name, revision_id, dry_run, publish: publish_too, architectures, code } =
        call.input()?;
    let named = Named::latest(&call, &function_name)?;
    let mut checks = Checks::default();
    check_architectures(&mut checks, architectures.as_deref());
    checks.finish()?;
    has_architecture(call.operation, architectures.as_deref())?;
    if code.is_image() {
        let message = "Please don't provide ImageUri when updating a function with packageType Zip.";
        return Err(invalid(message).into());
    }
    let _change = lambda.busy.begin(&named.arn)?;
    // A look before the work; the transaction decides.
    let present = lambda.store.read(|view| Function::load(view, &named))?;
    present.expect_revision(revision_id.as_deref())?;
    let staged = lambda.stage(call.operation, code).await?;
    if let Err(error) = lambda.check_size(&staged.id, present.spec.layers.as_ref()).await {
        lambda.discard(staged);
        return Err(error);
    }
    if dry_run {
        let mut function = present;
        function.spec.code = staged.id.clone();
        function.about.zip_len = staged.zip.len;
        lambda.discard(staged);
        return Ok(function.configuration(named.arn.as_str(), Phase::Ready, &lambda.runtimes));
    }
    let new_zip = staged.zip.id;
    let updated = lambda
        .store
        .write(move |tx| {
            let mut function = Function::load(tx, &named)?;
            function.expect_revision(revision_id.as_deref())?;
            tx.link(&staged.zip)?;
            let old_zip = tx.unlink(function.about.zip)?;
            function.spec.code = staged.id;
            function.about.zip = staged.zip.id;
            function.about.zip_len = staged.zip.len;
            function.touch(tx.now());
            function.save(tx)?;
            let changed = match publish_too {
                true => Changed::Version(publish(tx, function, None)?),
                false => Changed::Latest(function),
            };
            Ok::<_, Error>((changed, old_zip))
        })
        .await;
    // Whichever of the two nothing links now goes.
    let unused = updated.as_ref().map_or(new_zip, |(_, old_zip)| *old_zip);
    lambda.remove_zip(unused);
    updated.map(|(changed, _)| match changed {
        Changed::Latest(function) => lambda.changed(&function),
        Changed::Version(version) => lambda.published(&version, true),
    })
}

/// What an update answers with.
enum Changed {
    Latest(Function),
    Version(Published),
}

#[cfg(test)]
mod tests {
    use crate::lambda::testing::{Bench, OTHER_ZIP, ZIP, base64};
    use serde_json::json;

    const PATH: &str = "/2015-03-31/functions/f/code";

    #[tokio::test]
    async fn code_is_replaced_and_the_old_zip_goes() {
        let bench = Bench::new();
        bench.created().await;
        let created = bench.get("/2015-03-31/functions/f/configuration").await.body;
        let got =
            bench.send("PUT", PATH, json!({"ZipFile": OTHER_ZIP, "RevisionId": created["RevisionId"]})).await;
        assert_eq!((got.status, &got.body["LastUpdateStatus"]), (200, &json!("InProgress")));
        assert_ne!(got.body["CodeSha256"], created["CodeSha256"]);
        assert_ne!(got.body["RevisionId"], created["RevisionId"]);
        assert_eq!(bench.zips(), 1);
        bench.send("PUT", PATH, json!({"ZipFile": OTHER_ZIP})).await;
        assert_eq!(bench.zips(), 1);
        let found = bench.get("/2015-03-31/functions/f/configuration").await.body;
        assert_eq!(found["LastUpdateStatus"], "Successful");
        assert_eq!(found["CodeSha256"], got.body["CodeSha256"]);
    }

    #[tokio::test]
    async fn a_dry_run_and_a_refusal_change_nothing() {
        let bench = Bench::new();
        bench.created().await;
        let created = bench.get("/2015-03-31/functions/f/configuration").await.body;
        let dry = bench.send("PUT", PATH, json!({"ZipFile": OTHER_ZIP, "DryRun": true})).await;
        assert_eq!(dry.status, 200);
        assert_ne!(dry.body["CodeSha256"], created["CodeSha256"]);
        let invalid = "InvalidParameterValueException";
        for (input, status, code, part) in [
            (json!({"ZipFile": base64(b"no zip")}), 400, invalid, "Could not unzip"),
            (json!({}), 400, invalid, "source"),
            (json!({"ZipFile": ZIP, "Architectures": ["z80"]}), 400, "ValidationException", "architectures"),
            (json!({"ZipFile": ZIP, "RevisionId": "old"}), 412, "PreconditionFailedException", "Revision Id"),
        ] {
            bench.send("PUT", PATH, input).await.refused(status, code, part);
        }
        let found = bench.get("/2015-03-31/functions/f/configuration").await.body;
        assert_eq!(found["RevisionId"], created["RevisionId"]);
        assert_eq!(bench.zips(), 1);
    }
}
