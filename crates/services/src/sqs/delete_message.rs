//! `DeleteMessage`: removes a message that was received.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html>

use super::Sqs;
use super::fault::{Error, bad_handle, invalid_value, missing};
use super::target::Target;
use serde::Deserialize;
use store::Tx;
use store::message::{Deleted, Handle, Queue};
use wire::Fault;
use wire::rpc::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
    receipt_handle: Option<String>,
}

pub(super) async fn run(state: &Sqs, input: Input, call: &Call) -> Result<(), Fault> {
    let target = Target::of(call, input.queue_url.as_deref())?;
    let handle = input.receipt_handle.ok_or_else(|| missing("ReceiptHandle"))?;
    state
        .write(call, move |tx| {
            let queue = target.find(tx)?;
            delete(tx, &queue, &handle)
        })
        .await
}

/// Deletes one message.
pub(super) fn delete(tx: &Tx<'_>, queue: &Queue, handle: &str) -> Result<(), Error> {
    let parsed = Handle::parse(handle).ok_or_else(|| bad_handle(handle))?;
    match tx.delete_message(queue, &parsed)? {
        Deleted::Gone => Ok(()),
        Deleted::Invalid => Err(bad_handle(handle).into()),
        Deleted::Expired => {
            Err(invalid_value(handle, "ReceiptHandle", "The receipt handle has expired.").into())
        }
    }
}
