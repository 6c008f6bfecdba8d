//! `Invoke`: runs a function and answers with what it returned, or takes its event for later.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>

use super::Lambda;
use super::error::{Error, invalid};
use super::function::Function;
use super::name::Named;
use super::refusal::{Rest, refuse};
use super::validate::Checks;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use model::{Event, Outcome, Source, limits};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use store::queue::Answer;
use wire::Fault;
use wire::rest_json::{Call, Reply};

/// The longest client context, in bytes of its base64 form.
const CLIENT_CONTEXT: usize = 3_583;

/// Calls a function.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Reply, Error> {
    refuse(call.operation, &not_supported(&call))?;
    let kind = call.header("x-amz-invocation-type").unwrap_or("RequestResponse");
    let log_type = call.header("x-amz-log-type").unwrap_or("None");
    let mut checks = Checks::default();
    checks.one_of("invocationType", kind, &["Event", "RequestResponse", "DryRun"]);
    checks.one_of("logType", log_type, &["None", "Tail"]);
    checks.finish()?;
    let named = Named::parse(call.label("FunctionName"), call.query("Qualifier"))?;
    let client_context = call.header("x-amz-client-context").map(read_context).transpose()?;
    let (source, limit) = match kind {
        "Event" => (Source::InvokeAsync, limits::ASYNC_PAYLOAD),
        _ => (Source::Invoke, limits::SYNC_PAYLOAD),
    };
    if call.body.len() > limit {
        let message = format!(
            "{} byte payload is too large for the {kind} invocation type (limit {limit} bytes)",
            call.body.len()
        );
        return Err(Fault::new("RequestTooLargeException", 413, message).into());
    }
    let payload = if call.body.is_empty() { Bytes::from_static(b"{}") } else { call.body.clone() };
    check_json(&payload)?;
    let mut event = Event::new(named.arn.clone(), source, lambda.store.now(), payload);
    // One id for the request, its event, and the lines in the function's log.
    event.id = call.id;
    event.client_context = client_context;
    match kind {
        "DryRun" => {
            lambda.store.read(|view| Function::load(view, &named))?;
            Ok(reply(StatusCode::NO_CONTENT, Bytes::new()))
        }
        "Event" => {
            let accepted = lambda.store.write(move |tx| {
                Function::load(tx, &named)?;
                Ok::<_, Error>(tx.submit(&event)?)
            });
            accepted.await?;
            Ok(reply(StatusCode::ACCEPTED, Bytes::new()))
        }
        _ => {
            lambda.store.read(|view| Function::load(view, &named))?;
            let Ok(ticket) = lambda.store.sync_lane().submit(event) else { return Ok(too_many()) };
            match ticket.answer().await {
                Some(answer) => Ok(answered(answer, log_type == "Tail")),
                // The scheduler has logged why, or the server is stopping.
                None => Err(Fault::internal("ServiceException", call.id).into()),
            }
        }
    }
}

/// Headers that would change how the function is called, as parameters.
fn not_supported(call: &Call) -> Rest {
    [("TenantId", "x-amz-tenant-id"), ("DurableExecutionName", "x-amz-durable-execution-name")]
        .iter()
        .filter_map(|(name, header)| Some(((*name).to_owned(), Value::from(call.header(header)?))))
        .collect()
}

/// The client context as JSON.
fn read_context(header: &str) -> Result<String, Error> {
    if header.len() > CLIENT_CONTEXT {
        return Err(
            invalid(format!("Client context must be at most {CLIENT_CONTEXT} bytes in base64.")).into()
        );
    }
    BASE64_STANDARD
        .decode(header)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|json| serde_json::from_str::<IgnoredAny>(json).is_ok())
        .ok_or_else(|| content("Client context must be a valid Base64-encoded JSON object."))
}

fn check_json(payload: &[u8]) -> Result<(), Error> {
    let unreadable = |reason: &dyn std::fmt::Display| {
        content(&format!(
            "Could not parse request body into json: Could not parse payload into json: {reason}"
        ))
    };
    // Passing over values does not look into their text.
    std::str::from_utf8(payload).map_err(|error| unreadable(&error))?;
    serde_json::from_slice::<IgnoredAny>(payload).map_err(|error| unreadable(&error))?;
    Ok(())
}

fn content(message: &str) -> Error {
    Fault::new("InvalidRequestContentException", 400, message).into()
}

fn answered(answer: Answer, tail: bool) -> Reply {
    let mut reply = reply(StatusCode::OK, answer.outcome.payload());
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            reply.headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("x-amz-executed-version", &answer.version);
    if matches!(answer.outcome, Outcome::Failed(_)) {
        set("x-amz-function-error", "Unhandled");
    }
    if tail {
        set("x-amz-log-result", &BASE64_STANDARD.encode(&answer.log_tail));
    }
    reply
}

fn too_many() -> Reply {
    let body = json!({
        "Type": "User",
        "message": "Rate Exceeded.",
        "Reason": "ConcurrentInvocationLimitExceeded",
    });
    let mut reply = reply(StatusCode::TOO_MANY_REQUESTS, body.to_string().into());
    reply.headers.insert("x-amzn-errortype", HeaderValue::from_static("TooManyRequestsException"));
    reply.headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    reply
}

fn reply(status: StatusCode, body: Bytes) -> Reply {
    let mut headers = HeaderMap::new();
    if !body.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Reply { status, headers, body }
}
