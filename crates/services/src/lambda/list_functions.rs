//! `ListFunctions`: all functions by name, a page at a time.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html>

use super::Lambda;
use super::error::{Error, invalid};
use super::function::{ABOUT, Function};
use super::refusal::{Rest, refuse};
use super::validate::Checks;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use model::FunctionArn;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::kv::{From, SPECS};
use wire::rest_json::{Call, number};

/// The most functions on one page, whatever the caller asks for.
const PAGE: usize = 50;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    marker: Option<String>,
    #[serde(default, deserialize_with = "number")]
    max_items: Option<u64>,
    function_version: Option<String>,
    /// Only concerns copies at the edge of AWS's network: there are none.
    #[serde(rename = "MasterRegion")]
    _master_region: Option<String>,
    #[serde(flatten)]
    rest: Rest,
}

/// One page of functions.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    functions: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

/// Lists functions in the order of their names.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Output, Error> {
    let input: Input = call.input()?;
    refuse(call.operation, &input.rest)?;
    let mut checks = Checks::default();
    if let Some(version) = &input.function_version {
        checks.one_of("functionVersion", version, &["ALL"]);
    }
    let limit = page(&mut checks, input.max_items, 10_000);
    checks.finish()?;
    let after = input.marker.as_deref().map(read_marker).transpose()?;
    let from = after.as_ref().map_or(From::At(b""), |name| From::After(name.as_bytes()));
    // With FunctionVersion=ALL each version is listed by its own ARN; there is one so far.
    let qualifier = if input.function_version.is_some() { ":$LATEST" } else { "" };
    lambda.store.read(|view| {
        // One more than shown tells whether there is a next page.
        let mut found = view.scan(&ABOUT, b"", from, limit + 1)?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next_marker = found.last().filter(|_| more).map(|(key, _)| BASE64_URL_SAFE_NO_PAD.encode(key));
        let mut functions = Vec::with_capacity(found.len());
        for (key, about) in found {
            if let Some(spec) = view.get(&SPECS, &key)? {
                let arn = format!("{}{qualifier}", spec.arn);
                functions.push(lambda.shown(&Function { spec, about }, &arn));
            }
        }
        Ok(Output { functions, next_marker })
    })
}

/// How many items a page has if the caller asks for `asked`, at most `most`.
pub(super) fn page(checks: &mut Checks, asked: Option<u64>, most: u32) -> usize {
    let Some(asked) = asked else { return PAGE };
    checks.range("maxItems", i64::try_from(asked).unwrap_or(i64::MAX), 1, most);
    usize::try_from(asked).unwrap_or(PAGE).clamp(1, PAGE)
}

fn read_marker(marker: &str) -> Result<String, Error> {
    BASE64_URL_SAFE_NO_PAD
        .decode(marker)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|arn| arn.starts_with(FunctionArn::of("").as_str()))
        .ok_or_else(|| invalid("Invalid Marker: use the NextMarker of the page before.").into())
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
