//! An event: one piece of work for one function.

use crate::{FunctionArn, Timestamp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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
    /// The functions whose events led to this one, each with how many of its events did.
    pub lineage: BTreeMap<FunctionArn, u32>,
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
            lineage: BTreeMap::new(),
        }
    }
}
