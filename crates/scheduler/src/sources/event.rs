//! Messages as the event that a function gets.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>

use serde_json::{Map, Value, json};
use store::message::{Attribute, Message, digest};

/// One message as a record of an event; `source` is the queue's ARN.
pub(super) fn record(message: &Message, source: &str) -> Value {
    let head = &message.head;
    let trace = head.trace_header().map(str::to_owned);
    let attributes: Map<String, Value> = [
        ("ApproximateReceiveCount", Some(message.received.to_string())),
        ("SentTimestamp", Some(message.sent.0.to_string())),
        ("SenderId", Some(head.sender.clone())),
        ("ApproximateFirstReceiveTimestamp", Some(message.first.0.to_string())),
        ("SequenceNumber", message.sequence.clone()),
        ("MessageGroupId", head.group.clone()),
        ("MessageDeduplicationId", head.dedup.clone()),
        ("AWSTraceHeader", trace),
        ("DeadLetterQueueSourceArn", message.origin.clone()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?))))
    .collect();
    let message_attributes: Map<String, Value> =
        head.attributes.iter().map(|(name, one)| (name.clone(), attribute(one))).collect();
    let mut record = json!({
        "messageId": message.id.to_string(),
        "receiptHandle": message.handle.to_string(),
        "body": message.body,
        "attributes": attributes,
        "messageAttributes": message_attributes,
        "md5OfBody": digest::of_body(&message.body),
        "eventSource": "aws:sqs",
        "eventSourceARN": source,
        "awsRegion": source.split(':').nth(3).unwrap_or_default(),
    });
    if let Some(digest) = digest::of_attributes(&head.attributes) {
        record["md5OfMessageAttributes"] = Value::String(digest);
    }
    record
}

fn attribute(attribute: &Attribute) -> Value {
    let mut told = json!({
        "stringListValues": [], "binaryListValues": [], "dataType": attribute.data_type,
    });
    if let Some(value) = &attribute.string_value {
        told["stringValue"] = Value::String(value.clone());
    }
    if let Some(value) = &attribute.binary_value {
        told["binaryValue"] = Value::String(value.clone());
    }
    told
}
