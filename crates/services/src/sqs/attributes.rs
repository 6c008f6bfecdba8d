//! The attributes of queues: what they are called, what they may be, and what they are.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>

use super::fault::{Error, bad_attribute, fault, unknown_attribute};
use super::redrive;
use model::limits;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use store::View;
use store::message::{Fifo, Queue, Settings};
use wire::Fault;

/// The attributes that a request sets or tells.
pub(super) type Attributes = BTreeMap<String, String>;

/// The settings of a queue that is told nothing.
pub(super) fn defaults(fifo: bool) -> Settings {
    Settings {
        delay: 0,
        size: limits::SQS_MESSAGE as u32,
        retention: 345_600,
        wait: 0,
        visibility: 30,
        redrive: None,
        allow: None,
        policy: None,
        sse: true,
        kms_key: None,
        kms_reuse: None,
        fifo: fifo.then(Fifo::default),
    }
}

/// Changes `settings` as `attributes` say.
///
/// # Errors
/// AWS's faults for names and values that are wrong.
pub(super) fn apply(settings: &mut Settings, attributes: &Attributes, new: bool) -> Result<(), Fault> {
    let kms = attributes.get("KmsMasterKeyId").is_some_and(|key| !key.is_empty());
    if kms && attributes.get("SqsManagedSseEnabled").is_some_and(|value| value == "true") {
        return Err(fault(
            "InvalidAttributeName",
            "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE.",
        ));
    }
    for (name, value) in attributes {
        let number = |range: RangeInclusive<u32>| {
            let number = value.trim().parse().ok().filter(|number| range.contains(number));
            number.ok_or_else(|| bad_attribute(name))
        };
        let truth = || match value.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(bad_attribute(name)),
        };
        match (name.as_str(), &mut settings.fifo) {
            ("DelaySeconds", _) => settings.delay = number(0..=900)?,
            ("MaximumMessageSize", _) => settings.size = number(1024..=limits::SQS_MESSAGE as u32)?,
            ("MessageRetentionPeriod", _) => settings.retention = number(60..=1_209_600)?,
            ("ReceiveMessageWaitTimeSeconds", _) => settings.wait = number(0..=20)?,
            ("VisibilityTimeout", _) => settings.visibility = number(0..=43_200)?,
            ("KmsDataKeyReusePeriodSeconds", _) => settings.kms_reuse = Some(number(60..=86_400)?),
            ("KmsMasterKeyId", _) => {
                settings.kms_key = Some(value.clone()).filter(|key| !key.is_empty());
                settings.sse &= settings.kms_key.is_none();
            }
            ("SqsManagedSseEnabled", _) => {
                settings.sse = truth()?;
                if settings.sse {
                    (settings.kms_key, settings.kms_reuse) = (None, None);
                }
            }
            ("Policy", _) => settings.policy = document(name, value)?,
            ("RedrivePolicy", _) => settings.redrive = redrive::policy(value)?,
            ("RedriveAllowPolicy", _) => settings.allow = redrive::allow_policy(value)?,
            ("FifoQueue", Some(_)) if new => {
                truth()?;
            }
            ("FifoQueue", Some(_)) => {
                return Err(fault(
                    "InvalidAttributeValue",
                    "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.",
                ));
            }
            ("ContentBasedDeduplication", Some(fifo)) => fifo.by_content = truth()?,
            ("DeduplicationScope", Some(fifo)) => {
                fifo.by_group = one_of(name, value, "queue", "messageGroup")?;
            }
            ("FifoThroughputLimit", Some(fifo)) => {
                fifo.limit_by_group = one_of(name, value, "perQueue", "perMessageGroupId")?;
            }
            _ => return Err(unknown_attribute(name)),
        }
    }
    if settings.fifo.is_some_and(|fifo| fifo.limit_by_group && !fifo.by_group) {
        return Err(fault(
            "InvalidAttributeValue",
            "Invalid value for the parameter FifoThroughputLimit. Reason: perMessageGroupId is allowed only when the \
             value for DeduplicationScope is messageGroup.",
        ));
    }
    Ok(())
}

/// Whether `value` is the second of two.
fn one_of(name: &str, value: &str, first: &str, second: &str) -> Result<bool, Fault> {
    match value {
        value if value == first => Ok(false),
        value if value == second => Ok(true),
        _ => Err(bad_attribute(name)),
    }
}

/// A JSON document, or none for empty text.
fn document(name: &str, value: &str) -> Result<Option<String>, Fault> {
    if value.is_empty() {
        return Ok(None);
    }
    match serde_json::from_str::<Value>(value) {
        Ok(Value::Object(_)) => Ok(Some(value.to_owned())),
        _ => Err(bad_attribute(name)),
    }
}

/// Everything that `GetQueueAttributes` can tell of `settings` alone.
pub(super) fn of_settings(settings: &Settings) -> Attributes {
    let mut told = Attributes::new();
    let mut tell = |name: &str, value: String| told.insert(name.to_owned(), value);
    tell("DelaySeconds", settings.delay.to_string());
    tell("MaximumMessageSize", settings.size.to_string());
    tell("MessageRetentionPeriod", settings.retention.to_string());
    tell("ReceiveMessageWaitTimeSeconds", settings.wait.to_string());
    tell("VisibilityTimeout", settings.visibility.to_string());
    tell("SqsManagedSseEnabled", settings.sse.to_string());
    if let Some(key) = &settings.kms_key {
        tell("KmsMasterKeyId", key.clone());
        tell("KmsDataKeyReusePeriodSeconds", settings.kms_reuse.unwrap_or(300).to_string());
    }
    if let Some(policy) = &settings.policy {
        tell("Policy", policy.clone());
    }
    if let Some(redrive) = &settings.redrive {
        tell("RedrivePolicy", redrive::told(redrive));
    }
    if let Some(allow) = &settings.allow {
        tell("RedriveAllowPolicy", allow.clone());
    }
    if let Some(fifo) = settings.fifo {
        let name = |second: bool, names: [&str; 2]| names[usize::from(second)].to_owned();
        tell("FifoQueue", "true".to_owned());
        tell("ContentBasedDeduplication", fifo.by_content.to_string());
        tell("DeduplicationScope", name(fifo.by_group, ["queue", "messageGroup"]));
        tell("FifoThroughputLimit", name(fifo.limit_by_group, ["perQueue", "perMessageGroupId"]));
    }
    told
}

/// Everything that `GetQueueAttributes` tells of a queue.
pub(super) fn of_queue(view: &View<'_>, queue: &Queue) -> Result<Attributes, Error> {
    let mut told = of_settings(&queue.settings);
    let counts = view.counts(queue)?;
    for (name, value) in [
        ("QueueArn", queue.arn.clone()),
        ("CreatedTimestamp", queue.created.seconds().to_string()),
        ("LastModifiedTimestamp", queue.modified.seconds().to_string()),
        ("ApproximateNumberOfMessages", counts.visible.to_string()),
        ("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string()),
        ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
    ] {
        told.insert(name.to_owned(), value);
    }
    Ok(told)
}

/// The names that `GetQueueAttributes` knows.
pub(super) const NAMES: &[&str] = &[
    "All",
    "Policy",
    "VisibilityTimeout",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
    "ApproximateNumberOfMessagesDelayed",
    "DelaySeconds",
    "ReceiveMessageWaitTimeSeconds",
    "RedrivePolicy",
    "FifoQueue",
    "ContentBasedDeduplication",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
    "DeduplicationScope",
    "FifoThroughputLimit",
    "RedriveAllowPolicy",
    "SqsManagedSseEnabled",
];
