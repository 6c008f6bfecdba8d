//! `ListDeadLetterSourceQueues`: the queues whose poison goes to a queue.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListDeadLetterSourceQueues.html>

use super::Sqs;
use super::page::Page;
use super::target::Target;
use serde::{Deserialize, Serialize};
use store::message::Filter;
use wire::Fault;
use wire::rpc::{Call, integer};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Output {
    #[serde(rename = "queueUrls")]
    queue_urls: Vec<String>,
    #[serde(rename = "NextToken", skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(super) async fn run(state: &Sqs, input: Input, call: &Call) -> Result<Output, Fault> {
    let target = Target::of(call, input.queue_url.as_deref())?;
    let page = Page::of(input.max_results, input.next_token.as_deref())?;
    let (queue_urls, next_token) = state.read(call, |view| {
        target.find(view)?;
        Ok(page.read(view, Filter::Target(&target.arn), call)?)
    })?;
    Ok(Output { queue_urls, next_token })
}
