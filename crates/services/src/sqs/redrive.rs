//! `RedrivePolicy` and `RedriveAllowPolicy`: where messages go that cannot be processed, and who may send them there.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>

use super::fault::{Error, invalid_value};
use serde_json::{Map, Value, json};
use store::View;
use store::message::{Redrive, Settings};
use wire::Fault;

fn wrong(value: &str, reason: &str) -> Fault {
    invalid_value(value, "RedrivePolicy", reason)
}

/// The policy that `value` says; none for empty text.
pub(super) fn policy(value: &str) -> Result<Option<Redrive>, Fault> {
    if value.is_empty() {
        return Ok(None);
    }
    let map: Map<String, Value> =
        serde_json::from_str(value).map_err(|_| wrong(value, "Redrive policy is not a valid JSON map."))?;
    if map.is_empty() {
        return Ok(None);
    }
    for name in ["deadLetterTargetArn", "maxReceiveCount"] {
        if !map.contains_key(name) {
            let reason = format!("Redrive policy does not contain mandatory attribute: {name}.");
            return Err(wrong(value, &reason));
        }
    }
    let target = map["deadLetterTargetArn"].as_str().filter(|arn| is_queue_arn(arn));
    let target = target.ok_or_else(|| wrong(value, "Invalid value for deadLetterTargetArn."))?.to_owned();
    let count = &map["maxReceiveCount"];
    let number = count.as_u64().or_else(|| count.as_str()?.parse().ok());
    let most = number.and_then(|count| u32::try_from(count).ok()).filter(|count| (1..=1000).contains(count));
    let most = most.ok_or_else(|| {
        let told = count.as_str().map_or_else(|| count.to_string(), str::to_owned);
        wrong(
            value,
            &format!(
                "Invalid value for maxReceiveCount: {told}, valid values are from 1 to 1000 both inclusive."
            ),
        )
    })?;
    Ok(Some(Redrive { target, most }))
}

/// Whether `arn` looks like that of a queue.
pub(super) fn is_queue_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.split(':').collect();
    matches!(parts.as_slice(), ["arn", _, "sqs", region, account, name]
        if !region.is_empty() && account.len() == 12 && !name.is_empty())
}

/// The policy as it is told.
pub(super) fn told(redrive: &Redrive) -> String {
    json!({ "deadLetterTargetArn": redrive.target, "maxReceiveCount": redrive.most }).to_string()
}

/// Checks the dead-letter queue of the queue `arn`: it exists, is of the same kind, and allows it.
pub(super) fn check(view: &View<'_>, arn: &str, settings: &Settings) -> Result<(), Error> {
    let Some(redrive) = &settings.redrive else { return Ok(()) };
    let value = told(redrive);
    let target = view.queue(&redrive.target)?;
    let target = target.ok_or_else(|| wrong(&value, "Dead letter target does not exist."))?;
    if target.is_fifo() != settings.fifo.is_some() {
        return Err(wrong(&value, "Dead-letter queue must be same type of queue as the source.").into());
    }
    if !allows(target.settings.allow.as_deref(), arn) {
        let reason = "The dead letter queue's redrive allow policy does not allow this queue as a source.";
        return Err(wrong(&value, reason).into());
    }
    Ok(())
}

fn allows(policy: Option<&str>, arn: &str) -> bool {
    let policy: Value = policy.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    match policy["redrivePermission"].as_str() {
        Some("denyAll") => false,
        Some("byQueue") => {
            policy["sourceQueueArns"].as_array().is_some_and(|arns| arns.iter().any(|one| one == arn))
        }
        _ => true,
    }
}

/// The allow policy that `value` says; none for empty text.
pub(super) fn allow_policy(value: &str) -> Result<Option<String>, Fault> {
    if value.is_empty() {
        return Ok(None);
    }
    let wrong = |reason: &str| invalid_value(value, "RedriveAllowPolicy", reason);
    let map: Map<String, Value> = serde_json::from_str(value).map_err(|_| {
        wrong("Amazon SQS can't create the redrive allow policy, as it's in an unsupported format.")
    })?;
    let sources = map.get("sourceQueueArns").map(|sources| sources.as_array());
    match (map.get("redrivePermission").and_then(Value::as_str), sources) {
        (Some("allowAll" | "denyAll"), None) => {}
        (Some("allowAll" | "denyAll"), Some(_)) => {
            return Err(wrong(
                "sourceQueueArns can be specified only when the redrivePermission is byQueue.",
            ));
        }
        (Some("byQueue"), Some(Some(arns))) if arns.len() > 10 => {
            return Err(wrong("Only 10 source queue ARNs can be specified."));
        }
        (Some("byQueue"), Some(Some(arns)))
            if !arns.is_empty() && arns.iter().all(|arn| arn.as_str().is_some_and(is_queue_arn)) => {}
        (Some("byQueue"), _) => {
            return Err(wrong("sourceQueueArns must name from 1 to 10 queues by their ARNs."));
        }
        _ => return Err(wrong("redrivePermission must be allowAll, denyAll or byQueue.")),
    }
    Ok(Some(value.to_owned()))
}
