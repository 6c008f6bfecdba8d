//! `PutProvisionedConcurrencyConfig`: keeps processes of a version ahead of its events at all times.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_PutProvisionedConcurrencyConfig.html>

use super::Lambda;
use super::error::{Error, conflict, invalid};
use super::function::{Function, new_revision};
use super::name::Named;
use super::provisioned::{PROVISIONED, Provisioned, asked, check_requested, staff, version_of};
use super::validate::Checks;
use model::{FunctionArn, LATEST, limits};
use serde::Deserialize;
use serde_json::Value;
use store::alias::is_alias;
use store::rules::RESERVED;
use store::{Tx, View};
use wire::rest_json::Call;

/// What of the account's concurrency stays for functions that ask for nothing.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html>
const UNRESERVED: u32 = 100;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    provisioned_concurrent_executions: Option<i64>,
}

/// Asks for processes; they are made after the answer.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let input: Input = call.input()?;
    let mut checks = Checks::default();
    checks.required("qualifier", call.query("Qualifier"));
    check_requested(&mut checks, input.provisioned_concurrent_executions);
    checks.finish()?;
    let named = Named::parse(&call, call.label("FunctionName"), call.query("Qualifier"))?;
    if named.qualifier.as_deref() == Some(LATEST) {
        let message = "Provisioned Concurrency Configs cannot be applied to unpublished function versions.";
        return Err(invalid(message).into());
    }
    let requested =
        u32::try_from(input.provisioned_concurrent_executions.unwrap_or_default()).unwrap_or(u32::MAX);
    check_room(requested)?;
    lambda
        .store
        .write(move |tx| {
            let arn = owner(tx, &named)?;
            let reserved = tx.get(&RESERVED, named.arn.as_str())?;
            if reserved.is_some_and(|reserved| reserved.executions < requested) {
                let message = "Requested Provisioned Concurrency should not be greater than the \
                               reservedConcurrentExecution for function";
                return Err(invalid(message).into());
            }
            check_rivals(tx, &named.arn, &arn)?;
            let asked = Provisioned { requested, modified: tx.now() };
            tx.put(&PROVISIONED, arn.as_str(), &asked)?;
            revise(tx, &arn)?;
            staff(tx, &named.arn)?;
            Ok::<_, Error>(asked.shown(0))
        })
        .await
}

fn check_room(requested: u32) -> Result<(), Error> {
    let all = u32::try_from(limits::CONCURRENCY).unwrap_or(u32::MAX);
    if requested > all {
        return Err(invalid(format!(
            "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [{all}]."
        ))
        .into());
    }
    if all - requested < UNRESERVED {
        return Err(invalid(format!(
            "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its \
             minimum value of [{UNRESERVED}]."
        ))
        .into());
    }
    Ok(())
}

/// The version or the alias that a request names.
pub(super) fn owner(view: &View<'_>, named: &Named) -> Result<FunctionArn, Error> {
    let arn = named.target();
    match named.qualifier.as_deref() {
        None | Some(LATEST) => {
            let message = "The function resource provided must be an alias or a published version.";
            return Err(invalid(message).into());
        }
        Some(alias) if is_alias(alias) => drop(super::alias::find(view, &arn)?),
        Some(_) => drop(Function::resolve(view, named)?),
    }
    if version_of(view, &arn)?.is_none() {
        let message = "Provisioned Concurrency Configs cannot be applied to unpublished function versions.";
        return Err(invalid(message).into());
    }
    Ok(arn)
}

/// The version that gets processes has another revision from then on.
fn revise(tx: &Tx<'_>, arn: &FunctionArn) -> Result<(), Error> {
    if let Some(version) = version_of(tx, arn)?
        && let Some(mut version) = Function::find(tx, &version)?
    {
        version.about.revision = new_revision();
        version.save(tx)?;
    }
    Ok(())
}

/// A version has its processes by itself or through an alias, not both.
fn check_rivals(tx: &Tx<'_>, function: &FunctionArn, arn: &FunctionArn) -> Result<(), Error> {
    let version = version_of(tx, arn)?;
    for (other, _) in asked(tx, function)? {
        if other == *arn || version_of(tx, &other)? != version {
            continue;
        }
        return Err(conflict(match arn.qualifier().is_some_and(is_alias) {
            true => {
                "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
            }
            false => "Version is pointed by a Provisioned Concurrency alias",
        })
        .into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::lambda::testing::{ARN, Bench, OTHER_ZIP};
    use serde_json::json;
    use store::kv::{FLOORS, SPECS};

    const PATH: &str = "/2019-09-30/functions/f/provisioned-concurrency";

    fn ahead(bench: &Bench, version: &str) -> (u32, bool) {
        let key = format!("{ARN}:{version}");
        let read = |view: &store::View<'_>| {
            Ok::<_, store::Error>((
                view.get(&SPECS, &key)?.unwrap().ahead,
                view.get(&FLOORS, &key)?.is_some(),
            ))
        };
        bench.lambda.store.read(read).unwrap()
    }

    #[tokio::test]
    async fn processes_follow_the_version_and_the_alias() {
        let bench = Bench::new();
        bench.create(json!({"Publish": true})).await;
        let input = json!({"ZipFile": OTHER_ZIP, "Publish": true});
        bench.send("PUT", "/2015-03-31/functions/f/code", input).await;
        let aliases = "/2015-03-31/functions/f/aliases";
        bench.send("POST", aliases, json!({"Name": "live", "FunctionVersion": "1"})).await;
        let put = |qualifier: &str, count: u32| {
            let path = format!("{PATH}?Qualifier={qualifier}");
            let input = json!({"ProvisionedConcurrentExecutions": count});
            let bench = &bench;
            async move { bench.send("PUT", &path, input).await }
        };
        let asked = put("live", 2).await;
        assert_eq!((asked.status, &asked.body["Status"]), (202, &json!("IN_PROGRESS")), "{asked:?}");
        assert_eq!((ahead(&bench, "1"), ahead(&bench, "2")), ((2, true), (0, false)));
        let got = bench.get(&format!("{PATH}?Qualifier=live")).await.body;
        assert_eq!(got["Status"], "IN_PROGRESS");
        let version = model::FunctionArn::of("f").qualified("1");
        bench.lambda.store.starts().set_ready([(version, 3)].into());
        let got = bench.get(&format!("{PATH}?Qualifier=live")).await.body;
        assert_eq!(
            (&got["Status"], &got["AvailableProvisionedConcurrentExecutions"]),
            (&json!("READY"), &json!(2))
        );
        put("1", 1).await.refused(
            409,
            "ResourceConflictException",
            "pointed by a Provisioned Concurrency alias",
        );
        bench.send("PUT", &format!("{aliases}/live"), json!({"FunctionVersion": "2"})).await;
        assert_eq!((ahead(&bench, "1"), ahead(&bench, "2")), ((0, false), (2, true)));
        let listed = bench.get(&format!("{PATH}?List=ALL")).await.body;
        assert_eq!(listed["ProvisionedConcurrencyConfigs"][0]["FunctionArn"], format!("{ARN}:live"));
        let path = format!("{PATH}?Qualifier=live");
        assert_eq!(bench.send_with("DELETE", &path, &[], "".into()).await.status, 204);
        assert_eq!(ahead(&bench, "2"), (0, false));
        bench.get(&path).await.refused(
            404,
            "ProvisionedConcurrencyConfigNotFoundException",
            "No Provisioned",
        );
        const INVALID: &str = "InvalidParameterValueException";
        put("$LATEST", 1).await.refused(400, INVALID, "unpublished function versions");
        put("1", 0).await.refused(400, "ValidationException", "greater than or equal to 1");
        put("1", 901).await.refused(400, INVALID, "below its minimum value of [100]");
        put("1", 1001).await.refused(400, INVALID, "unreserved concurrency [1000]");
        put("7", 1).await.refused(404, "ResourceNotFoundException", "function:f:7");
        put("dead", 1).await.refused(404, "ResourceNotFoundException", "Cannot find alias arn");
    }
}
