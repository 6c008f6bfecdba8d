//! The durable lane: events in a table, leased to one run at a time, and those that were given up.

use crate::engine::{Store, Tx, View, Wakes};
use crate::{Error, Result};
use bytes::Bytes;
use model::{Event, FunctionArn, FunctionError, RequestId, Source, Timestamp};
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// The durable events that are being run by this process.
#[derive(Clone, Debug)]
pub(crate) struct Leases {
    held: Arc<Mutex<HashSet<RequestId>>>,
    wakes: Arc<Wakes>,
}

impl Leases {
    pub(crate) fn new(wakes: Arc<Wakes>) -> Self {
        Leases { held: Arc::default(), wakes }
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashSet<RequestId>) -> T) -> T {
        work(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The right to run one durable event. Dropping it without settling hands the event back to the queue.
#[derive(Debug)]
pub struct Lease {
    /// The work.
    pub event: Event,
    leases: Leases,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.with(|leases| leases.remove(&self.event.id));
        // A retry that was committed under this lease was invisible until now.
        self.leases.wakes.events.notify_one();
    }
}

/// A durable event that was given up after its last attempt.
#[derive(Clone, Debug, Serialize)]
pub struct FailedEvent {
    /// The event's id.
    pub id: RequestId,
    /// The function it was for.
    pub function: String,
    /// When it was given up.
    pub failed: Timestamp,
    /// How many times it was run.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub error: FunctionError,
}

/// What a durable event needs beside its columns.
#[derive(Serialize, Deserialize)]
struct Head {
    source: Source,
    accepted: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_context: Option<String>,
}

impl Store {
    /// Takes up to `limit` durable events that are due and that nobody runs, oldest first.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn claim(&self, limit: usize) -> Result<Vec<Lease>> {
        let now = self.now();
        let leases = self.leases().clone();
        // Taken before the snapshot: an event that is settled and released meanwhile still stands in it.
        let held = leases.with(|leases| leases.clone());
        self.read(|view| {
            let mut statement = view.connection().prepare_cached(
                "SELECT id, function, due, attempt, head, payload FROM event WHERE due <= ?1 ORDER BY due, id",
            )?;
            let mut rows = statement.query(params![now.0])?;
            let mut claimed = Vec::new();
            while claimed.len() < limit
                && let Some(row) = rows.next()?
            {
                let id = RequestId(Uuid::from_bytes(row.get(0)?));
                if !held.contains(&id) {
                    let event = read_event(row)?;
                    if leases.with(|leases| leases.insert(id)) {
                        claimed.push(Lease { event, leases: leases.clone() });
                    }
                }
            }
            Ok(claimed)
        })
    }

    /// When the next durable event that nobody runs becomes due.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn next_due(&self) -> Result<Option<Timestamp>> {
        let leases = self.leases().clone();
        self.read(|view| {
            let mut statement =
                view.connection().prepare_cached("SELECT id, due FROM event ORDER BY due, id")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let id = RequestId(Uuid::from_bytes(row.get(0)?));
                if !leases.with(|leases| leases.contains(&id)) {
                    return Ok(Some(Timestamp(row.get(1)?)));
                }
            }
            Ok(None)
        })
    }

    /// Returns when durable events were submitted or rescheduled since the last call.
    pub async fn events_changed(&self) {
        self.wakes().events.notified().await;
    }
}

impl Tx<'_> {
    /// Puts `event` into the durable lane: accepted when this transaction commits.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn submit(&self, event: &Event) -> Result<()> {
        let head = Head {
            source: event.source,
            accepted: event.accepted,
            client_context: event.client_context.clone(),
        };
        self.connection()
            .prepare_cached(
                "INSERT INTO event (id, function, due, attempt, head, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                event.id.0.as_bytes(),
                event.function.as_str(),
                event.accepted.0,
                event.attempt,
                encode(&head)?,
                &event.payload[..],
            ])?;
        self.events_changed.set(true);
        Ok(())
    }

    /// Settles a durable event that succeeded: it is forgotten.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn complete(&self, id: RequestId) -> Result<()> {
        self.connection()
            .prepare_cached("DELETE FROM event WHERE id = ?1")?
            .execute(params![id.0.as_bytes()])?;
        Ok(())
    }

    /// Settles a failed attempt: the event waits until `due` and is then attempt number `attempt`.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn retry(&self, id: RequestId, attempt: u32, due: Timestamp) -> Result<()> {
        self.connection()
            .prepare_cached("UPDATE event SET attempt = ?2, due = ?3 WHERE id = ?1")?
            .execute(params![id.0.as_bytes(), attempt, due.0])?;
        self.events_changed.set(true);
        Ok(())
    }

    /// Settles an event that is given up after `attempts` runs: it moves to the failed events.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn give_up(&self, id: RequestId, attempts: u32, error: &FunctionError) -> Result<()> {
        let key = id.0.as_bytes();
        self.connection()
            .prepare_cached(
                "INSERT OR REPLACE INTO failed_event (id, function, failed, attempts, head, payload, error)
                 SELECT id, function, ?2, ?3, head, payload, ?4 FROM event WHERE id = ?1",
            )?
            .execute(params![key, self.now().0, attempts, encode(error)?])?;
        self.complete(id)
    }

    /// Forgets failed events that were given up before `before`.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn forget_failed_events(&self, before: Timestamp) -> Result<usize> {
        Ok(self
            .connection()
            .prepare_cached("DELETE FROM failed_event WHERE failed < ?1")?
            .execute(params![before.0])?)
    }

    /// Forgets the waiting events of a function that is deleted.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn forget_events_of(&self, function: &FunctionArn) -> Result<usize> {
        Ok(self
            .connection()
            .prepare_cached("DELETE FROM event WHERE function = ?1 OR (function > ?2 AND function < ?3)")?
            .execute(params![
                function.as_str(),
                // Its versions and aliases: what begins with its ARN and a colon.
                format!("{function}:"),
                format!("{function};")
            ])?)
    }
}

impl View<'_> {
    /// The newest failed events, at most `limit`.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn failed_events(&self, limit: usize) -> Result<Vec<FailedEvent>> {
        let mut statement = self.connection().prepare_cached(
            "SELECT id, function, failed, attempts, error FROM failed_event ORDER BY failed DESC, id LIMIT ?1",
        )?;
        let mut rows = statement.query(params![i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut failed = Vec::new();
        while let Some(row) = rows.next()? {
            failed.push(FailedEvent {
                id: RequestId(Uuid::from_bytes(row.get(0)?)),
                function: row.get(1)?,
                failed: Timestamp(row.get(2)?),
                attempts: row.get(3)?,
                error: decode("failed_event", &row.get::<_, String>(4)?)?,
            });
        }
        Ok(failed)
    }

    /// How many durable events wait or run.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn durable_events(&self) -> Result<u64> {
        let count: i64 = self
            .connection()
            .prepare_cached("SELECT count(*) FROM event")?
            .query_row([], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

fn read_event(row: &Row<'_>) -> Result<Event> {
    let head: Head = decode("event", &row.get::<_, String>(4)?)?;
    Ok(Event {
        id: RequestId(Uuid::from_bytes(row.get(0)?)),
        function: FunctionArn::from_stored(row.get(1)?),
        source: head.source,
        accepted: head.accepted,
        attempt: row.get(3)?,
        payload: Bytes::from(row.get::<_, Vec<u8>>(5)?),
        client_context: head.client_context,
    })
}

fn encode<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Decode {
        table: "event",
        version: 1,
        reason: error.to_string(),
    })
}

fn decode<'a, T: Deserialize<'a>>(table: &'static str, json: &'a str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| Error::Decode { table, version: 1, reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::FakeClock;
    use std::time::Duration;

    fn event(store: &Store, text: &str) -> Event {
        Event::new(FunctionArn::of("f"), Source::InvokeAsync, store.now(), Bytes::from(text.to_owned()))
    }

    async fn submit(store: &Store, text: &str) -> Event {
        let event = event(store, text);
        let copy = event.clone();
        store.write(move |tx| tx.submit(&copy)).await.unwrap();
        event
    }

    #[tokio::test]
    async fn a_durable_event_is_leased_once_and_comes_back_when_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        let sent = submit(&store, "{}").await;
        let claimed = store.claim(10).unwrap();
        assert_eq!(claimed.iter().map(|lease| lease.event.clone()).collect::<Vec<_>>(), vec![sent.clone()]);
        assert!(store.claim(10).unwrap().is_empty());
        assert_eq!(store.next_due().unwrap(), None);
        drop(claimed);
        assert_eq!(store.next_due().unwrap(), Some(sent.accepted));
        assert_eq!(store.claim(10).unwrap().len(), 1);
    }

    #[tokio::test]
    async fn unsettled_events_are_waiting_again_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        submit(&store, "1").await;
        let claimed = store.claim(10).unwrap();
        assert_eq!(claimed.len(), 1);
        drop(store);
        let store = Store::open_for_test(dir.path());
        assert_eq!(store.claim(10).unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_failed_event_is_retried_when_due_and_then_listed_as_failed() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::new(Timestamp(1_000_000)));
        let store = Store::open(dir.path(), clock.clone()).unwrap();
        let id = submit(&store, "{}").await.id;
        let due = store.now().after(Duration::from_secs(60));
        store.write(move |tx| tx.retry(id, 1, due)).await.unwrap();
        assert!(store.claim(1).unwrap().is_empty());
        assert_eq!(store.next_due().unwrap(), Some(due));
        clock.advance(Duration::from_secs(60));
        assert_eq!(store.claim(1).unwrap()[0].event.attempt, 1);

        let error = FunctionError::of("Runtime.ExitError", "gone".into());
        let given_up = error.clone();
        store.write(move |tx| tx.give_up(id, 3, &given_up)).await.unwrap();
        assert!(store.claim(1).unwrap().is_empty());
        let failed = store.read(|view| view.failed_events(10)).unwrap();
        assert_eq!((failed[0].id, failed[0].attempts, &failed[0].error), (id, 3, &error));
    }
}
