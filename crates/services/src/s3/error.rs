//! What stops an operation: the caller's fault, or ours.

use crate::object::incoming::IncomingError;
use crate::object::read::ReadError;
use model::RequestId;
use s3s::{S3Error, S3ErrorCode};
use std::borrow::Cow;

pub(super) type Result<T> = std::result::Result<T, Error>;

/// Why an operation ended without its result.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The caller's fault, in AWS's words.
    #[error("{0}")]
    Refused(#[from] S3Error),
    /// A fault of the store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// An object's bytes could not be read.
    #[error("reading an object")]
    Read(#[source] std::io::Error),
    /// Something that cannot happen did.
    #[error("{0}")]
    Broken(&'static str),
}

impl From<IncomingError> for Error {
    fn from(error: IncomingError) -> Self {
        match error {
            IncomingError::Store(error) => error.into(),
            IncomingError::Cipher(error) => error.into(),
        }
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error.into(),
            ReadError::Key(error) => error.into(),
            ReadError::CustomerKey => Error::Broken("a customer's key was not checked before a read"),
        }
    }
}

/// The caller's fault: AWS's code, and what went wrong.
pub(super) fn refuse(code: S3ErrorCode, message: impl Into<Cow<'static, str>>) -> Error {
    let mut error = S3Error::with_message(code, message);
    if matches!(error.code(), S3ErrorCode::Custom(_)) {
        // A code that `s3s` has no word for; those of S3 are the caller's fault.
        error.set_status_code(http::StatusCode::BAD_REQUEST);
    }
    Error::Refused(error)
}

/// The header in which details of an error go to where its document is completed; it never leaves the server.
pub(super) const DETAIL: &str = "x-mayfly-error-detail";

/// The same with elements of the error's document beside its code and its message.
pub(super) fn detailed(
    code: S3ErrorCode,
    message: impl Into<Cow<'static, str>>,
    details: &[(&str, &str)],
) -> Error {
    Error::Refused(with_details(code, message, details))
}

/// The same where an error cannot be ours.
pub(super) fn with_details(
    code: S3ErrorCode,
    message: impl Into<Cow<'static, str>>,
    details: &[(&str, &str)],
) -> S3Error {
    let mut error = S3Error::with_message(code, message);
    let mut headers = http::HeaderMap::new();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/xml"));
    add_details(&mut headers, details);
    error.set_headers(headers);
    error
}

/// Adds details to the headers of an error.
pub(super) fn add_details(headers: &mut http::HeaderMap, details: &[(&str, &str)]) {
    for (name, value) in details {
        if let Ok(value) = http::HeaderValue::from_bytes(format!("{name}={value}").as_bytes()) {
            headers.append(DETAIL, value);
        }
    }
}

/// The caller asked for something that is not there; `code` says what.
pub(super) fn not_found(code: &'static str, message: &'static str) -> Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(http::StatusCode::NOT_FOUND);
    Error::Refused(error)
}

/// A part of S3 that Mayfly does not have; `what` names it.
pub(super) fn not_supported(what: impl std::fmt::Display) -> S3Error {
    S3Error::with_message(S3ErrorCode::NotImplemented, format!("{what} is not supported by Mayfly."))
}

impl Error {
    /// The error as the caller gets it. A fault of ours is logged here, once, and its cause stays here.
    pub(super) fn answer(self, operation: &'static str, id: RequestId) -> S3Error {
        match self {
            Error::Refused(refusal) => refusal,
            Error::Store(error) if error.is_disk_full() => {
                let error = chain(&error);
                tracing::error!(operation, %id, error, "the disk is full");
                // A code of its own, as S3 has no word for a disk that is full.
                let mut answer = S3Error::with_message(
                    S3ErrorCode::Custom("InsufficientStorage".into()),
                    "The disk is full: nothing was changed. It works again when space has been made.",
                );
                answer.set_status_code(http::StatusCode::INSUFFICIENT_STORAGE);
                answer
            }
            other => {
                let error = chain(&other);
                tracing::error!(operation, %id, error, "an S3 operation failed");
                internal(id)
            }
        }
    }
}

/// Our own fault: the caller learns only the id under which the log tells the cause.
pub(super) fn internal(id: RequestId) -> S3Error {
    let fault = wire::Fault::internal("InternalError", id);
    S3Error::with_message(S3ErrorCode::InternalError, fault.message)
}

/// An error and all its causes, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
