//! `ListAliases`: the aliases of a function, or those that lead to one version, a page at a time.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_ListAliases.html>

use super::Lambda;
use super::alias;
use super::error::Error;
use super::function::{Function, qualified_prefix};
use super::list_functions::{Page, next_marker, page};
use super::name::Named;
use super::validate::Checks;
use model::FunctionArn;
use serde::Serialize;
use serde_json::Value;
use store::alias::{ALIASES, Alias};
use store::kv::From;
use store::{Result as Stored, View};
use wire::rest_json::Call;

/// How many aliases are looked at in one go.
const BATCH: usize = 100;

/// One page of aliases.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    aliases: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

/// Lists aliases in the order of their names.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Output, Error> {
    let input = Page::of(&call)?;
    let version = call.query("FunctionVersion");
    let mut checks = Checks::default();
    let limit = page(&mut checks, input.max_items, 10_000);
    alias::check_target(&mut checks, version, None, None);
    checks.finish()?;
    let named = Named::whole(&call, call.label("FunctionName"))?;
    let after = input.after(named.arn.as_str())?;
    lambda.store.read(|view| {
        Function::load(view, &named)?;
        let leads = |alias: &Alias| version.is_none_or(|version| alias.version == version);
        let mut found = aliases_of(view, &named.arn, after.as_deref(), limit + 1, leads)?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next_marker = next_marker(more, found.last().map(|(arn, _)| arn.as_str()));
        let aliases = found.iter().map(|(arn, alias)| alias::shown(arn, alias)).collect();
        Ok(Output { aliases, next_marker })
    })
}

/// Up to `limit` aliases of the function `arn` that are `wanted`, behind the one with the ARN `after`.
pub(super) fn aliases_of(
    view: &View<'_>,
    arn: &FunctionArn,
    after: Option<&str>,
    limit: usize,
    wanted: impl Fn(&Alias) -> bool,
) -> Stored<Vec<(FunctionArn, Alias)>> {
    let prefix = qualified_prefix(arn);
    let mut last = after.map(|after| after.as_bytes().to_vec());
    let mut found = Vec::new();
    loop {
        let from = last.as_deref().map_or(From::At(&prefix), From::After);
        let batch = view.scan(&ALIASES, &prefix, from, BATCH)?;
        let Some((key, _)) = batch.last() else { return Ok(found) };
        last = Some(key.clone());
        for (key, alias) in batch.into_iter().filter(|(_, alias)| wanted(alias)) {
            found.push((FunctionArn::from_stored(String::from_utf8_lossy(&key).into_owned()), alias));
            if found.len() == limit {
                return Ok(found);
            }
        }
    }
}
