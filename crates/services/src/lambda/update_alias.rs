//! `UpdateAlias`: lets an alias lead elsewhere, at once for every event that comes after the answer.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_UpdateAlias.html>

use super::Lambda;
use super::alias::{self, Routing, check_routes, check_target};
use super::error::{Error, stale_revision};
use super::function::new_revision;
use super::name::Named;
use super::provisioned::staff;
use super::refusal::{Rest, refuse};
use super::validate::Checks;
use serde::Deserialize;
use serde_json::Value;
use store::alias::ALIASES;
use wire::rest_json::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    function_name: String,
    name: String,
    function_version: Option<String>,
    description: Option<String>,
    routing_config: Option<Routing>,
    revision_id: Option<String>,
    #[serde(flatten)]
    rest: Rest,
}

/// Changes an alias; what is absent stays.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let input: Input = call.input()?;
    refuse(call.operation, &input.rest)?;
    let mut checks = Checks::default();
    let (version, description) = (input.function_version.as_deref(), input.description.as_deref());
    check_target(&mut checks, version, description, input.routing_config.as_ref());
    checks.finish()?;
    let named = Named::whole(&call, &input.function_name)?;
    lambda
        .store
        .write(move |tx| {
            let mut changed = alias::load(tx, &named, &input.name)?;
            if input.revision_id.is_some_and(|revision| revision != changed.revision) {
                return Err(stale_revision("GetFunction/GetAlias").into());
            }
            changed.version = input.function_version.unwrap_or(changed.version);
            changed.description = input.description.unwrap_or(changed.description);
            changed.weights = input.routing_config.map_or(changed.weights, Routing::weights);
            changed.revision = new_revision();
            check_routes(tx, &named.arn, &changed)?;
            let arn = named.arn.qualified(&input.name);
            tx.put(&ALIASES, arn.as_str(), &changed)?;
            staff(tx, &named.arn)?;
            Ok::<_, Error>(alias::shown(&arn, &changed))
        })
        .await
}
