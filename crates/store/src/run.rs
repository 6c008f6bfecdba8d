//! What runs of functions cost: one row per run, for people and for the bill.

use crate::engine::{Tx, View};
use crate::{Error, Result};
use model::{Metering, RequestId, Run, RunStatus, StartKind, Timestamp};
use rusqlite::{Row, params};
use std::time::Duration;
use uuid::Uuid;

const COLUMNS: &str = "function, version, request, attempt, ended, status, error, start, queue, init, duration, \
                       memory_mb, peak_memory, cpu, bytes_in, bytes_out";

/// What the runs of one version of a function with one memory size cost together: a line of a bill.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// The function's name.
    pub function: String,
    /// Its version.
    pub version: String,
    /// The memory size in MB.
    pub memory_mb: u32,
    /// How many runs there were.
    pub runs: u64,
    /// The sum of what is billed of each, in milliseconds.
    pub billed_ms: u64,
    /// Processor time.
    pub cpu: Duration,
    /// The length of all events, in bytes.
    pub bytes_in: u64,
    /// The length of all answers, in bytes.
    pub bytes_out: u64,
}

impl Tx<'_> {
    /// Keeps what a run cost.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn append_run(&self, run: &Run) -> Result<()> {
        let metering = &run.metering;
        self.connection()
            .prepare_cached(
                "INSERT INTO run (function, version, request, attempt, ended, status, error, start, queue, init, \
                 duration, billed_ms, memory_mb, peak_memory, cpu, bytes_in, bytes_out) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
            )?
            .execute(params![
                run.function,
                run.version,
                run.request_id.0.as_bytes(),
                run.attempt,
                run.ended.0,
                run.status.name(),
                run.error_type,
                metering.start.name(),
                micros(metering.queue),
                micros(metering.init),
                micros(metering.duration),
                whole(metering.billed_ms()),
                metering.memory_mb,
                whole(metering.peak_memory),
                micros(metering.cpu),
                whole(metering.bytes_in),
                whole(metering.bytes_out),
            ])?;
        Ok(())
    }

    /// Forgets those of the oldest `limit` runs that ended before `before`; says how many they were.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn forget_runs(&self, before: Timestamp, limit: usize) -> Result<usize> {
        Ok(self
            .connection()
            .prepare_cached(
                "DELETE FROM run WHERE ended < ?1 AND seq IN (SELECT seq FROM run ORDER BY seq LIMIT ?2)",
            )?
            .execute(params![before.0, i64::try_from(limit).unwrap_or(i64::MAX)])?)
    }
}

impl View<'_> {
    /// The newest runs, of `function` or of all, at most `limit`; the newest comes first.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn runs(&self, function: Option<&str>, limit: usize) -> Result<Vec<Run>> {
        let (which, order) = match function {
            Some(_) => ("function = ?1", "ended DESC, seq DESC"),
            None => ("?1 IS NULL", "seq DESC"),
        };
        let mut statement = self
            .connection()
            .prepare_cached(&format!("SELECT {COLUMNS} FROM run WHERE {which} ORDER BY {order} LIMIT ?2"))?;
        let mut rows = statement.query(params![function, i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut runs = Vec::new();
        while let Some(row) = rows.next()? {
            runs.push(read_run(row)?);
        }
        Ok(runs)
    }

    /// What the runs that ended at `from` or later and before `to` cost, by function, version and memory size.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn costs(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Cost>> {
        let mut statement = self.connection().prepare_cached(
            "SELECT function, version, memory_mb, count(*), sum(billed_ms), sum(cpu), sum(bytes_in), sum(bytes_out) \
             FROM run WHERE ended >= ?1 AND ended < ?2 GROUP BY function, version, memory_mb ORDER BY 1, 2, 3",
        )?;
        let mut rows = statement.query(params![from.0, to.0])?;
        let mut costs = Vec::new();
        while let Some(row) = rows.next()? {
            let sum = |column| Ok::<_, Error>(unsigned(row.get(column)?));
            costs.push(Cost {
                function: row.get(0)?,
                version: row.get(1)?,
                memory_mb: row.get(2)?,
                runs: sum(3)?,
                billed_ms: sum(4)?,
                cpu: Duration::from_micros(sum(5)?),
                bytes_in: sum(6)?,
                bytes_out: sum(7)?,
            });
        }
        Ok(costs)
    }
}

fn read_run(row: &Row<'_>) -> Result<Run> {
    let number = |column| Ok::<_, Error>(unsigned(row.get(column)?));
    let time = |column| number(column).map(Duration::from_micros);
    let unknown =
        |what: String| Error::Decode { table: "run", version: 2, reason: format!("unknown: {what}") };
    let (status, start): (String, String) = (row.get(5)?, row.get(7)?);
    Ok(Run {
        function: row.get(0)?,
        version: row.get(1)?,
        request_id: RequestId(Uuid::from_bytes(row.get(2)?)),
        attempt: row.get(3)?,
        ended: Timestamp(row.get(4)?),
        status: RunStatus::named(&status).ok_or_else(|| unknown(status))?,
        error_type: row.get(6)?,
        metering: Metering {
            start: StartKind::named(&start).ok_or_else(|| unknown(start))?,
            queue: time(8)?,
            init: time(9)?,
            duration: time(10)?,
            memory_mb: row.get(11)?,
            peak_memory: number(12)?,
            cpu: time(13)?,
            bytes_in: number(14)?,
            bytes_out: number(15)?,
        },
    })
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    fn run(function: &str, ended: i64) -> Run {
        Run {
            function: function.into(),
            version: "$LATEST".into(),
            request_id: RequestId::new(Timestamp(ended)),
            attempt: 1,
            ended: Timestamp(ended),
            status: RunStatus::Error,
            error_type: Some("ValueError".into()),
            metering: Metering {
                queue: Duration::from_micros(1),
                init: Duration::from_micros(2_000),
                duration: Duration::from_micros(3_001),
                memory_mb: 128,
                peak_memory: 5,
                cpu: Duration::from_micros(6),
                bytes_in: 7,
                bytes_out: 8,
                ..Metering::default()
            },
        }
    }

    #[tokio::test]
    async fn runs_are_read_back_summed_and_forgotten_by_age() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        let mut all = [run("f", 10), run("g", 20), run("f", 30)];
        for (run, start) in all.iter_mut().zip([StartKind::Clone, StartKind::Ready, StartKind::Warm]) {
            run.metering.start = start;
        }
        let kept = all.clone();
        store.write(move |tx| kept.iter().try_for_each(|run| tx.append_run(run))).await.unwrap();
        let read =
            |function: Option<&'static str>, limit| store.read(|view| view.runs(function, limit)).unwrap();
        assert_eq!(read(None, 2), [all[2].clone(), all[1].clone()]);
        assert_eq!(read(Some("f"), 10), [all[2].clone(), all[0].clone()]);

        let costs = store.read(|view| view.costs(Timestamp(10), Timestamp(31))).unwrap();
        let sums = |cost: &Cost| (cost.function.clone(), cost.runs, cost.billed_ms, cost.bytes_out);
        assert_eq!(
            costs.iter().map(sums).collect::<Vec<_>>(),
            [("f".into(), 2, 12, 16), ("g".into(), 1, 6, 8)]
        );
        assert_eq!(costs[0].cpu, Duration::from_micros(12));
        assert_eq!(store.read(|view| view.costs(Timestamp(31), Timestamp(99))).unwrap(), []);

        assert_eq!(store.write(|tx| tx.forget_runs(Timestamp(30), 1)).await.unwrap(), 1);
        assert_eq!(store.write(|tx| tx.forget_runs(Timestamp(30), 10)).await.unwrap(), 1);
        assert_eq!(read(None, 10), [all[2].clone()]);
    }
}
