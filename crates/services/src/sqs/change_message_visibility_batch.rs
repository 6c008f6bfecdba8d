//! `ChangeMessageVisibilityBatch`: changes the visibility of up to ten messages.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html>

use super::Sqs;
use super::batch::{Answer, Done, check_ids, each};
use super::change_message_visibility::change;
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
            each(
                input.entries,
                |entry| (entry.id.take(), entry.receipt_handle.take()),
                |entry, handle| {
                    let seconds = entry.visibility_timeout.unwrap_or(queue.settings.visibility.into());
                    change(tx, &queue, handle, seconds)
                },
            )
        })
        .await?;
    Ok(Answer::of(results))
}
