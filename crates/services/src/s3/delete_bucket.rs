//! `DeleteBucket`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html>

use super::State;
use super::bucket::{BUCKETS, existing};
use super::error::{Result, refuse};
use super::notification::NOTIFICATIONS;
use super::parameters::check_query;
use super::request::Context;
use crate::object::{OBJECTS, object_key};
use s3s::dto::{DeleteBucketInput, DeleteBucketOutput};
use s3s::{S3ErrorCode, S3Request, S3Response};
use store::Tx;

pub(super) async fn run(
    state: &State,
    _context: &Context,
    request: S3Request<DeleteBucketInput>,
) -> Result<S3Response<DeleteBucketOutput>> {
    check_query(&request.uri, &[])?;
    let bucket = request.input.bucket;
    state.store.write(move |tx| delete(tx, &bucket)).await?;
    Ok(S3Response::new(DeleteBucketOutput {}))
}

fn delete(tx: &Tx<'_>, bucket: &str) -> Result<()> {
    existing(tx, bucket)?;
    if tx.any(&OBJECTS, &object_key(bucket, ""))? {
        return Err(refuse(
            S3ErrorCode::BucketNotEmpty,
            "The bucket you tried to delete is not empty: delete its objects first.",
        ));
    }
    tx.delete(&NOTIFICATIONS, bucket)?;
    tx.delete(&BUCKETS, bucket)?;
    Ok(())
}
