//! How a run ended, as far as the function is concerned.
//!
//! A function's failure is data: it is never an `Err` of the platform.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The handler returned; the bytes are its JSON answer.
    Succeeded(Bytes),
    /// The handler raised, the process died, or a limit was reached.
    Failed(FunctionError),
}

impl Outcome {
    /// The bytes that the caller of `Invoke` gets: the answer, or the error document.
    pub fn payload(&self) -> Bytes {
        match self {
            Outcome::Succeeded(payload) => payload.clone(),
            Outcome::Failed(error) => error.document(),
        }
    }
}

/// An error of a function: a document in the shape that the function's language gives it.
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html> and its siblings
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionError {
    /// What happened, for people.
    #[serde(default)]
    pub error_message: String,
    /// The class of the exception, or one of Lambda's own types such as `Sandbox.Timedout`.
    #[serde(default)]
    pub error_type: String,
    /// Everything else in the document, for instance `stackTrace`, `trace` or `cause`.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl FunctionError {
    /// An error that has no stack: the process died or a limit was reached.
    pub fn of(error_type: &str, error_message: String) -> Self {
        FunctionError { error_message, error_type: error_type.to_owned(), more: Map::new() }
    }

    /// Reads a document that a runtime sent; none if it is not a JSON object.
    pub fn read(document: &[u8]) -> Option<Self> {
        let mut more: Map<String, Value> = serde_json::from_slice(document).ok()?;
        let mut text = |name: &str| match more.remove(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
        };
        Some(FunctionError { error_message: text("errorMessage"), error_type: text("errorType"), more })
    }

    /// The error as a JSON document.
    pub fn document(&self) -> Bytes {
        serde_json::to_vec(self).map(Bytes::from).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_document_has_the_names_that_lambda_uses() {
        let error = FunctionError::of("Sandbox.Timedout", "Task timed out after 3.00 seconds".into());
        assert_eq!(
            error.document(),
            r#"{"errorMessage":"Task timed out after 3.00 seconds","errorType":"Sandbox.Timedout"}"#
        );
    }

    #[test]
    fn a_document_keeps_what_its_language_gives_it() {
        let document = br#"{"errorMessage":"no","errorType":"E","cause":{"errorType":"F"}}"#;
        assert_eq!(FunctionError::read(document).unwrap().document(), &document[..]);
        let odd = FunctionError::read(br#"{"errorMessage":7,"trace":[]}"#).unwrap();
        assert_eq!((odd.error_message.as_str(), odd.error_type.as_str()), ("7", ""));
        assert_eq!(FunctionError::read(b"[1]"), None);
    }
}
