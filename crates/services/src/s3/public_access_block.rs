//! `GetPublicAccessBlock`, `PutPublicAccessBlock` and `DeletePublicAccessBlock`. A new bucket blocks everything.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>

use super::State;
use super::error::Result;
use super::parameters::check_query;
use super::request::Context;
use super::settings::PUBLIC_ACCESS_BLOCK;
use s3s::dto::*;
use s3s::{S3Request, S3Response};

/// What a new bucket has.
pub(super) fn everything() -> PublicAccessBlockConfiguration {
    PublicAccessBlockConfiguration {
        block_public_acls: Some(true),
        block_public_policy: Some(true),
        ignore_public_acls: Some(true),
        restrict_public_buckets: Some(true),
    }
}

pub(super) async fn get(
    state: &State,
    _context: &Context,
    request: S3Request<GetPublicAccessBlockInput>,
) -> Result<S3Response<GetPublicAccessBlockOutput>> {
    let block = state.store.read(|view| PUBLIC_ACCESS_BLOCK.find(view, &request.input.bucket))?;
    Ok(S3Response::new(GetPublicAccessBlockOutput { public_access_block_configuration: Some(block) }))
}

pub(super) async fn put(
    state: &State,
    _context: &Context,
    request: S3Request<PutPublicAccessBlockInput>,
) -> Result<S3Response<PutPublicAccessBlockOutput>> {
    check_query(&request.uri, &["publicAccessBlock"])?;
    let input = request.input;
    let given = input.public_access_block_configuration;
    let said = |value: Option<bool>| Some(value.unwrap_or(false));
    let block = PublicAccessBlockConfiguration {
        block_public_acls: said(given.block_public_acls),
        block_public_policy: said(given.block_public_policy),
        ignore_public_acls: said(given.ignore_public_acls),
        restrict_public_buckets: said(given.restrict_public_buckets),
    };
    state.store.write(move |tx| PUBLIC_ACCESS_BLOCK.put(tx, &input.bucket, &block)).await?;
    Ok(S3Response::new(PutPublicAccessBlockOutput {}))
}

pub(super) async fn delete(
    state: &State,
    _context: &Context,
    request: S3Request<DeletePublicAccessBlockInput>,
) -> Result<S3Response<DeletePublicAccessBlockOutput>> {
    check_query(&request.uri, &["publicAccessBlock"])?;
    state.store.write(move |tx| PUBLIC_ACCESS_BLOCK.delete(tx, &request.input.bucket)).await?;
    Ok(S3Response::new(DeletePublicAccessBlockOutput {}))
}
