//! `ListQueues`: the URLs of the queues whose names begin with a prefix.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListQueues.html>

use super::page::Page;
use super::{Sqs, target};
use serde::{Deserialize, Serialize};
use store::message::Filter;
use wire::Fault;
use wire::rpc::{Call, integer};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_name_prefix: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    queue_urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(super) async fn run(state: &Sqs, input: Input, call: &Call) -> Result<Output, Fault> {
    let page = Page::of(input.max_results, input.next_token.as_deref())?;
    let prefix = target::arn(call, &input.queue_name_prefix.unwrap_or_default());
    let read = state.read(call, |view| Ok(page.read(view, Filter::Prefix(&prefix), call)?));
    let (queue_urls, next_token) = read?;
    Ok(Output { queue_urls, next_token })
}
