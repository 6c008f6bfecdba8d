//! `mayfly logs` and `mayfly failed-events`: what the status endpoints say, for people.

use crate::cli;
use crate::client::{Server, run};
use anyhow::Result;
use model::{FunctionError, Timestamp};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use std::io::Write;

/// How long the server may hold an answer back while there is nothing new, in seconds.
const WAIT_S: u32 = 20;

#[derive(Deserialize)]
struct Records {
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    seq: i64,
    time: Timestamp,
    request_id: String,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FailedEvents {
    failed_events: Vec<FailedEvent>,
}

#[derive(Deserialize)]
struct FailedEvent {
    id: String,
    function: String,
    failed: Timestamp,
    attempts: u32,
    error: FunctionError,
}

/// Prints a function's log, and goes on printing with `--follow`.
pub(crate) fn main(flags: &cli::Logs) -> Result<()> {
    run(async {
        let server = Server::new(&flags.server);
        let function = utf8_percent_encode(&flags.function, NON_ALPHANUMERIC);
        let mut after = 0;
        let mut wait = 0;
        loop {
            let path = format!("/_mayfly/logs?function={function}&after={after}&wait={wait}");
            let page: Records = server.get(&path).await?;
            let mut out = std::io::stdout().lock();
            for record in &page.records {
                writeln!(out, "{} {} {}", record.time.iso_z(), record.request_id, record.message)?;
            }
            out.flush()?;
            match page.records.last() {
                Some(last) => after = last.seq,
                None if flags.follow => wait = WAIT_S,
                None => return Ok(()),
            }
        }
    })
}

/// Prints the asynchronous events that were given up.
pub(crate) fn failed_events(flags: &cli::FailedEvents) -> Result<()> {
    run(async {
        let page: FailedEvents = Server::new(&flags.server).get("/_mayfly/failed-events").await?;
        let mut out = std::io::stdout().lock();
        for event in page.failed_events {
            writeln!(
                out,
                "{} {} {} attempts={} {}: {}",
                event.failed.iso_z(),
                event.id,
                event.function,
                event.attempts,
                event.error.error_type,
                event.error.error_message
            )?;
        }
        Ok(())
    })
}
