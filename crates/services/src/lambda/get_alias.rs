//! `GetAlias`: where an alias leads.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_GetAlias.html>

use super::Lambda;
use super::alias;
use super::error::Error;
use super::name::Named;
use serde_json::Value;
use wire::rest_json::Call;

/// Shows an alias.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let named = Named::whole(&call, call.label("FunctionName"))?;
    let name = call.label("Name");
    let found = lambda.store.read(|view| alias::load(view, &named, name))?;
    Ok(alias::shown(&named.arn.qualified(name), &found))
}
