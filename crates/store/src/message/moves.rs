//! Moving messages out of a dead-letter queue, in the background and no faster than asked.

use super::{Filter, Queue};
use crate::Result;
use crate::engine::{Tx, View};
use model::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use uuid::Uuid;

/// A task that moves messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Its id.
    pub id: Uuid,
    /// The ARN of the queue that it empties.
    pub source: String,
    /// Where to; none for where each message came from.
    pub target: Option<String>,
    /// The most messages per second.
    pub rate: Option<u32>,
    /// When it started.
    pub started: Timestamp,
    /// How it stands.
    pub state: MoveState,
    /// How many it has moved.
    pub moved: u64,
    /// How many there were when it started.
    pub total: u64,
    /// Why it failed.
    pub reason: Option<String>,
}

/// How a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveState {
    /// It moves messages.
    Running,
    /// It stops before the next message.
    Cancelling,
    /// It was stopped.
    Cancelled,
    /// There was nothing left to move.
    Completed,
    /// A message had no place to go.
    Failed,
}

const STATES: [(MoveState, &str); 5] = [
    (MoveState::Running, "RUNNING"),
    (MoveState::Cancelling, "CANCELLING"),
    (MoveState::Cancelled, "CANCELLED"),
    (MoveState::Completed, "COMPLETED"),
    (MoveState::Failed, "FAILED"),
];

impl MoveState {
    /// AWS's word for it.
    pub fn as_str(self) -> &'static str {
        STATES.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    /// Whether it has not come to its end.
    pub fn is_active(self) -> bool {
        matches!(self, MoveState::Running | MoveState::Cancelling)
    }
}

const COLUMNS: &str = "id, source, target, rate, started, state, moved, total, reason";

impl View<'_> {
    /// The newest tasks that move messages out of `source`.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn moves(&self, source: &str, limit: usize) -> Result<Vec<Move>> {
        let sql =
            format!("SELECT {COLUMNS} FROM message_move WHERE source = ?1 ORDER BY started DESC LIMIT ?2");
        let mut statement = self.connection().prepare_cached(&sql)?;
        let rows = statement.query_map(params![source, i64::try_from(limit).unwrap_or(i64::MAX)], read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The task with this id.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn message_move(&self, id: Uuid) -> Result<Option<Move>> {
        let sql = format!("SELECT {COLUMNS} FROM message_move WHERE id = ?1");
        let mut statement = self.connection().prepare_cached(&sql)?;
        Ok(statement.query_row([id.as_bytes()], read).optional()?)
    }

    /// The tasks that have not come to their end.
    pub(super) fn active_moves(&self) -> Result<Vec<Move>> {
        let sql = format!("SELECT {COLUMNS} FROM message_move WHERE ended IS NULL LIMIT 1000");
        let mut statement = self.connection().prepare_cached(&sql)?;
        let rows = statement.query_map([], read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Whether `queue` is the dead-letter queue of another one.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn is_dead_letter_queue(&self, queue: &Queue) -> Result<bool> {
        Ok(!self.queues(Filter::Target(&queue.arn), "", 1)?.is_empty())
    }
}

impl Tx<'_> {
    /// Starts to move messages out of `source`.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn start_move(&self, source: &Queue, target: Option<&str>, rate: Option<u32>) -> Result<Uuid> {
        let (id, total) = (Uuid::new_v4(), self.counts(source)?.visible);
        self.connection()
            .prepare_cached(
                "INSERT INTO message_move (id, source, target, rate, started, state, moved, total)
                 VALUES (?1, ?2, ?3, ?4, ?5, 'RUNNING', 0, ?6)",
            )?
            .execute(params![id.as_bytes(), source.arn, target, rate, self.now().0, total as i64])?;
        self.chores.set(true);
        Ok(id)
    }

    /// Writes the state and the progress of a task.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn update_move(&self, task: &Move) -> Result<()> {
        let ended = (!task.state.is_active()).then(|| self.now().0);
        self.connection()
            .prepare_cached(
                "UPDATE message_move SET state = ?2, moved = ?3, ended = ?4, reason = ?5 WHERE id = ?1",
            )?
            .execute(params![
                task.id.as_bytes(),
                task.state.as_str(),
                task.moved as i64,
                ended,
                task.reason
            ])?;
        self.chores.set(true);
        Ok(())
    }

    /// Moves up to `most` messages of a task; the task as it stands then.
    pub(super) fn move_some(&self, id: Uuid, most: usize) -> Result<Option<Move>> {
        let Some(mut task) = self.message_move(id)?.filter(|task| task.state.is_active()) else {
            return Ok(None);
        };
        match self.queue(&task.source)? {
            Some(source) if task.state == MoveState::Running => self.move_from(&source, &mut task, most)?,
            Some(_) => task.state = MoveState::Cancelled,
            None => fail(&mut task, "AWS.SimpleQueueService.NonExistentQueue"),
        }
        self.update_move(&task)?;
        Ok(Some(task))
    }

    fn move_from(&self, source: &Queue, task: &mut Move, most: usize) -> Result<()> {
        type Row = (i64, Option<String>, Option<String>);
        let rows: Vec<Row> = {
            let mut statement = self.connection().prepare_cached(
                "SELECT seq, grp, origin FROM message WHERE bin = ?1 AND visible <= ?2 ORDER BY visible, seq LIMIT ?3",
            )?;
            let rows = statement.query_map(params![source.bin, self.now().0, most as i64], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        if rows.is_empty() {
            task.state = MoveState::Completed;
        }
        for (seq, group, origin) in rows {
            let Some(arn) = task.target.as_deref().or(origin.as_deref()) else {
                fail(task, "CouldNotDetermineMessageSource");
                break;
            };
            let Some(target) = self.queue(arn)? else {
                fail(task, "AWS.SimpleQueueService.NonExistentQueue");
                break;
            };
            self.renew(seq, group.as_deref(), source, &target)?;
            task.moved += 1;
        }
        Ok(())
    }

    /// The message becomes a new one in another queue.
    fn renew(&self, seq: i64, group: Option<&str>, from: &Queue, to: &Queue) -> Result<()> {
        let now = self.now();
        let visible = now.after(std::time::Duration::from_secs(to.settings.delay.into()));
        self.connection()
            .prepare_cached(
                "UPDATE message SET seq = ?2, bin = ?3, id = ?4, visible = ?5, sent = ?6, received = 0, first = NULL,
                 taken = NULL, origin = NULL WHERE seq = ?1",
            )?
            .execute(params![seq, self.next_seq(), to.bin, Uuid::new_v4().as_bytes(), visible.0, now.0])?;
        self.count(from.bin, -1)?;
        self.count(to.bin, 1)?;
        if let Some(group) = group {
            self.regroup(from.bin, group)?;
            self.regroup(to.bin, group)?;
        }
        self.arrived_at(to.bin, visible);
        Ok(())
    }
}

fn fail(task: &mut Move, reason: &str) {
    task.state = MoveState::Failed;
    task.reason = Some(reason.to_owned());
}

fn read(row: &Row<'_>) -> rusqlite::Result<Move> {
    let state: String = row.get(5)?;
    let natural = |value: i64| u64::try_from(value).unwrap_or(0);
    Ok(Move {
        id: Uuid::from_bytes(row.get(0)?),
        source: row.get(1)?,
        target: row.get(2)?,
        rate: row.get(3)?,
        started: Timestamp(row.get(4)?),
        state: STATES.iter().find(|(_, name)| *name == state).map_or(MoveState::Failed, |(state, _)| *state),
        moved: natural(row.get(6)?),
        total: natural(row.get(7)?),
        reason: row.get(8)?,
    })
}
