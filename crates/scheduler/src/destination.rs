//! Records of events that succeeded or were given up, for the functions that their owners want to hear of it.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>

use crate::settle::Ran;
use bytes::Bytes;
use model::{Event, FunctionArn, LATEST, Outcome, Source, Timestamp, limits};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::message::Attribute;
use store::rules::EventRules;

/// So much of an error's message goes with a dead letter, in characters.
const DEAD_LETTER_ERROR: usize = 256;

/// Why a record is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The function returned.
    Success,
    /// It failed as often as the event was to be tried.
    RetriesExhausted,
    /// The event became too old.
    EventAgeExceeded,
    /// The function is turned off: no concurrency is reserved for it.
    ZeroReservedConcurrency,
    /// The event is one of a loop.
    RecursionDetected,
}

impl Condition {
    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Condition::Success => "Success",
            Condition::RetriesExhausted => "RetriesExhausted",
            Condition::EventAgeExceeded => "EventAgeExceeded",
            Condition::ZeroReservedConcurrency => "ZeroReservedConcurrency",
            Condition::RecursionDetected => "RecursionDetected",
        }
    }
}

/// What goes out with the settlement of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Follow {
    /// An event for another function.
    Event(Event),
    /// A message for a queue.
    Message {
        /// The queue's ARN.
        queue: String,
        /// The text.
        body: String,
        /// Its attributes.
        attributes: BTreeMap<String, Attribute>,
    },
}

/// What the owner of a function wants to follow from its events.
#[derive(Clone, Copy, Debug)]
pub struct Wishes<'a> {
    /// Retries, age and destinations.
    pub rules: &'a EventRules,
    /// The queue for events that are given up.
    pub dead_letter: Option<&'a str>,
}

impl Wishes<'_> {
    /// Whether anybody wants to hear of events that are given up.
    pub fn hears_of_failures(&self) -> bool {
        self.rules.on_failure.is_some() || self.dead_letter.is_some()
    }
}

/// What goes out with the settlement of `event` after `runs` runs: a record for its destination, and the event itself for
/// a dead-letter queue.
pub(crate) fn follows(
    event: &Event,
    condition: Condition,
    runs: u32,
    ran: Option<Ran<'_>>,
    wishes: Wishes<'_>,
    now: Timestamp,
) -> Vec<Follow> {
    let mut follows: Vec<Follow> =
        record(event, condition, runs, ran, wishes.rules, now).into_iter().collect();
    if condition != Condition::Success
        && let Some(queue) = wishes.dead_letter
    {
        follows.push(dead_letter(event, condition, ran, queue));
    }
    follows
}

/// The record of `event` for its destination, if it has one. A record that is larger than an event or a message can be is
/// not sent, as with AWS.
fn record(
    event: &Event,
    condition: Condition,
    runs: u32,
    ran: Option<Ran<'_>>,
    rules: &EventRules,
    now: Timestamp,
) -> Option<Follow> {
    let to = match condition {
        Condition::Success => rules.on_success.as_ref()?,
        _ => rules.on_failure.as_ref()?,
    };
    let document = document(event, condition, runs, ran, now);
    if document.len() > limits::ASYNC_PAYLOAD {
        tracing::info!(id = %event.id, function = %event.function, to, "a record is too large for its destination");
        return None;
    }
    if is_queue(to) {
        let body = String::from_utf8_lossy(&document).into_owned();
        return Some(Follow::Message { queue: to.clone(), body, attributes: BTreeMap::new() });
    }
    let target = FunctionArn::from_stored(to.clone());
    // Whoever is a part of a loop is not told of its end, or that would be the next round.
    if condition == Condition::RecursionDetected && event.lineage.count(&target) > 0 {
        return None;
    }
    let mut record = Event::new(target, Source::Destination, now, document);
    record.lineage = event.lineage.through(&event.function);
    Some(Follow::Event(record))
}

fn is_queue(arn: &str) -> bool {
    arn.split(':').nth(2) == Some("sqs")
}

/// The event as a dead-letter queue gets it.
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html#invocation-dlq>
fn dead_letter(event: &Event, condition: Condition, ran: Option<Ran<'_>>, queue: &str) -> Follow {
    let attribute = |data_type: &str, value: String| Attribute {
        data_type: data_type.to_owned(),
        string_value: Some(value),
        binary_value: None,
    };
    let message = match ran.map(|ran| ran.outcome) {
        Some(Outcome::Failed(error)) => error.error_message.clone(),
        _ => condition.name().to_owned(),
    };
    // The first KB, and a message attribute cannot be empty.
    let message: String = message.chars().take(DEAD_LETTER_ERROR).collect();
    let message = if message.is_empty() { condition.name().to_owned() } else { message };
    Follow::Message {
        queue: queue.to_owned(),
        body: String::from_utf8_lossy(&event.payload).into_owned(),
        attributes: BTreeMap::from([
            ("RequestID".to_owned(), attribute("String", event.id.to_string())),
            ("ErrorCode".to_owned(), attribute("Number", "200".to_owned())),
            ("ErrorMessage".to_owned(), attribute("String", message)),
        ]),
    }
}

/// The record itself.
fn document(event: &Event, condition: Condition, runs: u32, ran: Option<Ran<'_>>, now: Timestamp) -> Bytes {
    let function = match event.function.qualifier() {
        Some(_) => event.function.to_string(),
        None => format!("{}:{LATEST}", event.function),
    };
    let mut head = json!({
        "version": "1.0",
        "timestamp": now.iso_z(),
        "requestContext": {
            "requestId": event.id.to_string(),
            "functionArn": function,
            "condition": condition.name(),
            "approximateInvokeCount": runs,
        },
    });
    if let Some(ran) = ran {
        let mut context = json!({"statusCode": 200, "executedVersion": ran.version});
        if matches!(ran.outcome, Outcome::Failed(_)) {
            context["functionError"] = json!("Unhandled");
        }
        head["responseContext"] = context;
    }
    let mut document = head.to_string();
    document.pop();
    // The payloads go in as they are: reading and writing them again could change a number.
    let mut add = |name: &str, payload: &[u8]| {
        let json = std::str::from_utf8(payload).ok();
        let json = json.filter(|json| serde_json::from_str::<serde::de::IgnoredAny>(json).is_ok());
        document.push_str(&format!(",{}:{}", Value::from(name), json.unwrap_or("null").trim()));
    };
    add("requestPayload", &event.payload);
    if let Some(ran) = ran {
        add("responsePayload", &ran.outcome.payload());
    }
    document.push('}');
    document.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::FunctionError;

    #[test]
    fn records_look_as_aws_documents_them() {
        let event =
            Event::new(FunctionArn::of("f"), Source::InvokeAsync, Timestamp(0), r#"{"n":1.0}"#.into());
        let rules = EventRules {
            on_success: Some(FunctionArn::of("yes").to_string()),
            on_failure: Some(FunctionArn::of("no").to_string()),
            ..EventRules::default()
        };
        let read = |event: &Event| serde_json::from_slice::<Value>(&event.payload).unwrap();
        let record = |condition, runs, ran, rules: &EventRules| match record(
            &event,
            condition,
            runs,
            ran,
            rules,
            Timestamp(8),
        ) {
            Some(Follow::Event(sent)) => Some(sent),
            None => None,
            Some(other) => panic!("{other:?}"),
        };
        let failed = Outcome::Failed(FunctionError::of("E", "e".into()));
        let ran = Ran { outcome: &failed, version: LATEST };
        let sent = record(Condition::RetriesExhausted, 3, Some(ran), &rules).unwrap();
        assert_eq!((sent.function.name(), sent.source), ("no", Source::Destination));
        assert_eq!(
            read(&sent),
            json!({
                "version": "1.0",
                "timestamp": "1970-01-01T00:00:00.008Z",
                "requestContext": {
                    "requestId": event.id.to_string(),
                    "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST",
                    "condition": "RetriesExhausted",
                    "approximateInvokeCount": 3,
                },
                "requestPayload": {"n": 1.0},
                "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
                "responsePayload": {"errorMessage": "e", "errorType": "E"},
            })
        );
        let fine = Outcome::Succeeded("[2]".into());
        let ran = Ran { outcome: &fine, version: LATEST };
        let sent = record(Condition::Success, 1, Some(ran), &rules).unwrap();
        assert_eq!(sent.function.name(), "yes");
        assert_eq!(read(&sent)["responsePayload"], json!([2]));
        assert_eq!(read(&sent)["responseContext"].get("functionError"), None);
        let old = record(Condition::EventAgeExceeded, 0, None, &rules).unwrap();
        assert_eq!(read(&old).get("responsePayload"), None);
        assert_eq!(record(Condition::Success, 1, Some(ran), &EventRules::default()), None);
    }

    #[test]
    fn queues_get_records_and_dead_letters_as_messages() {
        let event = Event::new(FunctionArn::of("f"), Source::InvokeAsync, Timestamp(0), r#"{"n":1}"#.into());
        let queue = "arn:aws:sqs:us-east-1:000000000000:q";
        let rules = EventRules { on_failure: Some(queue.into()), ..EventRules::default() };
        let failed = Outcome::Failed(FunctionError::of("E", "why".into()));
        let ran = Some(Ran { outcome: &failed, version: LATEST });
        let wishes = Wishes { rules: &rules, dead_letter: Some(queue) };
        let sent = follows(&event, Condition::RetriesExhausted, 1, ran, wishes, Timestamp(1));
        let [Follow::Message { body: record, .. }, Follow::Message { body, attributes, .. }] = &sent[..]
        else {
            panic!("{sent:?}");
        };
        assert!(record.contains("RetriesExhausted"));
        assert_eq!(body, r#"{"n":1}"#);
        assert_eq!(attributes["ErrorMessage"].string_value.as_deref(), Some("why"));
        assert_eq!(attributes["RequestID"].string_value, Some(event.id.to_string()));
        let fine = Outcome::Succeeded("1".into());
        let ran = Some(Ran { outcome: &fine, version: LATEST });
        assert!(follows(&event, Condition::Success, 1, ran, wishes, Timestamp(1)).is_empty());
    }
}
