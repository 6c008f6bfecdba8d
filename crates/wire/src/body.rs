//! Request and response bodies: streams of bytes whose size is bounded by whoever reads them.

use crate::idle::Answered;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use model::limits;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The reason why a body broke off.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body of either direction.
#[derive(Debug)]
pub struct Body {
    bytes: UnsyncBoxBody<Bytes, BoxError>,
    /// That it is an answer's, until it is dropped.
    answered: Option<Answered>,
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is longer than allowed.
    #[error("the body is longer than {0} bytes")]
    TooLong(usize),
    /// The connection broke or the body is malformed.
    #[error("the body broke off: {0}")]
    Broken(#[source] BoxError),
}

impl Body {
    /// No bytes.
    pub fn empty() -> Self {
        Body::from(Bytes::new())
    }

    /// The bytes that `body` streams.
    pub fn stream<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Body { bytes: body.map_err(Into::into).boxed_unsync(), answered: None }
    }

    /// The same as an answer's: once it has been sent, the connection waits for the next request.
    pub(crate) fn answering(mut self, answered: Answered) -> Self {
        self.answered = Some(answered);
        self
    }

    /// Reads all of it: at most `limit` bytes, within [`limits::REQUEST_BODY_TIME`].
    ///
    /// # Errors
    /// [`ReadError::TooLong`] as soon as the limit is passed, or [`ReadError::Broken`].
    pub async fn read(self, limit: usize) -> Result<Bytes, ReadError> {
        if self.size_hint().lower() > limit as u64 {
            return Err(ReadError::TooLong(limit));
        }
        let reading = Limited::new(self, limit).collect();
        match tokio::time::timeout(limits::REQUEST_BODY_TIME, reading).await {
            Err(_) => Err(ReadError::Broken("it did not arrive in time".into())),
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                Err(ReadError::TooLong(limit))
            }
            Ok(Err(error)) => Err(ReadError::Broken(error)),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Body::stream(Full::new(bytes))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.bytes).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.bytes.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        assert_eq!(Body::from(Bytes::from("abc")).read(3).await.unwrap(), "abc");
        assert!(matches!(Body::from(Bytes::from("abcd")).read(3).await, Err(ReadError::TooLong(3))));
    }
}
