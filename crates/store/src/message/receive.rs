//! Receiving: messages become invisible for a while, or go to the dead-letter queue.

use super::queue::decode;
use super::send::sequence;
use super::{Handle, Head, Queue};
use crate::Result;
use crate::engine::{Tx, View};
use model::{Timestamp, limits};
use rusqlite::{OptionalExtension, Row, params};
use std::time::Duration;
use uuid::Uuid;

/// A message that was received.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its id.
    pub id: Uuid,
    /// What it is deleted by.
    pub handle: Handle,
    /// The text.
    pub body: String,
    /// Attributes and the like.
    pub head: Head,
    /// When it was sent.
    pub sent: Timestamp,
    /// When it was received for the first time.
    pub first: Timestamp,
    /// How often it was received.
    pub received: u32,
    /// Its place in a FIFO queue.
    pub sequence: Option<String>,
    /// The queue that it could not be processed from, in a dead-letter queue.
    pub origin: Option<String>,
}

/// What came of receiving.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Received {
    /// The messages.
    pub messages: Vec<Message>,
    /// So many are in flight that no more can be received.
    pub over_limit: bool,
}

/// Whether a queue has something to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Now.
    Now,
    /// Not before then, unless something is sent.
    At(Timestamp),
    /// Not before something is sent.
    Never,
}

/// Rows that one reception looks at beyond those that it returns: expired ones, and those for the dead-letter queue.
const ASIDE: usize = 200;

impl View<'_> {
    /// Whether `queue` has something to receive: one look at an index.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn ready(&self, queue: &Queue) -> Result<Ready> {
        let sql = match queue.is_fifo() {
            true => "SELECT visible FROM message_group WHERE bin = ?1 ORDER BY visible LIMIT 1",
            false => "SELECT visible FROM message WHERE bin = ?1 ORDER BY visible LIMIT 1",
        };
        let mut statement = self.connection().prepare_cached(sql)?;
        let first: Option<i64> = statement.query_row([queue.bin], |row| row.get(0)).optional()?;
        Ok(match first {
            None => Ready::Never,
            Some(at) if at <= self.now().0 => Ready::Now,
            Some(at) => Ready::At(Timestamp(at)),
        })
    }
}

struct Found {
    seq: i64,
    id: Uuid,
    sent: i64,
    received: u32,
    first: Option<i64>,
    group: Option<String>,
    origin: Option<String>,
    head: String,
    body: String,
}

const COLUMNS: &str = "seq, id, sent, received, first, grp, origin, head, body";

fn found(row: &Row<'_>) -> rusqlite::Result<Found> {
    Ok(Found {
        seq: row.get(0)?,
        id: Uuid::from_bytes(row.get(1)?),
        sent: row.get(2)?,
        received: row.get(3)?,
        first: row.get(4)?,
        group: row.get(5)?,
        origin: row.get(6)?,
        head: row.get(7)?,
        body: row.get(8)?,
    })
}

impl Tx<'_> {
    /// Takes up to `most` messages, together at most `bytes` unless one alone is larger, and hides them for `visibility`.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn receive(
        &self,
        queue: &Queue,
        most: usize,
        bytes: usize,
        visibility: Duration,
    ) -> Result<Received> {
        let limit = if queue.is_fifo() { limits::SQS_IN_FLIGHT_FIFO } else { limits::SQS_IN_FLIGHT };
        let room = limit.saturating_sub(self.in_flight_at_most(queue, limit)?);
        if room == 0 {
            return Ok(Received { over_limit: true, ..Received::default() });
        }
        let mut reception = Reception {
            tx: self,
            queue,
            dead_letters: self.dead_letters(queue)?,
            most: most.min(room),
            room: bytes,
            hidden_until: self.now().after(visibility),
            expired: self.now().0 - i64::from(queue.settings.retention) * 1000,
            aside: ASIDE,
            messages: Vec::new(),
        };
        if queue.is_fifo() {
            reception.take_groups()?
        } else {
            reception.take()?
        };
        self.took(queue.bin, reception.messages.len());
        Ok(Received { messages: reception.messages, over_limit: false })
    }

    /// Where messages of `queue` go that were received often enough, and after how many times.
    fn dead_letters(&self, queue: &Queue) -> Result<Option<(Queue, u32)>> {
        let Some(redrive) = &queue.settings.redrive else { return Ok(None) };
        Ok(self.queue(&redrive.target)?.map(|target| (target, redrive.most)))
    }

    /// Moves the message to another queue, where it is visible at once.
    pub(super) fn pass_on(&self, seq: i64, group: Option<&str>, from: &Queue, to: &Queue) -> Result<()> {
        let now = self.now();
        self.connection()
            .prepare_cached("UPDATE message SET bin = ?2, visible = ?3, origin = ?4 WHERE seq = ?1")?
            .execute(params![seq, to.bin, now.0, from.arn])?;
        self.count(from.bin, -1)?;
        self.count(to.bin, 1)?;
        if let Some(group) = group {
            self.regroup(to.bin, group)?;
        }
        self.arrived_at(to.bin, now);
        Ok(())
    }

    pub(super) fn remove(&self, seq: i64, bin: i64) -> Result<()> {
        self.connection().prepare_cached("DELETE FROM message WHERE seq = ?1")?.execute([seq])?;
        self.count(bin, -1)
    }
}

struct Reception<'a, 'b> {
    tx: &'a Tx<'b>,
    queue: &'a Queue,
    dead_letters: Option<(Queue, u32)>,
    most: usize,
    /// Bytes that still fit.
    room: usize,
    hidden_until: Timestamp,
    /// What was sent by then is too old.
    expired: i64,
    aside: usize,
    messages: Vec<Message>,
}

impl Reception<'_, '_> {
    /// Takes from a standard queue.
    fn take(&mut self) -> Result<()> {
        let tx = self.tx;
        let sql = format!(
            "SELECT {COLUMNS} FROM message WHERE bin = ?1 AND visible <= ?2 ORDER BY visible, seq LIMIT ?3"
        );
        while self.messages.len() < self.most && self.aside > 0 {
            let limit = self.most - self.messages.len();
            let rows: Vec<Found> = {
                let mut statement = tx.connection().prepare_cached(&sql)?;
                let rows = statement.query_map(params![self.queue.bin, tx.now().0, limit as i64], found)?;
                rows.collect::<rusqlite::Result<_>>()?
            };
            let (wanted, got) = (limit, rows.len());
            for row in rows {
                if !self.one(row)? {
                    return Ok(());
                }
            }
            if got < wanted {
                break;
            }
        }
        Ok(())
    }

    /// Takes from a FIFO queue: as many as possible of one group, then of the next.
    fn take_groups(&mut self) -> Result<()> {
        let tx = self.tx;
        let sql = format!(
            "SELECT {COLUMNS} FROM message WHERE bin = ?1 AND grp = ?2 AND visible <= ?3 AND seq < coalesce(
                (SELECT seq FROM message WHERE bin = ?1 AND grp = ?2 AND visible > ?3 ORDER BY seq LIMIT 1),
                9223372036854775807) ORDER BY seq LIMIT ?4"
        );
        while self.messages.len() < self.most && self.aside > 0 {
            let groups = tx.groups(self.queue.bin, self.most - self.messages.len())?;
            if groups.is_empty() {
                break;
            }
            for group in groups {
                let limit = self.most - self.messages.len();
                if limit == 0 {
                    return Ok(());
                }
                let rows: Vec<Found> = {
                    let mut statement = tx.connection().prepare_cached(&sql)?;
                    let rows = statement
                        .query_map(params![self.queue.bin, group, tx.now().0, limit as i64], found)?;
                    rows.collect::<rusqlite::Result<_>>()?
                };
                let mut room = true;
                for row in rows {
                    room = self.one(row)?;
                    if !room {
                        break;
                    }
                }
                tx.regroup(self.queue.bin, &group)?;
                if !room {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Receives one message, or puts it aside; says whether there may be room for another one.
    fn one(&mut self, row: Found) -> Result<bool> {
        let (tx, queue) = (self.tx, self.queue);
        if row.sent <= self.expired {
            self.aside = self.aside.saturating_sub(1);
            tx.remove(row.seq, queue.bin)?;
            return Ok(true);
        }
        if let Some((target, most)) = &self.dead_letters
            && row.received >= *most
        {
            self.aside = self.aside.saturating_sub(1);
            tx.pass_on(row.seq, row.group.as_deref(), queue, target)?;
            return Ok(true);
        }
        let size = row.body.len() + row.head.len();
        if size > self.room && !self.messages.is_empty() {
            return Ok(false);
        }
        self.room = self.room.saturating_sub(size);
        let (now, received) = (tx.now(), row.received + 1);
        tx.connection()
            .prepare_cached(
                "UPDATE message SET visible = ?2, received = ?3, taken = ?4, first = coalesce(first, ?4) WHERE seq = ?1",
            )?
            .execute(params![row.seq, self.hidden_until.0, received, now.0])?;
        self.messages.push(Message {
            id: row.id,
            handle: Handle { queue: queue.id, seq: row.seq, received, id: row.id },
            body: row.body,
            head: decode(&row.head)?,
            sent: Timestamp(row.sent),
            first: row.first.map_or(now, Timestamp),
            received,
            sequence: queue.is_fifo().then(|| sequence(row.seq)),
            origin: row.origin,
        });
        if self.hidden_until > now {
            tx.arrived_at(queue.bin, self.hidden_until);
        }
        Ok(true)
    }
}
