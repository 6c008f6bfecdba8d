//! FIFO queues: groups, of which one is taken from at a time, and doubles that are not accepted twice.
//!
//! A group is a row that says when its first message can be received. While a message of it is in flight that is the
//! time at which the last of those becomes visible again: so a group never blocks another, and only its own failed
//! message holds it.

use super::Sent;
use crate::Result;
use crate::engine::Tx;
use model::{Timestamp, limits};
use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

impl Tx<'_> {
    /// The message that was accepted under `key` within the deduplication interval.
    pub(super) fn double(&self, bin: i64, key: &str) -> Result<Option<Sent>> {
        let now = self.now();
        let mut statement = self
            .connection()
            .prepare_cached("SELECT id, seq FROM message_dedup WHERE bin = ?1 AND key = ?2 AND until > ?3")?;
        let read = |row: &rusqlite::Row<'_>| Ok(Sent { id: Uuid::from_bytes(row.get(0)?), seq: row.get(1)? });
        Ok(statement.query_row(params![bin, key, now.0], read).optional()?)
    }

    /// Remembers `sent` under `key`, and forgets a few that are too old.
    pub(super) fn remember(&self, bin: i64, key: &str, sent: &Sent) -> Result<()> {
        let until = self.now().after(limits::SQS_DEDUPLICATION);
        self.connection()
            .prepare_cached(
                "INSERT OR REPLACE INTO message_dedup (bin, key, until, id, seq) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![bin, key, until.0, sent.id.as_bytes(), sent.seq])?;
        self.forget_doubles(2)
    }

    /// Forgets up to `limit` messages whose doubles may be accepted again.
    pub(super) fn forget_doubles(&self, limit: usize) -> Result<()> {
        self.connection()
            .prepare_cached(
                "DELETE FROM message_dedup WHERE (bin, key) IN
                 (SELECT bin, key FROM message_dedup WHERE until <= ?1 ORDER BY until LIMIT ?2)",
            )?
            .execute(params![self.now().0, i64::try_from(limit).unwrap_or(i64::MAX)])?;
        Ok(())
    }

    /// A message joins its group; the group's time stays if it had messages already.
    pub(super) fn join_group(&self, bin: i64, group: &str, seq: i64, visible: Timestamp) -> Result<()> {
        self.connection()
            .prepare_cached(
                "INSERT OR IGNORE INTO message_group (bin, grp, head, visible) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![bin, group, seq, visible.0])?;
        Ok(())
    }

    /// Up to `limit` groups that can be received from, those that wait longest first.
    pub(super) fn groups(&self, bin: i64, limit: usize) -> Result<Vec<String>> {
        let mut statement = self.connection().prepare_cached(
            "SELECT grp FROM message_group WHERE bin = ?1 AND visible <= ?2 ORDER BY visible, head LIMIT ?3",
        )?;
        let rows = statement
            .query_map(params![bin, self.now().0, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
                row.get(0)
            })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Finds out when `group` can be received from, after its messages changed; whoever waits is told.
    pub(super) fn regroup(&self, bin: i64, group: &str) -> Result<()> {
        let now = self.now();
        // Those in flight were received together, so they are among the first ones.
        let mut statement = self.connection().prepare_cached(
            "SELECT seq, visible, received FROM message WHERE bin = ?1 AND grp = ?2 ORDER BY seq LIMIT ?3",
        )?;
        let mut rows = statement.query(params![bin, group, limits::SQS_BATCH as i64])?;
        let mut head: Option<(i64, i64)> = None;
        let mut flying: Option<i64> = None;
        while let Some(row) = rows.next()? {
            let (seq, visible, received): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            head = head.or(Some((seq, visible)));
            if received > 0 && visible > now.0 {
                flying = flying.max(Some(visible));
            }
        }
        let Some((seq, visible)) = head else {
            self.connection()
                .prepare_cached("DELETE FROM message_group WHERE bin = ?1 AND grp = ?2")?
                .execute(params![bin, group])?;
            return Ok(());
        };
        let visible = Timestamp(flying.unwrap_or(visible));
        self.connection()
            .prepare_cached(
                "INSERT OR REPLACE INTO message_group (bin, grp, head, visible) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![bin, group, seq, visible.0])?;
        self.arrived_at(bin, visible);
        Ok(())
    }
}
