//! `ListFunctionEventInvokeConfigs`: what follows from the asynchronous events of a function, for each of its names.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctionEventInvokeConfigs.html>

use super::Lambda;
use super::error::{Error, invalid};
use super::event_rules::{PAGE, exists, of_function, shown};
use super::name::Named;
use super::validate::Checks;
use serde_json::{Value, json};
use wire::rest_json::Call;

/// Shows a page of configurations.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let named = Named::whole(&call, call.label("FunctionName"))?;
    let limit = match call.query("MaxItems") {
        None => PAGE,
        Some(text) => {
            let given: i64 = text.parse().map_err(|_| invalid("MaxItems is not a number."))?;
            let mut checks = Checks::default();
            checks.range("maxItems", given, 1, 50);
            checks.finish()?;
            usize::try_from(given).unwrap_or(PAGE)
        }
    };
    let after = call.query("Marker").unwrap_or_default().as_bytes().to_vec();
    if !after.is_empty() && !after.starts_with(named.arn.as_str().as_bytes()) {
        return Err(invalid("The marker is not one of this list.").into());
    }
    let mut found = lambda.store.read(|view| {
        exists(view, &named)?;
        Ok::<_, Error>(of_function(view, &named.arn, &after, limit + 1)?)
    })?;
    let more = found.len() > limit;
    found.truncate(limit);
    let text = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
    let mut page = json!({
        "FunctionEventInvokeConfigs":
            found.iter().map(|(key, rules)| shown(&text(key), rules)).collect::<Vec<_>>(),
    });
    if let (true, Some((last, _))) = (more, found.last()) {
        page["NextMarker"] = json!(text(last));
    }
    Ok(page)
}
