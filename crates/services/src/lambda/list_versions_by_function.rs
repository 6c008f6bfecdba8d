//! `ListVersionsByFunction`: `$LATEST` and what was published of a function, a page at a time.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_ListVersionsByFunction.html>

use super::Lambda;
use super::error::Error;
use super::function::{Function, VERSIONS, listed, qualified_prefix, version_key};
use super::list_functions::{Page, next_marker, page};
use super::name::Named;
use super::validate::Checks;
use model::LATEST;
use serde::Serialize;
use serde_json::Value;
use store::View;
use store::kv::{From, SPECS};
use wire::rest_json::Call;

/// One page of versions.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    versions: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

/// Lists versions in the order in which they were published.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Output, Error> {
    let input = Page::of(&call)?;
    let mut checks = Checks::default();
    let limit = page(&mut checks, input.max_items, 10_000);
    checks.finish()?;
    let named = Named::parse(&call, call.label("FunctionName"), None)?;
    let after = input.after(LATEST)?;
    lambda.store.read(|view| {
        let latest = Function::load(view, &named)?;
        let mut found = match &after {
            None => vec![latest],
            Some(_) => Vec::new(),
        };
        let wanted = limit + 1 - found.len();
        found.extend(versions_after(view, &named, after.as_deref(), wanted)?);
        let more = found.len() > limit;
        found.truncate(limit);
        let next_marker = next_marker(more, found.last().map(|last| last.spec.version.as_str()));
        let shown = |function: Function| {
            let arn = function.spec.arn.qualified(&function.spec.version);
            listed(lambda.shown(&function, arn.as_str()))
        };
        Ok(Output { versions: found.into_iter().map(shown).collect(), next_marker })
    })
}

/// Up to `limit` published versions behind the one called `after`.
pub(super) fn versions_after(
    view: &View<'_>,
    named: &Named,
    after: Option<&str>,
    limit: usize,
) -> store::Result<Vec<Function>> {
    let prefix = qualified_prefix(&named.arn);
    let last = after.filter(|after| *after != LATEST).map(|after| version_key(&named.arn, after));
    let from = last.as_deref().map_or(From::At(&prefix), From::After);
    let mut found = Vec::new();
    for (key, about) in view.scan(&VERSIONS, &prefix, from, limit)? {
        let number = String::from_utf8_lossy(&key[prefix.len()..]).trim_start_matches('0').to_owned();
        if let Some(spec) = view.get(&SPECS, named.arn.qualified(&number).as_str())? {
            found.push(Function { spec, about });
        }
    }
    Ok(found)
}
