//! The log of one run: START, what the function printed, END and REPORT, kept in the store as it grows.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html>

use model::{FunctionSpec, Metering, RequestId, limits};
use sandbox::{Line, Report};
use std::time::Duration;
use store::Store;
use store::log::Record;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long lines gather before they are written while the function still runs.
const GATHER: Duration = Duration::from_millis(200);

/// The log of one run.
pub(crate) struct Journal {
    store: Store,
    function: String,
    id: RequestId,
    memory_mb: u32,
    /// Lines not handed to the store yet.
    rest: Vec<Record>,
    /// The end of all lines so far, cut at [`limits::LOG_TAIL`].
    tail: String,
    write: Option<JoinHandle<store::Result<()>>>,
    next_write: Instant,
}

impl Journal {
    /// The log of the run of event `id`, with its START line.
    pub(crate) fn begin(store: &Store, spec: &FunctionSpec, id: RequestId) -> Self {
        let mut journal = Journal {
            store: store.clone(),
            function: spec.arn.name().to_owned(),
            id,
            memory_mb: spec.memory_mb,
            rest: Vec::new(),
            tail: String::new(),
            write: None,
            next_write: Instant::now() + GATHER,
        };
        journal.note(format!("START RequestId: {id} Version: {}", spec.version));
        journal
    }

    /// Adds a line that the function printed.
    pub(crate) fn line(&mut self, line: Line) {
        self.tail.push_str(&line.text);
        self.tail.push('\n');
        self.cut_tail();
        self.rest.push(Record {
            seq: 0,
            time: line.time,
            request_id: self.id.to_string(),
            message: line.text,
        });
    }

    /// Adds a line of the platform's own.
    pub(crate) fn note(&mut self, text: String) {
        self.line(Line { time: self.store.now(), text });
    }

    /// Adds the END and REPORT lines.
    pub(crate) fn end(&mut self, report: &Report) {
        let id = self.id;
        self.note(format!("END RequestId: {id}"));
        self.note(report_line(id, self.memory_mb, &report.metering, report.exit.status()));
    }

    /// The end of the log so far, at most [`limits::LOG_TAIL`] bytes.
    pub(crate) fn tail(&self) -> String {
        self.tail.clone()
    }

    fn cut_tail(&mut self) {
        if self.tail.len() > limits::LOG_TAIL {
            let mut from = self.tail.len() - limits::LOG_TAIL;
            while !self.tail.is_char_boundary(from) {
                from += 1;
            }
            self.tail.drain(..from);
        }
    }

    /// Hands gathered lines to the store while the function runs; returns when there may be more to do.
    /// Dropping the future loses nothing.
    pub(crate) async fn keep_writing(&mut self) {
        if let Some(write) = &mut self.write {
            let written = write.await;
            self.write = None;
            report_failure(written);
        }
        if self.rest.is_empty() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep_until(self.next_write).await;
        let (store, function, records) =
            (self.store.clone(), self.function.clone(), std::mem::take(&mut self.rest));
        self.write =
            Some(tokio::spawn(
                async move { store.write(move |tx| tx.append_log(&function, &records)).await },
            ));
        self.next_write = Instant::now() + GATHER;
    }

    /// The lines that are not written yet, once those before them are.
    pub(crate) async fn into_rest(mut self) -> Vec<Record> {
        if let Some(write) = self.write.take() {
            report_failure(write.await);
        }
        std::mem::take(&mut self.rest)
    }

    /// Writes all that is left.
    pub(crate) async fn write_rest(self) {
        let (store, function) = (self.store.clone(), self.function.clone());
        let records = self.into_rest().await;
        report_failure(Ok(store.write(move |tx| tx.append_log(&function, &records)).await));
    }
}

/// A log that cannot be written must not fail the function's run, but somebody has to learn of it.
fn report_failure(written: Result<store::Result<()>, tokio::task::JoinError>) {
    match written {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "a function's log lines are lost"),
        Err(error) => tracing::error!(%error, "a function's log lines are lost"),
    }
}

fn report_line(id: RequestId, memory_mb: u32, metering: &Metering, status: Option<&str>) -> String {
    let millis = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
    let mut line = format!(
        "REPORT RequestId: {id}\tDuration: {}\tBilled Duration: {} ms\tMemory Size: {memory_mb} MB\t\
         Max Memory Used: {} MB\tInit Duration: {}\tStart: {}\t",
        millis(metering.duration),
        metering.billed_ms(),
        metering.peak_memory_mb(),
        millis(metering.init),
        metering.start,
    );
    if let Some(status) = status {
        line.push_str(status);
        line.push('\t');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{StartKind, Timestamp};

    #[test]
    fn the_report_line_has_the_fields_of_lambda() {
        let metering = Metering {
            start: StartKind::Cold,
            init: Duration::from_micros(350_250),
            duration: Duration::from_micros(12_340),
            peak_memory: 40 << 20,
            cpu: Duration::ZERO,
        };
        let id = RequestId::new(Timestamp(0));
        assert_eq!(
            report_line(id, 512, &metering, Some("Status: timeout")),
            format!(
                "REPORT RequestId: {id}\tDuration: 12.34 ms\tBilled Duration: 363 ms\tMemory Size: 512 MB\t\
                 Max Memory Used: 40 MB\tInit Duration: 350.25 ms\tStart: cold\tStatus: timeout\t"
            )
        );
    }
}
