//! Records of events that succeeded or were given up, for the functions that their owners want to hear of it.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>

use crate::settle::Ran;
use bytes::Bytes;
use model::{Event, FunctionArn, LATEST, Outcome, Source, Timestamp, limits};
use serde_json::{Value, json};
use store::rules::EventRules;

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

/// The event that carries the record of `event` after `runs` runs to its destination, if it has one. A record that is
/// larger than an event can be is not sent, as with AWS.
pub(crate) fn record(
    event: &Event,
    condition: Condition,
    runs: u32,
    ran: Option<Ran<'_>>,
    rules: &EventRules,
    now: Timestamp,
) -> Option<Event> {
    let to = match condition {
        Condition::Success => rules.on_success.as_ref()?,
        _ => rules.on_failure.as_ref()?,
    };
    let target = FunctionArn::from_stored(to.clone());
    // Whoever is a part of a loop is not told of its end, or that would be the next round.
    if condition == Condition::RecursionDetected && event.lineage.contains_key(&target.unqualified()) {
        return None;
    }
    let document = document(event, condition, runs, ran, now);
    if document.len() > limits::ASYNC_PAYLOAD {
        tracing::info!(id = %event.id, function = %event.function, to, "a record is too large for its destination");
        return None;
    }
    let mut record = Event::new(target, Source::Destination, now, document);
    record.lineage.clone_from(&event.lineage);
    *record.lineage.entry(event.function.unqualified()).or_default() += 1;
    Some(record)
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
        let failed = Outcome::Failed(FunctionError::of("E", "e".into()));
        let ran = Ran { outcome: &failed, version: LATEST };
        let sent = record(&event, Condition::RetriesExhausted, 3, Some(ran), &rules, Timestamp(8)).unwrap();
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
        let sent = record(&event, Condition::Success, 1, Some(ran), &rules, Timestamp(8)).unwrap();
        assert_eq!(sent.function.name(), "yes");
        assert_eq!(read(&sent)["responsePayload"], json!([2]));
        assert_eq!(read(&sent)["responseContext"].get("functionError"), None);
        let old = record(&event, Condition::EventAgeExceeded, 0, None, &rules, Timestamp(8)).unwrap();
        assert_eq!(read(&old).get("responsePayload"), None);
        assert_eq!(
            record(&event, Condition::Success, 1, Some(ran), &EventRules::default(), Timestamp(8)),
            None
        );
    }
}
