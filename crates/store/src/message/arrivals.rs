//! Who waits for messages: in memory, woken one by one in the order in which they came.
//!
//! One waiter is woken for each message that becomes visible, and one that was served wakes the next one; so a message
//! never waits while somebody waits for it, and ten thousand waiters cost nothing while there is none. Times at which
//! hidden messages become visible matter only for queues that somebody waits for, and share one timer ([`keep`]).
//!
//! [`keep`]: super::keep

use super::Queue;
use super::receive::Ready;
use crate::engine::{Store, Tx};
use model::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, oneshot};

/// Bins whose number of messages in flight is remembered; beyond, they are counted anew.
const KNOWN: usize = 10_000;

/// Who waits for messages of which bin.
#[derive(Clone, Debug, Default)]
pub struct Arrivals(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    inner: Mutex<Inner>,
    last_seq: AtomicI64,
    /// The earliest of the times changed.
    pub(super) timer: Notify,
    /// There are messages to remove or to move.
    pub(super) chores: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    bins: HashMap<i64, Bin>,
    due: BTreeSet<(Timestamp, i64)>,
    places: u64,
    closed: bool,
    in_flight: HashMap<i64, usize>,
}

#[derive(Debug, Default)]
struct Bin {
    waiting: BTreeMap<u64, oneshot::Sender<()>>,
    due: Option<Timestamp>,
}

impl Inner {
    fn wake(&mut self, bin: i64, mut most: usize) {
        let Some(known) = self.bins.get_mut(&bin) else { return };
        while most > 0
            && let Some((_, waiter)) = known.waiting.pop_first()
        {
            // One that has gone away is no use.
            most -= usize::from(waiter.send(()).is_ok());
        }
        self.tidy(bin);
    }

    fn leave(&mut self, bin: i64, place: u64) {
        if let Some(known) = self.bins.get_mut(&bin) {
            known.waiting.remove(&place);
        }
        self.tidy(bin);
    }

    fn tidy(&mut self, bin: i64) {
        if let Some(known) = self.bins.get(&bin)
            && known.waiting.is_empty()
        {
            if let Some(due) = known.due {
                self.due.remove(&(due, bin));
            }
            self.bins.remove(&bin);
        }
    }

    /// Something of `bin` becomes visible at `at`; whether that is the earliest of all.
    fn expect(&mut self, bin: i64, at: Timestamp) -> bool {
        let Some(known) = self.bins.get_mut(&bin) else { return false };
        if known.due.is_some_and(|due| due <= at) {
            return false;
        }
        if let Some(due) = known.due.replace(at) {
            self.due.remove(&(due, bin));
        }
        self.due.insert((at, bin));
        self.due.first() == Some(&(at, bin))
    }
}

impl Arrivals {
    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.0.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// No message has a number above `seq` yet.
    pub(crate) fn begin_after(&self, seq: i64) {
        self.0.last_seq.store(seq, Ordering::Relaxed);
    }

    /// A number above all that were given before: they grow with the clock, and when it stands still.
    fn next_seq(&self, now: Timestamp) -> i64 {
        let last = self.0.last_seq.load(Ordering::Relaxed);
        let next = (now.0 << 20).max(last + 1);
        self.0.last_seq.store(next, Ordering::Relaxed);
        next
    }

    pub(super) fn expect(&self, bin: i64, at: Timestamp) {
        if self.with(|inner| inner.expect(bin, at)) {
            self.0.timer.notify_one();
        }
    }

    /// Sends everybody away: nobody waits any more.
    pub(super) fn close(&self) {
        self.with(|inner| {
            inner.closed = true;
            inner.bins.clear();
            inner.due.clear();
        });
    }

    /// Tells waiters what a transaction brought.
    pub(crate) fn tell(&self, arrived: &[(i64, Timestamp, usize)], now: Timestamp) {
        for (bin, at, count) in arrived {
            if *at <= now {
                self.with(|inner| inner.wake(*bin, *count));
            } else {
                self.expect(*bin, *at);
            }
        }
    }

    /// Wakes those who wait for what is visible by `now`; when the next one becomes visible.
    pub(super) fn wake_due(&self, now: Timestamp) -> Option<Timestamp> {
        self.with(|inner| {
            while let Some((at, bin)) = inner.due.first().copied() {
                if at > now {
                    return Some(at);
                }
                inner.due.pop_first();
                if let Some(known) = inner.bins.get_mut(&bin) {
                    known.due = None;
                }
                inner.wake(bin, 1);
            }
            None
        })
    }

    pub(super) fn timer(&self) -> &Notify {
        &self.0.timer
    }

    /// There is something for the background to do.
    pub(crate) fn begin_chores(&self) {
        self.0.chores.notify_one();
    }

    pub(super) fn chores(&self) -> &Notify {
        &self.0.chores
    }

    pub(super) fn in_flight(&self, bin: i64) -> Option<usize> {
        self.with(|inner| inner.in_flight.get(&bin).copied())
    }

    pub(super) fn set_in_flight(&self, bin: i64, messages: usize) {
        self.with(|inner| {
            if inner.in_flight.len() >= KNOWN {
                inner.in_flight.clear();
            }
            inner.in_flight.insert(bin, messages);
        });
    }

    pub(super) fn add_in_flight(&self, bin: i64, messages: usize) {
        self.with(|inner| {
            if let Some(known) = inner.in_flight.get_mut(&bin) {
                *known += messages;
            }
        });
    }

    pub(super) fn one_less_in_flight(&self, bin: i64) {
        self.with(|inner| {
            if let Some(known) = inner.in_flight.get_mut(&bin) {
                *known = known.saturating_sub(1);
            }
        });
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.with(|inner| inner.bins.values().map(|bin| bin.waiting.len()).sum())
    }
}

/// A place among those who wait for messages of a queue. Stand in it before looking whether there is something: so
/// nothing is missed in between.
#[derive(Debug)]
pub struct Place {
    arrivals: Arrivals,
    number: u64,
    bin: i64,
    signal: Option<oneshot::Receiver<()>>,
    /// It was woken, and nobody has heard yet whether it was served.
    owes: bool,
}

impl Place {
    /// Stands among those who wait for `queue`: at the same place as before.
    pub fn stand(&mut self, queue: &Queue) {
        self.owes = false;
        if self.signal.is_some() && self.bin == queue.bin {
            return;
        }
        let (waker, signal) = oneshot::channel();
        let (left, number) = (self.bin, self.number);
        self.bin = queue.bin;
        self.signal = Some(signal);
        self.arrivals.with(|inner| {
            inner.leave(left, number);
            if !inner.closed {
                inner.bins.entry(queue.bin).or_default().waiting.insert(number, waker);
            }
        });
    }

    /// Waits until there may be something to receive; `ready` is what was found after standing up. False when the store
    /// closes: there is no use in waiting any more.
    pub async fn woken(&mut self, ready: Ready) -> bool {
        if let Ready::At(at) = ready {
            self.arrivals.expect(self.bin, at);
        }
        if let Some(signal) = &mut self.signal {
            let woken = signal.await.is_ok();
            self.signal = None;
            self.owes = woken;
            return woken;
        }
        true
    }

    /// Leaves with something: the next one looks whether there is more.
    pub fn served(mut self) {
        self.owes = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (bin, number) = (self.bin, self.number);
        // Woken, but not aware of it.
        let missed = self.signal.as_mut().is_some_and(|signal| signal.try_recv().is_ok());
        let owes = self.owes || missed;
        self.arrivals.with(|inner| {
            inner.leave(bin, number);
            if owes {
                inner.wake(bin, 1);
            }
        });
    }
}

impl Store {
    /// A place at the end of those who wait for messages.
    pub fn message_place(&self) -> Place {
        let arrivals = self.arrivals().clone();
        let number = arrivals.with(|inner| {
            inner.places += 1;
            inner.places
        });
        Place { arrivals, number, bin: 0, signal: None, owes: false }
    }
}

impl Tx<'_> {
    /// `count` messages of `bin` can be received now.
    pub(super) fn arrived(&self, bin: i64, count: usize) {
        self.arrived.borrow_mut().push((bin, Timestamp(0), count));
        self.chores.set(true);
    }

    /// A message of `bin` can be received at `at`.
    pub(super) fn arrived_at(&self, bin: i64, at: Timestamp) {
        self.arrived.borrow_mut().push((bin, at, 1));
    }

    pub(super) fn next_seq(&self) -> i64 {
        self.arrivals().next_seq(self.now())
    }
}
