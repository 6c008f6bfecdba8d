//! What is let through once `s3s` has found the operation, and before it reads the body.

use super::authorize::{self, Deed};
use super::error::not_supported;
use super::operations::OPERATIONS;
use super::policy_condition::Asked;
use super::request::Context;
use super::rewrite::Source;
use super::{State, XML_BODY, acl, grants, parameters};
use async_trait::async_trait;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::CopySource;
use s3s::path::S3Path;
use s3s::{S3Error, S3ErrorCode, S3Result};
use std::sync::Arc;
use wire::credential::query_value;

/// Lets through the operations that are supported, with the headers that are.
pub(super) struct Supported(pub(super) Arc<State>);

#[async_trait]
impl S3Access for Supported {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let operation = context.s3_op().name();
        if !OPERATIONS.contains(&operation) {
            return Err(not_supported(format_args!("The operation {operation}")));
        }
        let stream = matches!(operation, "PutObject" | "UploadPart");
        if let Some(request) = context.extensions_mut().get::<Context>()
            && !stream
        {
            request.report.limit_document(XML_BODY as u64);
        }
        parameters::check_headers(context.headers())?;
        let request = context.extensions_mut().get::<Context>().cloned().ok_or(S3ErrorCode::InternalError)?;
        self.check_caller(context, &request)
    }
}

impl Supported {
    /// Refuses what who asks may not do.
    fn check_caller(&self, context: &S3AccessContext<'_>, request: &Context) -> S3Result<()> {
        let operation = context.s3_op().name();
        let (bucket, key) = match context.s3_path() {
            S3Path::Root => return if request.account.is_some() { Ok(()) } else { Err(denied()) },
            S3Path::Bucket { bucket } => (&**bucket, None),
            S3Path::Object { bucket, key } => (&**bucket, Some(&**key)),
        };
        if operation == "CreateBucket" {
            return if request.account.is_some() { Ok(()) } else { Err(denied()) };
        }
        let query = context.uri().query().unwrap_or_default();
        let version = query_value(query, "versionId");
        let source = copy_source(context)?;
        let expected =
            |name: &str| context.headers().get(name).map(|value| value.to_str().unwrap_or_default());
        let asked = request.asked(context.headers(), query, self.0.store.now());
        self.0
            .store
            .read(|view| {
                if let Some(owner) = expected("x-amz-expected-bucket-owner") {
                    authorize::check_owner(view, bucket, owner)?;
                }
                // What somebody may write is no way to what they may not read.
                if let Some(Source { bucket, key, version }) = &source {
                    if let Some(owner) = expected("x-amz-source-expected-bucket-owner") {
                        authorize::check_owner(view, bucket, owner)?;
                    }
                    let deed = authorize::reading(bucket, key, version.as_deref());
                    authorize::check(view, deed, &Asked { headers: None, query: "", ..asked.clone() })?;
                }
                if grants::by_grant(context.headers()) {
                    acl::check_grants_count(view, bucket)?;
                }
                // Of many keys at once, each is looked at when its turn comes.
                if operation == "DeleteObjects" {
                    return Ok(());
                }
                let deed = Deed { operation, bucket, key, version: version.as_deref() };
                authorize::check(view, deed, &asked)
            })
            .map_err(|error| error.answer("an access", request.id))
    }
}

fn denied() -> S3Error {
    S3Error::with_message(S3ErrorCode::AccessDenied, "Access Denied")
}

/// The object that a request copies from, if it copies from one that can be read off its header: what cannot be is refused
/// by the operation.
fn copy_source(context: &S3AccessContext<'_>) -> S3Result<Option<Source>> {
    let Some(source) = context.headers().get("x-amz-copy-source") else { return Ok(None) };
    let source = source.to_str().ok().and_then(|source| CopySource::parse(source).ok());
    Ok(source.and_then(|source| Source::of(source).ok()))
}

/// Nobody's secret key: `s3s` sees no signature, but asks [`Supported`] only if it could verify one.
pub(super) struct NoKeys;

#[async_trait]
impl S3Auth for NoKeys {
    async fn get_secret_key(&self, _access_key: &str) -> S3Result<SecretKey> {
        Err(S3ErrorCode::InvalidAccessKeyId.into())
    }
}
