//! `PurgeQueue`: removes all messages of a queue.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html>

use super::Sqs;
use super::fault::fault;
use super::target::Target;
use serde::Deserialize;
use wire::Fault;
use wire::rpc::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
}

pub(super) async fn run(state: &Sqs, input: Input, call: &Call) -> Result<(), Fault> {
    let target = Target::of(call, input.queue_url.as_deref())?;
    let pause = state.pauses.purge;
    state
        .write(call, move |tx| {
            let queue = target.find(tx)?;
            if tx.now().since(queue.purged) < pause {
                let name = queue.name();
                let message = format!("Only one PurgeQueue operation on {name} is allowed every 60 seconds.");
                return Err(fault("PurgeQueueInProgress", message).into());
            }
            Ok(tx.purge_queue(&queue)?)
        })
        .await
}
