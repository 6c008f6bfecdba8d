//! `StartMessageMoveTask`: moves the messages of a dead-letter queue to where they came from, or elsewhere.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html>

use super::Sqs;
use super::fault::{Error, fault, invalid, missing};
use super::redrive::is_queue_arn;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use store::View;
use store::message::Queue;
use uuid::Uuid;
use wire::Fault;
use wire::rpc::{Call, integer};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    source_arn: Option<String>,
    destination_arn: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    max_number_of_messages_per_second: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    task_handle: String,
}

/// What a task's handle says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskHandle {
    pub(super) task_id: Uuid,
    pub(super) source_arn: String,
}

impl TaskHandle {
    pub(super) fn encode(&self) -> String {
        STANDARD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        serde_json::from_slice(&STANDARD.decode(text).ok()?).ok()
    }
}

pub(super) async fn run(state: &Sqs, input: Input, call: &Call) -> Result<Output, Fault> {
    let source = input.source_arn.ok_or_else(|| missing("SourceArn"))?;
    let rate = match input.max_number_of_messages_per_second {
        None => None,
        Some(rate) => Some(u32::try_from(rate).ok().filter(|rate| (1..=500).contains(rate)).ok_or_else(|| {
            invalid("Value for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: Must be between 1 and 500.")
        })?),
    };
    let destination = input.destination_arn;
    let source_arn = source.clone();
    let task_id = state
        .write(call, move |tx| {
            let queue = find(tx, &source, "SourceArn")?;
            if !tx.is_dead_letter_queue(&queue)? {
                return Err(invalid("Source queue must be configured as a Dead Letter Queue.").into());
            }
            if let Some(arn) = &destination {
                let target = find(tx, arn, "DestinationArn")?;
                if target.arn == queue.arn {
                    return Err(invalid("Source queue arn and destination queue arn cannot be the same.").into());
                }
                if target.is_fifo() != queue.is_fifo() {
                    return Err(invalid("Source and destination must be queues of the same type.").into());
                }
            }
            if tx.moves(&source, 1)?.first().is_some_and(|task| task.state.is_active()) {
                return Err(fault(
                    "UnsupportedOperation",
                    "There is already a task running. Only one active task is allowed for a source queue arn at a given \
                     time.",
                )
                .into());
            }
            Ok(tx.start_move(&queue, destination.as_deref(), rate)?)
        })
        .await?;
    Ok(Output { task_handle: TaskHandle { task_id, source_arn }.encode() })
}

/// The queue that the parameter called `name` tells.
pub(super) fn find(view: &View<'_>, arn: &str, name: &str) -> Result<Queue, Error> {
    if !is_queue_arn(arn) {
        return Err(invalid(format!("You must use this format to specify the {name}: arn:<partition>:<service>:<region>:<account-id>:<resource-id>")).into());
    }
    view.queue(arn)?.ok_or_else(|| {
        let message = format!("The resource that you specified for the {name} parameter doesn't exist.");
        fault("ResourceNotFoundException", message).into()
    })
}
