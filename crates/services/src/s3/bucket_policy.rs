//! `GetBucketPolicy`, `PutBucketPolicy`, `DeleteBucketPolicy` and `GetBucketPolicyStatus`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html>

use super::State;
use super::bucket::existing;
use super::error::{Error, Result, refuse};
use super::parameters::check_query;
use super::policy::Policy;
use super::request::Context;
use super::settings::{POLICY, PUBLIC_ACCESS_BLOCK};
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response};

/// The largest policy, in bytes (20 KB).
const LARGEST: usize = 20 * 1024;

pub(super) async fn get(
    state: &State,
    _context: &Context,
    request: S3Request<GetBucketPolicyInput>,
) -> Result<S3Response<GetBucketPolicyOutput>> {
    let policy = find(state, &request.input.bucket)?;
    Ok(S3Response::new(GetBucketPolicyOutput { policy: Some(policy) }))
}

fn find(state: &State, bucket: &str) -> Result<String> {
    state.store.read(|view| {
        existing(view, bucket)?;
        POLICY.text(view, bucket)?.ok_or_else(|| POLICY.missing())
    })
}

pub(super) async fn put(
    state: &State,
    _context: &Context,
    request: S3Request<PutBucketPolicyInput>,
) -> Result<S3Response<PutBucketPolicyOutput>> {
    check_query(&request.uri, &["policy"])?;
    let input = request.input;
    if input.policy.len() > LARGEST {
        return Err(refuse(
            S3ErrorCode::Custom("PolicyTooLarge".into()),
            "Normalized policy exceeds the maximum allowed size of 20480 bytes.",
        ));
    }
    let policy = Policy::read(&input.policy, &input.bucket)?;
    state
        .store
        .write(move |tx| {
            existing(tx, &input.bucket)?;
            let block = PUBLIC_ACCESS_BLOCK.get(tx, &input.bucket)?;
            if policy.is_public() && block.and_then(|block| block.block_public_policy) == Some(true) {
                return Err(refuse(
                    S3ErrorCode::AccessDenied,
                    "Access Denied: public policies are blocked by the BlockPublicPolicy setting of this bucket's public \
                     access block.",
                ));
            }
            POLICY.put_text(tx, &input.bucket, input.policy)
        })
        .await?;
    Ok(S3Response::new(PutBucketPolicyOutput {}))
}

pub(super) async fn delete(
    state: &State,
    _context: &Context,
    request: S3Request<DeleteBucketPolicyInput>,
) -> Result<S3Response<DeleteBucketPolicyOutput>> {
    check_query(&request.uri, &["policy"])?;
    state.store.write(move |tx| POLICY.delete(tx, &request.input.bucket)).await?;
    Ok(S3Response::new(DeleteBucketPolicyOutput {}))
}

pub(super) async fn status(
    state: &State,
    _context: &Context,
    request: S3Request<GetBucketPolicyStatusInput>,
) -> Result<S3Response<GetBucketPolicyStatusOutput>> {
    let bucket = request.input.bucket;
    let policy = Policy::read(&find(state, &bucket)?, &bucket)
        .map_err(|_| Error::Broken("a bucket's policy cannot be read"))?;
    Ok(S3Response::new(GetBucketPolicyStatusOutput {
        policy_status: Some(PolicyStatus { is_public: Some(policy.is_public()) }),
    }))
}
