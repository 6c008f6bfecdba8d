//! The durable lane: events in a table, leased to one run at a time, and those that were given up.

use crate::engine::{Store, Tx, View, Wakes};
use crate::{Error, Result};
use bytes::Bytes;
use model::{Event, FunctionArn, FunctionError, Lineage, RequestId, Source, Timestamp};
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// The durable events that are being run by this process, by function.
#[derive(Clone, Debug)]
pub(crate) struct Leases {
    held: Arc<Mutex<HashMap<FunctionArn, HashSet<RequestId>>>>,
    wakes: Arc<Wakes>,
}

impl Leases {
    pub(crate) fn new(wakes: Arc<Wakes>) -> Self {
        Leases { held: Arc::default(), wakes }
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<FunctionArn, HashSet<RequestId>>) -> T) -> T {
        work(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn of(&self, function: &FunctionArn) -> HashSet<RequestId> {
        self.with(|held| held.get(function).cloned().unwrap_or_default())
    }

    fn take(&self, function: &FunctionArn, id: RequestId) -> bool {
        self.with(|held| match held.get_mut(function) {
            Some(held) => held.insert(id),
            None => held.insert(function.clone(), HashSet::from([id])).is_none(),
        })
    }

    fn release(&self, function: &FunctionArn, id: RequestId) {
        self.with(|held| {
            if let Some(of) = held.get_mut(function) {
                of.remove(&id);
                if of.is_empty() {
                    held.remove(function);
                }
            }
        });
    }
}

/// The right to run one durable event. Dropping it without settling hands the event back to the queue.
#[derive(Debug)]
pub struct Lease {
    /// The work.
    pub event: Event,
    leases: Leases,
    gone: bool,
}

impl Lease {
    /// Ends the lease of an event that has been completed or given up: there is nothing to hand back.
    pub fn end(mut self) {
        self.gone = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.release(&self.event.function, self.event.id);
        if !self.gone {
            // A retry that was committed under this lease was invisible until now.
            self.leases.wakes.note_due([(self.event.function.clone(), Timestamp(0))]);
        }
    }
}

/// What [`Store::claim`] found.
#[derive(Debug)]
pub struct Claimed {
    /// Events to run.
    pub leases: Vec<Lease>,
    /// When the next one that nobody runs is due; perhaps it is already.
    pub next: Option<Timestamp>,
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
    #[serde(default, skip_serializing_if = "Lineage::is_empty")]
    lineage: Lineage,
}

impl Store {
    /// Takes up to `limit` durable events of `function` that are due and that nobody runs, oldest first. What it reads
    /// is what is run now and what it takes, never the rest of the backlog.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn claim(&self, function: &FunctionArn, limit: usize) -> Result<Claimed> {
        self.claim_due(function, self.now(), limit)
    }

    /// As [`Store::claim`], of those that were due at `now`.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn claim_due(&self, function: &FunctionArn, now: Timestamp, limit: usize) -> Result<Claimed> {
        let leases = self.leases().clone();
        // Taken before the snapshot: an event that is settled and released meanwhile still stands in it.
        let held = leases.of(function);
        self.read(|view| {
            let mut claimed = Claimed { leases: Vec::new(), next: None };
            let mut statement = view
                .connection()
                .prepare_cached("SELECT due, id FROM event WHERE function = ?1 ORDER BY due, id")?;
            let mut rows = statement.query(params![function.as_str()])?;
            while let Some(row) = rows.next()? {
                let (due, id) = (Timestamp(row.get(0)?), RequestId(Uuid::from_bytes(row.get(1)?)));
                if held.contains(&id) {
                    continue;
                }
                if due > now || claimed.leases.len() >= limit {
                    claimed.next = Some(due);
                    break;
                }
                let event = view.event(id)?;
                if leases.take(function, id) {
                    claimed.leases.push(Lease { event, leases: leases.clone(), gone: false });
                }
            }
            Ok(claimed)
        })
    }

    /// The functions that durable events wait for, each with the time from which on the first of them is due.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn backlog(&self) -> Result<Vec<(FunctionArn, Timestamp)>> {
        // From one function to the next by the index, past all that each has waiting.
        self.read(|view| {
            let mut statement = view.connection().prepare_cached(
                "WITH RECURSIVE waiting (function) AS (SELECT min(function) FROM event UNION ALL
                 SELECT (SELECT min(function) FROM event WHERE function > waiting.function) FROM waiting
                 WHERE waiting.function IS NOT NULL)
                 SELECT function, (SELECT min(due) FROM event WHERE event.function = waiting.function)
                 FROM waiting WHERE function IS NOT NULL",
            )?;
            let mut rows = statement.query([])?;
            let mut backlog = Vec::new();
            while let Some(row) = rows.next()? {
                backlog.push((FunctionArn::from_stored(row.get(0)?), Timestamp(row.get(1)?)));
            }
            Ok(backlog)
        })
    }

    /// The functions whose durable events were submitted, rescheduled or handed back since the last call, with the
    /// earliest time at which one of those is due.
    pub fn take_due(&self) -> HashMap<FunctionArn, Timestamp> {
        std::mem::take(&mut *self.wakes().due.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns when [`Store::take_due`] has something to tell.
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
            lineage: event.lineage.clone(),
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
        self.due.borrow_mut().push((event.function.clone(), event.accepted));
        Ok(())
    }

    /// Settles a durable event that succeeded: it is forgotten. Says whether it was there: one that is not has been
    /// settled before, or its function was deleted, and nothing follows from it.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn complete(&self, id: RequestId) -> Result<bool> {
        let gone = self
            .connection()
            .prepare_cached("DELETE FROM event WHERE id = ?1")?
            .execute(params![id.0.as_bytes()])?;
        Ok(gone > 0)
    }

    /// Settles a failed attempt: `event` waits until `due` and is then attempt number `attempt`.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn retry(&self, event: &Event, attempt: u32, due: Timestamp) -> Result<()> {
        self.connection()
            .prepare_cached("UPDATE event SET attempt = ?2, due = ?3 WHERE id = ?1")?
            .execute(params![event.id.0.as_bytes(), attempt, due.0])?;
        self.due.borrow_mut().push((event.function.clone(), due));
        Ok(())
    }

    /// After the clock was set back: what was due later than `from` is due earlier by `by`, so that what had to wait so
    /// long waits no longer than that.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn set_back(&self, from: Timestamp, by: Duration) -> Result<usize> {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        Ok(self
            .connection()
            .prepare_cached("UPDATE event SET due = due - ?2 WHERE due > ?1")?
            .execute(params![from.0, by])?)
    }

    /// Settles an event that is given up after `attempts` runs: it moves to the failed events. Says whether it was there.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn give_up(&self, id: RequestId, attempts: u32, error: &FunctionError) -> Result<bool> {
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
    fn event(&self, id: RequestId) -> Result<Event> {
        let mut statement = self
            .connection()
            .prepare_cached("SELECT id, function, due, attempt, head, payload FROM event WHERE id = ?1")?;
        let mut rows = statement.query(params![id.0.as_bytes()])?;
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        read_event(row)
    }

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
        lineage: head.lineage,
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

    fn claim(store: &Store, limit: usize) -> Claimed {
        store.claim(&FunctionArn::of("f"), limit).unwrap()
    }

    #[tokio::test]
    async fn a_durable_event_is_leased_once_and_comes_back_when_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        let sent = submit(&store, "{}").await;
        let told = |at| HashMap::from([(FunctionArn::of("f"), at)]);
        // What a write has changed is announced when it has been answered.
        tokio::time::timeout(Duration::from_secs(30), store.events_changed()).await.unwrap();
        assert_eq!(store.take_due(), told(sent.accepted));
        let Claimed { leases, next } = claim(&store, 10);
        assert_eq!(leases.iter().map(|lease| lease.event.clone()).collect::<Vec<_>>(), vec![sent.clone()]);
        assert_eq!(next, None);
        assert!(claim(&store, 10).leases.is_empty());
        assert!(store.take_due().is_empty());
        drop(leases);
        assert_eq!(store.take_due(), told(Timestamp(0)));
        assert_eq!(claim(&store, 0).next, Some(sent.accepted));
        for lease in claim(&store, 10).leases {
            lease.end();
        }
        assert!(store.take_due().is_empty());
    }

    #[tokio::test]
    async fn unsettled_events_are_waiting_again_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        submit(&store, "1").await;
        let claimed = claim(&store, 10);
        assert_eq!(claimed.leases.len(), 1);
        drop((claimed, store));
        let store = Store::open_for_test(dir.path());
        assert_eq!(claim(&store, 10).leases.len(), 1);
    }

    #[tokio::test]
    async fn a_claim_takes_the_oldest_of_its_function_and_the_backlog_names_all() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::new(Timestamp(1_000)));
        let store = Store::open(dir.path(), clock.clone()).unwrap();
        for (name, count) in [("b", 3), ("a", 1), ("c", 2)] {
            for _ in 0..count {
                clock.advance(Duration::from_millis(1));
                let event = Event::new(FunctionArn::of(name), Source::S3, store.now(), Bytes::new());
                store.write(move |tx| tx.submit(&event)).await.unwrap();
            }
        }
        let of = |name, due| (FunctionArn::of(name), Timestamp(due));
        assert_eq!(store.backlog().unwrap(), [of("a", 1_004), of("b", 1_001), of("c", 1_005)]);
        let first = store.claim(&FunctionArn::of("b"), 2).unwrap();
        assert_eq!(
            first.leases.iter().map(|lease| lease.event.accepted.0).collect::<Vec<_>>(),
            [1_001, 1_002]
        );
        assert_eq!(first.next, Some(Timestamp(1_003)));
        let second = store.claim(&FunctionArn::of("b"), 2).unwrap();
        assert_eq!((second.leases.len(), second.next), (1, None));
    }

    #[tokio::test]
    async fn after_the_clock_was_set_back_timers_wait_no_longer_than_they_had_to() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Arc::new(FakeClock::new(Timestamp(10_000)))).unwrap();
        let sent = submit(&store, "{}").await;
        store.write(move |tx| tx.retry(&sent, 1, Timestamp(70_000))).await.unwrap();
        let hour = Duration::from_secs(3_600);
        assert_eq!(store.write(move |tx| tx.set_back(Timestamp(5_000), hour)).await.unwrap(), 1);
        assert_eq!(store.backlog().unwrap()[0].1, Timestamp(70_000 - 3_600_000));
    }

    #[tokio::test]
    async fn a_failed_event_is_retried_when_due_and_then_listed_as_failed() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::new(Timestamp(1_000_000)));
        let store = Store::open(dir.path(), clock.clone()).unwrap();
        let sent = submit(&store, "{}").await;
        let (id, due) = (sent.id, store.now().after(Duration::from_secs(60)));
        store.write(move |tx| tx.retry(&sent, 1, due)).await.unwrap();
        let claimed = claim(&store, 1);
        assert_eq!((claimed.leases.len(), claimed.next), (0, Some(due)));
        clock.advance(Duration::from_secs(60));
        assert_eq!(claim(&store, 1).leases[0].event.attempt, 1);

        let error = FunctionError::of("Runtime.ExitError", "gone".into());
        let given_up = error.clone();
        store.write(move |tx| tx.give_up(id, 3, &given_up)).await.unwrap();
        assert!(claim(&store, 1).leases.is_empty());
        let failed = store.read(|view| view.failed_events(10)).unwrap();
        assert_eq!((failed[0].id, failed[0].attempts, &failed[0].error), (id, 3, &error));
    }
}
