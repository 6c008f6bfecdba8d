//! Queues against a clock that the tests set.

use super::*;
use crate::{Result, Store};
use model::{FakeClock, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

struct Fixture {
    _dir: tempfile::TempDir,
    clock: Arc<FakeClock>,
    store: Store,
}

fn arn(name: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{name}")
}

fn settings(fifo: bool) -> Settings {
    Settings {
        delay: 0,
        size: 1 << 20,
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

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::new(Timestamp(1_769_860_800_000)));
        let store = Store::open(dir.path(), clock.clone()).unwrap();
        Fixture { _dir: dir, clock, store }
    }

    async fn create(&self, name: &str, settings: Settings) -> Queue {
        let name = arn(name);
        let created = name.clone();
        self.store.write(move |tx| tx.create_queue(&created, &settings, &BTreeMap::new())).await.unwrap();
        self.store.read(|view| view.queue(&name)).unwrap().unwrap()
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&crate::Tx<'_>) -> Result<T> + Send + 'static,
    ) -> T {
        self.store.write(work).await.unwrap()
    }

    async fn send(&self, queue: &Queue, body: &str, group: Option<&str>, dedup: Option<&str>) -> Sent {
        let head = Head { group: group.map(Into::into), dedup: dedup.map(Into::into), ..Head::default() };
        let message = NewMessage { body: body.into(), head, delay: None };
        let queue = queue.clone();
        self.with(move |tx| tx.send(&queue, &message)).await
    }

    async fn receive(&self, queue: &Queue, most: usize) -> Vec<Message> {
        let queue = queue.clone();
        self.with(move |tx| tx.receive(&queue, most, usize::MAX, 30 * SECOND)).await.messages
    }

    async fn delete(&self, queue: &Queue, handle: Handle) -> Deleted {
        let queue = queue.clone();
        self.with(move |tx| tx.delete_message(&queue, &handle)).await
    }

    async fn hide(&self, queue: &Queue, handle: Handle, to: Duration) -> Changed {
        let queue = queue.clone();
        self.with(move |tx| tx.hide(&queue, &handle, to)).await
    }

    async fn change(&self, queue: &Queue, handle: Handle, to: Duration) -> Changed {
        let queue = queue.clone();
        self.with(move |tx| tx.change_visibility(&queue, &handle, to)).await
    }

    fn counts(&self, queue: &Queue) -> (u64, u64, u64) {
        let counts = self.store.read(|view| view.counts(queue)).unwrap();
        (counts.visible, counts.in_flight, counts.delayed)
    }
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body.as_str()).collect()
}

#[tokio::test]
async fn a_message_is_hidden_comes_back_and_is_deleted_by_any_of_its_handles() {
    let f = Fixture::new();
    let queue = f.create("q", settings(false)).await;
    f.send(&queue, "a", None, None).await;
    assert_eq!(f.counts(&queue), (1, 0, 0));
    let first = f.receive(&queue, 10).await.remove(0);
    assert_eq!((first.received, f.counts(&queue)), (1, (0, 1, 0)));
    assert!(f.receive(&queue, 10).await.is_empty());
    let at = f.store.now().after(30 * SECOND);
    assert_eq!(f.store.read(|view| view.ready(&queue)).unwrap(), Ready::At(at));
    f.clock.advance(30 * SECOND);
    let second = f.receive(&queue, 10).await.remove(0);
    assert_eq!((second.received, second.first), (2, first.first));
    assert_ne!(first.handle, second.handle);
    assert_eq!(f.hide(&queue, first.handle, SECOND).await, Changed::Gone);
    assert_eq!(f.change(&queue, first.handle, SECOND).await, Changed::Done);
    assert_eq!(f.hide(&queue, second.handle, Duration::ZERO).await, Changed::Done);
    assert_eq!(f.change(&queue, second.handle, SECOND).await, Changed::NotInFlight);
    let parsed = Handle::parse(&first.handle.to_string()).unwrap();
    assert_eq!(f.delete(&queue, parsed).await, Deleted::Gone);
    assert_eq!(f.delete(&queue, parsed).await, Deleted::Gone);
    assert_eq!(f.counts(&queue), (0, 0, 0));
    let other = f.create("other", settings(false)).await;
    assert_eq!(f.delete(&other, parsed).await, Deleted::Invalid);
    assert_eq!(Handle::parse("AQEBx"), None);
}

#[tokio::test]
async fn a_group_keeps_its_order_and_blocks_no_other() {
    let f = Fixture::new();
    let queue = f.create("q.fifo", settings(true)).await;
    for (body, group) in [("a1", "a"), ("b1", "b"), ("a2", "a"), ("b2", "b")] {
        f.send(&queue, body, Some(group), Some(body)).await;
    }
    let a = f.receive(&queue, 1).await;
    assert_eq!(bodies(&a), ["a1"]);
    assert_eq!(bodies(&f.receive(&queue, 10).await), ["b1", "b2"]);
    assert!(f.receive(&queue, 10).await.is_empty());
    assert_eq!(f.change(&queue, a[0].handle, Duration::ZERO).await, Changed::Done);
    let a = f.receive(&queue, 10).await;
    assert_eq!(bodies(&a), ["a1", "a2"]);
    // One of them is done; the other one still holds its group.
    assert_eq!(f.delete(&queue, a[0].handle).await, Deleted::Gone);
    f.send(&queue, "a3", Some("a"), Some("a3")).await;
    assert!(f.receive(&queue, 10).await.is_empty());
    assert_eq!(f.delete(&queue, a[1].handle).await, Deleted::Gone);
    let a3 = f.receive(&queue, 10).await;
    assert_eq!(bodies(&a3), ["a3"]);
    f.clock.advance(31 * SECOND);
    assert_eq!(f.delete(&queue, a3[0].handle).await, Deleted::Expired);
    assert_eq!(bodies(&f.receive(&queue, 10).await), ["b1", "b2", "a3"]);
}

#[tokio::test]
async fn doubles_are_not_accepted_for_five_minutes() {
    let f = Fixture::new();
    let queue = f.create("q.fifo", settings(true)).await;
    let first = f.send(&queue, "1", Some("a"), Some("x")).await;
    assert_eq!(f.send(&queue, "2", Some("b"), Some("x")).await, first);
    let second = f.send(&queue, "3", Some("a"), Some("y")).await;
    assert!(second.sequence() > first.sequence());
    assert_eq!(second.sequence().len(), 20);
    assert_eq!(f.counts(&queue).0, 2);
    f.clock.advance(301 * SECOND);
    assert_ne!(f.send(&queue, "4", Some("b"), Some("x")).await, first);

    let by_group = Fifo { by_group: true, ..Fifo::default() };
    let queue = f.create("g.fifo", Settings { fifo: Some(by_group), ..settings(true) }).await;
    let first = f.send(&queue, "1", Some("a"), Some("x")).await;
    assert_ne!(f.send(&queue, "2", Some("b"), Some("x")).await, first);
    assert_eq!(f.send(&queue, "3", Some("a"), Some("x")).await, first);
}

#[tokio::test]
async fn poison_goes_to_the_dead_letters_and_back() {
    for fifo in [false, true] {
        let f = Fixture::new();
        let dead = f.create("dead", settings(fifo)).await;
        let redrive = Some(Redrive { target: dead.arn.clone(), most: 2 });
        let queue = f.create("q", Settings { redrive, ..settings(fifo) }).await;
        let group = fifo.then_some("g");
        f.send(&queue, "poison", group, Some("p")).await;
        f.send(&queue, "fine", group, Some("f")).await;
        for _ in 0..2 {
            let got = f.receive(&queue, 1).await;
            assert_eq!(bodies(&got), ["poison"]);
            f.change(&queue, got[0].handle, Duration::ZERO).await;
            // In a standard queue it would be the other's turn.
            if !fifo {
                let other = f.receive(&queue, 2).await;
                let other: Vec<_> = other.iter().filter(|message| message.body == "fine").collect();
                if let Some(other) = other.first() {
                    f.delete(&queue, other.handle).await;
                }
                f.clock.advance(31 * SECOND);
                break;
            }
        }
        let rest = f.receive(&queue, 1).await;
        assert_eq!(bodies(&rest), if fifo { vec!["fine"] } else { vec![] });
        let dead_ones = f.receive(&dead, 1).await;
        assert_eq!(bodies(&dead_ones), ["poison"]);
        assert_eq!(dead_ones[0].origin.as_ref(), Some(&queue.arn));
        assert_eq!((f.counts(&dead).1, f.counts(&queue).0), (1, 0));
        f.change(&dead, dead_ones[0].handle, Duration::ZERO).await;

        let source = dead.clone();
        let id = f.with(move |tx| tx.start_move(&source, None, None)).await;
        f.with(move |tx| tx.move_some(id, 10)).await;
        let task = f.with(move |tx| tx.move_some(id, 10)).await.unwrap();
        assert_eq!((task.state, task.moved, task.total), (MoveState::Completed, 1, 1));
        assert_eq!(f.counts(&dead), (0, 0, 0));
        if !fifo {
            let back = f.receive(&queue, 1).await;
            assert_eq!((bodies(&back), back[0].received), (vec!["poison"], 1));
        }
    }
}

#[tokio::test]
async fn what_is_too_old_or_purged_is_gone() {
    let f = Fixture::new();
    let queue = f.create("q", Settings { retention: 60, ..settings(false) }).await;
    f.send(&queue, "old", None, None).await;
    f.clock.advance(61 * SECOND);
    assert_eq!(f.counts(&queue), (0, 0, 0));
    f.send(&queue, "new", None, None).await;
    assert_eq!(bodies(&f.receive(&queue, 10).await), ["new"]);
    let purged = queue.clone();
    f.with(move |tx| tx.purge_queue(&purged)).await;
    let queue = f.store.read(|view| view.queue(&queue.arn)).unwrap().unwrap();
    assert_eq!(f.counts(&queue), (0, 0, 0));
    f.clock.advance(31 * SECOND);
    assert!(f.receive(&queue, 10).await.is_empty());
}

#[tokio::test]
async fn who_waits_is_woken_in_turn_and_at_once() {
    let f = Fixture::new();
    let queue = f.create("q", settings(false)).await;
    let mut places: Vec<Place> = (0..3).map(|_| f.store.message_place()).collect();
    places.iter_mut().for_each(|place| place.stand(&queue));
    f.send(&queue, "a", None, None).await;
    places[0].woken(Ready::Never).await;
    assert_eq!(f.store.arrivals().waiting(), 2);
    // The first one goes away without having taken anything: the next one hears of it.
    drop(places.remove(0));
    places[0].woken(Ready::Never).await;
    places.remove(0).served();
    places[0].woken(Ready::Never).await;
    places[0].stand(&queue);
    let at = f.store.now().after(SECOND);
    f.store.arrivals().expect(queue.bin, at);
    assert_eq!(f.store.arrivals().wake_due(f.store.now()), Some(at));
    assert_eq!(f.store.arrivals().wake_due(at), None);
    places[0].woken(Ready::Never).await;
    drop(places);
    assert_eq!(f.store.arrivals().waiting(), 0);
}

#[tokio::test]
async fn the_background_empties_wakes_and_moves() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_for_test(dir.path());
    let f = Fixture { _dir: dir, clock: Arc::new(FakeClock::new(Timestamp(0))), store };
    let stop = tokio::sync::watch::Sender::new(false);
    let keeping = tokio::spawn(keep::run(f.store.clone(), stop.subscribe()));
    let queue = f.create("q", Settings { delay: 1, ..settings(false) }).await;
    f.send(&queue, "a", None, None).await;
    let mut place = f.store.message_place();
    place.stand(&queue);
    let ready = f.store.read(|view| view.ready(&queue)).unwrap();
    assert!(matches!(ready, Ready::At(_)));
    tokio::time::timeout(10 * SECOND, place.woken(ready)).await.unwrap();
    assert_eq!(f.store.read(|view| view.ready(&queue)).unwrap(), Ready::Now);
    let gone = queue.clone();
    f.with(move |tx| tx.delete_queue(&gone)).await;
    let rows = || {
        f.store.read(|view| {
            let sql = "SELECT (SELECT count(*) FROM message) + (SELECT count(*) FROM bin)";
            Ok::<i64, crate::Error>(view.connection().query_row(sql, [], |row| row.get(0))?)
        })
    };
    tokio::time::timeout(10 * SECOND, async {
        while rows().unwrap() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    stop.send_replace(true);
    keeping.await.unwrap();
}
