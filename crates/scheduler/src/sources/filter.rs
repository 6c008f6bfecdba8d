//! Which records of a source are let through to its function.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs-filtering.html>

use model::Pattern;
use serde_json::Value;

/// The filters of a mapping; one that asks for nothing lets everything through.
#[derive(Debug)]
pub(super) struct Filters(Vec<Option<Pattern>>);

impl Filters {
    /// The filters that `patterns` say: they were checked when the mapping was made.
    pub(super) fn new(patterns: &[String]) -> Self {
        let read = |text: &String| {
            if text.trim() == "{}" {
                return Some(None);
            }
            Pattern::parse(text)
                .map(Some)
                .inspect_err(
                    |error| tracing::error!(%error, "a filter of an event source mapping cannot be read"),
                )
                .ok()
        };
        Filters(patterns.iter().filter_map(read).collect())
    }

    /// Whether any of them lets `record` through; without any, everything is. A body is looked into as JSON, if the
    /// filter does so and it is JSON.
    pub(super) fn allow(&self, record: &Value) -> bool {
        let mut parsed = None;
        self.0.is_empty()
            || self.0.iter().any(|pattern| {
                let Some(pattern) = pattern else { return true };
                if !pattern.looks_into("body") {
                    return pattern.matches(record);
                }
                let parsed = parsed.get_or_insert_with(|| with_body_parsed(record));
                parsed.as_ref().is_some_and(|record| pattern.matches(record))
            })
    }
}

fn with_body_parsed(record: &Value) -> Option<Value> {
    let body: Value = serde_json::from_str(record["body"].as_str()?).ok()?;
    let mut record = record.clone();
    record["body"] = body;
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies_are_looked_into_where_a_filter_does() {
        let record = |body: &str| json!({"body": body, "messageAttributes": {"n": {"stringValue": "v"}}});
        for (patterns, body, expected) in [
            (vec![], "x", true),
            (vec![r#"{"body":{"a":[1]}}"#], r#"{"a":1}"#, true),
            (vec![r#"{"body":{"a":[1]}}"#], r#"{"a":2}"#, false),
            (vec![r#"{"body":{"a":[1]}}"#], "no json", false),
            (vec!["{}"], "x", true),
            (vec![r#"{"body":["plain"]}"#], "plain", true),
            (vec![r#"{"body":["plain"]}"#], r#"{"a":1}"#, false),
            (
                vec![r#"{"body":{"a":[1]}}"#, r#"{"messageAttributes":{"n":{"stringValue":["v"]}}}"#],
                "x",
                true,
            ),
        ] {
            let patterns: Vec<String> = patterns.into_iter().map(str::to_owned).collect();
            assert_eq!(Filters::new(&patterns).allow(&record(body)), expected, "{patterns:?} {body}");
        }
    }
}
