//! `DeleteFunction`: a function goes, and with it its policy, its URL and the events that wait for it.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunction.html>

use super::Lambda;
use super::error::{Error, conflict, invalid, not_found};
use super::event_rules;
use super::function::Function;
use super::list_aliases::aliases_of;
use super::list_versions_by_function::versions_after;
use super::name::Named;
use super::policy::POLICIES;
use super::provisioned::PROVISIONED;
use super::url::record::forget_url;
use model::LATEST;
use store::Tx;
use store::alias::{ALIASES, Alias, is_alias};
use store::blob::BlobId;
use store::rules::{LOOPS, RESERVED};
use wire::rest_json::Call;

/// How many versions or aliases are removed at a time.
const BATCH: usize = 256;

/// Deletes a function with its versions and aliases, or one version. Its unpacked code stays for runs that are under way
/// and goes with the next sweep.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<(), Error> {
    let named = Named::parse(&call, call.label("FunctionName"), call.query("Qualifier"))?;
    let zips = match named.qualifier.clone() {
        None => lambda.store.write(move |tx| delete_whole(tx, &named)).await?,
        Some(latest) if latest == LATEST => {
            return Err(invalid("$LATEST version cannot be deleted without deleting the function.").into());
        }
        Some(alias) if is_alias(&alias) => {
            return Err(invalid("Deletion of aliases is not currently supported.").into());
        }
        Some(version) => lambda.store.write(move |tx| delete_version(tx, &named, &version)).await?,
    };
    for zip in zips {
        lambda.remove_zip(zip);
    }
    Ok(())
}

fn delete_version(tx: &Tx<'_>, named: &Named, version: &str) -> Result<Vec<BlobId>, Error> {
    if Function::find(tx, &named.arn)?.is_none() {
        return Err(not_found(format!("Function not found: {}", named.arn)).into());
    }
    // A version that is not there is as good as deleted.
    let Some(function) = Function::find(tx, &named.target())? else { return Ok(Vec::new()) };
    let leads = |alias: &Alias| alias.version == version || alias.weights.contains_key(version);
    if let Some((alias, _)) = aliases_of(tx, &named.arn, None, 1, leads)?.first() {
        return Err(conflict(format!(
            "Version {version} of the function {} is used by the alias {} and cannot be deleted.",
            named.arn.name(),
            alias.qualifier().unwrap_or_default()
        ))
        .into());
    }
    tx.delete(&PROVISIONED, named.target().as_str())?;
    tx.forget_events_of(&named.target())?;
    Ok(function.remove(tx)?)
}

fn delete_whole(tx: &Tx<'_>, named: &Named) -> Result<Vec<BlobId>, Error> {
    let function = Function::load(tx, named)?;
    let mut zips = function.remove(tx)?;
    forget_url(tx, &named.arn)?;
    tx.delete(&RESERVED, named.arn.as_str())?;
    event_rules::forget(tx, &named.arn)?;
    loop {
        let aliases = aliases_of(tx, &named.arn, None, BATCH, |_| true)?;
        if aliases.is_empty() {
            break;
        }
        for (alias, _) in aliases {
            tx.delete(&ALIASES, alias.as_str())?;
            tx.delete(&POLICIES, alias.as_str())?;
            tx.delete(&PROVISIONED, alias.as_str())?;
            forget_url(tx, &alias)?;
        }
    }
    loop {
        let versions = versions_after(tx, named, None, BATCH)?;
        if versions.is_empty() {
            break;
        }
        for version in versions {
            tx.delete(&PROVISIONED, version.spec.arn.as_str())?;
            zips.extend(version.remove(tx)?);
        }
    }
    tx.delete(&RESERVED, named.arn.unqualified().as_str())?;
    tx.delete(&LOOPS, named.arn.unqualified().as_str())?;
    event_rules::forget(tx, &named.arn)?;
    tx.forget_events_of(&named.arn)?;
    Ok(zips)
}

#[cfg(test)]
mod tests {
    use crate::lambda::testing::Bench;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn everything_of_a_function_goes_with_it() {
        let bench = Bench::new();
        bench.created().await;
        let permission = json!({"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "*"});
        bench.send("POST", "/2015-03-31/functions/f/policy", permission).await;
        bench.send("POST", "/2021-10-31/functions/f/url", json!({"AuthType": "NONE"})).await;
        let event = [("x-amz-invocation-type", "Event")];
        bench.send_with("POST", "/2015-03-31/functions/f/invocations", &event, "{}".into()).await;
        assert_eq!(bench.lambda.store.read(|view| view.durable_events()).unwrap(), 1);

        let got = bench.send_with("DELETE", "/2015-03-31/functions/f", &[], "".into()).await;
        assert_eq!((got.status, &got.body), (204, &Value::Null));
        assert_eq!(bench.lambda.store.read(|view| view.durable_events()).unwrap(), 0);
        assert_eq!(bench.zips(), 0);
        let again = bench.send_with("DELETE", "/2015-03-31/functions/f", &[], "".into()).await;
        again.refused(404, "ResourceNotFoundException", "Function not found");
        bench.created().await;
        for path in ["/2015-03-31/functions/f/policy", "/2021-10-31/functions/f/url"] {
            bench.get(path).await.refused(404, "ResourceNotFoundException", "");
        }
    }
}
