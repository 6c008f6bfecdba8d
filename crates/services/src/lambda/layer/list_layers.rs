//! `ListLayers`: the layers of an account in a region, each with its newest version that fits.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_ListLayers.html>

use super::name::LayerArn;
use super::publish_layer_version::check_compatible;
use super::record::{LAST, is_for, versions};
use crate::lambda::Lambda;
use crate::lambda::error::Error;
use crate::lambda::list_functions::{Page, next_marker, page};
use crate::lambda::validate::Checks;
use serde_json::{Value, json};
use store::kv::From;
use wire::rest_json::Call;

/// How many layers are looked at in one go.
const BATCH: usize = 100;

/// Lists layers; with `find=LayerVersion`, `GetLayerVersionByArn`, whose path is the same.
pub(in crate::lambda) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    if call.query("find") == Some("LayerVersion") {
        return super::get_layer_version::by_arn(lambda, &call);
    }
    let input = Page::of(&call)?;
    let (runtime, architecture) = (call.query("CompatibleRuntime"), call.query("CompatibleArchitecture"));
    let mut checks = Checks::default();
    let limit = page(&mut checks, input.max_items, 50);
    check_compatible(&mut checks, runtime, architecture);
    checks.finish()?;
    let home = LayerArn { scope: call.scope.clone(), name: String::new() }.to_string();
    let mut last = input.after(&home)?.map(String::into_bytes);
    lambda.store.read(|view| {
        let mut layers = Vec::new();
        let mut more = false;
        'all: loop {
            let from = last.as_deref().map_or(From::At(b""), From::After);
            let batch = view.scan(&LAST, home.as_bytes(), from, BATCH)?;
            if batch.is_empty() {
                break;
            }
            for (key, _) in batch {
                let name = String::from_utf8_lossy(&key[home.len()..]).into_owned();
                let arn = LayerArn { scope: call.scope.clone(), name };
                let fitting = versions(view, &arn, |layer| is_for(layer, runtime, architecture))?;
                if let Some((number, layer)) = fitting.first() {
                    if layers.len() == limit {
                        more = true;
                        break 'all;
                    }
                    layers.push(json!({
                        "LayerName": arn.name,
                        "LayerArn": arn.to_string(),
                        "LatestMatchingVersion": lambda.listed_layer(&arn, *number, layer),
                    }));
                }
                last = Some(key);
            }
        }
        let end = last.as_deref().map(String::from_utf8_lossy);
        let mut shown = json!({ "Layers": layers });
        if let Some(marker) = next_marker(more, end.as_deref()) {
            shown["NextMarker"] = json!(marker);
        }
        Ok(shown)
    })
}
