//! `DeleteBucket`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html>

use super::State;
use super::bucket::{BUCKETS, existing};
use super::change::Unlinked;
use super::error::{Error, Result, refuse};
use super::notification::NOTIFICATIONS;
use super::parameters::check_query;
use super::request::Context;
use super::settings;
use super::timer;
use super::upload::{UPLOADS, forget};
use super::version::{VERSIONS, read_base};
use crate::object::{OBJECTS, object_key};
use s3s::dto::{DeleteBucketInput, DeleteBucketOutput};
use s3s::{S3ErrorCode, S3Request, S3Response};
use store::Tx;
use store::kv::From as Start;
use uuid::Uuid;

pub(super) async fn run(
    state: &State,
    _context: &Context,
    request: S3Request<DeleteBucketInput>,
) -> Result<S3Response<DeleteBucketOutput>> {
    check_query(&request.uri, &[])?;
    let bucket = request.input.bucket;
    state.change(None, move |tx| delete(tx, &bucket)).await?;
    Ok(S3Response::new(DeleteBucketOutput {}))
}

fn delete(tx: &Tx<'_>, bucket: &str) -> Result<((), Unlinked)> {
    let of = existing(tx, bucket)?;
    let all = object_key(bucket, "");
    if tx.any(&OBJECTS, &all)? || tx.any(&VERSIONS, &all)? {
        let message = match of.versioning {
            None => "The bucket you tried to delete is not empty",
            Some(_) => {
                "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
            }
        };
        return Err(refuse(S3ErrorCode::BucketNotEmpty, message));
    }
    let mut unlinked = Unlinked::new();
    let prefix = object_key(bucket, "");
    // Uploads under way do not keep a bucket; they end with it.
    while let Some((place, _)) = tx.scan(&UPLOADS, &prefix, Start::At(&prefix), 1)?.into_iter().next() {
        let id = place.len().checked_sub(16).and_then(|at| Uuid::from_slice(place.get(at..)?).ok());
        let id = id.ok_or(Error::Broken("an upload's record has a key that cannot be read"))?;
        unlinked.extend(forget(tx, bucket, &read_base(bucket, &place, 16)?, id)?);
    }
    settings::forget(tx, bucket)?;
    timer::unset(tx, bucket)?;
    tx.delete(&NOTIFICATIONS, bucket)?;
    tx.delete(&BUCKETS, bucket)?;
    Ok(((), unlinked))
}
