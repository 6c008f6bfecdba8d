//! `DeleteObject`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html>

use super::State;
use super::bucket::existing;
use super::change::delete;
use super::conditions::WriteConditions;
use super::error::Result;
use super::event::Origin;
use super::parameters::check_query;
use super::request::Context;
use s3s::dto::{DeleteObjectInput, DeleteObjectOutput};
use s3s::{S3Request, S3Response};

pub(super) async fn run(
    state: &State,
    context: &Context,
    request: S3Request<DeleteObjectInput>,
) -> Result<S3Response<DeleteObjectOutput>> {
    check_query(&request.uri, &[])?;
    let conditions = WriteConditions::of_headers(&request.headers)?;
    let (bucket, key) = (request.input.bucket, request.input.key);
    let origin = Origin::of(context, &state.region);
    state
        .change(None, move |tx| {
            existing(tx, &bucket)?;
            Ok(((), delete(tx, &origin, (&bucket, &key), &conditions)?))
        })
        .await?;
    Ok(S3Response::new(DeleteObjectOutput::default()))
}
