//! `GetEventSourceMapping`: one mapping.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_GetEventSourceMapping.html>

use super::Lambda;
use super::error::Error;
use super::mapping::{find, settled, shown};
use serde_json::Value;
use wire::rest_json::Call;

/// Shows one mapping.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let mapping = lambda.store.read(|view| find(view, &call))?;
    Ok(shown(&mapping, settled(&mapping)))
}
