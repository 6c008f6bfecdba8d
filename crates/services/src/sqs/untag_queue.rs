//! `UntagQueue`: removes tags from a queue.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_UntagQueue.html>

use super::Sqs;
use super::fault::invalid;
use super::target::Target;
use serde::Deserialize;
use wire::Fault;
use wire::rpc::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
    #[serde(default)]
    tag_keys: Vec<String>,
}

pub(super) async fn run(state: &Sqs, input: Input, call: &Call) -> Result<(), Fault> {
    let target = Target::of(call, input.queue_url.as_deref())?;
    state.read(call, |view| target.find(view))?;
    if input.tag_keys.is_empty() {
        return Err(invalid("Tag keys must be between 1 and 128 characters in length."));
    }
    state
        .write(call, move |tx| {
            let mut queue = target.find(tx)?;
            queue.tags.retain(|key, _| !input.tag_keys.contains(key));
            Ok(tx.update_queue(&queue)?)
        })
        .await
}
