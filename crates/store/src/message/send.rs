//! Sending: one row, in any transaction.

use super::Queue;
use super::queue::encode;
use crate::Result;
use crate::engine::Tx;
use rusqlite::params;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

/// A message attribute, as the API has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Attribute {
    /// `String`, `Number` or `Binary`, perhaps with a label behind a dot.
    #[serde(default)]
    pub data_type: String,
    /// The value, unless it is binary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub string_value: Option<String>,
    /// The value in base64, if it is binary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary_value: Option<String>,
}

/// What a message has beside its body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Who sent it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sender: String,
    /// Its attributes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Attribute>,
    /// Its system attributes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub system: BTreeMap<String, Attribute>,
    /// Its group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What tells it from its doubles, in a FIFO queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedup: Option<String>,
}

/// The system attribute that traces go in.
const TRACE: &str = "AWSTraceHeader";

impl Head {
    /// Keeps the trace header that came with a message, unless the message brings one itself.
    pub fn trace(&mut self, header: &str) {
        self.system.entry(TRACE.to_owned()).or_insert_with(|| Attribute {
            data_type: "String".to_owned(),
            string_value: Some(header.to_owned()),
            binary_value: None,
        });
    }

    /// Its trace header.
    pub fn trace_header(&self) -> Option<&str> {
        self.system.get(TRACE)?.string_value.as_deref()
    }
}

/// A message to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewMessage {
    /// The text.
    pub body: String,
    /// The rest. In a FIFO queue it has a group and a deduplication id.
    pub head: Head,
    /// How long it stays invisible; the queue's own delay if it does not say.
    pub delay: Option<Duration>,
}

/// A message that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its id; that of the first one if it is a double.
    pub id: Uuid,
    /// Its place in the order of all messages.
    pub(crate) seq: i64,
}

impl Sent {
    /// The sequence number as FIFO queues tell it: 20 digits.
    pub fn sequence(&self) -> String {
        sequence(self.seq)
    }
}

pub(super) fn sequence(seq: i64) -> String {
    format!("1{seq:019}")
}

/// The name in a queue's ARN.
pub fn queue_name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

impl Tx<'_> {
    /// Puts a message into `queue`: accepted when this transaction commits.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn send(&self, queue: &Queue, message: &NewMessage) -> Result<Sent> {
        let now = self.now();
        let dedup = queue.settings.fifo.zip(message.head.dedup.as_deref());
        let key = dedup.map(|(fifo, dedup)| match (&message.head.group, fifo.by_group) {
            (Some(group), true) => format!("{group}\0{dedup}"),
            _ => dedup.to_owned(),
        });
        if let Some(key) = &key
            && let Some(double) = self.double(queue.bin, key)?
        {
            return Ok(double);
        }
        let delay = message.delay.unwrap_or(Duration::from_secs(queue.settings.delay.into()));
        let visible = now.after(delay);
        let sent = Sent { id: Uuid::new_v4(), seq: self.next_seq() };
        let group = message.head.group.as_deref().filter(|_| queue.is_fifo());
        self.connection()
            .prepare_cached(
                "INSERT INTO message (seq, bin, visible, sent, received, grp, id, head, body)
                 VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                sent.seq,
                queue.bin,
                visible.0,
                now.0,
                group,
                sent.id.as_bytes(),
                encode(&message.head)?,
                message.body
            ])?;
        self.count(queue.bin, 1)?;
        if let Some(group) = group {
            self.join_group(queue.bin, group, sent.seq, visible)?;
        }
        if let Some(key) = key {
            self.remember(queue.bin, &key, &sent)?;
        }
        self.arrived_at(queue.bin, visible);
        Ok(sent)
    }

    /// Puts a message into the queue with the ARN `arn`; false if there is none. A FIFO queue needs a group: `group`,
    /// and tells doubles by `dedup`. This is what the rest of the platform sends with.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn send_to(&self, arn: &str, body: &str, head: Head) -> Result<bool> {
        let Some(queue) = self.queue(arn)? else { return Ok(false) };
        let mut head = head;
        if queue.is_fifo() {
            head.group.get_or_insert_with(|| "default".to_owned());
            head.dedup.get_or_insert_with(|| Uuid::new_v4().to_string());
        }
        self.send(&queue, &NewMessage { body: body.to_owned(), head, delay: None })?;
        Ok(true)
    }
}
