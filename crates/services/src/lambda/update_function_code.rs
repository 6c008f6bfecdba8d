//! `UpdateFunctionCode`: gives a function other code. Events that run meanwhile keep what they began with.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionCode.html>

use super::Lambda;
use super::code::Code;
use super::error::Error;
use super::function::{Function, Phase};
use super::name::Named;
use super::refusal::{Rest, refuse};
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
    architectures: Option<Value>,
    #[serde(flatten)]
    code: Code,
}

/// Replaces the code of a function.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let Input { function_name, revision_id, dry_run, architectures, code } = call.input()?;
    let named = Named::whole(&function_name)?;
    let rest: Rest = architectures.map(|value| ("Architectures".to_owned(), value)).into_iter().collect();
    refuse(call.operation, &rest)?;
    // A look before the work; the transaction decides.
    let present = lambda.store.read(|view| Function::load(view, &named))?;
    present.expect_revision(revision_id.as_deref())?;
    let staged = lambda.stage(call.operation, code).await?;
    if dry_run {
        let mut function = present;
        function.spec.code = staged.id.clone();
        function.about.zip_len = staged.zip.len;
        lambda.discard(staged);
        return Ok(function.configuration(named.arn.as_str(), Phase::Ready));
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
            Ok::<_, Error>((function.configuration(named.arn.as_str(), Phase::Updating), old_zip))
        })
        .await;
    // Whichever of the two nothing links now goes.
    let unused = updated.as_ref().map_or(new_zip, |(_, old_zip)| *old_zip);
    lambda.remove_zip(unused);
    updated.map(|(shown, _)| shown)
}
