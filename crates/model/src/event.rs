//! An event: one piece of work for one function.

use crate::{FunctionArn, Lineage, Timestamp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// Names one event for its whole life, through every retry; the `RequestId` in logs and answers.
///
/// It is a version 7 UUID, so ids sort by the time at which they were made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub Uuid);

impl RequestId {
    /// A new id, unlike all others, made at `now`.
    pub fn new(now: Timestamp) -> Self {
        let millis = u64::try_from(now.0).unwrap_or(0);
        let stamp = uuid::Timestamp::from_unix(
            uuid::NoContext,
            millis / 1000,
            u32::try_from(millis % 1000).unwrap_or(0) * 1_000_000,
        );
        RequestId(Uuid::new_v7(stamp))
    }

    /// The trace header of an event with this id, which led through these functions; sampled, if its function asks for
    /// it. Nobody collects traces yet.
    ///
    /// Source: <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>
    pub fn trace_header(self, sampled: bool, lineage: &Lineage) -> String {
        let id = self.0.simple().to_string();
        // The first 48 bits of the id are the milliseconds since 1970.
        let seconds = u64::from_str_radix(&id[..12], 16).unwrap_or(0) / 1_000;
        let mut header =
            format!("Root=1-{seconds:08x}-{};Parent={};Sampled={}", &id[8..], &id[16..], u8::from(sampled));
        if !lineage.is_empty() {
            header.push(';');
            header.push_str(&lineage.field());
        }
        header
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What caused an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// `Invoke` with `RequestResponse`: somebody waits for the answer.
    Invoke,
    /// `Invoke` with `Event`: accepted now, run later.
    InvokeAsync,
    /// A change of an object in a bucket.
    S3,
    /// An HTTP request to a function URL.
    Url,
    /// Messages of a queue, by an event source mapping.
    Queue,
    /// A record of another event that succeeded or was given up.
    Destination,
}

/// One piece of work for one function.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its name, the same for every attempt.
    pub id: RequestId,
    /// The function it is for.
    pub function: FunctionArn,
    /// What caused it.
    pub source: Source,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// How many attempts have failed before this one.
    pub attempt: u32,
    /// The document handed to the handler: JSON.
    pub payload: Bytes,
    /// The caller's `ClientContext` (JSON), if it sent one.
    pub client_context: Option<String>,
    /// The functions whose events led to this one.
    pub lineage: Lineage,
}

impl Event {
    /// A first attempt of new work for `function`, accepted at `now`.
    pub fn new(function: FunctionArn, source: Source, now: Timestamp, payload: Bytes) -> Self {
        Event {
            id: RequestId::new(now),
            function,
            source,
            accepted: now,
            attempt: 0,
            payload,
            client_context: None,
            lineage: Lineage::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_header_has_the_time_the_id_and_the_lineage() {
        let id = RequestId::new(Timestamp(1_769_860_800_000));
        let trace = id.trace_header(false, &Lineage::default());
        assert!(trace.starts_with("Root=1-697deec0-"), "{trace}");
        assert_eq!(trace.len(), "Root=1-697deec0-;Parent=;Sampled=0".len() + 24 + 16);
        let lineage = Lineage::default().through(&FunctionArn::of("f"));
        assert_eq!(id.trace_header(false, &lineage), format!("{trace};{}", lineage.field()));
    }
}
