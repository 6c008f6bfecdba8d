//! A model of the store's durable lane: what survives a crash, and the leases, which do not.

use crate::random::Random;
use bytes::Bytes;
use model::{Event, FakeClock, FunctionArn, RequestId, Source, Timestamp};
use scheduler::destination::Follow;
use scheduler::settle::Settlement;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use store::Store;

/// Durable events, in the order in which they are claimed.
#[derive(Default)]
pub(crate) struct Shelf {
    rows: BTreeMap<FunctionArn, BTreeMap<(Timestamp, RequestId), Event>>,
    due: HashMap<RequestId, Timestamp>,
    held: HashSet<RequestId>,
}

impl Shelf {
    pub(crate) fn submit(&mut self, event: &Event) {
        self.put(event.clone(), event.accepted);
    }

    fn put(&mut self, event: Event, due: Timestamp) {
        self.due.insert(event.id, due);
        self.rows.entry(event.function.clone()).or_default().insert((due, event.id), event);
    }

    fn take(&mut self, function: &FunctionArn, id: RequestId) -> Option<Event> {
        let due = self.due.remove(&id)?;
        let rows = self.rows.get_mut(function)?;
        let event = rows.remove(&(due, id));
        if rows.is_empty() {
            self.rows.remove(function);
        }
        event
    }

    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }

    /// As `Store::claim`.
    pub(crate) fn claim(
        &mut self,
        function: &FunctionArn,
        now: Timestamp,
        limit: usize,
    ) -> (Vec<Event>, Option<Timestamp>) {
        let mut claimed = Vec::new();
        for ((due, id), event) in self.rows.get(function).into_iter().flatten() {
            if self.held.contains(id) {
                continue;
            }
            if *due > now || claimed.len() >= limit {
                self.held.extend(claimed.iter().map(|event: &Event| event.id));
                return (claimed, Some(*due));
            }
            claimed.push(event.clone());
        }
        self.held.extend(claimed.iter().map(|event| event.id));
        (claimed, None)
    }

    /// As `Store::backlog`.
    pub(crate) fn backlog(&self) -> Vec<(FunctionArn, Timestamp)> {
        let first = |rows: &BTreeMap<(Timestamp, RequestId), Event>| rows.keys().next().map(|(due, _)| *due);
        self.rows.iter().filter_map(|(function, rows)| Some((function.clone(), first(rows)?))).collect()
    }

    /// As the transaction of `settle::commit`: what follows; and the retry's time, if it is one.
    pub(crate) fn settle(
        &mut self,
        event: &Event,
        settlement: &Settlement,
    ) -> (Vec<Event>, Option<Timestamp>) {
        match settlement {
            Settlement::Retry { attempt, due } => {
                if let Some(row) = self.take(&event.function, event.id) {
                    self.put(Event { attempt: *attempt, ..row }, *due);
                }
                (Vec::new(), Some(*due))
            }
            Settlement::Done(follows) | Settlement::GivenUp { follows, .. } => {
                let was_there = self.take(&event.function, event.id).is_some();
                let events = follows.iter().filter_map(|follow| match follow {
                    Follow::Event(event) if was_there => Some(event.clone()),
                    _ => None,
                });
                let follows: Vec<Event> = events.collect();
                follows.iter().for_each(|follows| self.submit(follows));
                (follows, None)
            }
        }
    }

    /// Ends a lease.
    pub(crate) fn release(&mut self, id: RequestId) {
        self.held.remove(&id);
    }

    /// The program ends: leases do, too.
    pub(crate) fn crash(&mut self) {
        self.held.clear();
    }

    /// As `Tx::set_back`.
    pub(crate) fn set_back(&mut self, from: Timestamp, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap();
        let later: Vec<Event> = self
            .rows
            .values()
            .flatten()
            .filter(|((due, _), _)| *due > from)
            .map(|(_, event)| event.clone())
            .collect();
        for event in later {
            let due = self.due[&event.id];
            self.take(&event.function, event.id);
            self.put(event, Timestamp(due.0 - by));
        }
    }
}

/// Does the same to the model and to the store, and looks for a difference.
pub(crate) fn compare(random: &mut Random) {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(FakeClock::new(Timestamp(1_000_000)));
    let mut store = Store::open(dir.path(), clock.clone()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut shelf = Shelf::default();
    let mut leases = Vec::new();
    for _ in 0..150 {
        clock.advance(Duration::from_millis(random.below(50)));
        let function = FunctionArn::of(&format!("f{}", random.below(4)));
        let now = store.now();
        match random.below(10) {
            0..=3 => {
                let event = Event::new(function, Source::InvokeAsync, now, Bytes::from("{}"));
                shelf.submit(&event);
                runtime.block_on(store.write(move |tx| tx.submit(&event))).unwrap();
            }
            4 | 5 => {
                let limit = random.below(4) as usize;
                let claimed = store.claim(&function, limit).unwrap();
                let (events, next) = shelf.claim(&function, now, limit);
                let found: Vec<Event> = claimed.leases.iter().map(|lease| lease.event.clone()).collect();
                assert_eq!((found, claimed.next), (events, next));
                leases.extend(claimed.leases);
            }
            6 | 7 if !leases.is_empty() => {
                let lease = leases.remove(random.below(leases.len() as u64) as usize);
                let event = lease.event.clone();
                let due = now.after(Duration::from_millis(random.below(200)));
                let settlement = match random.percent(50) {
                    true => Settlement::Done(Vec::new()),
                    false => Settlement::Retry { attempt: event.attempt + 1, due },
                };
                shelf.settle(&event, &settlement);
                runtime
                    .block_on(scheduler::settle::commit(&store, lease, settlement, Vec::new(), None))
                    .unwrap();
                shelf.release(event.id);
            }
            8 if random.percent(20) => {
                leases.clear();
                drop(store);
                store = Store::open(dir.path(), clock.clone()).unwrap();
                shelf.crash();
            }
            _ => {
                assert_eq!(store.backlog().unwrap(), shelf.backlog());
                assert_eq!(store.read(|view| view.durable_events()).unwrap(), shelf.len() as u64);
            }
        }
    }
}
