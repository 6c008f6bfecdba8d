//! `GetBucketAcl`, `PutBucketAcl`, `GetObjectAcl` and `PutObjectAcl`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html>

use super::State;
use super::acl::{self, grants, is_public, of_document, of_headers};
use super::bucket::{BUCKETS, Bucket, existing};
use super::error::{Error, Result, refuse};
use super::event::{Kind, Origin, notify};
use super::find;
use super::list_buckets::owner;
use super::parameters::check_query;
use super::request::Context;
use super::settings::PUBLIC_ACCESS_BLOCK;
use super::version::{self, Entry};
use http::HeaderMap;
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response};
use store::Tx;

pub(super) async fn get_bucket(
    state: &State,
    _context: &Context,
    request: S3Request<GetBucketAclInput>,
) -> Result<S3Response<GetBucketAclOutput>> {
    let bucket = state.store.read(|view| existing(view, &request.input.bucket))?;
    Ok(S3Response::new(GetBucketAclOutput {
        grants: Some(grants(bucket.acl.as_deref())),
        owner: Some(owner()),
    }))
}

pub(super) async fn put_bucket(
    state: &State,
    _context: &Context,
    request: S3Request<PutBucketAclInput>,
) -> Result<S3Response<PutBucketAclOutput>> {
    check_query(&request.uri, &["acl"])?;
    let input = request.input;
    let acl = wanted(&request.headers, input.access_control_policy)?;
    let name = input.bucket;
    state
        .store
        .write(move |tx| {
            let mut bucket = existing(tx, &name)?;
            check(tx, &name, &bucket, acl.as_deref())?;
            bucket.acl = acl;
            tx.put(&BUCKETS, &name, &bucket)?;
            Ok::<_, Error>(())
        })
        .await?;
    Ok(S3Response::new(PutBucketAclOutput {}))
}

pub(super) async fn get_object(
    state: &State,
    _context: &Context,
    request: S3Request<GetObjectAclInput>,
) -> Result<S3Response<GetObjectAclOutput>> {
    let input = request.input;
    let target = state
        .store
        .read(|view| find::object(view, &input.bucket, &input.key, input.version_id.as_deref()))?;
    Ok(S3Response::new(GetObjectAclOutput {
        grants: Some(grants(target.object.acl.as_deref())),
        owner: Some(owner()),
        request_charged: None,
    }))
}

pub(super) async fn put_object(
    state: &State,
    context: &Context,
    request: S3Request<PutObjectAclInput>,
) -> Result<S3Response<PutObjectAclOutput>> {
    check_query(&request.uri, &["acl", "versionId"])?;
    let input = request.input;
    let acl = wanted(&request.headers, input.access_control_policy)?;
    let origin = Origin::of(context, &state.region);
    let (bucket, key, version) = (input.bucket, input.key, input.version_id);
    state
        .store
        .write(move |tx| {
            let (of, mut found, mut object) = find::to_change(tx, &bucket, &key, version.as_deref())?;
            check(tx, &bucket, &of, acl.as_deref())?;
            object.acl = acl;
            notify(tx, &origin, (&bucket, &key), Kind::AclPut, Some(&object), object.version.as_deref())?;
            found.entry = Entry::Object(Box::new(object));
            version::update(tx, (&bucket, &key), &found)
        })
        .await?;
    Ok(S3Response::new(PutObjectAclOutput::default()))
}

/// The ACL that a request states, in its headers or in its document.
fn wanted(headers: &HeaderMap, document: Option<AccessControlPolicy>) -> Result<Option<String>> {
    match (headers.contains_key("x-amz-acl"), document) {
        (false, Some(document)) => of_document(document),
        (true, Some(_)) => {
            Err(refuse(S3ErrorCode::UnexpectedContent, "This request does not support content"))
        }
        (false, None) if of_headers(headers)?.is_none() => Err(refuse(
            S3ErrorCode::MissingSecurityHeader,
            "Your request was missing a required header: x-amz-acl",
        )),
        (_, None) => of_headers(headers),
    }
}

/// Refuses an ACL that does not count here, and a public one where those are blocked.
fn check(tx: &Tx<'_>, name: &str, bucket: &Bucket, acl: Option<&str>) -> Result<()> {
    acl::check(bucket, acl)?;
    let blocked = PUBLIC_ACCESS_BLOCK.get(tx, name)?.and_then(|block| block.block_public_acls);
    if is_public(acl) && blocked == Some(true) {
        return Err(refuse(
            S3ErrorCode::AccessDenied,
            "Access Denied: public ACLs are blocked for this bucket.",
        ));
    }
    Ok(())
}
