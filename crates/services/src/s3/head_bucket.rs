//! `HeadBucket`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html>

use super::State;
use super::bucket::existing;
use super::error::Result;
use super::request::Context;
use s3s::dto::{HeadBucketInput, HeadBucketOutput};
use s3s::{S3Request, S3Response};

pub(super) async fn run(
    state: &State,
    _context: &Context,
    request: S3Request<HeadBucketInput>,
) -> Result<S3Response<HeadBucketOutput>> {
    let bucket = state.store.read(|view| existing(view, &request.input.bucket))?;
    let region = bucket.location.unwrap_or_else(|| state.region.clone());
    Ok(S3Response::new(HeadBucketOutput {
        access_point_alias: Some(false),
        bucket_region: Some(region),
        ..HeadBucketOutput::default()
    }))
}
