//! `ListTags`: the tags of a function or an event source mapping.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_ListTags.html>

use super::Lambda;
use super::error::Error;
use super::function::Function;
use super::tag_resource::{Tagged, of_scope, tagged};
use serde::Serialize;
use std::collections::BTreeMap;
use wire::rest_json::Call;

/// Tags.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    tags: BTreeMap<String, String>,
}

/// Shows the tags of one of them.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Output, Error> {
    let tags = match tagged(&call, call.label("Resource"))? {
        Tagged::Function(named) => lambda.store.read(|view| Function::load(view, &named))?.about.tags,
        Tagged::Mapping(uuid) => lambda.store.read(|view| of_scope(view, &call.scope, &uuid))?.tags,
    };
    Ok(Output { tags })
}
