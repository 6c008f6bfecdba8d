//! `ListBuckets`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html>

use super::State;
use super::bucket::{BUCKETS, MOST};
use super::error::{Error, Result, refuse};
use super::request::Context;
use s3s::dto::{Bucket, ListBucketsInput, ListBucketsOutput, Owner, Timestamp};
use s3s::{S3ErrorCode, S3Request, S3Response};
use store::kv::From as Start;

pub(super) async fn run(
    state: &State,
    _context: &Context,
    request: S3Request<ListBucketsInput>,
) -> Result<S3Response<ListBucketsOutput>> {
    let input = request.input;
    let limit = match input.max_buckets {
        None => MOST,
        Some(limit) => usize::try_from(limit)
            .ok()
            .filter(|limit| (1..=MOST).contains(limit))
            .ok_or_else(|| refuse(S3ErrorCode::InvalidArgument, "max-buckets must be from 1 to 10000."))?,
    };
    let store = state.store.clone();
    let (prefix, token) = (input.prefix.clone().unwrap_or_default(), input.continuation_token);
    let found = tokio::task::spawn_blocking(move || {
        let start = token.as_deref().map_or(Start::At(b""), |token| Start::After(token.as_bytes()));
        store.read(|view| view.scan(&BUCKETS, prefix.as_bytes(), start, limit + 1))
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
        owner: Some(owner()),
        prefix: input.prefix,
    }))
}

/// Who owns everything.
pub(super) fn owner() -> Owner {
    Owner { display_name: None, id: Some(model::ACCOUNT.to_owned()) }
}
