//! `TagResource`: adds tags to a function or an event source mapping, over those of the same key.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_TagResource.html>

use super::Lambda;
use super::error::{Error, invalid, no_resource};
use super::function::Function;
use super::name::Named;
use super::network;
use super::refusal::{Rest, refuse};
use super::start::Start;
use super::validate::{Checks, is_arn};
use model::Scope;
use serde::Deserialize;
use std::collections::BTreeMap;
use store::View;
use store::mapping::Mapping;
use wire::Fault;
use wire::rest_json::Call;

/// The most tags of one function.
const MOST: usize = 50;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    resource: String,
    tags: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    rest: Rest,
}

/// Tags a function or a mapping.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<(), Error> {
    let input: Input = call.input()?;
    refuse(call.operation, &input.rest)?;
    let mut checks = Checks::default();
    checks.required("tags", input.tags.as_ref());
    checks.finish()?;
    let added = input.tags.unwrap_or_default();
    if added.is_empty() {
        return Err(invalid("An error occurred and the request cannot be processed.").into());
    }
    let named = match tagged(&call, &input.resource)? {
        Tagged::Function(named) => named,
        Tagged::Mapping(uuid) => return tag_mapping(lambda, &call, &uuid, |tags| tags.extend(added)).await,
    };
    let network = network::policy(&added, lambda.most)?;
    let start = Start::of(&added)?;
    lambda
        .store
        .write(move |tx| {
            let mut function = Function::load(tx, &named)?;
            function.about.tags.extend(added);
            check_tags(&function.about.tags)?;
            function.spec.network = network.or(function.spec.network);
            start.apply(&mut function.spec)?;
            Ok(function.save(tx)?)
        })
        .await
}

/// What an ARN for tags names.
pub(super) enum Tagged {
    /// A function.
    Function(Named),
    /// An event source mapping, by its id.
    Mapping(String),
}

/// What can have tags, or could if there were any here.
const KINDS: &[&str] = &["function", "layer", "code-signing-config", "event-source-mapping"];

/// What AWS's pattern for such an ARN is.
const PATTERN: &str = r"arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|layer:([a-zA-Z0-9-_]+)|code-signing-config:csc-[a-z0-9]{17}|event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|capacity-provider:[a-zA-Z0-9-_]+)";

/// What an ARN for tags names.
pub(super) fn tagged(call: &Call, resource: &str) -> Result<Tagged, Error> {
    let kind = resource.split(':').nth(5).unwrap_or_default();
    let mut checks = Checks::default();
    let fits = is_arn(resource) && resource.split(':').nth(2) == Some("lambda") && KINDS.contains(&kind);
    checks.pattern("resource", resource, PATTERN, fits);
    checks.finish()?;
    if let Some(uuid) = resource.rsplit(':').next().filter(|_| kind == "event-source-mapping") {
        return Ok(Tagged::Mapping(uuid.to_owned()));
    }
    if kind != "function" {
        return Err(no_resource().into());
    }
    let named = Named::parse(call, resource, None)?;
    if named.qualifier.is_some() {
        let message =
            "Tags on function aliases and versions are not supported. Please specify a function ARN.";
        return Err(invalid(message).into());
    }
    Ok(Tagged::Function(named))
}

/// Gives a mapping other tags.
pub(super) async fn tag_mapping(
    lambda: &Lambda,
    call: &Call,
    uuid: &str,
    change: impl FnOnce(&mut BTreeMap<String, String>) + Send + 'static,
) -> Result<(), Error> {
    let (scope, uuid) = (call.scope.clone(), uuid.to_owned());
    lambda
        .store
        .write(move |tx| {
            let mut mapping = of_scope(tx, &scope, &uuid)?;
            change(&mut mapping.tags);
            check_tags(&mapping.tags)?;
            Ok(tx.put_mapping(&mapping)?)
        })
        .await
}

/// The mapping `uuid`, if it is one of this account and region.
pub(super) fn of_scope(view: &View<'_>, scope: &Scope, uuid: &str) -> Result<Mapping, Error> {
    let found = view.mapping(uuid)?.filter(|mapping| mapping.function.scope() == *scope);
    found.ok_or_else(|| no_resource().into())
}

/// Checks a function's tags: how many, and of which form.
pub(super) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), Fault> {
    if tags.len() > MOST {
        return Err(invalid("Number of tags exceeds resource tag limit."));
    }
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(invalid("A tag's key must have 1 to 128 characters, and its value at most 256."));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid("A tag's key must not begin with aws:, which is reserved."));
        }
    }
    Ok(())
}
