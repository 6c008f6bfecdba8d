//! `ListMessageMoveTasks`: the newest tasks that move messages out of a queue.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListMessageMoveTasks.html>

use super::Sqs;
use super::fault::{invalid_value, missing};
use super::start_message_move_task::{TaskHandle, find};
use serde::{Deserialize, Serialize};
use store::message::{Move, MoveState};
use wire::Fault;
use wire::rpc::{Call, integer};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    source_arn: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    max_results: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    results: Vec<Told>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    #[serde(skip_serializing_if = "Option::is_none")]
    task_handle: Option<String>,
    status: &'static str,
    source_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_number_of_messages_per_second: Option<u32>,
    approximate_number_of_messages_moved: u64,
    approximate_number_of_messages_to_move: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<String>,
    started_timestamp: i64,
}

pub(super) async fn run(state: &Sqs, input: Input, call: &Call) -> Result<Output, Fault> {
    let source = input.source_arn.ok_or_else(|| missing("SourceArn"))?;
    let most = input.max_results.unwrap_or(1);
    let limit = usize::try_from(most).ok().filter(|most| (1..=10).contains(most));
    let limit = limit.ok_or_else(|| invalid_value(most, "MaxResults", "Must be between 1 and 10."))?;
    let tasks = state.read(call, |view| {
        find(view, &source, "SourceArn")?;
        Ok(view.moves(&source, limit)?)
    })?;
    Ok(Output { results: tasks.into_iter().map(tell).collect() })
}

fn tell(task: Move) -> Told {
    let handle = TaskHandle { task_id: task.id, source_arn: task.source.clone() };
    Told {
        // It is good for cancelling only.
        task_handle: (task.state == MoveState::Running).then(|| handle.encode()),
        status: task.state.as_str(),
        source_arn: task.source,
        destination_arn: task.target,
        max_number_of_messages_per_second: task.rate,
        approximate_number_of_messages_moved: task.moved,
        approximate_number_of_messages_to_move: task.total,
        failure_reason: task.reason,
        started_timestamp: task.started.0,
    }
}
