//! The task of one mapping of a queue: waits for messages, gathers batches, and lets them run.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>

use super::batch::{Batch, discard};
use super::filter::Filters;
use super::pace::{Pace, Turn};
use super::{PAUSE, ended, event};
use model::limits;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use store::mapping::Mapping;
use store::message::{Message, Place, Ready};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long a message stays hidden beyond the time that its function or its window may take. It is hidden anew while
/// its batch runs.
const SPARE: Duration = Duration::from_secs(5);

/// How long to wait for a queue or a function that is not there.
const ABSENT: Duration = Duration::from_secs(5);

/// What an event has beside the bodies of its messages, at the most, in bytes.
const FRAME: usize = 256 * 1024;

/// Messages taken in one transaction.
const TAKEN: usize = 500;

struct Poller {
    store: Store,
    mapping: Mapping,
    filters: Filters,
    pace: Arc<Pace>,
}

/// Runs `mapping` until `stop`; then lets its batches finish.
pub(super) async fn run(store: Store, mapping: Mapping, mut stop: watch::Receiver<bool>) {
    let most = mapping.concurrency.map_or(limits::CONCURRENCY, |most| most as usize);
    let filters = Filters::new(&mapping.filters);
    let poller = Poller { store, mapping, filters, pace: Arc::new(Pace::new(most)) };
    let mut batches = JoinSet::new();
    loop {
        let gathered = tokio::select! {
            biased;
            () = ended(&mut stop) => break,
            Some(ended) = batches.join_next() => {
                if let Err(error) = ended {
                    let error: tokio::task::JoinError = error;
                    tracing::error!(%error, "a batch of an event source mapping broke off");
                }
                continue;
            }
            turn = poller.pace.turn() => poller.gather(turn, &mut stop).await,
        };
        match gathered {
            Ok(Some((batch, turn))) => drop(batches.spawn(batch.run(turn))),
            Ok(None) => {}
            Err(error) => {
                tracing::error!(mapping = %poller.mapping.uuid, %error, "cannot receive messages");
                tokio::time::sleep(PAUSE).await;
            }
        }
        while batches.try_join_next().is_some() {}
    }
    while batches.join_next().await.is_some() {}
}

/// What one look at the queue brought.
enum Found {
    Messages(Vec<Message>, Hold),
    Nothing(Ready),
    /// The queue or the function is not there.
    Absent,
}

/// For how long messages are hidden, and when they come back if they fail.
#[derive(Clone, Copy)]
struct Hold {
    hold: Duration,
    back: Duration,
}

impl Poller {
    /// Waits for messages and gathers a batch; none if there is nothing to run.
    async fn gather(
        &self,
        turn: Turn,
        stop: &mut watch::Receiver<bool>,
    ) -> store::Result<Option<(Batch, Turn)>> {
        let mut place = self.store.message_place();
        let Some((first, hold)) = self.first(&mut place, stop).await? else { return Ok(None) };
        let back = self.store.now().after(hold.back);
        let mut messages = self.sift(first).await?;
        let deadline = Instant::now() + Duration::from_secs(self.mapping.window.into());
        let batch = self.mapping.batch as usize;
        let size = |messages: &[(Message, serde_json::Value)]| {
            messages.iter().map(|(message, _)| message.body.len()).sum::<usize>()
        };
        while messages.len() < batch
            && size(&messages) < limits::SYNC_PAYLOAD / 2
            && Instant::now() < deadline
            && !*stop.borrow()
        {
            let room = limits::SYNC_PAYLOAD - FRAME - size(&messages);
            let ready = match self.take(&mut place, batch - messages.len(), room).await? {
                Found::Messages(more, _) => {
                    messages.extend(self.sift(more).await?);
                    continue;
                }
                Found::Nothing(ready) => ready,
                Found::Absent => break,
            };
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => break,
                () = ended(stop) => break,
                _ = place.woken(ready) => {}
            }
        }
        // Others may wait for what is left.
        place.served();
        if messages.is_empty() {
            return Ok(None);
        }
        let batch = Batch {
            store: self.store.clone(),
            queue: self.mapping.source.clone(),
            function: self.mapping.function.clone(),
            partial: self.mapping.partial,
            hold: hold.hold,
            back,
            messages,
            pace: self.pace.clone(),
        };
        Ok(Some((batch, turn)))
    }

    /// Waits until there is something, and takes it.
    async fn first(
        &self,
        place: &mut Place,
        stop: &mut watch::Receiver<bool>,
    ) -> store::Result<Option<(Vec<Message>, Hold)>> {
        let room = limits::SYNC_PAYLOAD - FRAME;
        loop {
            match self.take(place, self.mapping.batch as usize, room).await? {
                Found::Messages(messages, hold) => return Ok(Some((messages, hold))),
                Found::Nothing(ready) => tokio::select! {
                    () = ended(stop) => return Ok(None),
                    open = place.woken(ready) => if !open {
                        return Ok(None);
                    },
                },
                Found::Absent => tokio::select! {
                    () = ended(stop) => return Ok(None),
                    () = tokio::time::sleep(ABSENT) => {}
                },
            }
        }
    }

    /// Takes up to `most` messages, `room` bytes of them together.
    async fn take(&self, place: &mut Place, most: usize, room: usize) -> store::Result<Found> {
        let arn = &self.mapping.source;
        let Some(queue) = self.store.read(|view| view.queue(arn))? else { return Ok(Found::Absent) };
        let Some(spec) = self.store.spec(&self.mapping.function)? else { return Ok(Found::Absent) };
        place.stand(&queue);
        match self.store.read(|view| view.ready(&queue))? {
            Ready::Now => {}
            ready => return Ok(Found::Nothing(ready)),
        }
        let visibility = Duration::from_secs(queue.settings.visibility.into());
        let needed = spec.timeout().max(Duration::from_secs(self.mapping.window.into()));
        let hold = Hold { hold: visibility.max(needed) + SPARE, back: visibility };
        let most = if queue.is_fifo() { most.min(limits::SQS_BATCH) } else { most.min(TAKEN) };
        let arn = arn.clone();
        let received = self
            .store
            .write(move |tx| match tx.queue(&arn)? {
                Some(queue) => tx.receive(&queue, most, room, hold.hold),
                None => Ok(store::message::Received::default()),
            })
            .await?;
        if received.over_limit {
            let again = self.store.now().after(Duration::from_millis(200));
            return Ok(Found::Nothing(Ready::At(again)));
        }
        Ok(match received.messages {
            messages if messages.is_empty() => Found::Nothing(self.store.read(|view| view.ready(&queue))?),
            messages => Found::Messages(messages, hold),
        })
    }

    /// The messages that the filters let through; the others are deleted, as AWS does.
    async fn sift(&self, messages: Vec<Message>) -> store::Result<Vec<(Message, serde_json::Value)>> {
        let mut through = Vec::with_capacity(messages.len());
        let mut rest = Vec::new();
        for message in messages {
            let record = event::record(&message, &self.mapping.source);
            if self.filters.allow(&record) {
                through.push((message, record));
            } else {
                rest.push(message);
            }
        }
        discard(&self.store, &self.mapping.source, &rest).await?;
        Ok(through)
    }
}
