//! `GetBucketOwnershipControls`, `PutBucketOwnershipControls` and `DeleteBucketOwnershipControls`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html>

use super::State;
use super::acl::is_owners;
use super::bucket::{BUCKETS, existing};
use super::error::{Error, Result, refuse};
use super::parameters::check_query;
use super::request::Context;
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response};

/// The ownership in a document or a header as records hold it: `None` for the owner's alone.
pub(super) fn checked(ownership: &str) -> Result<Option<String>> {
    match ownership {
        ObjectOwnership::BUCKET_OWNER_ENFORCED => Ok(None),
        ObjectOwnership::BUCKET_OWNER_PREFERRED | ObjectOwnership::OBJECT_WRITER => {
            Ok(Some(ownership.to_owned()))
        }
        _ => Err(refuse(
            S3ErrorCode::MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema",
        )),
    }
}

/// What a bucket without controls has in its record: ACLs count as the writer of an object wants.
const NONE: &str = "";

pub(super) async fn get(
    state: &State,
    _context: &Context,
    request: S3Request<GetBucketOwnershipControlsInput>,
) -> Result<S3Response<GetBucketOwnershipControlsOutput>> {
    let bucket = state.store.read(|view| existing(view, &request.input.bucket))?;
    let ownership = match bucket.ownership {
        None => ObjectOwnership::from_static(ObjectOwnership::BUCKET_OWNER_ENFORCED),
        Some(none) if none == NONE => {
            return Err(refuse(
                S3ErrorCode::OwnershipControlsNotFoundError,
                "The bucket ownership controls were not found",
            ));
        }
        Some(ownership) => ObjectOwnership::from(ownership),
    };
    Ok(S3Response::new(GetBucketOwnershipControlsOutput {
        ownership_controls: Some(OwnershipControls {
            rules: vec![OwnershipControlsRule { object_ownership: ownership }],
        }),
    }))
}

pub(super) async fn put(
    state: &State,
    _context: &Context,
    request: S3Request<PutBucketOwnershipControlsInput>,
) -> Result<S3Response<PutBucketOwnershipControlsOutput>> {
    check_query(&request.uri, &["ownershipControls"])?;
    let input = request.input;
    let rules = input.ownership_controls.rules;
    let [rule] = rules.as_slice() else {
        return Err(refuse(
            S3ErrorCode::MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema",
        ));
    };
    let ownership = checked(rule.object_ownership.as_str())?;
    set(state, input.bucket, ownership).await?;
    Ok(S3Response::new(PutBucketOwnershipControlsOutput {}))
}

pub(super) async fn delete(
    state: &State,
    _context: &Context,
    request: S3Request<DeleteBucketOwnershipControlsInput>,
) -> Result<S3Response<DeleteBucketOwnershipControlsOutput>> {
    check_query(&request.uri, &["ownershipControls"])?;
    set(state, request.input.bucket, Some(NONE.to_owned())).await?;
    Ok(S3Response::new(DeleteBucketOwnershipControlsOutput {}))
}

async fn set(state: &State, name: String, ownership: Option<String>) -> Result<()> {
    state
        .store
        .write(move |tx| {
            let mut bucket = existing(tx, &name)?;
            if ownership.is_none() && bucket.acl.as_ref().is_some_and(|acl| !is_owners(acl, bucket.owner())) {
                return Err(refuse(
                    S3ErrorCode::InvalidBucketAclWithObjectOwnership,
                    "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
                ));
            }
            bucket.ownership = ownership;
            tx.put(&BUCKETS, &name, &bucket)?;
            Ok::<_, Error>(())
        })
        .await
}
