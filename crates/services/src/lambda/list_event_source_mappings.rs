//! `ListEventSourceMappings`: the mappings of a source, of a function, or all.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_ListEventSourceMappings.html>

use super::Lambda;
use super::error::Error;
use super::mapping::{settled, shown};
use super::name::Named;
use super::validate::Checks;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::rest_json::{Call, number};

/// The most mappings on one page.
const PAGE: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    event_source_arn: Option<String>,
    function_name: Option<String>,
    marker: Option<String>,
    #[serde(default, deserialize_with = "number")]
    max_items: Option<u64>,
}

/// One page of mappings.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    event_source_mappings: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

/// Lists mappings in the order of their UUIDs.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Output, Error> {
    let input: Input = call.input()?;
    let mut checks = Checks::default();
    if let Some(most) = input.max_items {
        checks.range("maxItems", i64::try_from(most).unwrap_or(i64::MAX), 1, 10_000);
    }
    checks.finish()?;
    let limit = input.max_items.and_then(|most| usize::try_from(most).ok()).unwrap_or(PAGE).min(PAGE);
    let function = input.function_name.as_deref().map(|name| Named::parse(&call, name, None)).transpose()?;
    let function = function.map(|named| named.target());
    let wanted = |mapping: &store::mapping::Mapping| {
        mapping.function.scope() == call.scope
            && input.event_source_arn.as_ref().is_none_or(|arn| *arn == mapping.source)
            && function.as_ref().is_none_or(|function| *function == mapping.function)
    };
    lambda.store.read(|view| {
        let mut after = input.marker.clone().unwrap_or_default();
        let mut found = Vec::new();
        loop {
            let page = view.mappings(&after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.uuid.to_string();
            found.extend(page.into_iter().filter(wanted));
            if found.len() > limit {
                break;
            }
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let next_marker = found.last().filter(|_| more).map(|last| last.uuid.to_string());
        let event_source_mappings = found.iter().map(|mapping| shown(mapping, settled(mapping))).collect();
        Ok(Output { event_source_mappings, next_marker })
    })
}
