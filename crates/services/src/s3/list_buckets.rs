//! `ListBuckets`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html>

use super::State;
use super::bucket::{BUCKETS, MOST};
use super::error::{Error, Result, refuse};
use super::grants::owner;
use super::request::Context;
use s3s::dto::{Bucket, ListBucketsInput, ListBucketsOutput, Timestamp};
use s3s::{S3ErrorCode, S3Request, S3Response};
use store::kv::From as Start;

pub(super) async fn run(
    state: &State,
    context: &Context,
    request: S3Request<ListBucketsInput>,
) -> Result<S3Response<ListBucketsOutput>> {
    let input = request.input;
    let limit = match input.max_buckets {
        None => MOST,
        Some(limit) => {
            usize::try_from(limit).ok().filter(|limit| (1..=MOST).contains(limit)).ok_or_else(|| {
                refuse(
                    S3ErrorCode::InvalidArgument,
                    "Argument max-buckets must be an integer between 1 and 10000.",
                )
            })?
        }
    };
    let store = state.store.clone();
    let (prefix, token) = (input.prefix.clone().unwrap_or_default(), input.continuation_token);
    let account = context.account.clone().unwrap_or_default();
    let of = account.clone();
    let found = tokio::task::spawn_blocking(move || {
        let start = token.as_deref().map_or(Start::At(b""), |token| Start::After(token.as_bytes()));
        // There are few enough to look at all of them, whosoever they are.
        let found = store.read(|view| view.scan(&BUCKETS, prefix.as_bytes(), start, MOST))?;
        let mine = found.into_iter().filter(|(_, bucket)| bucket.owner() == of);
        Ok::<_, store::Error>(mine.take(limit + 1).collect::<Vec<_>>())
    });
    let mut found = found.await.map_err(|_| Error::Broken("a listing panicked"))??;
    let more = found.len() > limit;
    found.truncate(limit);
    let mut buckets = Vec::with_capacity(found.len());
    let mut last = None;
    for (name, bucket) in found {
        let name = String::from_utf8_lossy(&name).into_owned();
        let region = bucket.location.unwrap_or_else(|| state.region.clone());
        last = Some(name.clone());
        if input.bucket_region.as_ref().is_none_or(|wanted| *wanted == region) {
            buckets.push(Bucket {
                bucket_region: Some(region),
                creation_date: Some(Timestamp::from(bucket.created.to_date_time())),
                name: Some(name),
            });
        }
    }
    Ok(S3Response::new(ListBucketsOutput {
        buckets: Some(buckets),
        continuation_token: last.filter(|_| more),
        owner: Some(owner(&account)),
        prefix: input.prefix,
    }))
}
