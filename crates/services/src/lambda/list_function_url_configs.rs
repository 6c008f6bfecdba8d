//! `ListFunctionUrlConfigs`: the URLs of a function: one at the most, until aliases exist.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctionUrlConfigs.html>

use super::Lambda;
use super::error::Error;
use super::function::Function;
use super::list_functions::page;
use super::name::Named;
use super::refusal::{Rest, refuse};
use super::url::record::{URL_OF, URLS};
use super::validate::Checks;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::rest_json::{Call, number};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    function_name: String,
    /// There is one page only.
    #[serde(rename = "Marker")]
    _marker: Option<String>,
    #[serde(default, deserialize_with = "number")]
    max_items: Option<u64>,
    #[serde(flatten)]
    rest: Rest,
}

/// The URLs of a function.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    function_url_configs: Vec<Value>,
}

/// Lists the URLs of a function.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Output, Error> {
    let input: Input = call.input()?;
    refuse(call.operation, &input.rest)?;
    let mut checks = Checks::default();
    page(&mut checks, input.max_items, 50);
    checks.finish()?;
    let named = Named::whole(&input.function_name)?;
    let found = lambda.store.read(|view| {
        Function::load(view, &named)?;
        let Some(id) = view.get(&URL_OF, named.arn.name())? else { return Ok::<_, Error>(None) };
        Ok(view.get(&URLS, &id.0)?.map(|config| (id, config)))
    })?;
    let function_url_configs = found.iter().map(|(id, config)| lambda.show_url(id, config, true)).collect();
    Ok(Output { function_url_configs })
}
