//! `DeleteEventSourceMapping`: what is in the source starts the function no more.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_DeleteEventSourceMapping.html>

use super::Lambda;
use super::error::Error;
use super::mapping::{find, shown};
use serde_json::Value;
use wire::rest_json::Call;

/// Removes one mapping. Batches that run are finished.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    lambda
        .store
        .write(move |tx| {
            let mapping = find(tx, &call)?;
            tx.delete_mapping(&mapping)?;
            Ok(shown(&mapping, "Deleting"))
        })
        .await
}
