//! AWS's protocols in which one path serves all operations: JSON (`awsJson1_0`, `awsJson1_1`), where a header names the
//! operation, and the older query protocol, where a form does and answers are XML.
//!
//! A service lists its operations once, in an [`Api`]; it is answered over both protocols from the same typed input and
//! output.
//!
//! Source: <https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html> and
//! <https://smithy.io/2.0/aws/protocols/aws-query-protocol.html>

mod query;
mod read;
mod xml;

pub use query::{Flat, Kind};
pub use read::{boolean, integer};

use crate::body::ReadError;
use crate::credential::{Credential, query_pairs};
use crate::{Body, Caller, Fault, Request, Response};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use model::{RequestId, Scope, limits};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

/// Runs one operation on the state `S` of its service, and answers with an encoded body.
pub type Run<S> = fn(Arc<S>, Call) -> BoxFuture<'static, Result<Bytes, Fault>>;

/// One row of a service's table.
pub struct Operation<S> {
    /// AWS's name of the operation.
    pub name: &'static str,
    /// How the lists and maps of its input and output are called in the query protocol, where not `NAME.member.N`.
    pub flat: &'static [Flat],
    /// What runs it; `None` for one that AWS has and Mayfly does not.
    pub run: Option<Run<S>>,
}

impl<S> Operation<S> {
    /// An operation that is supported.
    pub const fn new(name: &'static str, run: Run<S>) -> Self {
        Operation { name, flat: &[], run: Some(run) }
    }

    /// An operation that AWS has and Mayfly does not: answered 501 with its name.
    pub const fn missing(name: &'static str) -> Self {
        Operation { name, flat: &[], run: None }
    }

    /// The same operation with other names of its lists and maps in the query protocol.
    pub const fn flat(mut self, flat: &'static [Flat]) -> Self {
        self.flat = flat;
        self
    }
}

/// A service: what it is called on the wire, and all its operations.
pub struct Api<S: 'static> {
    /// What stands before the dot in `X-Amz-Target`; empty for a service that speaks the query protocol only.
    pub target: &'static str,
    /// The namespace of its error shapes in JSON, for instance `com.amazonaws.sqs`.
    pub shapes: &'static str,
    /// The namespace of its XML.
    pub xmlns: &'static str,
    /// What the query protocol calls an error that JSON calls by the given name.
    pub query_code: fn(&str) -> &str,
    /// The most bytes that a request's body may have.
    pub body_limit: usize,
    /// All operations.
    pub operations: &'static [Operation<S>],
}

/// Turns `async fn run(&S, Input, &Call) -> Result<Output, Fault>` into a [`Run`].
#[macro_export]
macro_rules! rpc {
    ($run:path) => {
        |state, call| {
            ::std::boxed::Box::pin(async move {
                let output = $run(&state, call.input()?, &call).await?;
                call.output(&output)
            })
        }
    };
}

/// Which of the two protocols a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// JSON, with the content type that the client sent.
    Json(&'static str),
    /// A form, answered in XML.
    Query,
}

/// A request that matched an operation.
#[derive(Debug)]
pub struct Call {
    /// The operation's name.
    pub operation: &'static str,
    /// The protocol that it came in.
    pub protocol: Protocol,
    /// The head of the request.
    pub head: Parts,
    /// Who sent it.
    pub caller: Caller,
    /// The credential it was signed with.
    pub credential: Option<Credential>,
    /// Names the request.
    pub id: RequestId,
    members: Members,
    flat: &'static [Flat],
    xmlns: &'static str,
}

/// The members of the input as they came.
#[derive(Debug)]
enum Members {
    Json(Bytes),
    Form(Vec<(String, String)>),
}

impl Call {
    /// The input as one typed value.
    ///
    /// # Errors
    /// A fault that names what cannot be read.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        let unreadable = |error: serde_json::Error| {
            let message = format!("The parameters of {} cannot be read: {error}.", self.operation);
            Fault::new("SerializationException", 400, message)
        };
        match &self.members {
            Members::Json(body) if body.is_empty() => serde_json::from_str("{}").map_err(unreadable),
            Members::Json(body) => serde_json::from_slice(body).map_err(unreadable),
            Members::Form(pairs) => {
                let members = query::members(pairs, self.flat)
                    .map_err(|reason| Fault::new("MalformedInput", 400, reason))?;
                serde_json::from_value(members).map_err(unreadable)
            }
        }
    }

    /// `output` as the body of an answer in the protocol of the request.
    ///
    /// # Errors
    /// A fault of ours if the output cannot be written.
    pub fn output<T: Serialize>(&self, output: &T) -> Result<Bytes, Fault> {
        let unwritable = |error: serde_json::Error| {
            Fault::new("InternalFailure", 500, format!("unwritable output: {error}"))
        };
        match self.protocol {
            Protocol::Json(_) => {
                let body = serde_json::to_vec(output).map_err(unwritable)?;
                Ok(if body == b"null" { Bytes::from_static(b"{}") } else { body.into() })
            }
            Protocol::Query => {
                let output = serde_json::to_value(output).map_err(unwritable)?;
                Ok(xml::answer(self.operation, self.xmlns, self.id, &output, self.flat).into())
            }
        }
    }

    /// The account and the region that the request is about.
    pub fn scope(&self) -> Scope {
        crate::request::scope(&self.caller, self.credential.as_ref())
    }

    /// The value of the header called `name`, if it is plain text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Finds the operation that `request` is for, runs it, and encodes what comes back.
pub async fn dispatch<S>(api: &'static Api<S>, state: Arc<S>, request: Request) -> Response {
    let (id, protocol) = (request.id, protocol_of(&request.head.headers));
    match run(api, state, request, protocol).await {
        Ok(body) => respond(id, StatusCode::OK, protocol, body),
        Err(fault) => fault_response(api, id, protocol, &fault),
    }
}

fn protocol_of(headers: &HeaderMap) -> Protocol {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match headers.contains_key("x-amz-target") {
        true if content_type.starts_with("application/x-amz-json-1.1") => {
            Protocol::Json("application/x-amz-json-1.1")
        }
        true => Protocol::Json("application/x-amz-json-1.0"),
        false => Protocol::Query,
    }
}

async fn run<S>(
    api: &'static Api<S>,
    state: Arc<S>,
    request: Request,
    protocol: Protocol,
) -> Result<Bytes, Fault> {
    let body = request.body.read(api.body_limit).await.map_err(|error| match error {
        ReadError::TooLong(limit) => Fault::new(
            "RequestEntityTooLargeException",
            413,
            format!("The request must be smaller than {limit} bytes."),
        ),
        ReadError::Broken(cause) => {
            Fault::new("SerializationException", 400, format!("The body broke off: {cause}."))
        }
    })?;
    let (name, members) = match protocol {
        Protocol::Json(_) => {
            let target = request.head.headers.get("x-amz-target").and_then(|value| value.to_str().ok());
            let (service, name) = target.and_then(|target| target.rsplit_once('.')).unwrap_or_default();
            let name = if service == api.target { name } else { "" };
            (name.to_owned(), Members::Json(body))
        }
        Protocol::Query => {
            let form = std::str::from_utf8(&body)
                .map_err(|_| Fault::new("MalformedQueryString", 400, "The form is not UTF-8 text."))?;
            let query = request.head.uri.query().unwrap_or_default();
            let pairs: Vec<_> =
                query_pairs(query).chain(query_pairs(form)).take(limits::FORM_PAIRS + 1).collect();
            if pairs.len() > limits::FORM_PAIRS {
                return Err(Fault::new("MalformedQueryString", 400, "The form has too many members."));
            }
            let action = pairs.iter().find(|(key, _)| key == "Action").map(|(_, value)| value.clone());
            let action = action.ok_or_else(|| {
                Fault::new(
                    "MissingAction",
                    400,
                    "The request must contain the parameter Action, or the header X-Amz-Target.",
                )
            })?;
            (action, Members::Form(pairs))
        }
    };
    let operation = api.operations.iter().find(|operation| operation.name == name);
    let operation = operation.ok_or_else(|| unknown(protocol, &name))?;
    let Some(run) = operation.run else { return Err(Fault::not_implemented(operation.name)) };
    let call = Call {
        operation: operation.name,
        protocol,
        head: request.head,
        caller: request.caller,
        credential: request.credential,
        id: request.id,
        members,
        flat: operation.flat,
        xmlns: api.xmlns,
    };
    run(state, call).await
}

fn unknown(protocol: Protocol, name: &str) -> Fault {
    match protocol {
        Protocol::Json(_) => Fault::new("UnknownOperationException", 400, ""),
        Protocol::Query => {
            Fault::new("InvalidAction", 400, format!("The action {name} is not valid for this endpoint."))
        }
    }
}

/// What is said of credentials whose time is over.
pub const EXPIRED: &str = "The security token included in the request is expired";

/// The response to credentials whose time is over.
pub fn expired_response<S>(api: &Api<S>, request: &Request) -> Response {
    let protocol = protocol_of(&request.head.headers);
    let code = if matches!(protocol, Protocol::Query) { "ExpiredToken" } else { "ExpiredTokenException" };
    fault_response(api, request.id, protocol, &Fault::new(code, 403, EXPIRED))
}

/// A fault for a service that is not here, in the protocol of its clients; `None` if they speak neither of these.
pub fn unserved_response(headers: &HeaderMap, id: RequestId, fault: &Fault) -> Option<Response> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let protocol = protocol_of(headers);
    if matches!(protocol, Protocol::Query) && !kind.starts_with("application/x-www-form-urlencoded") {
        return None;
    }
    let api: Api<()> = Api {
        target: "",
        shapes: "com.amazon.coral.service",
        xmlns: "https://aws.amazon.com/",
        query_code: |code| code,
        body_limit: 0,
        operations: &[],
    };
    Some(fault_response(&api, id, protocol, fault))
}

/// A fault as the protocol of its request answers it.
pub fn fault_response<S>(api: &Api<S>, id: RequestId, protocol: Protocol, fault: &Fault) -> Response {
    let code = (api.query_code)(&fault.code);
    let sender = if fault.status.is_server_error() { "Receiver" } else { "Sender" };
    match protocol {
        Protocol::Json(_) => {
            let body = serde_json::json!({
                "__type": format!("{}#{}", api.shapes, fault.code), "message": fault.message,
            });
            let mut response = respond(id, fault.status, protocol, Value::to_string(&body).into());
            if let Ok(value) = HeaderValue::from_str(&format!("{code};{sender}")) {
                response.headers_mut().insert("x-amzn-query-error", value);
            }
            response
        }
        Protocol::Query => {
            let body = xml::error(api.xmlns, id, sender, code, &fault.message);
            respond(id, fault.status, protocol, body.into())
        }
    }
}

fn respond(id: RequestId, status: StatusCode, protocol: Protocol, body: Bytes) -> Response {
    let mut response = http::Response::new(Body::from(body));
    *response.status_mut() = status;
    let kind = match protocol {
        Protocol::Json(kind) => kind,
        Protocol::Query => "text/xml",
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

#[cfg(test)]
mod tests;
