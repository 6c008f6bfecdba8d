//! What is done about messages in the background, by one task for all queues: waking waiters in time, emptying what was
//! purged or deleted, forgetting what is too old, and moving messages out of dead-letter queues.

use crate::engine::{Store, Tx};
use crate::{Error, Result};
use model::{Timestamp, limits};
use rusqlite::params;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

/// Rows that are removed in one transaction, so that nobody waits for long behind it.
const STEP: usize = 500;

/// Messages that a task without a rate moves in one transaction.
const MOVED: u32 = 100;

/// How often to look for messages that are too old.
const SWEEP: Duration = Duration::from_secs(60);

/// The longest sleep, so that a clock that jumps does no harm.
const NAP: Duration = Duration::from_secs(60);

/// How long to wait after the store failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Looks after all messages until `stop` becomes true.
pub async fn run(store: Store, stop: watch::Receiver<bool>) {
    tokio::join!(wake(&store, stop.clone()), chores(&store, stop.clone()), sweep(&store, stop));
    store.arrivals().close();
}

async fn wake(store: &Store, mut stop: watch::Receiver<bool>) {
    loop {
        let next = store.arrivals().wake_due(store.now());
        // A millisecond more: the time is rounded down.
        let nap = next.map_or(NAP, |at| at.since(store.now()).min(NAP) + Duration::from_millis(1));
        tokio::select! {
            () = tokio::time::sleep(nap), if next.is_some() => {}
            () = store.arrivals().timer().notified() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

async fn chores(store: &Store, mut stop: watch::Receiver<bool>) {
    let mut turns = HashMap::new();
    loop {
        let next = match do_chores(store, &mut turns).await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(%error, "messages could not be removed or moved; that is tried again");
                Some(Instant::now() + PAUSE)
            }
        };
        tokio::select! {
            () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            () = store.arrivals().chores().notified(), if next.is_none() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Does a little of each chore; when to go on, unless something new comes.
async fn do_chores(store: &Store, turns: &mut HashMap<Uuid, Instant>) -> Result<Option<Instant>> {
    let more = store.write(|tx| tx.empty_unowned(STEP)).await?;
    let mut next = more.then(Instant::now);
    let tasks = store.read(|view| view.active_moves())?;
    turns.retain(|id, _| tasks.iter().any(|task| task.id == *id));
    for task in tasks {
        let turn = turns.entry(task.id).or_insert_with(Instant::now);
        if *turn <= Instant::now() {
            let rate = task.rate.unwrap_or(u32::MAX).max(1);
            let most = (rate / 10).clamp(1, MOVED);
            store.write(move |tx| tx.move_some(task.id, most as usize)).await?;
            *turn += task.rate.map_or(Duration::ZERO, |rate| Duration::from_secs(most.into()) / rate.max(1));
            *turn = (*turn).max(Instant::now());
        }
        next = Some(next.map_or(*turn, |next| next.min(*turn)));
    }
    Ok(next)
}

async fn sweep(store: &Store, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(error) = sweep_once(store).await {
            tracing::error!(%error, "old messages could not be removed; that is tried again");
        }
        tokio::select! {
            () = tokio::time::sleep(SWEEP) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Removes messages that are older than their queue keeps them, and what is remembered for too long.
async fn sweep_once(store: &Store) -> Result<()> {
    store.write(|tx| tx.forget_doubles(STEP).and_then(|()| tx.forget_old_records())).await?;
    let reader = store.clone();
    let found = tokio::task::spawn_blocking(move || reader.read(expired)).await;
    for (bin, before) in found.map_err(|_| Error::Closed)?? {
        while store.write(move |tx| tx.remove_sent_by(bin, before, STEP)).await? == STEP {}
    }
    Ok(())
}

/// The bins that have messages older than their queue keeps them, and since when those are too old.
fn expired(view: &crate::View<'_>) -> Result<Vec<(i64, Timestamp)>> {
    let now = view.now().0;
    let mut statement = view.connection().prepare_cached(
        "SELECT bin.id, ?1 - 1000 * json_extract(queue.settings, '$.retention') AS since FROM bin
         JOIN queue ON queue.id = bin.queue WHERE bin.total > 0
         AND (SELECT min(sent) FROM message WHERE message.bin = bin.id) <= since",
    )?;
    let rows = statement.query_map([now], |row| Ok((row.get(0)?, Timestamp(row.get(1)?))))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

impl Tx<'_> {
    /// Removes up to `limit` rows of bins that belong to no queue any more; whether there may be more.
    fn empty_unowned(&self, limit: usize) -> Result<bool> {
        let connection = self.connection();
        let bin: rusqlite::Result<i64> = connection
            .prepare_cached("SELECT id FROM bin WHERE queue IS NULL LIMIT 1")?
            .query_row([], |row| row.get(0));
        let bin = match bin {
            Err(rusqlite::Error::QueryReturnedNoRows) => return Ok(false),
            other => other?,
        };
        let mut removed = 0;
        for sql in [
            "DELETE FROM message WHERE seq IN (SELECT seq FROM message WHERE bin = ?1 LIMIT ?2)",
            "DELETE FROM message_group WHERE bin = ?1 AND grp IN
                (SELECT grp FROM message_group WHERE bin = ?1 LIMIT ?2)",
            "DELETE FROM message_dedup WHERE bin = ?1 AND key IN
                (SELECT key FROM message_dedup WHERE bin = ?1 LIMIT ?2)",
        ] {
            removed += connection.prepare_cached(sql)?.execute(params![bin, limit as i64])?;
        }
        if removed == 0 {
            connection.prepare_cached("DELETE FROM bin WHERE id = ?1")?.execute([bin])?;
        }
        Ok(true)
    }

    /// Removes up to `limit` messages of `bin` that were sent by `before`.
    fn remove_sent_by(&self, bin: i64, before: Timestamp, limit: usize) -> Result<usize> {
        let found: Vec<(i64, Option<String>)> = {
            let mut statement = self.connection().prepare_cached(
                "SELECT seq, grp FROM message WHERE bin = ?1 AND sent <= ?2 ORDER BY sent LIMIT ?3",
            )?;
            let rows = statement
                .query_map(params![bin, before.0, limit as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        for (seq, group) in &found {
            self.remove(*seq, bin)?;
            if let Some(group) = group {
                self.regroup(bin, group)?;
            }
        }
        Ok(found.len())
    }

    /// Forgets deleted queues and ended tasks that nobody asks about any more.
    fn forget_old_records(&self) -> Result<()> {
        let hour_ago = self.now().0 - 3_600_000;
        self.connection().prepare_cached("DELETE FROM queue_gone WHERE at < ?1")?.execute([hour_ago])?;
        let kept = self.now().0 - i64::try_from(limits::SQS_MOVES_KEPT.as_millis()).unwrap_or(i64::MAX);
        self.connection().prepare_cached("DELETE FROM message_move WHERE ended < ?1")?.execute([kept])?;
        Ok(())
    }
}
