//! `CancelMessageMoveTask`: stops moving messages; those that were moved stay where they are.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CancelMessageMoveTask.html>

use super::Sqs;
use super::fault::{fault, invalid, missing};
use super::start_message_move_task::{TaskHandle, find};
use serde::{Deserialize, Serialize};
use store::message::MoveState;
use wire::Fault;
use wire::rpc::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    task_handle: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    approximate_number_of_messages_moved: u64,
}

pub(super) async fn run(state: &Sqs, input: Input, call: &Call) -> Result<Output, Fault> {
    let handle = input.task_handle.ok_or_else(|| missing("TaskHandle"))?;
    let handle =
        TaskHandle::parse(&handle).ok_or_else(|| invalid("Value for parameter TaskHandle is invalid."))?;
    let moved = state
        .write(call, move |tx| {
            find(tx, &handle.source_arn, "SourceArn")?;
            let task = tx.message_move(handle.task_id)?.filter(|task| task.source == handle.source_arn);
            let mut task = task.ok_or_else(|| fault("ResourceNotFoundException", "Task does not exist."))?;
            if task.state != MoveState::Running {
                return Err(fault("UnsupportedOperation", "Only active tasks can be cancelled.").into());
            }
            task.state = MoveState::Cancelling;
            tx.update_move(&task)?;
            Ok(task.moved)
        })
        .await?;
    Ok(Output { approximate_number_of_messages_moved: moved })
}
