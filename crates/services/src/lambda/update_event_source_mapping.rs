//! `UpdateEventSourceMapping`: changes how a source starts a function, or which.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_UpdateEventSourceMapping.html>

use super::Lambda;
use super::error::Error;
use super::mapping::{Settings, check, find, function, queue, shown};
use super::name::Named;
use serde_json::Value;
use wire::rest_json::Call;

/// Changes one mapping. Batches that run are settled as it was before.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let mut settings: Settings = call.input()?;
    settings.rest.remove("UUID");
    let operation = call.operation;
    let named = settings.function_name.as_deref().map(|name| Named::parse(&call, name, None)).transpose()?;
    lambda
        .store
        .write(move |tx| {
            let mut mapping = find(tx, &call)?;
            let was_enabled = mapping.enabled;
            settings.apply(operation, &mut mapping)?;
            let named = match named {
                Some(named) => named,
                None => Named::parse(&call, mapping.function.as_str(), None)?,
            };
            mapping.function = named.target();
            check(&mapping, &queue(tx, &mapping.source)?, &function(tx, &named)?.spec)?;
            mapping.modified = tx.now();
            tx.put_mapping(&mapping)?;
            let state = match (was_enabled, mapping.enabled) {
                (false, true) => "Enabling",
                (true, false) => "Disabling",
                _ => "Updating",
            };
            Ok(shown(&mapping, state))
        })
        .await
}
