//! `UpdateFunctionEventInvokeConfig`: changes what follows from a function's asynchronous events.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionEventInvokeConfig.html>

use super::Lambda;
use super::error::Error;
use super::event_rules::{Input, exists, key, load, shown};
use serde_json::Value;
use store::rules::EVENT_RULES;
use wire::rest_json::Call;

/// Changes what is given, and leaves the rest as it is.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let (input, named) = Input::read(&call)?;
    let written = lambda.store.write(move |tx| {
        exists(tx, &named)?;
        let mut rules = load(tx, &named)?;
        input.apply(tx, &named, &mut rules)?;
        tx.put(&EVENT_RULES, key(&named).as_str(), &rules)?;
        Ok::<_, Error>(shown(key(&named).as_str(), &rules))
    });
    written.await
}
