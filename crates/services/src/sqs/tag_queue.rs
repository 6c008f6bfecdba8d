//! `TagQueue`: adds tags to a queue, or changes them.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_TagQueue.html>

use super::Sqs;
use super::fault::{invalid, missing};
use super::target::Target;
use model::limits;
use serde::Deserialize;
use std::collections::BTreeMap;
use wire::Fault;
use wire::rpc::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

pub(super) async fn run(state: &Sqs, input: Input, call: &Call) -> Result<(), Fault> {
    let target = Target::of(call, input.queue_url.as_deref())?;
    if input.tags.is_empty() {
        return Err(missing("Tags"));
    }
    state
        .write(call, move |tx| {
            let mut queue = target.find(tx)?;
            queue.tags.extend(input.tags);
            check(&queue.tags, queue.name())?;
            Ok(tx.update_queue(&queue)?)
        })
        .await
}

/// Whether the queue called `name` may have these tags.
pub(super) fn check(tags: &BTreeMap<String, String>, name: &str) -> Result<(), Fault> {
    if tags.len() > limits::SQS_TAGS {
        return Err(invalid(format!("Too many tags added for queue {name}.")));
    }
    for (key, value) in tags {
        if !(1..=128).contains(&key.chars().count()) {
            return Err(invalid("Tag keys must be between 1 and 128 characters in length."));
        }
        if value.chars().count() > 256 {
            return Err(invalid("Tag values must be between 0 and 256 characters in length."));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid("Tag keys must not begin with aws:, which is reserved."));
        }
    }
    Ok(())
}
