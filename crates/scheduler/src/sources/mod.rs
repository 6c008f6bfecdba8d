//! Event source mappings: what is in a source starts functions.
//!
//! Each mapping that is enabled has one task, which sleeps while there is nothing in its source. What it finds becomes
//! events of the synchronous lane: the task waits for what comes of them, so nothing leaves a source before it was
//! processed, whatever dies in between.

mod answer;
mod batch;
mod event;
mod filter;
mod pace;
mod poll;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;
use store::Store;
use store::mapping::Mapping;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

/// How many mappings are read at a time.
const PAGE: usize = 500;

/// How long to wait after the store failed.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

/// A mapping that runs.
struct Running {
    mapping: Mapping,
    /// Dropped when it shall end.
    end: watch::Sender<bool>,
}

/// Runs the mappings of `store` until `stop` becomes true; then waits for the batches that run.
pub async fn run(store: Store, mut stop: watch::Receiver<bool>) {
    let mut changed = store.mappings_changed();
    let mut running: HashMap<Uuid, Running> = HashMap::new();
    let mut tasks = JoinSet::new();
    while !*stop.borrow() {
        changed.mark_unchanged();
        let failed = match enabled(&store) {
            Ok(mappings) => {
                follow(&store, mappings, &mut running, &mut tasks);
                false
            }
            Err(error) => {
                tracing::error!(%error, "cannot read event source mappings");
                true
            }
        };
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            _ = changed.changed() => {}
            () = tokio::time::sleep(PAUSE), if failed => {}
            Some(ended) = tasks.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "an event source mapping broke off");
                    // Whichever it was begins anew.
                    running.retain(|_, one| one.end.receiver_count() > 0);
                }
            }
        }
    }
    running.clear();
    while tasks.join_next().await.is_some() {}
}

/// Starts what is new, and ends what is gone; one that was changed is both.
fn follow(
    store: &Store,
    mappings: Vec<Mapping>,
    running: &mut HashMap<Uuid, Running>,
    tasks: &mut JoinSet<()>,
) {
    running.retain(|_, one| mappings.contains(&one.mapping));
    for mapping in mappings {
        if let Entry::Vacant(free) = running.entry(mapping.uuid) {
            let end = watch::Sender::new(false);
            tasks.spawn(poll::run(store.clone(), mapping.clone(), end.subscribe()));
            free.insert(Running { mapping, end });
        }
    }
}

fn enabled(store: &Store) -> store::Result<Vec<Mapping>> {
    let mut enabled = Vec::new();
    let mut after = String::new();
    loop {
        let page = store.read(|view| view.mappings(&after, PAGE))?;
        let Some(last) = page.last() else { return Ok(enabled) };
        after = last.uuid.to_string();
        enabled.extend(page.into_iter().filter(|mapping| mapping.enabled));
    }
}

/// Returns when the task shall end.
pub(crate) async fn ended(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
