//! Bodies of requests that were answered before they were read to their end.
//!
//! What is left of such a body stands in front of the next request, so that the connection ends with the answer. A client that
//! keeps connections must hear of that, or it sends its next request into one that is about to close.
//!
//! So does one that asked whether to send its body (`Expect: 100-continue`) and got an answer instead of the leave to do so,
//! even if the body is empty and nothing is left of it: botocore, once answered so, takes the status of that answer for the
//! one of the next such request on the same connection.
//!
//! Source: <https://www.rfc-editor.org/rfc/rfc9112#section-9.6>

use crate::{Body, Response};
use bytes::Bytes;
use http::header::{CONNECTION, EXPECT};
use http::request::Parts;
use http::{HeaderValue, Version};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

/// Whether a body was read to its end; `None` if there is none, or if nothing follows from it.
pub(crate) type Unread = Option<Arc<AtomicBool>>;

/// The body of a request, and what will be known of it.
pub(crate) fn watch(body: Incoming, head: &Parts) -> (Body, Unread) {
    // Streams of HTTP/2 end alone.
    if head.version > Version::HTTP_11 {
        return (Body::stream(body), None);
    }
    if body.is_end_stream() {
        // Nobody is told to go on sending an empty body.
        let asked = head.headers.contains_key(EXPECT);
        return (Body::stream(body), asked.then(|| Arc::new(AtomicBool::new(false))));
    }
    let read = Arc::new(AtomicBool::new(false));
    (Body::stream(Watched { body, read: read.clone() }), Some(read))
}

/// Says on `answer` that the connection ends, if something of the request's body is left.
pub(crate) fn tell(unread: &Unread, answer: &mut Response) {
    if unread.as_ref().is_some_and(|read| !read.load(Ordering::Relaxed)) {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

struct Watched {
    body: Incoming,
    read: Arc<AtomicBool>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.read.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
