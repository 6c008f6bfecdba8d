//! Records of telemetry, in the words of each version of the schema.
//!
//! Sources: <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-logs-api.html>

use super::subscription::{Category, Schema};
use model::{Metering, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;

/// Something to tell.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(super) category: Category,
    kind: &'static str,
    time: Timestamp,
    /// What the Telemetry API says.
    record: Value,
    /// The line as it was printed, if it is one.
    line: Option<String>,
}

impl Record {
    /// Something that the platform does.
    pub(super) fn of_platform(kind: &'static str, time: Timestamp, record: Value) -> Record {
        Record { category: Category::Platform, kind, time, record, line: None }
    }

    /// A line that was printed; if it is `structured` it may be an object.
    pub(super) fn line(category: Category, time: Timestamp, text: &str, structured: bool) -> Record {
        let object = structured.then(|| serde_json::from_str(text).ok()).flatten();
        let object = object.filter(|value: &Value| value.is_object());
        let line = object.is_some().then(|| text.to_owned());
        let record = object.unwrap_or_else(|| Value::String(text.to_owned()));
        Record { category, kind: category.name(), time, record, line }
    }

    /// About how many bytes it has.
    pub(super) fn size(&self) -> usize {
        64 + match &self.record {
            Value::String(text) => text.len(),
            _ => self.line.as_ref().map_or(256, String::len),
        }
    }

    /// What a subscriber with this schema gets of it.
    pub(super) fn render(&self, schema: Schema) -> Vec<String> {
        let render = |kind: &str, record: &Value| {
            json!({"time": self.time.iso_z(), "type": kind, "record": record}).to_string()
        };
        if let (Some(line), Schema::Logs | Schema::LogsDone | Schema::First) = (&self.line, schema) {
            return vec![render(self.kind, &Value::String(line.clone()))];
        }
        if schema > Schema::LogsDone {
            return match self.kind {
                "platform.logsSubscription" => Vec::new(),
                kind => vec![render(kind, &self.record)],
            };
        }
        let only = |names: &[&str]| {
            let kept =
                names.iter().filter_map(|name| Some(((*name).to_owned(), self.record.get(*name)?.clone())));
            Value::Object(kept.collect())
        };
        match self.kind {
            "platform.start" => vec![render(self.kind, &only(&["requestId", "version"]))],
            "platform.runtimeDone" if schema == Schema::LogsDone => {
                vec![render(self.kind, &only(&["requestId", "status"]))]
            }
            "platform.report" => {
                let end = render("platform.end", &only(&["requestId"]));
                vec![end, render(self.kind, &only(&["requestId", "metrics"]))]
            }
            "platform.extension"
            | "platform.logsSubscription"
            | "platform.logsDropped"
            | "function"
            | "extension" => vec![render(self.kind, &self.record)],
            _ => Vec::new(),
        }
    }
}

/// A time as the schema has it.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

/// The trace header of an event.
pub(crate) fn tracing(value: &str) -> Value {
    json!({"type": "X-Amzn-Trace-Id", "value": value})
}

/// The metrics of a report.
pub(crate) fn metrics_of(metering: &Metering) -> Value {
    let mut metrics = json!({
        "durationMs": milliseconds(metering.duration),
        "billedDurationMs": metering.billed_ms(),
        "memorySizeMB": metering.memory_mb,
        "maxMemoryUsedMB": metering.peak_memory_mb(),
    });
    if !metering.init.is_zero() {
        metrics["initDurationMs"] = json!(milliseconds(metering.init));
    }
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(record: &Record, schema: Schema) -> Vec<String> {
        let kind =
            |text: &String| serde_json::from_str::<Value>(text).unwrap()["type"].as_str().unwrap().to_owned();
        record.render(schema).iter().map(kind).collect()
    }

    #[test]
    fn each_schema_has_its_records() {
        let of = |kind| {
            Record::of_platform(
                kind,
                Timestamp(0),
                json!({"requestId": "r", "status": "success", "metrics": {}}),
            )
        };
        assert!(kinds(&of("platform.initStart"), Schema::LogsDone).is_empty());
        assert!(kinds(&of("platform.runtimeDone"), Schema::Logs).is_empty());
        assert_eq!(kinds(&of("platform.report"), Schema::Logs), ["platform.end", "platform.report"]);
        assert_eq!(kinds(&of("platform.report"), Schema::First), ["platform.report"]);
        assert_eq!(
            of("platform.runtimeDone").render(Schema::LogsDone),
            [
                r#"{"record":{"requestId":"r","status":"success"},"time":"1970-01-01T00:00:00.000Z","type":"platform.runtimeDone"}"#
            ]
        );
    }

    #[test]
    fn a_line_of_json_is_an_object_where_the_schema_says_so() {
        let record = |text, structured| Record::line(Category::Function, Timestamp(0), text, structured);
        let shown = |record: Record, schema| {
            serde_json::from_str::<Value>(&record.render(schema)[0]).unwrap()["record"].clone()
        };
        assert_eq!(shown(record(r#"{"a":1}"#, true), Schema::Structured), json!({"a": 1}));
        assert_eq!(shown(record(r#"{"a":1}"#, true), Schema::First), json!(r#"{"a":1}"#));
        assert_eq!(shown(record(r#"{"a":1}"#, false), Schema::Structured), json!(r#"{"a":1}"#));
        assert_eq!(shown(record("7", true), Schema::Structured), json!("7"));
    }
}
