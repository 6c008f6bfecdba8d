//! What is let through once `s3s` has found the operation, and before it reads the body.

use super::error::not_supported;
use super::operations::OPERATIONS;
use super::request::Context;
use super::{XML_BODY, parameters};
use async_trait::async_trait;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3ErrorCode, S3Result};

/// Lets through the operations that are supported, with the headers that are.
pub(super) struct Supported;

#[async_trait]
impl S3Access for Supported {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let operation = context.s3_op().name();
        if !OPERATIONS.contains(&operation) {
            return Err(not_supported(format_args!("The operation {operation}")));
        }
        let stream = operation == "PutObject";
        if let Some(request) = context.extensions_mut().get::<Context>()
            && !stream
        {
            request.report.limit_document(XML_BODY as u64);
        }
        parameters::check_headers(context.headers())
    }
}

/// Nobody's secret key: `s3s` sees no signature, but asks [`Supported`] only if it could verify one.
pub(super) struct NoKeys;

#[async_trait]
impl S3Auth for NoKeys {
    async fn get_secret_key(&self, _access_key: &str) -> S3Result<SecretKey> {
        Err(S3ErrorCode::InvalidAccessKeyId.into())
    }
}
