//! `SetQueueAttributes`: changes some attributes of a queue.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>

use super::attributes::{Attributes, apply};
use super::fault::missing;
use super::target::Target;
use super::{Sqs, redrive};
use serde::Deserialize;
use wire::Fault;
use wire::rpc::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
    attributes: Option<Attributes>,
}

pub(super) async fn run(state: &Sqs, input: Input, call: &Call) -> Result<(), Fault> {
    let target = Target::of(call, input.queue_url.as_deref())?;
    let given = input.attributes.ok_or_else(|| missing("Attributes"))?;
    state
        .write(call, move |tx| {
            let mut queue = target.find(tx)?;
            apply(&mut queue.settings, &given, false)?;
            if given.contains_key("RedrivePolicy") {
                redrive::check(tx, &queue.arn, &queue.settings)?;
            }
            queue.modified = tx.now();
            Ok(tx.update_queue(&queue)?)
        })
        .await
}
