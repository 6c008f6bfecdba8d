//! `ListTags`: the tags of a function.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_ListTags.html>

use super::Lambda;
use super::error::Error;
use super::function::Function;
use super::tag_resource::tagged;
use serde::Serialize;
use std::collections::BTreeMap;
use wire::rest_json::Call;

/// Tags.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    tags: BTreeMap<String, String>,
}

/// Shows the tags of one function.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Output, Error> {
    let named = tagged(&call, call.label("Resource"))?;
    let function = lambda.store.read(|view| Function::load(view, &named))?;
    Ok(Output { tags: function.about.tags })
}
