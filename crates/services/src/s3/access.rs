//! What is let through once `s3s` has found the operation, and before it reads the body.

use super::error::not_supported;
use super::operations::OPERATIONS;
use super::request::Context;
use super::rewrite::Source;
use super::{State, XML_BODY, anonymous, parameters};
use async_trait::async_trait;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::CopySource;
use s3s::path::S3Path;
use s3s::{S3ErrorCode, S3Result};
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
        let anonymous =
            context.extensions_mut().get::<Context>().filter(|request| request.anonymous).cloned();
        if let Some(request) = anonymous {
            self.check_anonymous(context, &request)?;
        }
        Ok(())
    }
}

impl Supported {
    /// Refuses what not everybody may do.
    fn check_anonymous(&self, context: &S3AccessContext<'_>, request: &Context) -> S3Result<()> {
        let operation = context.s3_op().name();
        let (bucket, key) = match context.s3_path() {
            S3Path::Root => (None, None),
            S3Path::Bucket { bucket } => (Some(&**bucket), None),
            S3Path::Object { bucket, key } => (Some(&**bucket), Some(&**key)),
        };
        let version = query_value(context.uri().query().unwrap_or_default(), "versionId");
        let source = copy_source(context)?;
        self.0
            .store
            .read(|view| {
                // What everybody may write is no way to what they may not read.
                if let Some(Source { bucket, key, version }) = &source {
                    anonymous::check(view, "GetObject", Some(bucket), Some(key), version.as_deref())?;
                }
                anonymous::check(view, operation, bucket, key, version.as_deref())
            })
            .map_err(|error| error.answer("a request of anybody", request.id))
    }
}

/// The object that a request copies from, if it copies.
fn copy_source(context: &S3AccessContext<'_>) -> S3Result<Option<Source>> {
    let Some(source) = context.headers().get("x-amz-copy-source") else { return Ok(None) };
    let source = source.to_str().ok().and_then(|source| CopySource::parse(source).ok());
    // What cannot be read, or is no object here, is nobody's to copy.
    let source = source.and_then(|source| Source::of(source).ok()).ok_or(S3ErrorCode::AccessDenied)?;
    Ok(Some(source))
}

/// Nobody's secret key: `s3s` sees no signature, but asks [`Supported`] only if it could verify one.
pub(super) struct NoKeys;

#[async_trait]
impl S3Auth for NoKeys {
    async fn get_secret_key(&self, _access_key: &str) -> S3Result<SecretKey> {
        Err(S3ErrorCode::InvalidAccessKeyId.into())
    }
}
