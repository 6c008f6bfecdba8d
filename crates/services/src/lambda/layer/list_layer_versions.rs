//! `ListLayerVersions`: the versions of a layer, the newest first.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_ListLayerVersions.html>

use super::name::LayerArn;
use super::publish_layer_version::check_compatible;
use super::record::{is_for, versions};
use crate::lambda::Lambda;
use crate::lambda::error::Error;
use crate::lambda::list_functions::{Page, next_marker, page};
use crate::lambda::validate::Checks;
use serde_json::{Value, json};
use wire::rest_json::Call;

/// Lists versions.
pub(in crate::lambda) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let input = Page::of(&call)?;
    let (runtime, architecture) = (call.query("CompatibleRuntime"), call.query("CompatibleArchitecture"));
    let mut checks = Checks::default();
    let limit = page(&mut checks, input.max_items, 50);
    check_compatible(&mut checks, runtime, architecture);
    checks.finish()?;
    let arn = LayerArn::parse(&call, call.label("LayerName"))?;
    let after: Option<u64> = input.after("0")?.and_then(|number| number.parse().ok());
    let mut found =
        lambda.store.read(|view| versions(view, &arn, |layer| is_for(layer, runtime, architecture)))?;
    found.retain(|(number, _)| after.is_none_or(|after| *number < after));
    let more = found.len() > limit;
    found.truncate(limit);
    let marker = next_marker(more, found.last().map(|(number, _)| number.to_string()).as_deref());
    let layers: Vec<_> =
        found.iter().map(|(number, layer)| lambda.listed_layer(&arn, *number, layer)).collect();
    let mut shown = json!({ "LayerVersions": layers });
    if let Some(marker) = marker {
        shown["NextMarker"] = json!(marker);
    }
    Ok(shown)
}
