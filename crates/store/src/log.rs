//! What functions printed, line by line, with time and request id.

use crate::Result;
use crate::engine::{Store, Tx, View};
use model::Timestamp;
use rusqlite::params;
use serde::Serialize;
use tokio::sync::watch;

/// One line of a function's log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// Rises with every record of the store; zero before it is stored.
    pub seq: i64,
    /// When the line was written.
    pub time: Timestamp,
    /// The event whose process wrote it.
    pub request_id: String,
    /// The line, without its end.
    pub message: String,
}

impl Tx<'_> {
    /// Appends `records` to the log of the function called `function`.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn append_log(&self, function: &str, records: &[Record]) -> Result<()> {
        let mut insert = self
            .connection()
            .prepare_cached("INSERT INTO log (function, time, request, message) VALUES (?1, ?2, ?3, ?4)")?;
        for record in records {
            let seq = insert.insert(params![function, record.time.0, record.request_id, record.message])?;
            self.last_log.set(seq);
        }
        Ok(())
    }

    /// Forgets those of the oldest `limit` log records that were written before `before`; says how many they were.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn forget_log(&self, before: Timestamp, limit: usize) -> Result<usize> {
        Ok(self
            .connection()
            .prepare_cached(
                "DELETE FROM log WHERE time < ?1 AND seq IN (SELECT seq FROM log ORDER BY seq LIMIT ?2)",
            )?
            .execute(params![before.0, i64::try_from(limit).unwrap_or(i64::MAX)])?)
    }
}

impl View<'_> {
    /// Up to `limit` records of `function` behind sequence number `after`, oldest first.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn log(&self, function: &str, after: i64, limit: usize) -> Result<Vec<Record>> {
        let mut statement = self.connection().prepare_cached(
            "SELECT seq, time, request, message FROM log WHERE function = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
        )?;
        let mut rows = statement.query(params![function, after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut records = Vec::new();
        while let Some(row) = rows.next()? {
            records.push(Record {
                seq: row.get(0)?,
                time: Timestamp(row.get(1)?),
                request_id: row.get(2)?,
                message: row.get(3)?,
            });
        }
        Ok(records)
    }
}

impl Store {
    /// Changes whenever log records are committed.
    pub fn log_grew(&self) -> watch::Receiver<i64> {
        self.wakes().log.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_log_is_read_in_order_from_any_place_and_forgotten_by_age() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        let mut grew = store.log_grew();
        grew.mark_unchanged();
        let record =
            |n: i64| Record { seq: 0, time: Timestamp(n), request_id: "r".into(), message: n.to_string() };
        store.write(move |tx| tx.append_log("f", &[record(1), record(2)])).await.unwrap();
        store.write(move |tx| tx.append_log("g", &[record(3)])).await.unwrap();
        assert!(grew.has_changed().unwrap());
        let all = store.read(|view| view.log("f", 0, 10)).unwrap();
        assert_eq!(all.iter().map(|record| record.message.as_str()).collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(store.read(|view| view.log("f", all[0].seq, 10)).unwrap(), all[1..]);
        assert_eq!(store.write(|tx| tx.forget_log(Timestamp(2), 10)).await.unwrap(), 1);
        assert_eq!(store.read(|view| view.log("f", 0, 10)).unwrap(), all[1..]);
    }
}
