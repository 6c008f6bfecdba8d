//! `mayfly runs`: what runs of functions cost, for people and as JSON.

use crate::cli;
use crate::client::{Server, run};
use anyhow::Result;
use model::{Run, Timestamp};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::io::Write;
use std::time::Duration;

/// A run as the status endpoint and `mayfly runs --json` state it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    function: String,
    version: String,
    request_id: String,
    attempt: u32,
    /// Milliseconds since 1970.
    ended: Timestamp,
    status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error_type: Option<String>,
    start: String,
    queue_ms: f64,
    init_ms: f64,
    duration_ms: f64,
    billed_ms: u64,
    #[serde(rename = "memoryMB")]
    memory_mb: u32,
    peak_memory_bytes: u64,
    cpu_ms: f64,
    bytes_in: u64,
    bytes_out: u64,
}

#[derive(Deserialize)]
struct Page {
    runs: Vec<Row>,
}

impl Row {
    /// What is told of a run.
    pub(crate) fn of(run: &Run) -> Self {
        // Times are whole microseconds: three digits behind the point are all there are.
        let millis = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let metering = &run.metering;
        Row {
            function: run.function.clone(),
            version: run.version.clone(),
            request_id: run.request_id.to_string(),
            attempt: run.attempt,
            ended: run.ended,
            status: run.status.name().to_owned(),
            error_type: run.error_type.clone(),
            start: metering.start.name().to_owned(),
            queue_ms: millis(metering.queue),
            init_ms: millis(metering.init),
            duration_ms: millis(metering.duration),
            billed_ms: metering.billed_ms(),
            memory_mb: metering.memory_mb,
            peak_memory_bytes: metering.peak_memory,
            cpu_ms: millis(metering.cpu),
            bytes_in: metering.bytes_in,
            bytes_out: metering.bytes_out,
        }
    }
}

/// Prints the newest runs.
pub(crate) fn main(flags: &cli::Runs) -> Result<()> {
    run(async {
        let mut path = format!("/_mayfly/runs?limit={}", flags.limit);
        if let Some(function) = &flags.function {
            write!(path, "&function={}", utf8_percent_encode(function, NON_ALPHANUMERIC))?;
        }
        let page: Page = Server::new(&flags.server).get(&path).await?;
        let mut out = std::io::stdout().lock();
        if flags.json {
            for row in &page.runs {
                writeln!(out, "{}", serde_json::to_string(row)?)?;
            }
        } else {
            out.write_all(table(&page.runs).as_bytes())?;
        }
        Ok(())
    })
}

/// The rows below the names of their columns, each column as wide as it has to be.
fn table(rows: &[Row]) -> String {
    const NAMES: [&str; 13] = [
        "ENDED",
        "FUNCTION",
        "REQUEST",
        "STATUS",
        "START",
        "QUEUE MS",
        "INIT MS",
        "DURATION MS",
        "BILLED MS",
        "PEAK/MEMORY MB",
        "CPU MS",
        "IN",
        "OUT",
    ];
    let mut cells = vec![NAMES.map(str::to_owned)];
    cells.extend(rows.iter().map(|row| {
        let status = match &row.error_type {
            Some(error) if row.status == "error" => error.clone(),
            _ => row.status.clone(),
        };
        [
            row.ended.iso_z(),
            row.function.clone(),
            row.request_id.clone(),
            if row.attempt > 0 { format!("{status} (retry {})", row.attempt) } else { status },
            row.start.clone(),
            format!("{:.2}", row.queue_ms),
            format!("{:.2}", row.init_ms),
            format!("{:.2}", row.duration_ms),
            row.billed_ms.to_string(),
            format!("{}/{}", row.peak_memory_bytes.div_ceil(1 << 20), row.memory_mb),
            format!("{:.2}", row.cpu_ms),
            row.bytes_in.to_string(),
            row.bytes_out.to_string(),
        ]
    }));
    crate::table::render(&cells)
}
