//! `ChangeMessageVisibilityBatch`: changes the visibility of up to ten messages.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html>

use super::Sqs;
use super::batch::{Answer, Done, check_ids};
use super::change_message_visibility::change;
use super::fault::{Stop, missing};
use super::target::Target;
use serde::Deserialize;
use wire::Fault;
use wire::rpc::{Call, integer};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
    #[serde(default)]
    entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    id: Option<String>,
    receipt_handle: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    visibility_timeout: Option<i64>,
}

pub(super) async fn run(state: &Sqs, input: Input, call: &Call) -> Result<Answer<Done>, Fault> {
    let target = Target::of(call, input.queue_url.as_deref())?;
    state.read(call, |view| target.find(view))?;
    let ids = input.entries.iter().map(|entry| entry.id.as_deref());
    check_ids(ids, "ChangeMessageVisibilityBatchRequestEntry")?;
    let results = state
        .write(call, move |tx| {
            let queue = target.find(tx)?;
            let one = |entry: Entry| {
                let id = entry.id.unwrap_or_default();
                let handle = entry.receipt_handle.ok_or_else(|| missing("ReceiptHandle"));
                let seconds = entry.visibility_timeout.unwrap_or(queue.settings.visibility.into());
                match handle.map_err(Stop::from).and_then(|handle| change(tx, &queue, &handle, seconds)) {
                    Ok(()) => Ok((id.clone(), Ok(Done { id }))),
                    Err(Stop::Fault(fault)) => Ok((id, Err(fault))),
                    Err(stop) => Err(stop),
                }
            };
            input.entries.into_iter().map(one).collect::<Result<Vec<_>, Stop>>()
        })
        .await?;
    Ok(Answer::of(results))
}
