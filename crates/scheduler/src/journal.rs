//! The log of one run: its start, what the function printed, its end, kept in the store as it grows.

use crate::ledger::{Ledger, Page};
use crate::record;
use model::{FunctionSpec, RequestId, Run, limits};
use sandbox::Line;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use store::log::Record;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long lines gather before they are written while the function still runs.
const GATHER: Duration = Duration::from_millis(200);

/// The log of one run.
pub(crate) struct Journal {
    store: Store,
    spec: Arc<FunctionSpec>,
    id: RequestId,
    /// Lines not handed to the store yet.
    rest: Vec<Record>,
    /// The end of all lines so far, cut at [`limits::LOG_TAIL`].
    tail: String,
    write: Option<JoinHandle<store::Result<()>>>,
    next_write: Instant,
}

impl Journal {
    /// The log of the run of event `id`, with its first record.
    pub(crate) fn begin(store: &Store, spec: &Arc<FunctionSpec>, id: RequestId) -> Self {
        let mut journal = Journal {
            store: store.clone(),
            spec: spec.clone(),
            id,
            rest: Vec::new(),
            tail: String::new(),
            write: None,
            next_write: Instant::now() + GATHER,
        };
        if let Some(start) = record::start(spec, id, store.now()) {
            journal.note(start);
        }
        journal
    }

    /// Adds a line, unless it is the function's and below the level that its log is kept from.
    pub(crate) fn line(&mut self, line: Line) {
        if !line.platform && !record::is_kept(&self.spec.logging, &line.text) {
            return;
        }
        self.tail.push_str(&line.text);
        self.tail.push('\n');
        self.cut_tail();
        self.rest.push(Record {
            seq: 0,
            time: line.time,
            request_id: self.id.to_string(),
            message: line.text,
        });
    }

    /// Adds a line of the platform's own.
    pub(crate) fn note(&mut self, text: String) {
        self.line(Line { time: self.store.now(), text, platform: true });
    }

    /// Adds the records of the end of `run`; `status` is what a REPORT line adds after an end without an answer.
    pub(crate) fn end(&mut self, run: &Run, status: Option<&str>) {
        for text in record::end(&self.spec, run, status) {
            self.note(text);
        }
    }

    /// The end of the log so far, at most [`limits::LOG_TAIL`] bytes.
    pub(crate) fn tail(&self) -> String {
        self.tail.clone()
    }

    fn cut_tail(&mut self) {
        if self.tail.len() > limits::LOG_TAIL {
            let mut from = self.tail.len() - limits::LOG_TAIL;
            while !self.tail.is_char_boundary(from) {
                from += 1;
            }
            self.tail.drain(..from);
        }
    }

    /// Hands gathered lines to the store while the function runs; returns when there may be more to do.
    /// Dropping the future loses nothing.
    pub(crate) async fn keep_writing(&mut self) {
        if let Some(write) = &mut self.write {
            let written = write.await;
            self.write = None;
            report_failure(written);
        }
        if self.rest.is_empty() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep_until(self.next_write).await;
        let (store, spec, records) = (self.store.clone(), self.spec.clone(), std::mem::take(&mut self.rest));
        self.write = Some(tokio::spawn(async move {
            store.write(move |tx| tx.append_log(&spec.arn.log_name(), &records)).await
        }));
        self.next_write = Instant::now() + GATHER;
    }

    /// The lines that are not written yet, once those before them are.
    pub(crate) async fn into_rest(mut self) -> Vec<Record> {
        if let Some(write) = self.write.take() {
            report_failure(write.await);
        }
        std::mem::take(&mut self.rest)
    }

    /// Hands all that is left to `ledger`, and what the run cost, if it was one.
    pub(crate) async fn write_rest(self, ledger: &Ledger, run: Option<Run>) {
        let log = self.spec.arn.log_name();
        let lines = self.into_rest().await;
        ledger.keep(Page { log, lines, run }).await;
    }
}

/// A log that cannot be written must not fail the function's run, but somebody has to learn of it.
fn report_failure(written: Result<store::Result<()>, tokio::task::JoinError>) {
    match written {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "a function's log lines are lost"),
        Err(error) => tracing::error!(%error, "a function's log lines are lost"),
    }
}
