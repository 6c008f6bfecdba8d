//! `Invoke`: runs a function and answers with what it returned, or takes its event for later.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>

use super::Lambda;
use super::error::{Error, invalid, not_found};
use super::function::Function;
use super::name::Named;
use super::refusal::{Rest, refuse};
use super::validate::Checks;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use model::{Event, LATEST, Lineage, Outcome, Source, limits};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use store::View;
use store::queue::{Answer, Throttled, Unanswered};
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
    let named = Named::parse(&call, call.label("FunctionName"), call.query("Qualifier"))?;
    let (source, limit) = match kind {
        "Event" => (Source::InvokeAsync, limits::ASYNC_PAYLOAD),
        _ => (Source::Invoke, limits::SYNC_PAYLOAD),
    };
    check_payload(&call, kind, limit)?;
    let event = event(lambda, &call, &named, source)?;
    match kind {
        "DryRun" => {
            lambda.store.read(|view| find(view, &named))?;
            Ok(reply(StatusCode::NO_CONTENT, Bytes::new()))
        }
        "Event" => {
            let accepted = lambda.store.write(move |tx| {
                find(tx, &named)?;
                Ok::<_, Error>(tx.submit(&event)?)
            });
            accepted.await?;
            Ok(reply(StatusCode::ACCEPTED, Bytes::new()))
        }
        _ => {
            lambda.store.spec(&named.target())?.ok_or_else(|| no_target(&named))?;
            refuse_loop(lambda, &event)?;
            let lane = lambda.store.sync_lane();
            let tail = log_type == "Tail";
            let submitted = if tail { lane.submit_logged(event) } else { lane.submit(event) };
            let Ok(ticket) = submitted else {
                return Ok(too_many(Throttled::Account));
            };
            match ticket.answer().await {
                Ok(answer) => Ok(answered(answer, tail)),
                Err(Unanswered::Throttled(why)) => Ok(too_many(why)),
                // The scheduler has logged why, or the server is stopping.
                Err(Unanswered::Broken) => Err(Fault::internal("ServiceException", call.id).into()),
            }
        }
    }
}

/// Checks that what is called is there.
pub(super) fn find(view: &View<'_>, named: &Named) -> Result<(), Error> {
    match Function::resolve(view, named) {
        Err(Error::Fault(_)) => Err(no_target(named).into()),
        found => found.map(drop),
    }
}

/// What is called does not exist: AWS names it with the version that was meant.
pub(super) fn no_target(named: &Named) -> Fault {
    let qualifier = named.qualifier.as_deref().unwrap_or(LATEST);
    not_found(format!("Function not found: {}", named.arn.qualified(qualifier)))
}

/// Refuses an event that is longer than `limit`.
pub(super) fn check_payload(call: &Call, kind: &str, limit: usize) -> Result<(), Fault> {
    let length = call.body.len();
    match length > limit {
        true => Err(Fault::new(
            "RequestTooLargeException",
            413,
            format!(
                "{length} byte payload is too large for the {kind} invocation type (limit {limit} bytes)"
            ),
        )),
        false => Ok(()),
    }
}

/// The event of a call.
pub(super) fn event(lambda: &Lambda, call: &Call, named: &Named, source: Source) -> Result<Event, Error> {
    let client_context = call.header("x-amz-client-context").map(read_context).transpose()?;
    let payload = if call.body.is_empty() { Bytes::from_static(b"{}") } else { call.body.clone() };
    check_json(&payload)?;
    // One id for the request, its event, and the lines in the function's log.
    let event = Event::new(named.target(), source, lambda.store.now(), payload);
    let lineage = call.header("x-amzn-trace-id").map(Lineage::of_header).unwrap_or_default();
    Ok(Event { id: call.id, client_context, lineage, ..event })
}

/// Refuses a call that a function's own calls have led to, over and over. An asynchronous one is given up when it is due.
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>
pub(super) fn refuse_loop(lambda: &Lambda, event: &Event) -> Result<(), Error> {
    if event.lineage.count(&event.function) < limits::RECURSION || lambda.store.may_loop(&event.function)? {
        return Ok(());
    }
    Err(Fault::new(
        "RecursiveInvocationException",
        400,
        "Lambda has detected your function being invoked in a recursive loop with other AWS resources and stopped your \
         function's invocation.",
    )
    .into())
}

/// Headers that would change how the function is called, as parameters.
pub(super) fn not_supported(call: &Call) -> Rest {
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

pub(super) fn too_many(why: Throttled) -> Reply {
    let body = json!({
        "Type": "User",
        "message": "Rate Exceeded.",
        "Reason": why.reason(),
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
    Reply { status, headers, body: body.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lambda::testing::{Bench, base64};
    use model::FunctionError;

    const PATH: &str = "/2015-03-31/functions/f/invocations";

    #[tokio::test]
    async fn a_call_gets_the_functions_answer_and_the_end_of_its_log() {
        let bench = Bench::new();
        bench.created().await;
        bench.answer_with(Outcome::Succeeded("[1]".into()));
        let got = bench.send_with("POST", PATH, &[("x-amz-log-type", "Tail")], "{}".into()).await;
        assert_eq!((got.status, &got.body), (200, &json!([1])));
        assert_eq!(got.header("x-amz-executed-version"), "$LATEST");
        assert_eq!(got.header("x-amz-log-result"), base64(b"the log\n"));
        assert_eq!(got.header("x-amz-function-error"), "");
    }

    #[tokio::test]
    async fn a_functions_error_is_data() {
        let bench = Bench::new();
        bench.created().await;
        bench.answer_with(Outcome::Failed(FunctionError::of("ValueError", "no".into())));
        let got = bench.send_with("POST", PATH, &[], Bytes::new()).await;
        assert_eq!((got.status, got.header("x-amz-function-error")), (200, "Unhandled"));
        assert_eq!(got.body["errorType"], "ValueError");
        assert_eq!(got.header("x-amz-log-result"), "");
    }

    #[tokio::test]
    async fn an_asynchronous_call_is_on_disk_when_it_is_accepted() {
        let bench = Bench::new();
        bench.created().await;
        let headers = [("x-amz-invocation-type", "Event"), ("x-amz-client-context", "eyJhIjoxfQ==")];
        let got = bench.send_with("POST", PATH, &headers, r#"{"n":1}"#.into()).await;
        assert_eq!(got.status, 202);
        let bench = bench.reopen();
        let claimed = bench.lambda.store.claim(&model::FunctionArn::of("f"), 10).unwrap().leases;
        assert_eq!(claimed.len(), 1);
        assert_eq!(claimed[0].event.payload, r#"{"n":1}"#);
        assert_eq!(claimed[0].event.client_context.as_deref(), Some(r#"{"a":1}"#));
        assert_eq!(claimed[0].event.id.to_string(), got.header("x-amzn-requestid"));
    }

    #[tokio::test]
    async fn what_cannot_be_an_event_is_refused() {
        let bench = Bench::new();
        bench.created().await;
        let big = format!("\"{}\"", "a".repeat(limits::ASYNC_PAYLOAD - 1));
        let bigger = format!("\"{}\"", "a".repeat(limits::SYNC_PAYLOAD - 1));
        let content = "InvalidRequestContentException";
        let context = "a".repeat(3_584);
        for (path, headers, body, status, code, part) in [
            (PATH, vec![], "{".into(), 400, content, "Could not parse request body into json"),
            (PATH, vec![], "{} x".into(), 400, content, "json"),
            (PATH, vec![], Bytes::from_static(b"\"\xff\""), 400, content, "utf-8"),
            (PATH, vec![("x-amz-invocation-type", "Event")], "nope".into(), 400, content, "json"),
            (
                PATH,
                vec![("x-amz-invocation-type", "Event")],
                big.into(),
                413,
                "RequestTooLargeException",
                "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)",
            ),
            (PATH, vec![], bigger.into(), 413, "RequestTooLargeException", "6291456 bytes"),
            (
                PATH,
                vec![("x-amz-invocation-type", "Later")],
                "{}".into(),
                400,
                "ValidationException",
                "Later",
            ),
            (PATH, vec![("x-amz-client-context", "e30")], "{}".into(), 400, content, "Base64"),
            (
                PATH,
                vec![("x-amz-client-context", context.as_str())],
                "{}".into(),
                400,
                "InvalidParameterValueException",
                "3583",
            ),
            (
                "/2015-03-31/functions/f/invocations?Qualifier=7",
                vec![],
                "{}".into(),
                404,
                "ResourceNotFoundException",
                "function:f:7",
            ),
            (
                "/2015-03-31/functions/g/invocations",
                vec![("x-amz-invocation-type", "Event")],
                "{}".into(),
                404,
                "ResourceNotFoundException",
                "function:g",
            ),
        ] {
            let got = bench.send_with("POST", path, &headers, body).await;
            got.refused(status, code, part);
        }
        assert_eq!(bench.lambda.store.read(|view| view.durable_events()).unwrap(), 0);
    }

    #[tokio::test]
    async fn a_dry_run_runs_nothing_and_a_full_lane_says_so() {
        let bench = Bench::new();
        bench.created().await;
        let got = bench.send_with("POST", PATH, &[("x-amz-invocation-type", "DryRun")], "{}".into()).await;
        assert_eq!(got.status, 204);
        let event =
            || Event::new(model::FunctionArn::of("f"), Source::Invoke, model::Timestamp(0), "{}".into());
        let waiting: Vec<_> =
            (0..limits::SYNC_LANE).map(|_| bench.lambda.store.sync_lane().submit(event()).unwrap()).collect();
        let got = bench.send_with("POST", PATH, &[], "{}".into()).await;
        got.refused(429, "TooManyRequestsException", "Rate Exceeded.");
        assert_eq!(got.body["Reason"], "ConcurrentInvocationLimitExceeded");
        drop(waiting);
    }
}
