//! Which records of a batch failed, as the function tells it.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>

use serde_json::Value;
use std::collections::HashSet;

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failures {
    /// All of it was processed.
    None,
    /// These were not.
    Some(HashSet<String>),
    /// None of it was.
    All,
}

/// Reads the answer of a function that reports failures; `known` are the ids of its batch.
pub(super) fn failures(answer: &[u8], known: &HashSet<String>) -> Failures {
    let Ok(answer) = serde_json::from_slice::<Value>(answer) else { return Failures::All };
    let list = match answer {
        Value::Null => return Failures::None,
        Value::Object(mut answer) => match answer.remove("batchItemFailures") {
            None | Some(Value::Null) => return Failures::None,
            Some(Value::Array(list)) => list,
            Some(_) => return Failures::All,
        },
        // Something else than a report, as by a function that does not know of it.
        _ => return Failures::None,
    };
    let ids: Option<HashSet<String>> = list
        .iter()
        .map(|one| one["itemIdentifier"].as_str().filter(|id| known.contains(*id)).map(str::to_owned))
        .collect();
    match ids {
        None => Failures::All,
        Some(ids) if ids.is_empty() => Failures::None,
        Some(ids) => Failures::Some(ids),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read_as_aws_does() {
        let known: HashSet<String> = ["a", "b"].map(str::to_owned).into();
        let some = Failures::Some(["b".to_owned()].into());
        for (answer, expected) in [
            ("null", Failures::None),
            ("{}", Failures::None),
            (r#"{"batchItemFailures":null}"#, Failures::None),
            (r#"{"batchItemFailures":[]}"#, Failures::None),
            (r#"{"batchItemFailures":[{"itemIdentifier":"b"}]}"#, some),
            (r#"{"batchItemFailures":[{"itemIdentifier":"c"}]}"#, Failures::All),
            (r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#, Failures::All),
            (r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#, Failures::All),
            (r#"{"batchItemFailures":[{"id":"b"}]}"#, Failures::All),
            (r#"{"batchItemFailures":"b"}"#, Failures::All),
            ("{", Failures::All),
        ] {
            assert_eq!(failures(answer.as_bytes(), &known), expected, "{answer}");
        }
    }
}
