//! `ChangeMessageVisibility`: gives a message that was received more time, or gives it back.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>

use super::Sqs;
use super::fault::{Error, bad_handle, fault, invalid_value, missing};
use super::target::Target;
use model::limits;
use serde::Deserialize;
use std::time::Duration;
use store::Tx;
use store::message::{Changed, Handle, Queue};
use wire::Fault;
use wire::rpc::{Call, integer};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
    receipt_handle: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    visibility_timeout: Option<i64>,
}

pub(super) async fn run(state: &Sqs, input: Input, call: &Call) -> Result<(), Fault> {
    let target = Target::of(call, input.queue_url.as_deref())?;
    let handle = input.receipt_handle.ok_or_else(|| missing("ReceiptHandle"))?;
    let seconds = input.visibility_timeout.ok_or_else(|| missing("VisibilityTimeout"))?;
    state
        .write(call, move |tx| {
            let queue = target.find(tx)?;
            change(tx, &queue, &handle, seconds)
        })
        .await
}

/// Changes the visibility of one message.
pub(super) fn change(tx: &Tx<'_>, queue: &Queue, handle: &str, seconds: i64) -> Result<(), Error> {
    let visibility = u64::try_from(seconds).map(Duration::from_secs).ok();
    let visibility = visibility.filter(|time| *time <= limits::SQS_VISIBILITY).ok_or_else(|| {
        invalid_value(
            seconds,
            "VisibilityTimeout",
            "VisibilityTimeout must be an integer between 0 and 43200",
        )
    })?;
    let parsed = Handle::parse(handle).ok_or_else(|| bad_handle(handle))?;
    match tx.change_visibility(queue, &parsed, visibility)? {
        Changed::Done => Ok(()),
        Changed::Invalid => Err(bad_handle(handle).into()),
        Changed::Gone => Err(invalid_value(
            handle,
            "ReceiptHandle",
            "Message does not exist or is not available for visibility timeout change.",
        )
        .into()),
        Changed::NotInFlight if queue.is_fifo() => {
            Err(invalid_value(handle, "ReceiptHandle", "The receipt handle has expired.").into())
        }
        Changed::NotInFlight => {
            Err(fault("MessageNotInflight", "The message referred to is not in flight.").into())
        }
        Changed::TooLong => Err(invalid_value(
            seconds,
            "VisibilityTimeout",
            "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]",
        )
        .into()),
    }
}
