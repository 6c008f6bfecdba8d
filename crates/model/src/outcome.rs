//! How a run ended, as far as the function is concerned.
//!
//! A function's failure is data: it is never an `Err` of the platform.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

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

/// An error of a function, in the shape that Lambda's runtimes document.
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html>
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionError {
    /// What happened, for people.
    pub error_message: String,
    /// The class of the exception, or one of Lambda's own types such as `Sandbox.Timedout`.
    pub error_type: String,
    /// The event it happened to; absent where AWS leaves it out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<String>,
    /// One entry per frame, as the language prints it; absent where no code was running.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stack_trace: Option<Vec<String>>,
}

impl FunctionError {
    /// An error that has no stack: the process died or a limit was reached.
    pub fn of(error_type: &str, error_message: String) -> Self {
        FunctionError {
            error_message,
            error_type: error_type.to_owned(),
            request_id: None,
            stack_trace: None,
        }
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
}
