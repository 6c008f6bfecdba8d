//! `ListFunctions`: all functions by name, a page at a time.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html>

use super::Lambda;
use super::error::{Error, invalid};
use super::function::{ABOUT, Function, listed};
use super::list_versions_by_function::versions_after;
use super::name::Named;
use super::validate::{Checks, all};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use model::FunctionArn;
use serde::Serialize;
use serde_json::Value;
use store::View;
use store::kv::{From, SPECS};
use wire::Fault;
use wire::rest_json::Call;

/// The most items on one page, whatever the caller asks for.
const PAGE: usize = 50;

/// Which page of a list is wanted.
#[derive(Debug)]
pub(super) struct Page {
    marker: Option<String>,
    pub(super) max_items: Option<u64>,
}

/// One page of functions.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    functions: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

/// Lists functions in the order of their names, with `FunctionVersion=ALL` each with its versions.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Output, Error> {
    let input = Page::of(&call)?;
    let version = call.query("FunctionVersion");
    let mut checks = Checks::default();
    if let Some(version) = version {
        checks.one_of("functionVersion", version, &["ALL"]);
    }
    let limit = page(&mut checks, input.max_items, 10_000);
    checks.finish()?;
    let all = version.is_some();
    let home = FunctionArn::within(&call.scope, "");
    let after = input.after(home.as_str())?.map(FunctionArn::from_stored);
    // One more than shown tells whether there is a next page.
    let mut found = lambda.store.read(|view| functions_after(view, &home, after.as_ref(), all, limit + 1))?;
    let more = found.len() > limit;
    found.truncate(limit);
    let arn = |function: &Function| match all {
        true => function.spec.arn.qualified(&function.spec.version),
        false => function.spec.arn.clone(),
    };
    let next_marker = next_marker(more, found.last().map(arn).as_ref().map(FunctionArn::as_str));
    let shown = |function: Function| listed(lambda.shown(&function, arn(&function).as_str()));
    Ok(Output { functions: found.into_iter().map(shown).collect(), next_marker })
}

/// Up to `limit` functions of the account and region of `home`, with their versions if `all`, behind the one `after`.
fn functions_after(
    view: &View<'_>,
    home: &FunctionArn,
    after: Option<&FunctionArn>,
    all: bool,
    limit: usize,
) -> store::Result<Vec<Function>> {
    let mut found = Vec::new();
    let versions = |arn: &FunctionArn, after: Option<&str>, limit| match all {
        true => versions_after(view, &Named { arn: arn.clone(), qualifier: None }, after, limit),
        false => Ok(Vec::new()),
    };
    let mut last = after.map(FunctionArn::unqualified);
    if let (Some(arn), Some(after)) = (&last, after) {
        found.extend(versions(arn, after.qualifier(), limit)?);
    }
    while found.len() < limit {
        let from = last.as_ref().map_or(From::At(b""), |arn| From::After(arn.as_str().as_bytes()));
        let batch = view.scan(&ABOUT, home.as_str().as_bytes(), from, limit - found.len())?;
        if batch.is_empty() {
            break;
        }
        for (key, about) in batch {
            if let Some(spec) = view.get(&SPECS, &key)? {
                let arn = spec.arn.clone();
                found.push(Function { spec, about });
                let room = limit.saturating_sub(found.len());
                found.extend(versions(&arn, None, room)?);
                last = Some(arn);
            }
        }
    }
    found.truncate(limit);
    Ok(found)
}

/// How many items a page has if the caller asks for `asked`, at most `most`.
pub(super) fn page(checks: &mut Checks, asked: Option<u64>, most: u32) -> usize {
    let Some(asked) = asked else { return PAGE };
    checks.range("maxItems", i64::try_from(asked).unwrap_or(i64::MAX), 1, most);
    usize::try_from(asked).unwrap_or(PAGE).clamp(1, PAGE)
}

/// The marker of the next page, if there is one and this page ends with `last`.
pub(super) fn next_marker(more: bool, last: Option<&str>) -> Option<String> {
    last.filter(|_| more).map(|last| BASE64_URL_SAFE_NO_PAD.encode(last))
}

impl Page {
    /// What a request says in its query.
    pub(super) fn of(call: &Call) -> Result<Page, Fault> {
        let count = |text: &str| {
            text.parse().map_err(|_| {
                Fault::new("SerializationException", 400, "STRING_VALUE can not be converted to an Integer")
            })
        };
        Ok(Page {
            marker: call.query("Marker").map(str::to_owned),
            max_items: call.query("MaxItems").map(count).transpose()?,
        })
    }

    /// What the page before ended with, if there was one: something that begins with `prefix`, or a number.
    pub(super) fn after(&self, prefix: &str) -> Result<Option<String>, Error> {
        let read = |marker: &String| {
            let text =
                BASE64_URL_SAFE_NO_PAD.decode(marker).ok().and_then(|text| String::from_utf8(text).ok());
            text.filter(|text| text.starts_with(prefix) || all(text, |c| c.is_ascii_digit()))
                .ok_or_else(|| invalid("Invalid Marker: use the NextMarker of the page before.").into())
        };
        self.marker.as_ref().map(read).transpose()
    }
}

#[cfg(test)]
mod tests {
    use crate::lambda::testing::Bench;
    use serde_json::{Value, json};

    fn names(page: &Value) -> Vec<&str> {
        page["Functions"].as_array().unwrap().iter().map(|f| f["FunctionName"].as_str().unwrap()).collect()
    }

    #[tokio::test]
    async fn functions_come_in_pages() {
        let bench = Bench::new();
        for name in ["c", "a", "b"] {
            bench.create(json!({"FunctionName": name})).await;
        }
        let first = bench.get("/2015-03-31/functions?MaxItems=2").await.body;
        assert_eq!(names(&first), ["a", "b"]);
        let marker = first["NextMarker"].as_str().unwrap();
        let second = bench.get(&format!("/2015-03-31/functions/?MaxItems=2&Marker={marker}")).await.body;
        assert_eq!((names(&second), second.get("NextMarker")), (vec!["c"], None));
        let all = bench.get("/2015-03-31/functions?FunctionVersion=ALL").await.body;
        assert!(all["Functions"][0]["FunctionArn"].as_str().unwrap().ends_with(":function:a:$LATEST"));
    }

    #[tokio::test]
    async fn bad_pages_are_refused() {
        let bench = Bench::new();
        for (query, code) in [
            ("MaxItems=0", "ValidationException"),
            ("MaxItems=10001", "ValidationException"),
            ("FunctionVersion=1", "ValidationException"),
            ("Marker=x", "InvalidParameterValueException"),
        ] {
            bench.get(&format!("/2015-03-31/functions?{query}")).await.refused(400, code, "");
        }
    }
}
