//! What is let through once `s3s` has found the operation, and before it reads the body.

use super::authorize::{self, Deed};
use super::error::{not_supported, with_details};
use super::find;
use super::operations::OPERATIONS;
use super::policy_condition::Asked;
use super::request::Context;
use super::rewrite::Source;
use super::{State, XML_BODY, acl, grants, parameters};
use async_trait::async_trait;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
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
        check_key(context.s3_path())?;
        if stream && !has_length(context.headers()) {
            return Err(S3ErrorCode::MissingContentLength.into());
        }
        if let Err(error) = parameters::check_numbers(context.uri()) {
            let id = context.extensions_mut().get::<Context>().map(|request| request.id);
            return Err(error.answer("an access", id.ok_or(S3ErrorCode::InternalError)?));
        }
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
        if request.account.is_none() && matches!(operation, "GetObject" | "HeadObject") {
            parameters::check_unsigned(query)?;
        }
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
                if let Some(source @ Source { bucket, key, version }) = &source {
                    if let Some(owner) = expected("x-amz-source-expected-bucket-owner") {
                        authorize::check_owner(view, bucket, owner)?;
                    }
                    let deed = authorize::reading(bucket, key, version.as_deref());
                    authorize::check(view, deed, &Asked { headers: None, query: "", ..asked.clone() })
                        .map_err(|error| find::about_source(error, source))?;
                }
                grants::check_one_kind(context.headers())?;
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

/// Whether it is said how long the body is, or that its end will be told.
fn has_length(headers: &HeaderMap) -> bool {
    [CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|name| headers.contains_key(name))
}

/// The longest key, in bytes.
pub(super) const LONGEST_KEY: usize = 1_024;

/// The error for a longer one.
pub(super) fn too_long(key: &str) -> S3Error {
    with_details(
        S3ErrorCode::KeyTooLongError,
        "Your key is too long",
        &[("Size", &key.len().to_string()), ("MaxSizeAllowed", &LONGEST_KEY.to_string())],
    )
}

/// Refuses a key that cannot be.
fn check_key(path: &S3Path) -> S3Result<()> {
    match path {
        S3Path::Object { key, .. } if key.len() > LONGEST_KEY => Err(too_long(key)),
        S3Path::Object { key, .. } if climbs_out(key) => {
            Err(S3Error::with_message(S3ErrorCode::InvalidURI, "Couldn't parse the specified URI."))
        }
        _ => Ok(()),
    }
}

/// Whether a key, read as a path, leads out of its bucket on the way.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
pub(super) fn climbs_out(key: &str) -> bool {
    let mut depth = 0_usize;
    for segment in key.split('/') {
        match segment {
            ".." => match depth.checked_sub(1) {
                Some(above) => depth = above,
                None => return true,
            },
            "" | "." => {}
            _ => depth += 1,
        }
    }
    false
}

fn denied() -> S3Error {
    S3Error::with_message(S3ErrorCode::AccessDenied, "Access Denied")
}

/// The object that a request copies from, if it copies from one that can be read off its header: what cannot be is refused
/// by the operation.
fn copy_source(context: &S3AccessContext<'_>) -> S3Result<Option<Source>> {
    let Some(source) = context.headers().get("x-amz-copy-source") else { return Ok(None) };
    check_source(&String::from_utf8_lossy(source.as_bytes()))?;
    let source = source.to_str().ok().and_then(|source| CopySource::parse(source).ok());
    Ok(source.and_then(|source| Source::of(source).ok()))
}

/// Refuses the name of a source that cannot be one.
fn check_source(source: &str) -> S3Result<()> {
    let invalid = |message: &'static str| Err(S3Error::with_message(S3ErrorCode::InvalidArgument, message));
    let escaped = |rest: &str| rest.len() >= 2 && rest.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit);
    if !source.split('%').skip(1).all(escaped) {
        return invalid("Invalid copy source encoding.");
    }
    let name = source.strip_prefix('/').unwrap_or(source).split(['/', '?']).next().unwrap_or_default();
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned();
    // An access point has an ARN, and is refused by its own name.
    let name = name.split('/').next().unwrap_or_default();
    if !name.starts_with("arn:") && !s3s::path::check_bucket_name(name) {
        return invalid("Invalid copy source bucket name");
    }
    Ok(())
}

/// Nobody's secret key: `s3s` sees no signature, but asks [`Supported`] only if it could verify one.
pub(super) struct NoKeys;

#[async_trait]
impl S3Auth for NoKeys {
    async fn get_secret_key(&self, _access_key: &str) -> S3Result<SecretKey> {
        Err(S3ErrorCode::InvalidAccessKeyId.into())
    }
}
