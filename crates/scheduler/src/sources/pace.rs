//! How many batches of one mapping run at a time: as many as go well.
//!
//! It begins with a few, as AWS does; each batch that ran while there was more makes room for another one, so the number
//! doubles with every round. A batch that found no room halves it.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html>

use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// With how many batches it begins.
const FIRST: usize = 5;

/// The room of one mapping.
#[derive(Debug)]
pub(super) struct Pace {
    most: usize,
    room: AtomicUsize,
    running: AtomicUsize,
    freed: Notify,
}

/// A batch that has room.
#[derive(Debug)]
pub(super) struct Turn(std::sync::Arc<Pace>);

impl Pace {
    /// Room for `most` batches at the most.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        Pace {
            most,
            room: AtomicUsize::new(FIRST.min(most)),
            running: AtomicUsize::default(),
            freed: Notify::new(),
        }
    }

    /// Waits until there is room for one more batch. One caller at a time.
    pub(super) async fn turn(self: &std::sync::Arc<Self>) -> Turn {
        loop {
            if self.running.load(Ordering::Acquire) < self.room.load(Ordering::Acquire) {
                self.running.fetch_add(1, Ordering::AcqRel);
                return Turn(self.clone());
            }
            self.freed.notified().await;
        }
    }

    /// A batch ran.
    pub(super) fn went_well(&self) {
        let grown = |room: usize| (room < self.most).then_some(room + 1);
        let _ = self.room.fetch_update(Ordering::AcqRel, Ordering::Acquire, grown);
    }

    /// A batch found no room.
    pub(super) fn was_refused(&self) {
        let _ = self.room.fetch_update(Ordering::AcqRel, Ordering::Acquire, |room| Some((room / 2).max(1)));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn room_grows_with_success_and_shrinks_with_refusals() {
        let pace = Arc::new(Pace::new(8));
        let mut turns = Vec::new();
        for _ in 0..FIRST {
            turns.push(pace.turn().await);
        }
        let waiting = tokio::spawn({
            let pace = pace.clone();
            async move { pace.turn().await }
        });
        turns.pop();
        let last = waiting.await.unwrap();
        (0..10).for_each(|_| pace.went_well());
        assert_eq!(pace.room.load(Ordering::Acquire), 8);
        (0..10).for_each(|_| pace.was_refused());
        assert_eq!(pace.room.load(Ordering::Acquire), 1);
        drop((last, turns));
        assert_eq!(pace.running.load(Ordering::Acquire), 0);
    }
}
