//! AWS's `restJson1` protocol: operations named by method and path, inputs and outputs in JSON.
//!
//! A service lists its operations once, in a table of [`Operation`]s; routing, decoding and the answer to an
//! operation that is not supported derive from it.
//!
//! Source: <https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html>

use crate::body::ReadError;
use crate::credential::query_pairs;
use crate::{Body, Caller, Fault, Request, Response};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{HeaderValue, Method, StatusCode};
use model::{RequestId, Scope, limits};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Runs one operation on the state `S` of its service.
pub type Run<S> = fn(Arc<S>, Call) -> BoxFuture<'static, Result<Reply, Fault>>;

/// One row of a service's table.
pub struct Operation<S> {
    /// AWS's name of the operation.
    pub name: &'static str,
    /// The HTTP method.
    pub method: Method,
    /// The path, with `{Label}` for a segment that is a parameter.
    pub path: &'static str,
    /// The most bytes that a request's body may have.
    pub body_limit: usize,
    /// What runs it; `None` for one that AWS has and Mayfly does not.
    pub run: Option<Run<S>>,
}

impl<S> Operation<S> {
    /// An operation that is supported.
    pub const fn new(name: &'static str, method: Method, path: &'static str, run: Run<S>) -> Self {
        Operation { name, method, path, body_limit: limits::MB, run: Some(run) }
    }

    /// An operation that AWS has and Mayfly does not: answered 501 with its name.
    pub const fn missing(name: &'static str, method: Method, path: &'static str) -> Self {
        Operation { name, method, path, body_limit: limits::MB, run: None }
    }

    /// The same operation with another bound for its body.
    pub const fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }
}

/// Turns `async fn run(&S, Input) -> Result<Output, Fault>` into a [`Run`] that answers with the given status.
#[macro_export]
macro_rules! json {
    ($status:literal, $run:path) => {
        |state, call| {
            ::std::boxed::Box::pin(async move {
                let output = $run(&state, call.input()?).await?;
                $crate::rest_json::Reply::json($status, &output)
            })
        }
    };
}

/// A request that matched an operation.
#[derive(Debug)]
pub struct Call {
    /// The operation's name.
    pub operation: &'static str,
    /// The values of the path's `{Label}`s, decoded.
    pub labels: Vec<(&'static str, String)>,
    /// The query, decoded.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// Who sent it.
    pub caller: Caller,
    /// The account and the region that it is about.
    pub scope: Scope,
    /// Names the request.
    pub id: RequestId,
}

impl Call {
    /// The input as one typed value: members of the JSON body, path labels and query parameters together.
    ///
    /// # Errors
    /// A fault that names what cannot be read, a parameter that is not supported included.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        let mut members = if self.body.is_empty() {
            Map::new()
        } else {
            serde_json::from_slice::<Map<String, Value>>(&self.body).map_err(|error| {
                Fault::new(
                    "SerializationException",
                    400,
                    format!("The body of {} must be a JSON object: {error}.", self.operation),
                )
            })?
        };
        for (name, value) in &self.query {
            members.insert(name.clone(), Value::String(value.clone()));
        }
        for (name, value) in &self.labels {
            members.insert((*name).to_owned(), Value::String(value.clone()));
        }
        serde_json::from_value(Value::Object(members)).map_err(|error| self.unreadable(&error.to_string()))
    }

    /// The value of the label called `name`.
    ///
    /// # Panics
    /// When the operation's path has no such label: a mistake in the table.
    pub fn label(&self, name: &str) -> &str {
        let found = self.labels.iter().find(|(label, _)| *label == name);
        found.map_or_else(|| panic!("{} has no label {name}", self.operation), |(_, value)| value)
    }

    /// The value of the query parameter called `name`.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value of the header called `name`, if it is plain text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn unreadable(&self, reason: &str) -> Fault {
        let unknown = reason.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
        let message = match unknown {
            Some(name) => format!(
                "The parameter {name} of {} is not supported by Mayfly; leave it out.",
                self.operation
            ),
            None => format!("The parameters of {} cannot be read: {reason}.", self.operation),
        };
        Fault::new("InvalidParameterValueException", 400, message)
    }
}

/// What an operation answers.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// Headers beside the usual ones.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
}

impl Reply {
    /// `output` as JSON with `status`; a 204 has no body.
    ///
    /// # Errors
    /// A fault of ours if the output cannot be written as JSON.
    pub fn json<T: Serialize>(status: u16, output: &T) -> Result<Self, Fault> {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        let body = if status == StatusCode::NO_CONTENT {
            Vec::new()
        } else {
            serde_json::to_vec(output)
                .map_err(|error| Fault::new("ServiceException", 500, format!("unwritable output: {error}")))?
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Reply { status, headers, body: Bytes::from(body).into() })
    }
}

/// Finds the operation that `request` is for in `table`, runs it, and encodes what comes back.
pub async fn dispatch<S>(table: &[Operation<S>], state: Arc<S>, request: Request) -> Response {
    let id = request.id;
    let reply = match find(table, &request) {
        Ok((operation, labels)) => run(operation, labels, state, request).await,
        Err(fault) => Err(fault),
    };
    match reply {
        Ok(reply) => respond(id, reply.status, reply.headers, reply.body),
        Err(fault) => fault_response(id, &fault),
    }
}

async fn run<S>(
    operation: &Operation<S>,
    labels: Vec<(&'static str, String)>,
    state: Arc<S>,
    request: Request,
) -> Result<Reply, Fault> {
    let Some(run) = operation.run else { return Err(Fault::not_implemented(operation.name)) };
    let _room = match operation.body_limit > limits::SYNC_PAYLOAD {
        // The semaphore is never closed.
        true => LARGE_BODIES.acquire().await.ok(),
        false => None,
    };
    let scope = request.scope();
    let body = request.body.read(operation.body_limit).await.map_err(|error| match error {
        ReadError::TooLong(limit) => Fault::new(
            // Lambda has two names for it, one of them for packages.
            match limit > limits::SYNC_PAYLOAD {
                true => "RequestEntityTooLargeException",
                false => "RequestTooLargeException",
            },
            413,
            format!("Request must be smaller than {limit} bytes for the {} operation", operation.name),
        ),
        ReadError::Broken(cause) => {
            Fault::new("InvalidRequestContentException", 400, format!("The body broke off: {cause}."))
        }
    })?;
    let call = Call {
        operation: operation.name,
        labels,
        query: request.head.uri.query().map(|query| query_pairs(query).collect()).unwrap_or_default(),
        headers: request.head.headers,
        body,
        caller: request.caller,
        scope,
        id: request.id,
    };
    run(state, call).await
}

/// Requests with very large bodies that are served at one time: each is held in memory more than once.
static LARGE_BODIES: Semaphore = Semaphore::const_new(limits::LARGE_BODIES);

type Match<'t, S> = (&'t Operation<S>, Vec<(&'static str, String)>);

fn find<'t, S>(table: &'t [Operation<S>], request: &Request) -> Result<Match<'t, S>, Fault> {
    let path = request.head.uri.path();
    let matching = table
        .iter()
        .filter(|operation| operation.method == request.head.method)
        .filter_map(|operation| Some((operation, match_path(operation.path, path)?)));
    // A path without labels is more exact than one that happens to match with them.
    matching.min_by_key(|(_, labels)| labels.len()).ok_or_else(|| {
        Fault::new(
            "UnknownOperationException",
            404,
            format!("There is no operation {} {path}; check the client's API version.", request.head.method),
        )
    })
}

/// The labels of `path` if it fits `template`; a trailing slash makes no difference.
fn match_path(template: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let mut labels = Vec::new();
    let mut segments = path.trim_end_matches('/').split('/');
    for expected in template.trim_end_matches('/').split('/') {
        let segment = segments.next()?;
        match expected.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(label) if !segment.is_empty() => {
                labels.push((label, percent_decode_str(segment).decode_utf8().ok()?.into_owned()));
            }
            None if expected == segment => {}
            _ => return None,
        }
    }
    segments.next().is_none().then_some(labels)
}

/// A fault as restJson1 answers it.
pub fn fault_response(id: RequestId, fault: &Fault) -> Response {
    let kind = if fault.status.is_server_error() { "Service" } else { "User" };
    // Services differ in the case of the member; clients of each find theirs.
    let body = serde_json::json!({ "Type": kind, "Message": fault.message, "message": fault.message });
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(code) = HeaderValue::from_str(&fault.code) {
        headers.insert("x-amzn-errortype", code);
    }
    respond(id, fault.status, headers, Bytes::from(body.to_string()).into())
}

fn respond(id: RequestId, status: StatusCode, headers: HeaderMap, body: Body) -> Response {
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().entry("x-amzn-requestid").or_insert(id);
    }
    response
}

/// Reads an optional number that may come as a JSON number or, from a query, as text.
///
/// # Errors
/// When it is neither.
pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    match Option::<Value>::deserialize(deserializer)? {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => number.as_u64().map(Some).ok_or_else(|| not_a_number(&number)),
        Some(Value::String(text)) => text.parse().map(Some).map_err(|_| not_a_number(&text)),
        Some(other) => Err(not_a_number(&other)),
    }
}

fn not_a_number<E: serde::de::Error>(value: &dyn std::fmt::Display) -> E {
    E::custom(format_args!("{value} is not a whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, rename_all = "PascalCase")]
    struct Input {
        name: String,
        #[serde(default, deserialize_with = "number")]
        max_items: Option<u64>,
        #[serde(default)]
        colour: Option<String>,
    }

    #[derive(Serialize)]
    struct Output {
        seen: String,
    }

    async fn paint(_state: &(), input: Input) -> Result<Output, Fault> {
        Ok(Output { seen: format!("{input:?}") })
    }

    const TABLE: &[Operation<()>] = &[
        Operation::new("Paint", Method::POST, "/v1/things/{Name}", json!(201, paint)).body_limit(64),
        Operation::missing("Erase", Method::DELETE, "/v1/things/{Name}"),
    ];

    async fn send(method: Method, uri: &str, body: &'static str) -> (u16, String, Value) {
        let request = http::Request::builder().method(method).uri(uri).body(()).unwrap();
        let request = Request {
            head: request.into_parts().0,
            body: Body::from(Bytes::from(body)),
            caller: Caller::Outside,
            credential: None,
            id: RequestId::new(Timestamp(0)),
        };
        let response = dispatch(TABLE, Arc::new(()), request).await;
        let code = response.headers().get("x-amzn-errortype").map_or("", |v| v.to_str().unwrap()).to_owned();
        let status = response.status().as_u16();
        (status, code, serde_json::from_slice(&response.into_body().read(1000).await.unwrap()).unwrap())
    }

    #[tokio::test]
    async fn labels_query_and_body_make_one_input() {
        let (status, _, body) =
            send(Method::POST, "/v1/things/a%20b?MaxItems=7", r#"{"Colour":"red"}"#).await;
        assert_eq!(status, 201);
        assert_eq!(body["seen"], r#"Input { name: "a b", max_items: Some(7), colour: Some("red") }"#);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_named() {
        for (method, uri, body, status, code, part) in [
            (Method::POST, "/v1/things/a", "{", 400, "SerializationException", "JSON object"),
            (
                Method::POST,
                "/v1/things/a",
                r#"{"Size":1}"#,
                400,
                "InvalidParameterValueException",
                "parameter Size",
            ),
            (
                Method::POST,
                "/v1/things/a?MaxItems=x",
                "",
                400,
                "InvalidParameterValueException",
                "whole number",
            ),
            (Method::DELETE, "/v1/things/a", "", 501, "NotImplemented", "Erase"),
            (Method::GET, "/v1/other", "", 404, "UnknownOperationException", "GET /v1/other"),
            (
                Method::POST,
                "/v1/things/a",
                r#"{"Colour":"a colour that is much too long to be read within the limit"}"#,
                413,
                "RequestTooLargeException",
                "64 bytes",
            ),
        ] {
            let (got, error, answer) = send(method, uri, body).await;
            assert_eq!((got, error.as_str()), (status, code));
            assert!(answer["message"].as_str().unwrap().contains(part), "{answer}");
        }
    }
}
