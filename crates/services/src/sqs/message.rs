//! What a message may be: characters, sizes, attributes, groups.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>

use super::fault::{fault, invalid, invalid_value, missing};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::limits;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::time::Duration;
use store::message::{Attribute, Head, NewMessage, Queue, digest};
use wire::Fault;
use wire::rpc::{Call, integer};

/// A message as a request has it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry {
    pub(super) id: Option<String>,
    pub(super) message_body: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    pub(super) delay_seconds: Option<i64>,
    #[serde(default)]
    pub(super) message_attributes: Option<BTreeMap<String, Given>>,
    #[serde(default)]
    pub(super) message_system_attributes: Option<BTreeMap<String, Given>>,
    pub(super) message_deduplication_id: Option<String>,
    pub(super) message_group_id: Option<String>,
}

/// An attribute as a request has it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Given {
    data_type: Option<String>,
    string_value: Option<String>,
    binary_value: Option<String>,
    string_list_values: Option<Vec<IgnoredAny>>,
    binary_list_values: Option<Vec<IgnoredAny>>,
}

/// What the sender is told of a message beside its id.
#[derive(Clone, Debug)]
pub(super) struct Digests {
    pub(super) body: String,
    pub(super) attributes: Option<String>,
    pub(super) system: Option<String>,
}

impl Digests {
    pub(super) fn of(message: &NewMessage) -> Self {
        Digests {
            body: digest::of_body(&message.body),
            attributes: digest::of_attributes(&message.head.attributes),
            system: digest::of_attributes(&message.head.system),
        }
    }
}

/// Whether a body may have this character.
fn allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

impl Entry {
    /// The message for `queue`, with its size.
    ///
    /// # Errors
    /// AWS's faults for what is wrong with it, its size aside.
    pub(super) fn check(self, queue: &Queue, sender: &str) -> Result<(NewMessage, usize), Fault> {
        let body = self.message_body.filter(|body| !body.is_empty()).ok_or_else(|| missing("MessageBody"))?;
        if !body.chars().all(allowed) {
            return Err(fault(
                "InvalidMessageContents",
                "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to \
                 #xFFFD | #x10000 to #x10FFFF",
            ));
        }
        let delay = delay(self.delay_seconds, queue.is_fifo())?;
        let attributes = attributes(self.message_attributes.unwrap_or_default())?;
        let system = system_attributes(self.message_system_attributes.unwrap_or_default())?;
        let (group, dedup) = (self.message_group_id, self.message_deduplication_id);
        if let Some(group) = &group {
            check_id("MessageGroupId", group)?;
        }
        if let Some(dedup) = &dedup {
            check_id("MessageDeduplicationId", dedup)?;
            if !queue.is_fifo() {
                let reason = "The request includes a parameter that is not valid for this queue type.";
                return Err(invalid_value(dedup, "MessageDeduplicationId", reason));
            }
        }
        let dedup = match queue.settings.fifo {
            Some(_) if group.is_none() => return Err(missing("MessageGroupId")),
            Some(fifo) if dedup.is_none() => {
                let by_content = fifo.by_content.then(|| sha256(&body));
                Some(by_content.ok_or_else(|| {
                    invalid(
                        "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId \
                         provided explicitly",
                    )
                })?)
            }
            _ => dedup,
        };
        let size = body.len() + attributes.iter().map(|(name, one)| name.len() + size(one)).sum::<usize>();
        let head = Head { sender: sender.to_owned(), attributes, system, group, dedup };
        Ok((NewMessage { body, head, delay }, size))
    }
}

fn delay(seconds: Option<i64>, fifo: bool) -> Result<Option<Duration>, Fault> {
    let Some(seconds) = seconds else { return Ok(None) };
    if fifo && seconds != 0 {
        let reason = "The request include parameter that is not valid for this queue type.";
        return Err(invalid_value(seconds, "DelaySeconds", reason));
    }
    let natural = u64::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds <= 900)
        .ok_or_else(|| invalid_value(seconds, "DelaySeconds", "DelaySeconds must be >= 0 and <= 900."))?;
    // The delay of a FIFO queue is the queue's own.
    Ok((!fifo).then(|| Duration::from_secs(natural)))
}

fn check_id(parameter: &str, id: &str) -> Result<(), Fault> {
    if (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let reason =
        format!("{parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length.");
    Err(invalid_value(id, parameter, &reason))
}

/// The longest trace header that is kept, in bytes.
const TRACE: usize = 512;

/// Keeps the trace header of the request with a message that has none: SDKs in functions send it with every call, and loops
/// are found by it. It is no part of the message's size or digests.
pub(super) fn keep_trace(message: &mut NewMessage, call: &Call) {
    let header = call.head.headers.get("x-amzn-trace-id").and_then(|header| header.to_str().ok());
    if let Some(header) = header.filter(|header| header.len() <= TRACE) {
        message.head.trace(header);
    }
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn size(attribute: &Attribute) -> usize {
    let value = attribute.string_value.as_ref().map_or(0, String::len);
    let binary = attribute.binary_value.as_ref().map_or(0, |text| {
        text.len() / 4 * 3 - text.bytes().rev().take_while(|byte| *byte == b'=').count().min(2)
    });
    attribute.data_type.len() + value + binary
}

fn system_attributes(given: BTreeMap<String, Given>) -> Result<BTreeMap<String, Attribute>, Fault> {
    for (name, one) in &given {
        if name != "AWSTraceHeader" {
            return Err(invalid(format!("Message system attribute name '{name}' is invalid.")));
        }
        if one.data_type.as_deref() != Some("String") {
            return Err(invalid(format!("The message system attribute '{name}' must have the type String.")));
        }
    }
    attributes(given)
}

fn attributes(given: BTreeMap<String, Given>) -> Result<BTreeMap<String, Attribute>, Fault> {
    if given.len() > 10 {
        let message =
            format!("Number of message attributes [{}] exceeds the allowed maximum [10].", given.len());
        return Err(invalid(message));
    }
    given.into_iter().map(|(name, one)| Ok((name.clone(), attribute(&name, one)?))).collect()
}

fn attribute(name: &str, given: Given) -> Result<Attribute, Fault> {
    check_name(name)?;
    if given.string_list_values.is_some_and(|list| !list.is_empty())
        || given.binary_list_values.is_some_and(|list| !list.is_empty())
    {
        return Err(fault(
            "UnsupportedOperation",
            "Message attribute list values in SendMessage operation are not supported.",
        ));
    }
    let kind = given.data_type.filter(|kind| !kind.is_empty()).ok_or_else(|| {
        invalid(format!("The message attribute '{name}' must contain non-empty message attribute type."))
    })?;
    let empty = || {
        invalid(format!(
            "The message attribute '{name}' must contain non-empty message attribute value for message attribute type \
             '{kind}'."
        ))
    };
    if kind.len() > 256 {
        return Err(invalid(format!(
            "The message attribute '{name}' has a type that is longer than 256 bytes."
        )));
    }
    let (string_value, binary_value) = match kind.split('.').next() {
        Some(base @ ("String" | "Number")) => {
            let value = given.string_value.filter(|value| !value.is_empty()).ok_or_else(empty)?;
            if base == "Number" && !is_number(&value) {
                let message =
                    format!("Can't cast the value of message (user) attribute '{name}' to a number.");
                return Err(invalid(message));
            }
            if !value.chars().all(allowed) {
                return Err(invalid(format!("The message attribute '{name}' contains invalid characters.")));
            }
            (Some(value), None)
        }
        Some("Binary") => {
            let value = given.binary_value.filter(|value| !value.is_empty()).ok_or_else(empty)?;
            if STANDARD.decode(&value).is_err() {
                return Err(invalid(format!("The message attribute '{name}' is not valid base64.")));
            }
            (None, Some(value))
        }
        _ => {
            return Err(invalid(format!(
                "The message attribute '{name}' has an invalid message attribute type, the set of supported type \
                 prefixes is Binary, Number, and String."
            )));
        }
    };
    Ok(Attribute { data_type: kind, string_value, binary_value })
}

/// Up to 38 digits, between -10^128 and 10^126, as the guide has it.
fn is_number(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits > 0 && digits <= 45 && text.parse::<f64>().is_ok_and(f64::is_finite)
}

fn check_name(name: &str) -> Result<(), Fault> {
    if name.is_empty() {
        return Err(invalid("The message attribute name must not be empty."));
    }
    if name.len() > 256 {
        return Err(invalid("Message (user) attribute name must be shorter than 256 bytes."));
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)) {
        return Err(invalid(format!(
            "The message attribute name '{name}' is invalid. Attribute name can contain A-Z, a-z, 0-9, underscore (_), \
             hyphen (-), and period (.) characters."
        )));
    }
    let lower = name.to_ascii_lowercase();
    if name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        return Err(invalid(format!(
            "The message attribute name '{name}' is invalid. It must not start or end with a period, nor have two in a \
             row."
        )));
    }
    if lower.starts_with("aws.") || lower.starts_with("amazon.") {
        return Err(invalid(
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These prefixes are reserved for use \
             by Amazon Web Services.",
        ));
    }
    Ok(())
}

/// The fault of a message that is too long for its queue.
pub(super) fn too_long(limit: usize) -> Fault {
    invalid(format!(
        "One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."
    ))
}

/// The fault of a batch that is too long; none if it is not.
pub(super) fn batch_too_long(size: usize) -> Option<Fault> {
    (size > limits::SQS_MESSAGE).then(|| {
        fault(
            "BatchRequestTooLong",
            format!(
                "Batch requests cannot be longer than {} bytes. You have sent {size} bytes.",
                limits::SQS_MESSAGE
            ),
        )
    })
}
