//! `ReceiveMessage`: takes up to ten messages; waits for one if it is asked to.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>

use super::Sqs;
use super::fault::{fault, invalid_value, unknown_attribute};
use super::target::Target;
use model::limits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use store::message::{Attribute, Changed, Message, Queue, Ready, Received, digest};
use tokio::time::Instant;
use wire::Fault;
use wire::rpc::{Call, integer};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
    #[serde(default)]
    attribute_names: Option<Vec<String>>,
    #[serde(default)]
    message_system_attribute_names: Option<Vec<String>>,
    #[serde(default)]
    message_attribute_names: Option<Vec<String>>,
    #[serde(default, deserialize_with = "integer")]
    max_number_of_messages: Option<i64>,
    #[serde(default, deserialize_with = "integer")]
    visibility_timeout: Option<i64>,
    #[serde(default, deserialize_with = "integer")]
    wait_time_seconds: Option<i64>,
    receive_request_attempt_id: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<Told>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    message_id: String,
    receipt_handle: String,
    #[serde(rename = "MD5OfBody")]
    digest: String,
    body: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<&'static str, String>,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    attributes_digest: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    message_attributes: BTreeMap<String, Attribute>,
}

/// What can be asked about a message.
const NAMES: &[&str] = &[
    "All",
    "SenderId",
    "SentTimestamp",
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "SequenceNumber",
    "MessageDeduplicationId",
    "MessageGroupId",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
];

/// The bounds of a request, checked.
struct Asked {
    most: usize,
    visibility: Option<Duration>,
    wait: Option<Duration>,
}

pub(super) async fn run(state: &Sqs, input: Input, call: &Call) -> Result<Output, Fault> {
    let target = Target::of(call, input.queue_url.as_deref())?;
    let queue = state.read(call, |view| target.find(view))?;
    let asked = check(&input)?;
    let mut names = input.attribute_names.unwrap_or_default();
    names.extend(input.message_system_attribute_names.unwrap_or_default());
    if let Some(unknown) = names.iter().find(|name| !NAMES.contains(&name.as_str())) {
        return Err(unknown_attribute(unknown));
    }
    let attempt = input.receive_request_attempt_id.as_deref();
    if let Some(id) = attempt.filter(|_| !queue.is_fifo()) {
        let reason = "The request includes a parameter that is not valid for this queue type.";
        return Err(invalid_value(id, "ReceiveRequestAttemptId", reason));
    }
    let messages = match attempt {
        None => receive(state, &target, &asked, call).await?,
        Some(id) => {
            let again = again(state, &queue, id, &asked, call).await?;
            let messages = match again {
                Some(messages) => messages,
                None => receive(state, &target, &asked, call).await?,
            };
            state.attempts.remember(&queue.arn, id, state.store.now(), &messages);
            messages
        }
    };
    let wanted = input.message_attribute_names.unwrap_or_default();
    Ok(Output { messages: messages.into_iter().map(|message| tell(message, &names, &wanted)).collect() })
}

fn check(input: &Input) -> Result<Asked, Fault> {
    let seconds = |value: Option<i64>, most: Duration, name: &str, reason: &str| match value {
        None => Ok(None),
        Some(value) => u64::try_from(value)
            .map(Duration::from_secs)
            .ok()
            .filter(|time| *time <= most)
            .map(Some)
            .ok_or_else(|| invalid_value(value, name, reason)),
    };
    let most = input.max_number_of_messages.unwrap_or(1);
    let reason = "Must be between 1 and 10, if provided.";
    let most = usize::try_from(most)
        .ok()
        .filter(|most| (1..=limits::SQS_BATCH).contains(most))
        .ok_or_else(|| invalid_value(most, "MaxNumberOfMessages", reason))?;
    let reason = "Must be >= 0 and <= 20, if provided.";
    let wait = seconds(input.wait_time_seconds, limits::SQS_WAIT, "WaitTimeSeconds", reason)?;
    let reason = "Must be between 0 and 43200, if provided.";
    let visibility = seconds(input.visibility_timeout, limits::SQS_VISIBILITY, "VisibilityTimeout", reason)?;
    Ok(Asked { most, visibility, wait })
}

/// Takes what there is, or waits until there is something or the time is over.
async fn receive(state: &Sqs, target: &Target, asked: &Asked, call: &Call) -> Result<Vec<Message>, Fault> {
    let began = Instant::now();
    let mut place = None;
    loop {
        let queue = state.read(call, |view| target.find(view))?;
        let wait = asked.wait.unwrap_or(Duration::from_secs(queue.settings.wait.into()));
        if !wait.is_zero() {
            // Before looking: so nothing that comes in between is missed.
            place.get_or_insert_with(|| state.store.message_place()).stand(&queue);
        }
        let mut ready = state.read(call, |view| Ok(view.ready(&queue)?))?;
        if ready == Ready::Now {
            let received = take(state, target, asked, call).await?;
            if received.over_limit && wait.is_zero() && !queue.is_fifo() {
                return Err(fault(
                    "OverLimit",
                    "Too many messages are in flight; delete some of them first.",
                ));
            }
            if !received.messages.is_empty() {
                if let Some(place) = place {
                    place.served();
                }
                return Ok(received.messages);
            }
            ready = state.read(call, |view| Ok(view.ready(&queue)?))?;
            if ready == Ready::Now && received.over_limit {
                // Nothing wakes for a message that lands: look again after a while.
                ready = Ready::At(state.store.now().after(Duration::from_millis(200)));
            }
        }
        let left = wait.saturating_sub(began.elapsed());
        let Some(place) = place.as_mut().filter(|_| !left.is_zero()) else { return Ok(Vec::new()) };
        if ready != Ready::Now && !tokio::time::timeout(left, place.woken(ready)).await.unwrap_or(false) {
            return Ok(Vec::new());
        }
    }
}

async fn take(state: &Sqs, target: &Target, asked: &Asked, call: &Call) -> Result<Received, Fault> {
    let (target, most, visibility) = (target.clone(), asked.most, asked.visibility);
    state
        .write(call, move |tx| {
            let queue = target.find(tx)?;
            let visibility = visibility.unwrap_or(Duration::from_secs(queue.settings.visibility.into()));
            Ok(tx.receive(&queue, most, limits::SQS_MESSAGE, visibility)?)
        })
        .await
}

/// The same messages as before, if they are all still in flight; they are hidden anew.
async fn again(
    state: &Sqs,
    queue: &Queue,
    id: &str,
    asked: &Asked,
    call: &Call,
) -> Result<Option<Vec<Message>>, Fault> {
    let Some(messages) = state.attempts.answer(&queue.arn, id, state.store.now()) else { return Ok(None) };
    if messages.is_empty() {
        return Ok(None);
    }
    let visibility = asked.visibility.unwrap_or(Duration::from_secs(queue.settings.visibility.into()));
    let (queue, handles) = (queue.clone(), messages.iter().map(|message| message.handle).collect::<Vec<_>>());
    let held = state
        .write(call, move |tx| {
            for handle in handles {
                if tx.change_visibility(&queue, &handle, visibility)? != Changed::Done {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await?;
    Ok(held.then_some(messages))
}

fn tell(message: Message, names: &[String], wanted: &[String]) -> Told {
    let head = message.head;
    let trace = head.trace_header().map(str::to_owned);
    let all = [
        ("SenderId", Some(head.sender)),
        ("SentTimestamp", Some(message.sent.0.to_string())),
        ("ApproximateReceiveCount", Some(message.received.to_string())),
        ("ApproximateFirstReceiveTimestamp", Some(message.first.0.to_string())),
        ("SequenceNumber", message.sequence),
        ("MessageDeduplicationId", head.dedup),
        ("MessageGroupId", head.group),
        ("AWSTraceHeader", trace),
        ("DeadLetterQueueSourceArn", message.origin),
    ];
    let asked = |name: &str| names.iter().any(|one| one == "All" || one == name);
    let attributes =
        all.into_iter().filter(|(name, _)| asked(name)).filter_map(|(name, value)| Some((name, value?)));
    let message_attributes: BTreeMap<String, Attribute> = head
        .attributes
        .into_iter()
        .filter(|(name, _)| wanted.iter().any(|pattern| matches(pattern, name)))
        .collect();
    Told {
        message_id: message.id.to_string(),
        receipt_handle: message.handle.to_string(),
        digest: digest::of_body(&message.body),
        attributes: attributes.collect(),
        attributes_digest: digest::of_attributes(&message_attributes),
        message_attributes,
        body: message.body,
    }
}

/// Whether the attribute `name` is meant by `pattern`: `All`, `.*`, a name, or a prefix followed by `.*`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix(".*").or_else(|| pattern.strip_suffix('*')) {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == "All" || pattern == name,
    }
}
