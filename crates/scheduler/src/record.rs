//! The platform's own records in a function's log: START, END and REPORT, or their JSON form.
//!
//! Sources: <https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html>, and for the levels
//! <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>. What AWS does not measure
//! stands behind what it does.

use model::{
    FunctionSpec, LogFormat, LogLevel, Logging, Metering, RequestId, Run, RunStatus, StartKind, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

/// What the log says when the event is handed to a process.
pub(crate) fn start(spec: &FunctionSpec, id: RequestId, now: Timestamp) -> Option<String> {
    match spec.logging.format {
        LogFormat::Text => Some(format!("START RequestId: {id} Version: {}", spec.version)),
        LogFormat::Json => {
            let record = Started { request_id: id, version: &spec.version };
            json(spec, LogLevel::Info, now, "platform.start", &record)
        }
    }
}

/// What it says at the end of `run`; `status` is what Lambda adds to a REPORT line after an end without an answer.
pub(crate) fn end(spec: &FunctionSpec, run: &Run, status: Option<&str>) -> Vec<String> {
    let id = run.request_id;
    match spec.logging.format {
        LogFormat::Text => {
            vec![format!("END RequestId: {id}"), report_line(id, &run.metering, status)]
        }
        LogFormat::Json => {
            let failed = run.status != RunStatus::Success;
            let level = |success| if failed { LogLevel::Warn } else { success };
            let done = ended(run, Handled::of(&run.metering));
            let report = ended(run, Metrics::of(&run.metering));
            let done = json(spec, level(LogLevel::Debug), run.ended, "platform.runtimeDone", &done);
            let report = json(spec, level(LogLevel::Info), run.ended, "platform.report", &report);
            done.into_iter().chain(report).collect()
        }
    }
}

/// Whether a line that a function printed is kept: with JSON, one below the application level is not. What does not
/// name its level has the level INFO.
pub(crate) fn is_kept(logging: &Logging, line: &str) -> bool {
    logging.format == LogFormat::Text
        || logging.application_level == LogLevel::Trace
        || level_of(line).unwrap_or(LogLevel::Info) >= logging.application_level
}

/// The level that a JSON object names, in the words of any language.
fn level_of(line: &str) -> Option<LogLevel> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        level: Cow<'a, str>,
    }
    if !line.starts_with('{') {
        return None;
    }
    let named: Named<'_> = serde_json::from_str(line).ok()?;
    Some(match named.level.to_ascii_uppercase().as_str() {
        "TRACE" => LogLevel::Trace,
        "DEBUG" => LogLevel::Debug,
        "INFO" => LogLevel::Info,
        "WARN" | "WARNING" => LogLevel::Warn,
        "ERROR" => LogLevel::Error,
        "FATAL" | "CRITICAL" => LogLevel::Fatal,
        _ => return None,
    })
}

fn report_line(id: RequestId, metering: &Metering, status: Option<&str>) -> String {
    let millis = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
    // As in Lambda, there is no such field where nothing was initialised for the event.
    let init = match metering.start {
        StartKind::Cold => format!("Init Duration: {}\t", millis(metering.init)),
        _ => String::new(),
    };
    let mut line = format!(
        "REPORT RequestId: {id}\tDuration: {}\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory Used: {} MB\t\
         {init}Start: {}\tQueue Duration: {}\tCPU Time: {}\tBytes In: {}\tBytes Out: {}\t",
        millis(metering.duration),
        metering.billed_ms(),
        metering.memory_mb,
        metering.peak_memory_mb(),
        metering.start,
        millis(metering.queue),
        millis(metering.cpu),
        metering.bytes_in,
        metering.bytes_out,
    );
    if let Some(status) = status {
        line.push_str(status);
        line.push('\t');
    }
    line
}

/// A record of this kind, if the function's log has records of its level.
fn json(
    spec: &FunctionSpec,
    level: LogLevel,
    now: Timestamp,
    kind: &str,
    record: &impl Serialize,
) -> Option<String> {
    #[derive(Serialize)]
    struct Whole<'a, T> {
        time: String,
        #[serde(rename = "type")]
        kind: &'a str,
        record: &'a T,
    }
    if level < spec.logging.system_level {
        return None;
    }
    serde_json::to_string(&Whole { time: now.iso_z(), kind, record }).ok()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Started<'a> {
    request_id: RequestId,
    version: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ended<'a, M> {
    request_id: RequestId,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'a str>,
    metrics: M,
}

fn ended<M>(run: &Run, metrics: M) -> Ended<'_, M> {
    // A status of timeout says all there is to say.
    let error_type = run.error_type.as_deref().filter(|_| run.status == RunStatus::Error);
    Ended { request_id: run.request_id, status: run.status.name(), error_type, metrics }
}

/// The metrics of `platform.runtimeDone`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Handled {
    duration_ms: f64,
    produced_bytes: u64,
}

impl Handled {
    fn of(metering: &Metering) -> Self {
        Handled { duration_ms: millis(metering.duration), produced_bytes: metering.bytes_out }
    }
}

/// The metrics of `platform.report`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    duration_ms: f64,
    billed_duration_ms: u64,
    #[serde(rename = "memorySizeMB")]
    memory_size_mb: u32,
    #[serde(rename = "maxMemoryUsedMB")]
    max_memory_used_mb: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    init_duration_ms: Option<f64>,
    start: &'static str,
    queue_duration_ms: f64,
    cpu_time_ms: f64,
    bytes_in: u64,
    bytes_out: u64,
}

impl Metrics {
    fn of(metering: &Metering) -> Self {
        Metrics {
            duration_ms: millis(metering.duration),
            billed_duration_ms: metering.billed_ms(),
            memory_size_mb: metering.memory_mb,
            max_memory_used_mb: metering.peak_memory_mb(),
            init_duration_ms: (metering.start == StartKind::Cold).then(|| millis(metering.init)),
            start: metering.start.name(),
            queue_duration_ms: millis(metering.queue),
            cpu_time_ms: millis(metering.cpu),
            bytes_in: metering.bytes_in,
            bytes_out: metering.bytes_out,
        }
    }
}

/// Milliseconds with three digits behind the point.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{CodeId, FunctionArn};

    fn spec(format: LogFormat, system_level: LogLevel) -> FunctionSpec {
        let mut spec = FunctionSpec::new(FunctionArn::of("f"), "python3.11", "a.b", CodeId(String::new()));
        spec.logging.format = format;
        spec.logging.system_level = system_level;
        spec
    }

    fn run(status: RunStatus) -> Run {
        Run {
            function: "f".into(),
            version: "$LATEST".into(),
            request_id: RequestId::new(Timestamp(0)),
            attempt: 0,
            ended: Timestamp(1_769_860_800_007),
            status,
            error_type: (status != RunStatus::Success).then(|| "Runtime.ExitError".into()),
            metering: Metering {
                queue: Duration::from_micros(1_500),
                init: Duration::from_micros(350_250),
                duration: Duration::from_micros(12_340),
                memory_mb: 512,
                peak_memory: 40 << 20,
                cpu: Duration::from_micros(290_001),
                bytes_in: 17,
                bytes_out: 23,
                ..Metering::default()
            },
        }
    }

    #[test]
    fn the_report_line_has_the_fields_of_lambda_first() {
        let run = run(RunStatus::Timeout);
        let id = run.request_id;
        assert_eq!(
            end(&spec(LogFormat::Text, LogLevel::Info), &run, Some("Status: timeout")),
            [
                format!("END RequestId: {id}"),
                format!(
                    "REPORT RequestId: {id}\tDuration: 12.34 ms\tBilled Duration: 363 ms\tMemory Size: 512 MB\t\
                     Max Memory Used: 40 MB\tInit Duration: 350.25 ms\tStart: cold\tQueue Duration: 1.50 ms\t\
                     CPU Time: 290.00 ms\tBytes In: 17\tBytes Out: 23\tStatus: timeout\t"
                )
            ]
        );
    }

    #[test]
    fn an_event_that_nothing_was_initialised_for_has_no_init_duration() {
        let mut run = run(RunStatus::Success);
        run.metering.start = StartKind::Ready;
        let line = &end(&spec(LogFormat::Text, LogLevel::Info), &run, None)[1];
        assert!(line.contains("Max Memory Used: 40 MB\tStart: ready\tQueue"), "{line}");
        let record = &end(&spec(LogFormat::Json, LogLevel::Info), &run, None)[0];
        assert!(record.contains(r#""start":"ready""#) && !record.contains("initDurationMs"), "{record}");
    }

    #[test]
    fn json_records_have_the_schema_of_lambda() {
        let (spec, run) = (spec(LogFormat::Json, LogLevel::Debug), run(RunStatus::Error));
        let id = run.request_id;
        assert_eq!(
            start(&spec, id, run.ended).unwrap(),
            format!(
                r#"{{"time":"2026-01-31T12:00:00.007Z","type":"platform.start","record":{{"requestId":"{id}","version":"$LATEST"}}}}"#
            )
        );
        let records = end(&spec, &run, None);
        let ended = format!(r#""requestId":"{id}","status":"error","errorType":"Runtime.ExitError""#);
        assert_eq!(
            records[0],
            format!(
                r#"{{"time":"2026-01-31T12:00:00.007Z","type":"platform.runtimeDone","record":{{{ended},"metrics":{{"durationMs":12.34,"producedBytes":23}}}}}}"#
            )
        );
        let metrics = r#"{"durationMs":12.34,"billedDurationMs":363,"memorySizeMB":512,"maxMemoryUsedMB":40,"initDurationMs":350.25,"start":"cold","queueDurationMs":1.5,"cpuTimeMs":290.001,"bytesIn":17,"bytesOut":23}"#;
        assert_eq!(
            records[1],
            format!(
                r#"{{"time":"2026-01-31T12:00:00.007Z","type":"platform.report","record":{{{ended},"metrics":{metrics}}}}}"#
            )
        );
    }

    #[test]
    fn the_application_level_decides_which_lines_are_kept() {
        let logging = |format, application_level| Logging { format, application_level, ..Logging::default() };
        let kept = |level, line| is_kept(&logging(LogFormat::Json, level), line);
        for (level, line, holds) in [
            (LogLevel::Info, "raw", true),
            (LogLevel::Warn, "raw", false),
            (LogLevel::Info, r#"{"level": "debug", "msg": "x"}"#, false),
            (LogLevel::Debug, r#"{"level": "debug", "msg": "x"}"#, true),
            (LogLevel::Warn, r#"{"level": "WARNING"}"#, true),
            (LogLevel::Fatal, r#"{"level": "critical"}"#, true),
            (LogLevel::Error, r#"{"level": 50}"#, false),
            (LogLevel::Info, r#"{"level": "what"#, true),
            (LogLevel::Trace, r#"{"level": "trace"}"#, true),
        ] {
            assert_eq!(kept(level, line), holds, "{level:?} {line}");
        }
        assert!(is_kept(&logging(LogFormat::Text, LogLevel::Fatal), "raw"));
    }

    #[test]
    fn the_level_decides_which_records_there_are() {
        let kinds = |level, status| {
            let (spec, run) = (spec(LogFormat::Json, level), run(status));
            let all = start(&spec, run.request_id, run.ended).into_iter().chain(end(&spec, &run, None));
            let kind = |record: String| record.split('"').nth(7).unwrap().to_owned();
            all.map(kind).collect::<Vec<_>>()
        };
        let (start, done, report) = ("platform.start", "platform.runtimeDone", "platform.report");
        assert_eq!(kinds(LogLevel::Debug, RunStatus::Success), [start, done, report]);
        assert_eq!(kinds(LogLevel::Info, RunStatus::Success), [start, report]);
        assert!(kinds(LogLevel::Warn, RunStatus::Success).is_empty());
        assert_eq!(kinds(LogLevel::Warn, RunStatus::Timeout), [done, report]);
    }
}
