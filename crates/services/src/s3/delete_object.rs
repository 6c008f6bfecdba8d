//! `DeleteObject`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html>

use super::State;
use super::change::{REMOVED, Removal, delete};
use super::conditions::WriteConditions;
use super::error::Result;
use super::event::Origin;
use super::parameters::{bypasses_governance, check_query};
use super::request::Context;
use s3s::dto::{DeleteObjectInput, DeleteObjectOutput};
use s3s::{S3Request, S3Response};

pub(super) async fn run(
    state: &State,
    context: &Context,
    request: S3Request<DeleteObjectInput>,
) -> Result<S3Response<DeleteObjectOutput>> {
    check_query(&request.uri, &["versionId"])?;
    let removal = Removal {
        version: request.input.version_id,
        bypass: bypasses_governance(&request.headers),
        conditions: WriteConditions::of_headers(&request.headers)?,
    };
    let (bucket, key) = (request.input.bucket, request.input.key);
    let origin = Origin::of(context, &state.region);
    let removed =
        state.change(None, move |tx| delete(tx, &origin, (&bucket, &key), &removal, REMOVED)).await?;
    Ok(S3Response::new(DeleteObjectOutput {
        delete_marker: removed.marker.then_some(true),
        version_id: removed.version,
        request_charged: None,
    }))
}
