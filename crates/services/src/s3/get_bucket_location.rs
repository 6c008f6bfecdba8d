//! `GetBucketLocation`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html>

use super::State;
use super::bucket::existing;
use super::error::Result;
use super::request::Context;
use s3s::dto::{BucketLocationConstraint, GetBucketLocationInput, GetBucketLocationOutput};
use s3s::{S3Request, S3Response};

/// The region that S3 answers with nothing.
const UNNAMED_REGION: &str = "us-east-1";

pub(super) async fn run(
    state: &State,
    _context: &Context,
    request: S3Request<GetBucketLocationInput>,
) -> Result<S3Response<GetBucketLocationOutput>> {
    let bucket = state.store.read(|view| existing(view, &request.input.bucket))?;
    let region = bucket.location.unwrap_or_else(|| state.region.clone());
    let location_constraint = (region != UNNAMED_REGION).then(|| BucketLocationConstraint::from(region));
    Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
}
