//! What is kept of runs whose callers have their answers already: gathered for a moment, then written in one transaction.
//!
//! A commit costs more than all that is told of a run; many runs share one.

use model::Run;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use store::Store;
use store::log::Record;
use tokio::sync::{Notify, watch};

/// How long what is told of runs gathers.
const GATHER: Duration = Duration::from_millis(20);

/// Of so many runs it is written at once.
const RUNS: usize = 512;

/// Of one run, so many bytes of log gather; more are written at once, and the run waits for that.
const BYTES: usize = 16 * 1024;

/// The end of one run: its log's last lines, and what it cost.
pub(crate) struct Page {
    /// The log's name.
    pub(crate) log: String,
    pub(crate) lines: Vec<Record>,
    pub(crate) run: Option<Run>,
}

impl Page {
    fn is_long(&self) -> bool {
        self.lines.iter().map(|line| line.message.len()).sum::<usize>() > BYTES
    }
}

/// The pages that are not written yet.
pub(crate) struct Ledger {
    store: Store,
    waiting: Mutex<Vec<Page>>,
    begun: Notify,
    full: Notify,
}

impl Ledger {
    pub(crate) fn new(store: Store) -> Self {
        Ledger { store, waiting: Mutex::default(), begun: Notify::new(), full: Notify::new() }
    }

    /// Keeps `page`: soon, or before it returns if there is much of it or much that waits.
    pub(crate) async fn keep(&self, page: Page) {
        let pages = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let long = page.is_long();
            waiting.push(page);
            match waiting.len() {
                _ if long => std::mem::take(&mut *waiting),
                1 => {
                    self.begun.notify_one();
                    return;
                }
                count if count < RUNS => return,
                RUNS => {
                    self.full.notify_one();
                    return;
                }
                // Whoever writes does not keep up: those that come now wait for the disk themselves.
                count if count > 2 * RUNS => std::mem::take(&mut *waiting),
                _ => return,
            }
        };
        self.write(pages).await;
    }

    /// Writes what gathers, until `stop` becomes true. What is kept later waits for [`Ledger::write_rest`].
    pub(crate) async fn write_until(&self, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = self.begun.notified() => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            tokio::select! {
                () = self.full.notified() => {}
                () = tokio::time::sleep(GATHER) => {}
            }
            self.write_rest().await;
        }
    }

    /// Writes all that waits.
    pub(crate) async fn write_rest(&self) {
        let pages = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.write(pages).await;
    }

    /// A log that cannot be written must not fail a run that is over, but somebody has to learn of it.
    async fn write(&self, pages: Vec<Page>) {
        if pages.is_empty() {
            return;
        }
        let runs: Vec<_> = pages.iter().filter_map(|page| page.run.clone()).collect();
        let written = self.store.write(move |tx| {
            pages.iter().try_for_each(|page| {
                tx.append_log(&page.log, &page.lines)?;
                page.run.iter().try_for_each(|run| tx.append_run(run))
            })
        });
        if let Err::<_, store::Error>(error) = written.await {
            for run in runs {
                tracing::error!(?run, "a run is missing from the bill");
            }
            tracing::error!(%error, "log lines of functions are lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{SystemClock, Timestamp};
    use std::sync::Arc;

    fn page(text: &str) -> Page {
        let line = Record { seq: 0, time: Timestamp(0), request_id: "r".into(), message: text.to_owned() };
        Page { log: "f".into(), lines: vec![line], run: None }
    }

    fn lines(store: &Store) -> Vec<String> {
        store.read(|view| view.log("f", 0, 10_000)).unwrap().into_iter().map(|line| line.message).collect()
    }

    #[tokio::test]
    async fn pages_gather_and_are_written_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Arc::new(SystemClock)).unwrap();
        let (stop, stopped) = watch::channel(false);
        let ledger = Arc::new(Ledger::new(store.clone()));
        let mut grew = store.log_grew();
        grew.mark_unchanged();
        ledger.keep(page("1")).await;
        ledger.keep(page("2")).await;
        assert!(lines(&store).is_empty());
        let writing = tokio::spawn({
            let ledger = ledger.clone();
            async move { ledger.write_until(stopped).await }
        });
        grew.changed().await.unwrap();
        assert_eq!(lines(&store), ["1", "2"]);
        stop.send_replace(true);
        writing.await.unwrap();
        ledger.keep(page("3")).await;
        ledger.write_rest().await;
        assert_eq!(lines(&store), ["1", "2", "3"]);
    }

    #[tokio::test]
    async fn much_is_written_before_the_run_ends() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Arc::new(SystemClock)).unwrap();
        let ledger = Ledger::new(store.clone());
        ledger.keep(page("short")).await;
        ledger.keep(page(&"long".repeat(BYTES))).await;
        assert_eq!(lines(&store).len(), 2);
        // Nobody writes them, and still there are never more than so many.
        for _ in 0..=2 * RUNS {
            ledger.keep(page("short")).await;
        }
        assert_eq!(lines(&store).len(), 2 + 2 * RUNS + 1);
    }
}
