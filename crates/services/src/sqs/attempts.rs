//! Receive request attempts: a client that lost the answer of a reception from a FIFO queue asks for it again.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-receiverequestattemptid-request-parameter.html>

use model::{Timestamp, limits};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use store::message::Message;

/// The most attempts that are remembered, in messages.
const MOST: usize = 10_000;

/// What was answered to recent attempts.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    answers: HashMap<(String, String), (u64, Timestamp, Vec<Message>)>,
    order: BTreeMap<u64, (String, String)>,
    next: u64,
}

impl Attempts {
    /// What was answered to the attempt `id` on the queue `arn` within the last five minutes.
    pub(super) fn answer(&self, arn: &str, id: &str, now: Timestamp) -> Option<Vec<Message>> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, at, messages) = inner.answers.get(&(arn.to_owned(), id.to_owned()))?;
        (now.since(*at) < limits::SQS_DEDUPLICATION).then(|| messages.clone())
    }

    /// Remembers what was answered to an attempt.
    pub(super) fn remember(&self, arn: &str, id: &str, now: Timestamp, messages: &[Message]) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (key, number) = ((arn.to_owned(), id.to_owned()), inner.next);
        inner.next += 1;
        inner.order.insert(number, key.clone());
        if let Some((old, ..)) = inner.answers.insert(key, (number, now, messages.to_vec())) {
            inner.order.remove(&old);
        }
        while let Some((number, key)) = inner.order.first_key_value().map(|(n, key)| (*n, key.clone())) {
            let old =
                inner.answers.get(&key).is_none_or(|(_, at, _)| now.since(*at) >= limits::SQS_DEDUPLICATION);
            if !old && inner.order.len() <= MOST / limits::SQS_BATCH {
                break;
            }
            inner.order.remove(&number);
            inner.answers.remove(&key);
        }
    }
}
