//! `mayfly logs` and `mayfly failed-events`: what the status endpoints say, for people.

use crate::cli;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use model::{FunctionError, Timestamp};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::io::Write;

/// The largest answer that is read, in bytes: a full page of the longest lines.
const ANSWER: usize = 300 << 20;

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

fn run(work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(work) {
        // Whoever reads our output may have seen enough: `mayfly logs f | head`.
        Err(error)
            if error
                .downcast_ref::<std::io::Error>()
                .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) =>
        {
            Ok(())
        }
        result => result,
    }
}

struct Server {
    endpoint: String,
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Server {
    fn new(flags: &cli::Server) -> Self {
        Server {
            endpoint: flags.endpoint.trim_end_matches('/').to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let uri = format!("{}{path}", self.endpoint);
        let uri = uri.parse().with_context(|| format!("the endpoint {} is not a URL", self.endpoint))?;
        let response = self.client.get(uri).await.with_context(|| {
            format!(
                "no server answers at {}; start one with `mayfly serve` or give --endpoint",
                self.endpoint
            )
        })?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER)
            .collect()
            .await
            .map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?
            .to_bytes();
        if !status.is_success() {
            let fault: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            match fault["message"].as_str() {
                Some(message) => bail!("{message}"),
                None => bail!("the server at {} answered {status}", self.endpoint),
            }
        }
        serde_json::from_slice(&body)
            .with_context(|| format!("{} is not a Mayfly server of this version", self.endpoint))
    }
}
