//! `InvokeWithResponseStream`: runs a function and answers as it writes.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_InvokeWithResponseStream.html>

use super::Lambda;
use super::error::Error;
use super::invoke::{check_payload, event, no_target, not_supported, refuse_loop, too_many};
use super::name::Named;
use super::refusal::refuse;
use super::validate::Checks;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use model::{Outcome, Part, Source, limits};
use serde_json::json;
use std::collections::VecDeque;
use std::io;
use store::queue::{Answer, Throttled, Ticket, Unanswered};
use tokio::sync::mpsc;
use wire::rest_json::{Call, Reply};
use wire::{Body, Fault, event_stream};

/// Calls a function. The answer begins when the function has its process.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Reply, Error> {
    refuse(call.operation, &not_supported(&call))?;
    let kind = call.header("x-amz-invocation-type").unwrap_or("RequestResponse");
    let log_type = call.header("x-amz-log-type").unwrap_or("None");
    let mut checks = Checks::default();
    checks.one_of("invocationType", kind, &["RequestResponse", "DryRun"]);
    checks.one_of("logType", log_type, &["None", "Tail"]);
    checks.finish()?;
    let named = Named::parse(&call, call.label("FunctionName"), call.query("Qualifier"))?;
    check_payload(&call, kind, limits::SYNC_PAYLOAD)?;
    let event = event(lambda, &call, &named, Source::Invoke)?;
    lambda.store.spec(&named.target())?.ok_or_else(|| no_target(&named))?;
    if kind == "DryRun" {
        return Ok(Reply { status: StatusCode::NO_CONTENT, headers: HeaderMap::new(), body: Body::empty() });
    }
    refuse_loop(lambda, &event)?;
    let Ok((ticket, mut parts)) = lambda.store.sync_lane().submit_streamed(event, log_type == "Tail") else {
        return Ok(too_many(Throttled::Account));
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/vnd.amazon.eventstream"));
    let first = parts.recv().await;
    let tail = log_type == "Tail";
    let mut written = Written { parts, ticket: None, ready: VecDeque::new(), tail };
    match first {
        Some(first) => {
            if let Part::Started(version) = first
                && let Ok(version) = HeaderValue::from_str(&version)
            {
                headers.insert("x-amz-executed-version", version);
            }
            written.ticket = Some(ticket);
        }
        // It ended before it had a process: the reason is with the ticket.
        None => match ticket.answer().await {
            Ok(answer) => written.end(&answer),
            Err(Unanswered::Throttled(why)) => return Ok(too_many(why)),
            Err(Unanswered::Broken) => return Err(Fault::internal("ServiceException", call.id).into()),
        },
    }
    let body = stream::try_unfold(written, |mut written| async move {
        let message = written.next().await.map_err(|fault| io::Error::other(fault.message))?;
        Ok::<_, io::Error>(message.map(|message| (Frame::data(message), written)))
    });
    Ok(Reply { status: StatusCode::OK, headers, body: Body::stream(StreamBody::new(Box::pin(body))) })
}

/// The messages of an answer that is being written.
struct Written {
    parts: mpsc::Receiver<Part>,
    ticket: Option<Ticket>,
    /// What is to be sent.
    ready: VecDeque<Bytes>,
    tail: bool,
}

impl Written {
    /// The next message; none behind the last.
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(Some(message));
            }
            match self.parts.recv().await {
                Some(Part::Data(data)) => return Ok(Some(chunk(&data))),
                Some(Part::Started(_) | Part::Head(_)) => {}
                None => {
                    let Some(ticket) = self.ticket.take() else { return Ok(None) };
                    let id = ticket.id;
                    let answer =
                        ticket.answer().await.map_err(|_| Fault::internal("ServiceException", id))?;
                    self.end(&answer);
                }
            }
        }
    }

    fn end(&mut self, answer: &Answer) {
        let mut complete = json!({});
        match &answer.outcome {
            Outcome::Succeeded(rest) => {
                self.ready.extend(rest.chunks(limits::STREAM_PIECE).map(chunk));
            }
            Outcome::Failed(error) => {
                complete["ErrorCode"] = json!("Unhandled");
                complete["ErrorDetails"] = json!(String::from_utf8_lossy(&error.document()));
            }
        }
        if self.tail {
            complete["LogResult"] = json!(BASE64_STANDARD.encode(&answer.log_tail));
        }
        let complete = complete.to_string();
        self.ready.push_back(event_stream::event("InvokeComplete", "application/json", complete.as_bytes()));
    }
}

fn chunk(data: impl AsRef<[u8]>) -> Bytes {
    event_stream::event("PayloadChunk", "application/octet-stream", data.as_ref())
}
