//! An answer that its caller reads while the function writes it.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html>

use bytes::Bytes;

/// The content type of an answer that begins with status and headers for HTTP: a JSON object, and [`PRELUDE_END`].
pub const HTTP_INTEGRATION: &str = "application/vnd.awslambda.http-integration-response";

/// What stands between the status and headers and the body.
pub const PRELUDE_END: [u8; 8] = [0; 8];

/// A part of an answer, in this order: one start, at the most one head, and data.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// The event has its process: the version that runs.
    Started(String),
    /// The function begins to write; the content type that it names, or nothing.
    Head(String),
    /// What it has written.
    Data(Bytes),
}
