//! One batch of messages: held while its function runs, and then deleted, or left to come back.

use super::PAUSE;
use super::answer::{Failures, failures};
use super::pace::{Pace, Turn};
use bytes::Bytes;
use model::{Event, FunctionArn, Lineage, Outcome, Source, Timestamp, limits};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use store::message::{Deleted, Handle, Message};
use store::queue::{Answer, Unanswered};

/// How long to wait before a batch that found no room is tried again: at first, and at the most.
const REFUSED: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Handles that are written in one transaction.
const CHUNK: usize = 500;

/// A batch that runs.
pub(super) struct Batch {
    pub(super) store: Store,
    /// The queue's ARN.
    pub(super) queue: String,
    pub(super) function: FunctionArn,
    /// Whether the function tells which records failed.
    pub(super) partial: bool,
    /// For how long its messages are hidden at a time.
    pub(super) hold: Duration,
    /// When they shall be visible again if they fail.
    pub(super) back: Timestamp,
    /// The messages, each with its record of the event.
    pub(super) messages: Vec<(Message, Value)>,
    pub(super) pace: Arc<Pace>,
}

/// What is done with messages.
#[derive(Clone, Copy)]
enum Fate {
    Delete,
    Hide(Duration),
    GiveBack,
}

impl Batch {
    /// Runs it to its end: its messages are hidden until it is known what became of them.
    pub(super) async fn run(self, turn: Turn) {
        self.run_parts().await;
        drop(turn);
    }

    async fn run_parts(mut self) {
        let payload = self.payload();
        if payload.len() <= limits::SYNC_PAYLOAD || self.messages.len() == 1 {
            return self.run_one(payload).await;
        }
        // What fits as text may not fit as JSON.
        let messages = self.messages.split_off(self.messages.len() / 2);
        let rest = Batch { messages, ..self.without_messages() };
        tokio::join!(Box::pin(self.run_parts()), Box::pin(rest.run_parts()));
    }

    fn without_messages(&self) -> Self {
        Batch {
            store: self.store.clone(),
            queue: self.queue.clone(),
            function: self.function.clone(),
            partial: self.partial,
            hold: self.hold,
            back: self.back,
            messages: Vec::new(),
            pace: self.pace.clone(),
        }
    }

    fn payload(&self) -> Bytes {
        let records: Vec<&Value> = self.messages.iter().map(|(_, record)| record).collect();
        serde_json::to_vec(&serde_json::json!({ "Records": records })).unwrap_or_default().into()
    }

    async fn run_one(&self, payload: Bytes) {
        let mut holding = tokio::time::interval(self.hold / 3);
        holding.tick().await;
        let running = self.answer(payload);
        tokio::pin!(running);
        let answer = loop {
            tokio::select! {
                answer = &mut running => break answer,
                _ = holding.tick() => self.all(Fate::Hide(self.hold)).await,
            }
        };
        let Some(answer) = answer else { return self.all(Fate::GiveBack).await };
        self.pace.went_well();
        let failed = match &answer.outcome {
            Outcome::Failed(_) => Failures::All,
            Outcome::Succeeded(_) if !self.partial => Failures::None,
            Outcome::Succeeded(payload) => {
                let known: HashSet<String> =
                    self.messages.iter().map(|(message, _)| message.id.to_string()).collect();
                failures(payload, &known)
            }
        };
        let back = Fate::Hide(self.back.since(self.store.now()));
        match failed {
            Failures::None => self.all(Fate::Delete).await,
            Failures::All => self.all(back).await,
            Failures::Some(ids) => {
                let (failed, done): (Vec<&Message>, Vec<&Message>) = self
                    .messages
                    .iter()
                    .map(|(message, _)| message)
                    .partition(|one| ids.contains(&one.id.to_string()));
                self.each(done, Fate::Delete).await;
                self.each(failed, back).await;
            }
        }
    }

    /// What came of the event; none if the platform could not run it. One that finds no room is tried until it does.
    async fn answer(&self, payload: Bytes) -> Option<Answer> {
        let mut pause = REFUSED.0;
        let traces = self.messages.iter().filter_map(|(message, _)| message.head.trace_header());
        let lineage = traces.map(Lineage::of_header).fold(Lineage::default(), Lineage::and);
        loop {
            let event = Event::new(self.function.clone(), Source::Queue, self.store.now(), payload.clone());
            let event = Event { lineage: lineage.clone(), ..event };
            match self.store.sync_lane().submit(event) {
                Ok(ticket) => match ticket.answer().await {
                    Ok(answer) => return Some(answer),
                    Err(Unanswered::Broken) => return None,
                    Err(Unanswered::Throttled(_)) => {}
                },
                Err(_) if self.store.sync_lane().is_closed() => return None,
                Err(_) => {}
            }
            self.pace.was_refused();
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(REFUSED.1);
        }
    }

    async fn all(&self, fate: Fate) {
        self.each(self.messages.iter().map(|(message, _)| message).collect(), fate).await;
    }

    async fn each(&self, messages: Vec<&Message>, fate: Fate) {
        let handles: Vec<Handle> = messages.iter().map(|message| message.handle).collect();
        for chunk in handles.chunks(CHUNK) {
            if let Err(error) = settle(&self.store, &self.queue, chunk.to_vec(), fate).await {
                tracing::error!(queue = %self.queue, %error, "messages of a batch cannot be settled; they come back");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Deletes messages that no filter lets through.
///
/// # Errors
/// Only faults of the store.
pub(super) async fn discard(store: &Store, queue: &str, messages: &[Message]) -> store::Result<()> {
    for chunk in messages.chunks(CHUNK) {
        let handles = chunk.iter().map(|message| message.handle).collect();
        settle(store, queue, handles, Fate::Delete).await?;
    }
    Ok(())
}

async fn settle(store: &Store, queue: &str, handles: Vec<Handle>, fate: Fate) -> store::Result<()> {
    let queue = queue.to_owned();
    store
        .write(move |tx| {
            let Some(queue) = tx.queue(&queue)? else { return Ok(()) };
            for handle in &handles {
                match fate {
                    Fate::Delete if tx.delete_message(&queue, handle)? == Deleted::Expired => {
                        tracing::debug!("a message of a FIFO queue was processed for too long");
                    }
                    Fate::Delete => {}
                    Fate::Hide(time) => drop(tx.change_visibility(&queue, handle, time)?),
                    Fate::GiveBack => tx.give_back(&queue, handle)?,
                }
            }
            Ok(())
        })
        .await
}
