//! `GetProvisionedConcurrencyConfig`: what is asked for; with `List=ALL`, `ListProvisionedConcurrencyConfigs`.
//!
//! Sources: <https://docs.aws.amazon.com/lambda/latest/api/API_GetProvisionedConcurrencyConfig.html>,
//! <https://docs.aws.amazon.com/lambda/latest/api/API_ListProvisionedConcurrencyConfigs.html>

use super::Lambda;
use super::error::{Error, not_found};
use super::function::Function;
use super::list_functions::{Page, next_marker, page};
use super::name::Named;
use super::provisioned::{PROVISIONED, asked, version_of};
use super::put_provisioned_concurrency_config::owner;
use super::validate::Checks;
use model::FunctionArn;
use serde_json::{Value, json};
use store::View;
use wire::Fault;
use wire::rest_json::Call;

/// Shows what one version or alias asks for, or all of them.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    // Both operations have the same path; this parameter tells them apart.
    if call.query("List") == Some("ALL") {
        return list(lambda, &call);
    }
    let mut checks = Checks::default();
    checks.required("qualifier", call.query("Qualifier"));
    checks.finish()?;
    let named = Named::parse(&call, call.label("FunctionName"), call.query("Qualifier"))?;
    lambda.store.read(|view| {
        let arn = owner(view, &named)?;
        match view.get(&PROVISIONED, arn.as_str())? {
            Some(asked) => Ok(asked.shown(ready(lambda, view, &arn)?)),
            None => Err(none().into()),
        }
    })
}

/// How many processes of the version that `arn` stands for are there.
fn ready(lambda: &Lambda, view: &View<'_>, arn: &FunctionArn) -> store::Result<usize> {
    Ok(version_of(view, arn)?.map_or(0, |version| lambda.store.starts().ready(&version)))
}

fn none() -> Fault {
    let fault = not_found("No Provisioned Concurrency Config found for this function");
    Fault { code: "ProvisionedConcurrencyConfigNotFoundException".into(), ..fault }
}

fn list(lambda: &Lambda, call: &Call) -> Result<Value, Error> {
    let input = Page::of(call)?;
    let mut checks = Checks::default();
    let limit = page(&mut checks, input.max_items, 50);
    checks.finish()?;
    let named = Named::whole(call, call.label("FunctionName"))?;
    let after = input.after(named.arn.as_str())?;
    lambda.store.read(|view| {
        Function::load(view, &named)?;
        let mut found = asked(view, &named.arn)?;
        if let Some(after) = &after {
            found.retain(|(arn, _)| arn.as_str() > after.as_str());
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let marker = next_marker(more, found.last().map(|(arn, _)| arn.as_str()));
        let mut configs = Vec::with_capacity(found.len());
        for (arn, asked) in &found {
            let mut shown = asked.shown(ready(lambda, view, arn)?);
            shown["FunctionArn"] = json!(arn);
            configs.push(shown);
        }
        let mut shown = json!({ "ProvisionedConcurrencyConfigs": configs });
        if let Some(marker) = marker {
            shown["NextMarker"] = json!(marker);
        }
        Ok(shown)
    })
}
