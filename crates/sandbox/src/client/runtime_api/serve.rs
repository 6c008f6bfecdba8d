//! Connections of a custom runtime, and what is at which path.

use super::super::extensions::Extensions;
use super::super::frames::{Breach, Frame};
use super::super::telemetry::Api;
use super::body::{self, Missing};
use super::desk::{Claim, Desk};
use super::extensions;
use super::reply::{self, Refusal, Reply};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use model::limits::{MB, STREAM_PIECE, SYNC_RESPONSE};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, join};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How many connections are served at one time: a runtime needs one, an extension two.
const CONNECTIONS: usize = 32;

/// The longest head of a request, in bytes.
const HEAD: usize = 64 * 1024;

/// The longest error document, in bytes.
const ERROR: usize = MB;

/// A runtime's question for its event.
const QUESTION: &[u8] = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: 127.0.0.1:9001\r\n\r\n";

/// How long to wait before accepting again when the machine is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Whom a connection may speak to.
#[derive(Debug)]
pub(in crate::client) struct Office {
    /// For the runtime, if it has no event channel.
    pub(super) desk: Option<Arc<Desk>>,
    /// For extensions, if the process may have any.
    pub(super) extensions: Option<Arc<Extensions>>,
}

impl Office {
    /// Returns when the run is over and nobody has anything more to say.
    async fn gone(&self) {
        match &self.desk {
            Some(desk) if !self.is_extended() => desk.gone().await,
            // It ends with the process.
            _ => std::future::pending().await,
        }
    }

    fn is_extended(&self) -> bool {
        self.extensions.as_ref().is_some_and(|extensions| extensions.roster.counts().0)
    }
}

/// Serves until the run is over, and then reads what has come before.
pub(super) async fn listen(listener: TcpListener, office: Arc<Office>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            (stream, permit) = accept(&listener, &room) => {
                connections.spawn(converse(stream, permit, Arc::clone(&office)));
            }
            Some(_) = connections.join_next() => {}
            () = office.gone() => break,
        }
    }
    // Asked directly: the runtime may not have been told yet that somebody waits.
    let Ok(listener) = listener.into_std() else { return };
    while let (Ok(permit), Ok((stream, _))) = (Arc::clone(&room).try_acquire_owned(), listener.accept()) {
        if let Ok(stream) = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
            connections.spawn(converse(stream, permit, Arc::clone(&office)));
        }
    }
    connections.join_all().await;
}

/// The next connection, when there is room for one.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    loop {
        if let Ok(permit) = Arc::clone(room).acquire_owned().await
            && let Ok((stream, _)) = listener.accept().await
        {
            return (stream, permit);
        }
        sleep(ACCEPT_PAUSE).await;
    }
}

/// Serves one connection to its end.
async fn converse(stream: TcpStream, _permit: OwnedSemaphorePermit, office: Arc<Office>) {
    let _ = stream.set_nodelay(true);
    let (reader, writer) = stream.into_split();
    // A copy has sent its question before it was one, to another server.
    let before = if office.desk.as_ref().is_some_and(|desk| desk.is_question()) { QUESTION } else { &[] };
    let stream = join(before.chain(reader), writer);
    let service = service_fn(|request| serve(&office, request));
    // No limit of time: slow or fast, a function has its own time limit.
    let mut http = http1::Builder::new();
    // What a process sent just before its end counts although nobody reads the reply.
    http.half_close(true).header_read_timeout(None).max_buf_size(HEAD).title_case_headers(true);
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

/// Answers one request. An error closes the connection: the run is over.
async fn serve(office: &Office, request: Request<Incoming>) -> io::Result<Reply> {
    let (head, mut body) = request.into_parts();
    match dispatch(office, &head, &mut body).await {
        Ok(Some(reply)) => Ok(reply),
        Ok(None) => Err(io::ErrorKind::ConnectionAborted.into()),
        Err(refusal) => {
            body::discard(&mut body).await;
            Ok(refusal.reply())
        }
    }
}

async fn dispatch(office: &Office, head: &Parts, body: &mut Incoming) -> Result<Option<Reply>, Refusal> {
    let path = head.uri.path();
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let only = |method: Method, name| {
        if head.method == method { Ok(()) } else { Err(Refusal::method(name, path)) }
    };
    let nothing = || Refusal::new(404, "NotFound", format!("there is nothing at {path}"));
    let extensions = || {
        let closed = "Extension registration closed already";
        office.extensions.as_ref().ok_or_else(|| Refusal::new(403, "Extension.RegistrationClosed", closed))
    };
    match segments[..] {
        ["2020-01-01", "extension", ref path @ ..] => {
            extensions::serve(extensions()?, (&head.method, path), &head.headers, body).await.map(Some)
        }
        ["2022-07-01", "telemetry"] | ["2022-07-01", "telemetry", ""] => {
            only(Method::PUT, "PUT")?;
            extensions::subscribe(extensions()?, Api::Telemetry, &head.headers, body).await.map(Some)
        }
        ["2020-08-15", "logs"] | ["2020-08-15", "logs", ""] => {
            only(Method::PUT, "PUT")?;
            extensions::subscribe(extensions()?, Api::Logs, &head.headers, body).await.map(Some)
        }
        _ => runtime(office.desk.as_deref().ok_or_else(nothing)?, head, &segments, body).await,
    }
}

/// Answers a runtime.
async fn runtime(
    desk: &Desk,
    head: &Parts,
    segments: &[&str],
    body: &mut Incoming,
) -> Result<Option<Reply>, Refusal> {
    let path = head.uri.path();
    let only = |method: Method, name| {
        if head.method == method { Ok(()) } else { Err(Refusal::method(name, path)) }
    };
    match *segments {
        ["2018-06-01", "runtime", "invocation", "next"] => {
            only(Method::GET, "GET")?;
            Ok(desk.ask().await?.map(|event| event.reply()))
        }
        ["2018-06-01", "runtime", "invocation", id, "response"] => {
            only(Method::POST, "POST")?;
            response(desk, id, &head.headers, body).await.map(Some)
        }
        ["2018-06-01", "runtime", "invocation", id, "error"] => {
            only(Method::POST, "POST")?;
            error(desk.answer(id)?, Frame::Error, &head.headers, body).await.map(Some)
        }
        ["2018-06-01", "runtime", "init", "error"] => {
            only(Method::POST, "POST")?;
            error(desk.fail()?, Frame::InitError, &head.headers, body).await.map(Some)
        }
        ["2018-06-01", "runtime", "restore", ..] => {
            Err(Refusal::new(404, "NotFound", format!("{path} is for functions with SnapStart")))
        }
        _ => Err(Refusal::new(404, "NotFound", format!("there is nothing at {path}"))),
    }
}

/// Takes the answer: whole, or piece by piece as it is written.
async fn response(desk: &Desk, id: &str, headers: &HeaderMap, body: &mut Incoming) -> Result<Reply, Refusal> {
    let claim = desk.answer(id)?;
    let mode = headers.get("lambda-runtime-function-response-mode");
    if mode.is_some_and(|mode| !mode.is_empty() && mode != "streaming") {
        let kind = "Runtime.InvalidResponseModeHeader";
        let document = model::FunctionError::of(kind, "Invalid function response mode".to_owned()).document();
        claim.say(Ok(Frame::Error(document)));
        return Err(Refusal::new(400, "InvalidFunctionResponseMode", "Invalid function response mode"));
    }
    if mode.is_some_and(|mode| !mode.is_empty()) {
        return stream(claim, headers, body).await;
    }
    match body::read(body, SYNC_RESPONSE).await {
        Ok((answer, trailers)) => {
            let frame = body::broke_off(&trailers).map_or(Frame::Result(answer), Frame::Error);
            claim.say(Ok(frame));
            Ok(reply::accepted())
        }
        Err(Missing::TooLarge) => {
            claim.say(Err(Breach::TooLarge));
            Err(Refusal::too_large(SYNC_RESPONSE))
        }
        Err(Missing::Truncated) => Err(truncated()),
    }
}

/// Takes an answer piece by piece. The runtime waits while its caller reads slowly.
async fn stream(claim: Claim<'_>, headers: &HeaderMap, body: &mut Incoming) -> Result<Reply, Refusal> {
    let content_type = headers.get(hyper::header::CONTENT_TYPE).map_or(&[][..], |value| value.as_bytes());
    claim.part(Frame::Head(Bytes::copy_from_slice(content_type))).await;
    let mut last = Frame::Result(Bytes::new());
    while let Some(frame) = body.frame().await {
        match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(mut data)) => {
                while !data.is_empty() {
                    let piece = data.split_to(data.len().min(STREAM_PIECE));
                    claim.part(Frame::Data(piece)).await;
                }
            }
            Ok(Err(frame)) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                last = body::broke_off(&trailers).map_or(last, Frame::Error);
            }
            Err(_) => {
                // What has been handed on cannot be taken back, so there is no second try.
                let error =
                    model::FunctionError::of("Runtime.TruncatedResponse", "The response broke off".into());
                claim.say(Ok(Frame::Error(error.document())));
                return Err(truncated());
            }
        }
    }
    claim.say(Ok(last));
    Ok(reply::accepted())
}

/// Takes an error document.
async fn error(
    claim: Claim<'_>,
    frame: fn(Bytes) -> Frame,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Result<Reply, Refusal> {
    match body::read(body, ERROR).await {
        Ok((text, _)) => {
            claim.say(Ok(frame(body::document(&text, headers))));
            Ok(reply::accepted())
        }
        Err(Missing::TooLarge) => {
            let message = format!("The error document is longer than {ERROR} bytes.");
            claim.say(Ok(frame(body::document(message.as_bytes(), headers))));
            Err(Refusal::too_large(ERROR))
        }
        Err(Missing::Truncated) => Err(truncated()),
    }
}

pub(super) fn truncated() -> Refusal {
    Refusal::new(400, "TruncatedHTTPRequest", "HTTP request detected as truncated")
}
