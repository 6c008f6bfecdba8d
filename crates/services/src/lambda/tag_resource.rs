//! `TagResource`: adds tags to a function, over those of the same key.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_TagResource.html>

use super::Lambda;
use super::error::{Error, invalid};
use super::function::Function;
use super::name::Named;
use super::network;
use super::refusal::{Rest, refuse};
use super::start::Start;
use super::validate::Checks;
use serde::Deserialize;
use std::collections::BTreeMap;
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

/// Tags a function.
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
    let named = tagged(&call, &input.resource)?;
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

/// The function that an ARN for tags names.
pub(super) fn tagged(call: &Call, resource: &str) -> Result<Named, Error> {
    let mut checks = Checks::default();
    let pattern = r"arn:(aws[a-zA-Z-]*):lambda:[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|...)";
    checks.pattern("resource", resource, pattern, resource.starts_with("arn:"));
    checks.finish()?;
    let named = Named::parse(call, resource, None)?;
    if named.qualifier.is_some() {
        let message =
            "Tags on function aliases and versions are not supported. Please specify a function ARN.";
        return Err(invalid(message).into());
    }
    Ok(named)
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
