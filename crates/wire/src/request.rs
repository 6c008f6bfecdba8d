//! A request as services see it, and what a service is.

use crate::Body;
use crate::credential::Credential;
use async_trait::async_trait;
use http::request::Parts;
use model::FunctionArn;

/// A response with a streamed body.
pub type Response = http::Response<Body>;

/// Who sent a request, known by the socket it came through and not by what it claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody who reached the listening address.
    Outside,
    /// A function, from inside its sandbox.
    Function(FunctionArn),
}

/// A request with its head read and its body still to come.
#[derive(Debug)]
pub struct Request {
    /// Method, URI, headers.
    pub head: Parts,
    /// The body.
    pub body: Body,
    /// Who sent it.
    pub caller: Caller,
    /// The credential it was signed with; `None` for an unsigned request.
    pub credential: Option<Credential>,
    /// Names this request in the log and in the answer's `x-amzn-RequestId`.
    pub id: model::RequestId,
}

/// One face of the platform: answers requests, its own faults included.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// Answers `request`.
    async fn call(&self, request: Request) -> Response;
}
