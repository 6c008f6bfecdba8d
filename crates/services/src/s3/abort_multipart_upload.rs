//! `AbortMultipartUpload`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html>

use super::State;
use super::error::{Result, not_supported};
use super::parameters::check_query;
use super::request::Context;
use super::upload::{find, forget};
use s3s::dto::{AbortMultipartUploadInput, AbortMultipartUploadOutput};
use s3s::{S3Request, S3Response};

pub(super) async fn run(
    state: &State,
    _context: &Context,
    request: S3Request<AbortMultipartUploadInput>,
) -> Result<S3Response<AbortMultipartUploadOutput>> {
    check_query(&request.uri, &["uploadId"])?;
    let input = request.input;
    if input.if_match_initiated_time.is_some() {
        return Err(not_supported("The header x-amz-if-match-initiated-time").into());
    }
    state
        .change(None, move |tx| {
            let (id, _) = find(tx, &input.bucket, &input.key, &input.upload_id)?;
            Ok(((), forget(tx, &input.bucket, &input.key, id)?))
        })
        .await?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}
