//! `GetBucketVersioning` and `PutBucketVersioning`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketVersioning.html>

use super::State;
use super::bucket::{BUCKETS, Versioning, existing};
use super::error::{Error, Result, not_supported, refuse};
use super::parameters::check_query;
use super::request::Context;
use s3s::dto::{
    BucketVersioningStatus, GetBucketVersioningInput, GetBucketVersioningOutput, MFADelete,
    PutBucketVersioningInput, PutBucketVersioningOutput,
};
use s3s::{S3ErrorCode, S3Request, S3Response};

pub(super) async fn get(
    state: &State,
    _context: &Context,
    request: S3Request<GetBucketVersioningInput>,
) -> Result<S3Response<GetBucketVersioningOutput>> {
    let bucket = state.store.read(|view| existing(view, &request.input.bucket))?;
    let status = bucket.versioning.map(|versioning| match versioning {
        Versioning::Enabled => BucketVersioningStatus::from_static(BucketVersioningStatus::ENABLED),
        Versioning::Suspended => BucketVersioningStatus::from_static(BucketVersioningStatus::SUSPENDED),
    });
    Ok(S3Response::new(GetBucketVersioningOutput { mfa_delete: None, status }))
}

pub(super) async fn put(
    state: &State,
    _context: &Context,
    request: S3Request<PutBucketVersioningInput>,
) -> Result<S3Response<PutBucketVersioningOutput>> {
    check_query(&request.uri, &["versioning"])?;
    let input = request.input;
    let wanted = input.versioning_configuration;
    if wanted.mfa_delete.as_ref().is_some_and(|mfa| mfa.as_str() != MFADelete::DISABLED) {
        return Err(not_supported("MfaDelete").into());
    }
    let versioning = match wanted.status.as_ref().map(BucketVersioningStatus::as_str) {
        Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
        Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
        Some(_) => {
            return Err(refuse(
                S3ErrorCode::MalformedXML,
                "The XML you provided was not well-formed or did not validate against our published schema",
            ));
        }
        None => {
            return Err(refuse(
                S3ErrorCode::IllegalVersioningConfigurationException,
                "The Versioning element must be specified",
            ));
        }
    };
    let name = input.bucket;
    state
        .store
        .write(move |tx| {
            let mut bucket = existing(tx, &name)?;
            if bucket.lock.is_some() && versioning == Versioning::Suspended {
                return Err(refuse(
                    S3ErrorCode::InvalidBucketState,
                    "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
                ));
            }
            bucket.versioning = Some(versioning);
            tx.put(&BUCKETS, &name, &bucket)?;
            Ok::<_, Error>(())
        })
        .await?;
    Ok(S3Response::new(PutBucketVersioningOutput {}))
}
