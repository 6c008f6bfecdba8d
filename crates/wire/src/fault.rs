//! The caller's fault: AWS's error code, an HTTP status, and a message that says what to do.

use http::StatusCode;
use std::borrow::Cow;
use std::fmt;

/// What a caller did wrong, in AWS's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// AWS's error code, for instance `ResourceNotFoundException`.
    pub code: Cow<'static, str>,
    /// The HTTP status that AWS answers with.
    pub status: StatusCode,
    /// What went wrong and what to do, for people.
    pub message: String,
}

impl Fault {
    /// A fault with any status; one that is not an error status becomes 500.
    pub fn new(code: impl Into<Cow<'static, str>>, status: u16, message: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status)
            .ok()
            .filter(|status| status.is_client_error() || status.is_server_error())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Fault { code: code.into(), status, message: message.into() }
    }

    /// An operation that AWS has and Mayfly does not.
    pub fn not_implemented(operation: &str) -> Self {
        Fault::new("NotImplemented", 501, format!("The operation {operation} is not supported by Mayfly."))
    }

    /// Our own fault: the caller learns only the id under which the log tells the cause.
    pub fn internal(code: &'static str, id: impl fmt::Display) -> Self {
        Fault::new(
            code,
            500,
            format!("Mayfly failed to serve this request; its log has the cause under id {id}."),
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.code, self.status.as_u16(), self.message)
    }
}

impl std::error::Error for Fault {}
