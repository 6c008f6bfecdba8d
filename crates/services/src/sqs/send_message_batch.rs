//! `SendMessageBatch`: puts up to ten messages into a queue, in one transaction.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>

use super::Sqs;
use super::batch::{Answer, check_ids};
use super::message::{Digests, Entry, batch_too_long, keep_trace};
use super::target::Target;
use serde::{Deserialize, Serialize};
use store::message::Sent;
use wire::Fault;
use wire::rpc::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
    #[serde(default)]
    entries: Vec<Entry>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    id: String,
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

pub(super) async fn run(state: &Sqs, input: Input, call: &Call) -> Result<Answer<Output>, Fault> {
    let target = Target::of(call, input.queue_url.as_deref())?;
    let queue = state.read(call, |view| target.find(view))?;
    check_ids(input.entries.iter().map(|entry| entry.id.as_deref()), "SendMessageBatchRequestEntry")?;
    let (fifo, account) = (queue.is_fifo(), call.scope().account);
    let mut total = 0;
    let mut messages = Vec::with_capacity(input.entries.len());
    for mut entry in input.entries {
        let id = entry.id.take().unwrap_or_default();
        let grouped = entry.message_group_id.is_some();
        let checked = match entry.check(&queue, &account) {
            // What every message of a FIFO queue must have is missing: the whole batch is refused.
            Err(fault) if fifo && (!grouped || fault.message.starts_with("The queue should either have")) => {
                return Err(fault);
            }
            checked => checked,
        };
        messages.push((
            id,
            checked.map(|(mut message, size)| {
                total += size;
                let digests = Digests::of(&message);
                keep_trace(&mut message, call);
                (message, digests)
            }),
        ));
    }
    if let Some(fault) = batch_too_long(total) {
        return Err(fault);
    }
    let results = state
        .write(call, move |tx| {
            let queue = target.find(tx)?;
            let send = |(id, checked): (String, Result<(_, Digests), Fault>)| match checked {
                Ok((message, digests)) => {
                    let sent = tx.send(&queue, &message)?;
                    Ok((id.clone(), Ok(output(id, &sent, digests, fifo))))
                }
                Err(fault) => Ok((id, Err(fault))),
            };
            messages.into_iter().map(send).collect::<Result<Vec<_>, super::fault::Error>>()
        })
        .await?;
    Ok(Answer::of(results))
}

fn output(id: String, sent: &Sent, digests: Digests, fifo: bool) -> Output {
    Output {
        id,
        message_id: sent.id.to_string(),
        body: digests.body,
        attributes: digests.attributes,
        system: digests.system,
        sequence_number: fifo.then(|| sent.sequence()),
    }
}
