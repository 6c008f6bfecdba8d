//! Function URLs: an HTTP request becomes a synchronous call, and its answer the response.
//!
//! A URL is reachable by path, `http://HOST:PORT/lambda-url/ID/...`, and by host name,
//! `http://ID.lambda-url.REGION.localhost:PORT/...`.

mod answer;
mod cors;
mod event;
pub(super) mod record;
mod streamed;

pub(super) use cors::Cors;

use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, UPGRADE};
use model::{Event, Outcome, Source, limits};
use record::{AuthType, InvokeMode, URLS};
use store::Store;
use store::queue::{Ticket, Unanswered};
use wire::body::ReadError;
use wire::{Body, Request, Response};

/// The data plane of function URLs.
#[derive(Clone)]
pub struct FunctionUrls {
    store: Store,
}

impl FunctionUrls {
    /// The function URLs that `store` knows.
    pub fn new(store: Store) -> Self {
        FunctionUrls { store }
    }

    /// Serves a request to the URL `id`; the first `base` bytes of its path belong to the platform.
    pub async fn serve(&self, id: &str, base: usize, request: Request) -> Response {
        let request_id = request.id;
        let mut response = match self.call(id, base, request).await {
            Ok(response) => response,
            Err(refusal) => refusal.response(),
        };
        if let Ok(value) = HeaderValue::from_str(&request_id.to_string()) {
            response.headers_mut().insert("x-amzn-requestid", value);
        }
        response
    }

    async fn call(&self, id: &str, base: usize, request: Request) -> Result<Response, Refusal> {
        let config = self.store.read(|view| view.get(&URLS, id)).map_err(|error| {
            tracing::error!(id = %request.id, %error, "cannot read a function URL");
            INTERNAL
        })?;
        let Some(config) = config else { return Err(FORBIDDEN) };
        if config.auth_type == AuthType::Iam && request.credential.is_none() {
            return Err(FORBIDDEN);
        }
        // Any other protocol that a client offers may be passed over; a WebSocket cannot do without its answer.
        let upgrade = request.head.headers.get(UPGRADE);
        if upgrade.is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket")) {
            return Err(NO_UPGRADE);
        }
        if let Some(response) =
            config.cors.as_ref().and_then(|cors| cors.preflight(&request.head.method, &request.head.headers))
        {
            return Ok(response);
        }
        let caller = request.credential.as_ref().filter(|_| config.auth_type == AuthType::Iam);
        let caller = caller.map(|credential| (credential.access_key.clone(), request.scope().account));
        let body = request.body.read(limits::SYNC_PAYLOAD).await.map_err(|error| match error {
            ReadError::TooLong(_) => TOO_LARGE,
            ReadError::Broken(_) => BROKEN_BODY,
        })?;
        let now = self.store.now();
        let payload = event::event(&request.head, &body, id, base, request.id, now, caller.as_ref());
        // Base64 and the rest of the event may make a large body too large.
        if payload.len() > limits::SYNC_PAYLOAD {
            return Err(TOO_LARGE);
        }
        let event = Event { id: request.id, ..Event::new(config.arn(), Source::Url, now, payload) };
        let mut answered = match config.mode {
            InvokeMode::Buffered => {
                let ticket = self.store.sync_lane().submit(event).map_err(|_| TOO_MANY)?;
                whole(ticket, &config.function).await
            }
            InvokeMode::Stream => {
                let (ticket, parts) =
                    self.store.sync_lane().submit_streamed(event, false).map_err(|_| TOO_MANY)?;
                streamed::response(ticket, parts, &config.function).await
            }
        }?;
        if let Some(cors) = &config.cors {
            cors.add(&request.head.headers, answered.headers_mut());
        }
        Ok(answered)
    }
}

/// What is answered when the function has not run.
fn unanswered(why: Unanswered) -> Refusal {
    match why {
        Unanswered::Throttled(_) => TOO_MANY,
        Unanswered::Broken => INTERNAL,
    }
}

/// The response when the function has ended.
async fn whole(ticket: Ticket, function: &str) -> Result<Response, Refusal> {
    let id = ticket.id;
    let answer = ticket.answer().await.map_err(unanswered)?;
    match answer.outcome {
        Outcome::Failed(_) => Err(BAD_GATEWAY),
        Outcome::Succeeded(payload) => answer::response(&payload).map_err(|reason| {
            tracing::info!(%id, function, reason, "a function's answer is no HTTP response");
            BAD_GATEWAY
        }),
    }
}

/// A response of the platform instead of the function's.
struct Refusal {
    status: StatusCode,
    message: &'static str,
}

const FORBIDDEN: Refusal = Refusal {
    status: StatusCode::FORBIDDEN,
    message: "Forbidden. For troubleshooting Function URL authorization issues, see: \
              https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html",
};
const BAD_GATEWAY: Refusal = Refusal { status: StatusCode::BAD_GATEWAY, message: "Internal Server Error" };
const INTERNAL: Refusal =
    Refusal { status: StatusCode::INTERNAL_SERVER_ERROR, message: "Internal Server Error" };
const TOO_LARGE: Refusal = Refusal {
    status: StatusCode::PAYLOAD_TOO_LARGE,
    message: "The request is larger than the 6 MB that a function can take; put large bodies into a bucket.",
};
const TOO_MANY: Refusal = Refusal { status: StatusCode::TOO_MANY_REQUESTS, message: "Too Many Requests" };
const BROKEN_BODY: Refusal = Refusal { status: StatusCode::BAD_REQUEST, message: "The body broke off." };
const NO_UPGRADE: Refusal = Refusal {
    status: StatusCode::NOT_IMPLEMENTED,
    message: "A function URL serves requests; it cannot be upgraded to a WebSocket.",
};

impl Refusal {
    fn response(self) -> Response {
        if self.status == StatusCode::BAD_GATEWAY {
            let mut response = Response::new(Body::from(bytes::Bytes::from(self.message)));
            *response.status_mut() = self.status;
            return response;
        }
        let body = serde_json::json!({ "Message": self.message }).to_string();
        let mut response = Response::new(Body::from(bytes::Bytes::from(body)));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.status == StatusCode::FORBIDDEN {
            let kind = HeaderValue::from_static("AccessDeniedException");
            response.headers_mut().insert("x-amzn-errortype", kind);
        }
        response
    }
}
