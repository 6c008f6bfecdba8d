//! The scrubber: rereads every blob, slowly, and reports what is damaged by its key. How far it has come is on disk, so that
//! servers that never run for long are scrubbed as well.

use super::State;
use super::damage;
use super::error::{Error, Result};
use model::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use store::blob::BlobId;
use store::check::Verdict;
use store::kv::{Stored, Table};
use tokio::sync::watch;

/// How far the scrubber has come, under the key `""`.
const PROGRESS: Table<Progress> = Table::new("s3.scrub");

/// How many blobs are verified between two records of it.
const BATCH: u32 = 64;

/// Of so many damaged blobs the keys are looked for before the pass goes on.
const DAMAGED: usize = 1_000;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Progress {
    /// When the next pass begins; `None` within a pass.
    next: Option<Timestamp>,
    /// The last blob that was verified in this pass.
    after: Option<BlobId>,
    /// What was found damaged in this pass and is not reported yet.
    damaged: HashSet<BlobId>,
}

impl Stored for Progress {}

/// Goes on with the pass, if it is time, at most `rate` bytes in a second; how long it is until the next one.
pub(super) async fn run(
    state: &State,
    rate: u64,
    rest: Duration,
    stop: &watch::Receiver<bool>,
) -> Result<Duration> {
    let mut progress = state.store.read(|view| view.get(&PROGRESS, ""))?.unwrap_or_default();
    if let Some(next) = progress.next {
        let wait = u64::try_from(next.0.saturating_sub(state.store.now().0)).unwrap_or(0);
        let wait = Duration::from_millis(wait);
        // Further away than it was ever set: the clock was set back.
        if !wait.is_zero() && wait <= rest {
            return Ok(wait);
        }
        progress = Progress::default();
    }
    while !*stop.borrow() {
        let after = progress.after;
        let blobs = state.store.read(|view| view.linked_blobs(after, BATCH))?;
        let ended = blobs.is_empty();
        for id in blobs {
            if verify(state, id, rate, stop.clone()).await? {
                progress.damaged.insert(id);
            }
            progress.after = Some(id);
            if *stop.borrow() {
                return Ok(rest);
            }
        }
        if progress.damaged.len() >= DAMAGED || (ended && !progress.damaged.is_empty()) {
            damage::report(&state.store, std::mem::take(&mut progress.damaged)).await?;
        }
        if ended {
            progress = Progress { next: Some(state.store.now().after(rest)), ..Progress::default() };
        }
        let record = progress.clone();
        state
            .store
            .write(move |tx| {
                tx.put(&PROGRESS, "", &record)?;
                Ok::<_, Error>(())
            })
            .await?;
        if ended {
            break;
        }
    }
    Ok(rest)
}

/// Whether a blob is damaged or gone.
async fn verify(state: &State, id: BlobId, rate: u64, stop: watch::Receiver<bool>) -> Result<bool> {
    let store = state.store.clone();
    let verifying = tokio::task::spawn_blocking(move || {
        let (began, mut read) = (Instant::now(), 0);
        store.verify_blob(id, |len| {
            read += len;
            let due = Duration::from_secs_f64(read as f64 / rate.max(1) as f64);
            let mut ahead = due.saturating_sub(began.elapsed());
            while !ahead.is_zero() && !*stop.borrow() {
                let nap = ahead.min(NAP);
                std::thread::sleep(nap);
                ahead -= nap;
            }
            !*stop.borrow()
        })
    });
    let verdict = verifying.await.map_err(|_| Error::Broken("the scrubber panicked"))??;
    Ok(!matches!(verdict, Verdict::Right(_)))
}

/// How long the scrubber sleeps without looking whether the server stops.
const NAP: Duration = Duration::from_millis(50);
