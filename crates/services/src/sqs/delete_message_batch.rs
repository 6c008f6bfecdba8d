//! `DeleteMessageBatch`: removes up to ten messages that were received.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessageBatch.html>

use super::Sqs;
use super::batch::{Answer, Done, check_ids, each};
use super::delete_message::delete;
use super::target::Target;
use serde::Deserialize;
use wire::Fault;
use wire::rpc::Call;

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
}

pub(super) async fn run(state: &Sqs, input: Input, call: &Call) -> Result<Answer<Done>, Fault> {
    let target = Target::of(call, input.queue_url.as_deref())?;
    state.read(call, |view| target.find(view))?;
    check_ids(input.entries.iter().map(|entry| entry.id.as_deref()), "DeleteMessageBatchRequestEntry")?;
    let results = state
        .write(call, move |tx| {
            let queue = target.find(tx)?;
            each(
                input.entries,
                |entry| (entry.id.take(), entry.receipt_handle.take()),
                |_, handle| delete(tx, &queue, handle),
            )
        })
        .await?;
    Ok(Answer::of(results))
}
