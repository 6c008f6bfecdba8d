//! `GetQueueUrl`: the URL of a queue, by its name.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueUrl.html>

use super::fault::{missing, no_queue};
use super::{Sqs, target};
use serde::{Deserialize, Serialize};
use wire::Fault;
use wire::rpc::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_name: Option<String>,
    #[serde(rename = "QueueOwnerAWSAccountId")]
    owner: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    queue_url: String,
}

pub(super) async fn run(state: &Sqs, input: Input, call: &Call) -> Result<Output, Fault> {
    let name = input.queue_name.ok_or_else(|| missing("QueueName"))?;
    let mut scope = call.scope();
    scope.account = input.owner.unwrap_or(scope.account);
    let arn = scope.arn("sqs", &name);
    state.read(call, |view| Ok(view.queue(&arn)?))?.ok_or_else(no_queue)?;
    Ok(Output { queue_url: target::url(call, &arn) })
}
