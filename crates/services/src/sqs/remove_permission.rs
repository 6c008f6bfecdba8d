//! `RemovePermission`: removes a statement from the queue's policy.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_RemovePermission.html>

use super::Sqs;
use super::add_permission::{policy, statements};
use super::fault::{invalid_value, missing};
use super::target::Target;
use serde::Deserialize;
use wire::Fault;
use wire::rpc::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
    label: Option<String>,
}

pub(super) async fn run(state: &Sqs, input: Input, call: &Call) -> Result<(), Fault> {
    let target = Target::of(call, input.queue_url.as_deref())?;
    let label = input.label.ok_or_else(|| missing("Label"))?;
    state
        .write(call, move |tx| {
            let mut queue = target.find(tx)?;
            let mut policy = policy(queue.settings.policy.as_deref(), &queue.arn);
            let statements = statements(&mut policy);
            let before = statements.len();
            statements.retain(|statement| statement["Sid"] != label.as_str());
            if statements.len() == before {
                return Err(invalid_value(&label, "Label", "can't find label on existing policy.").into());
            }
            queue.settings.policy = (!statements.is_empty()).then(|| policy.to_string());
            queue.modified = tx.now();
            Ok(tx.update_queue(&queue)?)
        })
        .await
}
