//! The front door: every request comes in here and is handed to the service it is for.

use crate::status::Status;
use async_trait::async_trait;
use model::Clock;
use services::iam::Iam;
use services::lambda::{FunctionUrls, Lambda};
use services::logs::Logs;
use services::rds_data::RdsData;
use services::s3::S3;
use services::sqs::Sqs;
use services::sts::Sts;
use std::sync::Arc;
use wire::credential::Credential;
use wire::route::{Target, route};
use wire::rpc::EXPIRED;
use wire::session::Session;
use wire::{Fault, Request, Response, Service, rest_json, rpc};

/// All faces of the platform.
pub(crate) struct Front {
    pub(crate) lambda: Arc<Lambda>,
    pub(crate) urls: FunctionUrls,
    pub(crate) rds_data: RdsData,
    pub(crate) s3: Arc<S3>,
    pub(crate) sqs: Sqs,
    pub(crate) iam: Iam,
    pub(crate) sts: Sts,
    pub(crate) logs: Logs,
    pub(crate) status: Status,
    pub(crate) clock: Arc<dyn Clock>,
}

#[async_trait]
impl Service for Front {
    async fn call(&self, mut request: Request) -> Response {
        let host = host_of(&request);
        let host = host.as_deref();
        let uri = &request.head.uri;
        let target =
            Credential::of(&request.head.headers, uri.query(), self.clock.now()).and_then(|credential| {
                let target = route(host, uri.path(), credential.as_ref());
                request.credential = credential;
                target
            });
        let session = Session::of(&request.head.headers, uri.query());
        let expired = session.is_some_and(|session| session.expires < self.clock.now());
        let response = match target {
            Ok(target) if expired && !matches!(target, Target::Url { .. } | Target::Status) => {
                self.expired(&target, &request)
            }
            Ok(Target::Lambda) => self.lambda.call(request).await,
            Ok(Target::RdsData) => self.rds_data.call(request).await,
            Ok(Target::S3) => self.s3.call(request).await,
            Ok(Target::Sqs) => self.sqs.call(request).await,
            Ok(Target::Iam) => self.iam.call(request).await,
            Ok(Target::Sts) => self.sts.call(request).await,
            Ok(Target::Logs) => self.logs.call(request).await,
            Ok(Target::Url { id, base }) => self.urls.serve(&id, base, request).await,
            Ok(Target::Status) => self.status.call(request).await,
            // Nobody signed it: a bucket's policy may let everybody in.
            Err(fault)
                if fault.code == "MissingAuthenticationToken"
                    && self.s3.may_answer_anybody(host_of(&request).as_deref(), request.head.uri.path()) =>
            {
                self.s3.call(request).await
            }
            // Of all services, only S3 lists something at the root.
            Err(fault)
                if fault.code == "MissingAuthenticationToken"
                    && request.head.method == http::Method::GET
                    && request.head.uri.path() == "/" =>
            {
                services::s3::fault_response(request.id, &Fault::new("AccessDenied", 403, fault.message))
            }
            // Before a service is known, so is the protocol: S3's clients are those that use bare paths.
            Err(fault) if looks_like_s3(&request) => services::s3::fault_response(request.id, &fault),
            Err(fault) => rpc::unserved_response(&request.head.headers, request.id, &fault)
                .unwrap_or_else(|| rest_json::fault_response(request.id, &fault)),
        };
        tracing::debug!(status = response.status().as_u16(), "answered");
        response
    }
}

impl Front {
    /// What each service answers to credentials whose time is over.
    ///
    /// Source: <https://docs.aws.amazon.com/lambda/latest/api/CommonErrors.html>
    fn expired(&self, target: &Target, request: &Request) -> Response {
        match target {
            Target::Sqs => self.sqs.expired(request),
            Target::Iam => self.iam.expired(request),
            Target::Sts => self.sts.expired(request),
            Target::Logs => self.logs.expired(request),
            Target::S3 => {
                let fault = Fault::new("ExpiredToken", 400, "The provided token has expired.");
                services::s3::fault_response(request.id, &fault)
            }
            _ => rest_json::fault_response(request.id, &Fault::new("ExpiredTokenException", 403, EXPIRED)),
        }
    }
}

fn host_of(request: &Request) -> Option<String> {
    let head = &request.head;
    let host = head.uri.authority().map(|authority| authority.as_str());
    host.or_else(|| head.headers.get(http::header::HOST)?.to_str().ok()).map(str::to_owned)
}

/// Whether a client that gets an error for this request will look for it in XML.
fn looks_like_s3(request: &Request) -> bool {
    let head = &request.head;
    let signed_for_s3 = request.credential.as_ref().is_some_and(|credential| credential.service == "s3");
    let presigned = head.uri.query().is_some_and(|query| query.contains("Signature="));
    let in_header = head
        .headers
        .get(http::header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("/s3/aws4_request"));
    // No other service wants the digest of the body in a header, or takes signatures of version 2.
    let digest = head.headers.contains_key("x-amz-content-sha256")
        || head
            .headers
            .get(http::header::AUTHORIZATION)
            .is_some_and(|value| value.as_bytes().starts_with(b"AWS "));
    signed_for_s3 || presigned || in_header || digest
}
