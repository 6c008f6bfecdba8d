//! `SendMessage`: puts a message into a queue; answered when it is on disk.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>

use super::Sqs;
use super::message::{Digests, Entry, keep_trace, too_long};
use super::target::Target;
use serde::{Deserialize, Serialize};
use wire::Fault;
use wire::rpc::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
    #[serde(flatten)]
    message: Entry,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    message_id: String,
    #[serde(rename = "MD5OfMessageBody")]
    body: String,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    attributes: Option<String>,
    #[serde(rename = "MD5OfMessageSystemAttributes", skip_serializing_if = "Option::is_none")]
    system: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_number: Option<String>,
}

pub(super) async fn run(state: &Sqs, input: Input, call: &Call) -> Result<Output, Fault> {
    let target = Target::of(call, input.queue_url.as_deref())?;
    let queue = state.read(call, |view| target.find(view))?;
    let (mut message, size) = input.message.check(&queue, &call.scope().account)?;
    if size > queue.settings.size as usize {
        return Err(too_long(queue.settings.size as usize));
    }
    let Digests { body, attributes, system } = Digests::of(&message);
    let fifo = queue.is_fifo();
    keep_trace(&mut message, call);
    // The queue is looked up again: it may have been deleted or changed meanwhile.
    let sent = state.write(call, move |tx| Ok(tx.send(&target.find(tx)?, &message)?)).await?;
    Ok(Output {
        message_id: sent.id.to_string(),
        body,
        attributes,
        system,
        sequence_number: fifo.then(|| sent.sequence()),
    })
}
