//! What a custom runtime is answered: its event, that it was heard, or why not.

use super::super::frames::Invocation;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::json;

/// An answer of the API.
pub(super) type Reply = Response<Full<Bytes>>;

/// The event and what comes with it.
#[derive(Debug)]
pub(super) struct Event {
    headers: HeaderMap,
    body: Bytes,
}

impl Event {
    pub(super) fn new(invocation: &Invocation<'_>, body: Bytes) -> Event {
        let mut headers = HeaderMap::with_capacity(8);
        let mut set = |name, value: &str| {
            // What no header can carry is left out.
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        set("content-type", "application/json");
        set("lambda-runtime-aws-request-id", &invocation.request_id);
        set("lambda-runtime-deadline-ms", &invocation.deadline_ms.to_string());
        set("lambda-runtime-invoked-function-arn", invocation.function_arn);
        set("lambda-runtime-trace-id", &invocation.trace_id);
        if let Some(context) = invocation.client_context {
            // On one line, as a header must be.
            let parsed = serde_json::from_str::<serde_json::Value>(context);
            set(
                "lambda-runtime-client-context",
                &parsed.map_or_else(|_| context.to_owned(), |c| c.to_string()),
            );
        }
        Event { headers, body }
    }

    pub(super) fn reply(&self) -> Reply {
        let mut reply = Response::new(Full::new(self.body.clone()));
        reply.headers_mut().clone_from(&self.headers);
        reply
    }
}

/// What a runtime hears when its answer has been taken.
pub(super) fn accepted() -> Reply {
    json(StatusCode::ACCEPTED, Bytes::from_static(br#"{"status":"OK"}"#))
}

/// A reply with this document.
pub(super) fn json(status: StatusCode, document: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(document));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    pub(super) kind: &'static str,
    message: String,
    allow: Option<&'static str>,
}

impl Refusal {
    pub(super) fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { status, kind, message: message.into(), allow: None }
    }

    /// There is a resource at this path, for another method.
    pub(super) fn method(allow: &'static str, path: &str) -> Refusal {
        let message = format!("{path} is for {allow}");
        Refusal { allow: Some(allow), ..Refusal::new(405, "MethodNotAllowed", message) }
    }

    pub(super) fn too_large(most: usize) -> Refusal {
        let message = format!("Exceeded maximum allowed payload size ({most} bytes).");
        Refusal::new(413, "RequestEntityTooLarge", message)
    }

    pub(super) fn reply(&self) -> Reply {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let document = json!({"errorMessage": self.message, "errorType": self.kind});
        let mut reply = json(status, document.to_string().into());
        if let Some(allow) = self.allow {
            reply.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        }
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_context_becomes_one_line_or_is_left_out() {
        let event = |context| {
            let invocation = Invocation {
                request_id: "id".into(),
                deadline_ms: 7,
                client_context: Some(context),
                function_arn: "arn",
                trace_id: "trace".into(),
            };
            let reply = Event::new(&invocation, Bytes::new()).reply();
            let value = reply.headers().get("lambda-runtime-client-context").cloned();
            value.map(|value| String::from_utf8(value.as_bytes().to_vec()).unwrap())
        };
        assert_eq!(event("{\n\"a\": \"ü\"}").as_deref(), Some(r#"{"a":"ü"}"#));
        assert_eq!(event("no\r\nX: y"), None);
    }
}
