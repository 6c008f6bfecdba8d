//! What functions printed, line by line, with time and request id.

use crate::Result;
use crate::engine::{Store, Tx, View};
use model::Timestamp;
use rusqlite::params;
use serde::Serialize;
use std::time::Duration;
use tokio::sync::watch;

/// How much earlier than it was stored a line may have been written: the longest run, and some time to spare.
const EARLIER: Duration = Duration::from_secs(1_000);

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
        self.records(
            "SELECT seq, time, request, message FROM log WHERE function = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
            function,
            after,
            limit,
        )
    }

    /// Up to `limit` records of `function` before sequence number `before`, newest first.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn log_before(&self, function: &str, before: i64, limit: usize) -> Result<Vec<Record>> {
        self.records(
            "SELECT seq, time, request, message FROM log WHERE function = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3",
            function,
            before,
            limit,
        )
    }

    /// A sequence number behind which all records of `function` lie that were written at `since` or later, and few
    /// others. Records are stored nearly in the order of their times, so that few are looked at.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn log_from(&self, function: &str, since: Timestamp) -> Result<i64> {
        let last = self.log_before(function, i64::MAX, 1)?;
        let (mut low, mut high) = (0, last.first().map_or(0, |record| record.seq));
        while low < high {
            let middle = low + (high - low) / 2;
            match self.log(function, middle, 1)?.first() {
                Some(record) if record.seq <= high && since.since(record.time) > EARLIER => low = record.seq,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    fn records(&self, query: &str, function: &str, place: i64, limit: usize) -> Result<Vec<Record>> {
        let mut statement = self.connection().prepare_cached(query)?;
        let mut rows = statement.query(params![function, place, i64::try_from(limit).unwrap_or(i64::MAX)])?;
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
        let back = store.read(|view| view.log_before("f", i64::MAX, 1)).unwrap();
        assert_eq!(back, all[1..]);
        assert_eq!(store.write(|tx| tx.forget_log(Timestamp(2), 10)).await.unwrap(), 1);
        assert_eq!(store.read(|view| view.log("f", 0, 10)).unwrap(), all[1..]);
    }

    #[tokio::test]
    async fn the_place_of_a_time_has_all_that_came_later_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        let hour = 3_600_000;
        let record =
            |n: i64| Record { seq: 0, time: Timestamp(n), request_id: "r".into(), message: String::new() };
        for n in 0..50 {
            // Every other line was written ten minutes before it was stored.
            let time = n * hour - (n % 2) * 600_000;
            store.write(move |tx| tx.append_log("f", &[record(time)])).await.unwrap();
            store.write(move |tx| tx.append_log("g", &[record(time)])).await.unwrap();
        }
        for since in [0, 1, 7 * hour, 7 * hour + 1, 31 * hour - 600_000, 49 * hour, 60 * hour] {
            let place = store.read(|view| view.log_from("f", Timestamp(since))).unwrap();
            let behind = store.read(|view| view.log("f", place, 100)).unwrap();
            let all = store.read(|view| view.log("f", 0, 100)).unwrap();
            let wanted = |records: &[Record]| records.iter().filter(|record| record.time.0 >= since).count();
            assert_eq!(wanted(&behind), wanted(&all), "{since}");
            assert!(behind.len() <= wanted(&all) + 2, "{since}: {}", behind.len());
        }
        assert_eq!(store.read(|view| view.log_from("none", Timestamp(5))).unwrap(), 0);
    }
}
