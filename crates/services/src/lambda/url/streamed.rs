//! A response that begins while the function still writes it.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html>

use super::answer::{self, Head};
use super::{BAD_GATEWAY, Refusal, unanswered};
use bytes::{Bytes, BytesMut};
use futures::stream;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body::Frame;
use http_body_util::StreamBody;
use model::limits::STREAM_PRELUDE;
use model::stream::{HTTP_INTEGRATION, PRELUDE_END};
use model::{Outcome, Part};
use std::io;
use store::queue::Ticket;
use tokio::sync::mpsc;
use wire::{Body, Response};

/// The response, as soon as its status and headers are known; or that of a function that does not stream, when it has
/// ended.
pub(super) async fn response(
    ticket: Ticket,
    mut parts: mpsc::Receiver<Part>,
    function: &str,
) -> Result<Response, Refusal> {
    let content_type = loop {
        match parts.recv().await {
            Some(Part::Started(_)) => {}
            Some(Part::Head(content_type)) => break content_type,
            // Data has a head before it.
            Some(Part::Data(_)) => return Err(BAD_GATEWAY),
            None => return super::whole(ticket, function).await,
        }
    };
    let id = ticket.id;
    let refuse = |reason: String| {
        tracing::info!(%id, function, reason, "a function's answer is no HTTP response");
        BAD_GATEWAY
    };
    let mut response = Response::new(Body::empty());
    let first = if content_type == HTTP_INTEGRATION {
        let Some((head, rest)) = prelude(&mut parts).await.map_err(refuse)? else {
            return Err(failed(ticket).await);
        };
        answer::set_head(&mut response, head).map_err(refuse)?;
        rest
    } else {
        let content_type = Some(content_type.as_str()).filter(|text| !text.is_empty());
        let content_type = HeaderValue::from_str(content_type.unwrap_or("application/octet-stream"));
        response.headers_mut().insert(CONTENT_TYPE, content_type.map_err(|error| refuse(error.to_string()))?);
        Bytes::new()
    };
    *response.body_mut() = body(ticket, parts, first);
    Ok(response)
}

/// Status and headers from the front of the stream, and what follows them; none if it ends before.
async fn prelude(parts: &mut mpsc::Receiver<Part>) -> Result<Option<(Head, Bytes)>, String> {
    let mut read = BytesMut::new();
    loop {
        let end = read.windows(PRELUDE_END.len()).position(|window| window == PRELUDE_END);
        if let Some(end) = end {
            let mut rest = read.split_off(end);
            let head = serde_json::from_slice(&read).map_err(|error| error.to_string())?;
            return Ok(Some((head, rest.split_off(PRELUDE_END.len()).freeze())));
        }
        if read.len() > STREAM_PRELUDE {
            return Err(format!("status and headers are longer than {STREAM_PRELUDE} bytes"));
        }
        match parts.recv().await {
            Some(Part::Data(data)) => read.extend_from_slice(&data),
            Some(_) => {}
            None => return Ok(None),
        }
    }
}

/// What is answered to a stream that ended before it had said anything.
async fn failed(ticket: Ticket) -> Refusal {
    match ticket.answer().await {
        Ok(_) => BAD_GATEWAY,
        Err(why) => unanswered(why),
    }
}

/// The body: `first`, and what is written from now on. It breaks off if the function fails.
fn body(ticket: Ticket, parts: mpsc::Receiver<Part>, first: Bytes) -> Body {
    let first = Some(first).filter(|first| !first.is_empty());
    let pieces =
        stream::try_unfold((parts, Some(ticket), first), |(mut parts, mut ticket, first)| async move {
            if let Some(first) = first {
                return Ok(Some((Frame::data(first), (parts, ticket, None))));
            }
            loop {
                match parts.recv().await {
                    Some(Part::Data(data)) => return Ok(Some((Frame::data(data), (parts, ticket, None)))),
                    Some(_) => {}
                    None => break,
                }
            }
            let Some(waiting) = ticket.take() else { return Ok(None) };
            match waiting.answer().await.map(|answer| answer.outcome) {
                Ok(Outcome::Succeeded(rest)) if !rest.is_empty() => {
                    Ok(Some((Frame::data(rest), (parts, None, None))))
                }
                Ok(Outcome::Succeeded(_)) => Ok(None),
                // Half an answer must not look like a whole one.
                _ => Err(io::Error::other("the function failed while it wrote its answer")),
            }
        });
    Body::stream(StreamBody::new(Box::pin(pieces)))
}
