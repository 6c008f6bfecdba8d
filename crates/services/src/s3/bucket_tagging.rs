//! `GetBucketTagging`, `PutBucketTagging` and `DeleteBucketTagging`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketTagging.html>

use super::State;
use super::error::Result;
use super::parameters::check_query;
use super::request::Context;
use super::response::Status;
use super::settings::TAGGING;
use super::tags::{OF_BUCKET, of_set};
use s3s::dto::{
    DeleteBucketTaggingInput, DeleteBucketTaggingOutput, GetBucketTaggingInput, GetBucketTaggingOutput,
    PutBucketTaggingInput, PutBucketTaggingOutput,
};
use s3s::{S3Request, S3Response};

pub(super) async fn get(
    state: &State,
    _context: &Context,
    request: S3Request<GetBucketTaggingInput>,
) -> Result<S3Response<GetBucketTaggingOutput>> {
    let tagging = state.store.read(|view| TAGGING.find(view, &request.input.bucket))?;
    Ok(S3Response::new(GetBucketTaggingOutput { tag_set: tagging.tag_set }))
}

pub(super) async fn put(
    state: &State,
    _context: &Context,
    request: S3Request<PutBucketTaggingInput>,
) -> Result<S3Response<PutBucketTaggingOutput>> {
    check_query(&request.uri, &["tagging"])?;
    let input = request.input;
    of_set(input.tagging.tag_set.clone(), OF_BUCKET)?;
    let write = move |tx: &store::Tx<'_>| match input.tagging.tag_set.is_empty() {
        // No tags are no set of tags.
        true => TAGGING.delete(tx, &input.bucket),
        false => TAGGING.put(tx, &input.bucket, &input.tagging),
    };
    state.store.write(write).await?;
    let mut response = S3Response::new(PutBucketTaggingOutput {});
    response.extensions.insert(Status(http::StatusCode::NO_CONTENT));
    Ok(response)
}

pub(super) async fn delete(
    state: &State,
    _context: &Context,
    request: S3Request<DeleteBucketTaggingInput>,
) -> Result<S3Response<DeleteBucketTaggingOutput>> {
    check_query(&request.uri, &["tagging"])?;
    state.store.write(move |tx| TAGGING.delete(tx, &request.input.bucket)).await?;
    Ok(S3Response::new(DeleteBucketTaggingOutput {}))
}
