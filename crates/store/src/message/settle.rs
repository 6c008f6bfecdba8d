//! What becomes of received messages: deleted, or visible at another time.

use super::{Handle, Queue};
use crate::Result;
use crate::engine::{Tx, View};
use model::{Timestamp, limits};
use rusqlite::{OptionalExtension, params};
use std::time::Duration;
use uuid::Uuid;

/// What came of deleting a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone, perhaps for long.
    Gone,
    /// The handle is of another queue or of no message.
    Invalid,
    /// The message of a FIFO queue is not in flight under this handle any more.
    Expired,
}

/// What came of changing a message's visibility.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is as asked.
    Done,
    /// The handle is of another queue or of no message.
    Invalid,
    /// There is no such message any more, or it was received again since.
    Gone,
    /// Nobody holds it.
    NotInFlight,
    /// It would be in flight for longer than it may.
    TooLong,
}

struct Known {
    visible: Timestamp,
    received: u32,
    taken: Timestamp,
    group: Option<String>,
}

impl View<'_> {
    fn known(&self, queue: &Queue, handle: &Handle) -> Result<Option<Known>> {
        let mut statement = self.connection().prepare_cached(
            "SELECT visible, received, coalesce(taken, 0), grp FROM message WHERE seq = ?1 AND bin = ?2 AND id = ?3",
        )?;
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Known {
                visible: Timestamp(row.get(0)?),
                received: row.get(1)?,
                taken: Timestamp(row.get(2)?),
                group: row.get(3)?,
            })
        };
        let id: Uuid = handle.id;
        Ok(statement.query_row(params![handle.seq, queue.bin, id.as_bytes()], read).optional()?)
    }
}

impl Tx<'_> {
    /// Deletes the message that was received as `handle`.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn delete_message(&self, queue: &Queue, handle: &Handle) -> Result<Deleted> {
        if handle.queue != queue.id {
            return Ok(Deleted::Invalid);
        }
        let Some(known) = self.known(queue, handle)? else { return Ok(Deleted::Gone) };
        let current = known.received == handle.received && known.visible > self.now();
        if queue.is_fifo() && !current {
            return Ok(Deleted::Expired);
        }
        self.remove(handle.seq, queue.bin)?;
        if known.visible > self.now() {
            self.landed(queue.bin);
        }
        if let Some(group) = known.group {
            self.regroup(queue.bin, &group)?;
        }
        Ok(Deleted::Gone)
    }

    /// Gives back a message that was received as `handle` and not looked at: as if it had not been received.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn give_back(&self, queue: &Queue, handle: &Handle) -> Result<()> {
        let known = self.known(queue, handle)?.filter(|known| {
            known.received == handle.received && known.visible > self.now() && handle.queue == queue.id
        });
        let Some(known) = known else { return Ok(()) };
        self.connection()
            .prepare_cached("UPDATE message SET visible = ?2, received = received - 1 WHERE seq = ?1")?
            .execute(params![handle.seq, self.now().0])?;
        self.landed(queue.bin);
        match known.group {
            Some(group) => self.regroup(queue.bin, &group)?,
            None => self.arrived_at(queue.bin, self.now()),
        }
        Ok(())
    }

    /// As [`Tx::change_visibility`], unless the message has been received again since: whoever holds it now keeps it.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn hide(&self, queue: &Queue, handle: &Handle, visibility: Duration) -> Result<Changed> {
        match self.known(queue, handle)? {
            Some(known) if known.received != handle.received => Ok(Changed::Gone),
            _ => self.change_visibility(queue, handle, visibility),
        }
    }

    /// Makes the message that was received as `handle` visible after `visibility` from now. As on AWS, a handle of an
    /// earlier receipt does for a message that is held again, except in a FIFO queue.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn change_visibility(&self, queue: &Queue, handle: &Handle, visibility: Duration) -> Result<Changed> {
        if handle.queue != queue.id {
            return Ok(Changed::Invalid);
        }
        let Some(known) = self.known(queue, handle)? else { return Ok(Changed::Gone) };
        let now = self.now();
        if known.visible <= now {
            return Ok(Changed::NotInFlight);
        }
        if queue.is_fifo() && known.received != handle.received {
            return Ok(Changed::Gone);
        }
        let visible = now.after(visibility);
        if visible.since(known.taken) > limits::SQS_VISIBILITY && !visibility.is_zero() {
            return Ok(Changed::TooLong);
        }
        self.connection()
            .prepare_cached("UPDATE message SET visible = ?2 WHERE seq = ?1")?
            .execute(params![handle.seq, visible.0])?;
        if visibility.is_zero() {
            self.landed(queue.bin);
        }
        match known.group {
            Some(group) => self.regroup(queue.bin, &group)?,
            None => self.arrived_at(queue.bin, visible),
        }
        Ok(Changed::Done)
    }
}
