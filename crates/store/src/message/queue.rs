//! Queues: one row each.

use crate::engine::{Tx, View};
use crate::{Error, Result};
use model::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What can be set on a queue. Times are in seconds, as in the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// `DelaySeconds`.
    pub delay: u32,
    /// `MaximumMessageSize`, in bytes.
    pub size: u32,
    /// `MessageRetentionPeriod`.
    pub retention: u32,
    /// `ReceiveMessageWaitTimeSeconds`.
    pub wait: u32,
    /// `VisibilityTimeout`.
    pub visibility: u32,
    /// `RedrivePolicy`.
    pub redrive: Option<Redrive>,
    /// `RedriveAllowPolicy`, as it was set.
    pub allow: Option<String>,
    /// `Policy`, as it was set.
    pub policy: Option<String>,
    /// `SqsManagedSseEnabled`.
    pub sse: bool,
    /// `KmsMasterKeyId`.
    pub kms_key: Option<String>,
    /// `KmsDataKeyReusePeriodSeconds`.
    pub kms_reuse: Option<u32>,
    /// What only FIFO queues have.
    pub fifo: Option<Fifo>,
}

/// What only FIFO queues have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fifo {
    /// `ContentBasedDeduplication`.
    pub by_content: bool,
    /// `DeduplicationScope` is `messageGroup`, not `queue`.
    pub by_group: bool,
    /// `FifoThroughputLimit` is `perMessageGroupId`, not `perQueue`.
    pub limit_by_group: bool,
}

/// Where messages go that were received too often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redrive {
    /// The ARN of the dead-letter queue.
    pub target: String,
    /// After how many receptions.
    pub most: u32,
}

/// A queue as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    pub(crate) id: i64,
    pub(crate) bin: i64,
    /// Its ARN.
    pub arn: String,
    /// When it was created.
    pub created: Timestamp,
    /// When its attributes were set last.
    pub modified: Timestamp,
    /// When it was purged last; zero if never.
    pub purged: Timestamp,
    /// Its attributes.
    pub settings: Settings,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl Queue {
    /// Its name: the last part of the ARN.
    pub fn name(&self) -> &str {
        super::queue_name(&self.arn)
    }

    /// Whether it keeps the order within groups.
    pub fn is_fifo(&self) -> bool {
        self.settings.fifo.is_some()
    }
}

/// Which queues to list.
#[derive(Clone, Copy, Debug)]
pub enum Filter<'a> {
    /// Those whose ARNs begin so.
    Prefix(&'a str),
    /// Those whose dead-letter queue has this ARN.
    Target(&'a str),
}

const COLUMNS: &str = "id, bin, arn, created, modified, purged, settings, tags";

impl View<'_> {
    /// The queue with this ARN.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn queue(&self, arn: &str) -> Result<Option<Queue>> {
        let sql = format!("SELECT {COLUMNS} FROM queue WHERE arn = ?1");
        let mut statement = self.connection().prepare_cached(&sql)?;
        statement.query_row([arn], |row| Ok(read(row))).optional()?.transpose()
    }

    /// Up to `limit` queues by ARN, those behind `after`.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn queues(&self, filter: Filter<'_>, after: &str, limit: usize) -> Result<Vec<Queue>> {
        let (condition, value, end) = match filter {
            Filter::Prefix(prefix) => ("arn >= ?1 AND arn < ?2", prefix, format!("{prefix}\u{10ffff}")),
            Filter::Target(target) => ("target = ?1 AND ?2 IS NOT NULL", target, String::new()),
        };
        let sql = format!("SELECT {COLUMNS} FROM queue WHERE {condition} AND arn > ?3 ORDER BY arn LIMIT ?4");
        let mut statement = self.connection().prepare_cached(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![value, end, after, limit])?;
        let mut queues = Vec::new();
        while let Some(row) = rows.next()? {
            queues.push(read(row)?);
        }
        Ok(queues)
    }

    /// When the queue with this ARN was deleted, if that is remembered.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn queue_gone(&self, arn: &str) -> Result<Option<Timestamp>> {
        let mut statement = self.connection().prepare_cached("SELECT at FROM queue_gone WHERE arn = ?1")?;
        Ok(statement.query_row([arn], |row| row.get(0).map(Timestamp)).optional()?)
    }
}

impl Tx<'_> {
    /// Makes a queue. There is none with this ARN.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn create_queue(
        &self,
        arn: &str,
        settings: &Settings,
        tags: &BTreeMap<String, String>,
    ) -> Result<()> {
        let now = self.now().0;
        let target = settings.redrive.as_ref().map(|redrive| &redrive.target);
        let bin = self.new_bin()?;
        self.connection()
            .prepare_cached(
                "INSERT INTO queue (arn, bin, created, modified, purged, target, settings, tags)
                 VALUES (?1, ?2, ?3, ?3, 0, ?4, ?5, ?6)",
            )?
            .execute(params![arn, bin, now, target, encode(settings)?, encode(tags)?])?;
        let id = self.connection().last_insert_rowid();
        self.own(bin, Some(id))?;
        self.connection().prepare_cached("DELETE FROM queue_gone WHERE arn = ?1")?.execute([arn])?;
        Ok(())
    }

    /// Writes the attributes and tags of `queue` as they are now.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn update_queue(&self, queue: &Queue) -> Result<()> {
        let target = queue.settings.redrive.as_ref().map(|redrive| &redrive.target);
        self.connection()
            .prepare_cached(
                "UPDATE queue SET settings = ?2, tags = ?3, target = ?4, modified = ?5, purged = ?6 WHERE id = ?1",
            )?
            .execute(params![
                queue.id,
                encode(&queue.settings)?,
                encode(&queue.tags)?,
                target,
                queue.modified.0,
                queue.purged.0
            ])?;
        Ok(())
    }

    /// Removes a queue; its messages are gone at once.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn delete_queue(&self, queue: &Queue) -> Result<()> {
        self.own(queue.bin, None)?;
        self.connection().prepare_cached("DELETE FROM queue WHERE id = ?1")?.execute([queue.id])?;
        self.connection()
            .prepare_cached("INSERT OR REPLACE INTO queue_gone (arn, at) VALUES (?1, ?2)")?
            .execute(params![queue.arn, self.now().0])?;
        // Whoever waits for its messages learns that there is no such queue.
        self.arrived(queue.bin, usize::MAX);
        Ok(())
    }

    /// Removes all messages of a queue.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn purge_queue(&self, queue: &Queue) -> Result<()> {
        let bin = self.new_bin()?;
        self.own(bin, Some(queue.id))?;
        self.own(queue.bin, None)?;
        self.connection()
            .prepare_cached("UPDATE queue SET bin = ?2, purged = ?3 WHERE id = ?1")?
            .execute(params![queue.id, bin, self.now().0])?;
        // Whoever waits looks into the new bin from now on.
        self.arrived(queue.bin, usize::MAX);
        Ok(())
    }

    fn new_bin(&self) -> Result<i64> {
        self.connection().prepare_cached("INSERT INTO bin (total) VALUES (0)")?.execute([])?;
        Ok(self.connection().last_insert_rowid())
    }

    fn own(&self, bin: i64, queue: Option<i64>) -> Result<()> {
        self.connection()
            .prepare_cached("UPDATE bin SET queue = ?2 WHERE id = ?1")?
            .execute(params![bin, queue])?;
        Ok(())
    }

    /// Counts `change` more messages in `bin`.
    pub(super) fn count(&self, bin: i64, change: i64) -> Result<()> {
        if change != 0 {
            self.connection()
                .prepare_cached("UPDATE bin SET total = total + ?2 WHERE id = ?1")?
                .execute(params![bin, change])?;
        }
        Ok(())
    }
}

fn read(row: &Row<'_>) -> Result<Queue> {
    Ok(Queue {
        id: row.get(0)?,
        bin: row.get(1)?,
        arn: row.get(2)?,
        created: Timestamp(row.get(3)?),
        modified: Timestamp(row.get(4)?),
        purged: Timestamp(row.get(5)?),
        settings: decode(row.get_ref(6)?.as_str().map_err(rusqlite::Error::from)?)?,
        tags: decode(row.get_ref(7)?.as_str().map_err(rusqlite::Error::from)?)?,
    })
}

pub(super) fn encode<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(undecodable)
}

pub(super) fn decode<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T> {
    serde_json::from_str(json).map_err(undecodable)
}

fn undecodable(error: serde_json::Error) -> Error {
    Error::Decode { table: "queue", version: 1, reason: error.to_string() }
}
