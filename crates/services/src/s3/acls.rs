//! `GetBucketAcl`, `PutBucketAcl`, `GetObjectAcl` and `PutObjectAcl`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html>

use super::State;
use super::acl::{check, grants};
use super::bucket::{BUCKETS, existing};
use super::error::{Error, Result, detailed, refuse};
use super::event::{Kind, Origin, notify};
use super::find;
use super::grants::{in_headers, of_document, of_headers, owner, told};
use super::parameters::check_query;
use super::request::Context;
use super::version::{self, Entry};
use crate::object::acl::Acl;
use http::HeaderMap;
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response};

pub(super) async fn get_bucket(
    state: &State,
    _context: &Context,
    request: S3Request<GetBucketAclInput>,
) -> Result<S3Response<GetBucketAclOutput>> {
    let bucket = state.store.read(|view| existing(view, &request.input.bucket))?;
    let by = bucket.owner();
    Ok(S3Response::new(GetBucketAclOutput {
        grants: Some(told(grants(bucket.acl.as_ref(), by, by))),
        owner: Some(owner(by)),
    }))
}

pub(super) async fn put_bucket(
    state: &State,
    _context: &Context,
    request: S3Request<PutBucketAclInput>,
) -> Result<S3Response<PutBucketAclOutput>> {
    check_query(&request.uri, &["acl"])?;
    let input = request.input;
    let name = input.bucket;
    let wanted = Wanted { headers: request.headers, document: input.access_control_policy };
    state
        .store
        .write(move |tx| {
            let mut bucket = existing(tx, &name)?;
            let acl = wanted.acl(bucket.owner())?;
            check(tx, &name, &bucket, acl.as_ref())?;
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
    let by = target.object.owner();
    Ok(S3Response::new(GetObjectAclOutput {
        grants: Some(told(grants(target.object.acl.as_ref(), by, target.bucket.owner()))),
        owner: Some(owner(by)),
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
    let origin = Origin::of(context, &state.region);
    let wanted = Wanted { headers: request.headers, document: input.access_control_policy };
    let (bucket, key, version) = (input.bucket, input.key, input.version_id);
    state
        .store
        .write(move |tx| {
            let (of, mut found, mut object) = find::to_change(tx, &bucket, &key, version.as_deref())?;
            let acl = wanted.acl(object.owner())?;
            check(tx, &bucket, &of, acl.as_ref())?;
            object.acl = acl;
            notify(tx, &origin, (&bucket, &key), Kind::AclPut, Some(&object), object.version.as_deref())?;
            found.entry = Entry::Object(Box::new(object));
            version::update(tx, (&bucket, &key), &found)
        })
        .await?;
    Ok(S3Response::new(PutObjectAclOutput::default()))
}

/// The ACL that a request states, in its headers or in its document.
struct Wanted {
    headers: HeaderMap,
    document: Option<AccessControlPolicy>,
}

impl Wanted {
    fn acl(self, owner: &str) -> Result<Option<Acl>> {
        match (in_headers(&self.headers), self.document) {
            (false, Some(document)) => of_document(document, owner),
            (true, Some(_)) => {
                Err(refuse(S3ErrorCode::UnexpectedContent, "This request does not support content"))
            }
            (true, None) => of_headers(&self.headers),
            (false, None) => Err(detailed(
                S3ErrorCode::MissingSecurityHeader,
                "Your request was missing a required header",
                &[("MissingHeaderName", "x-amz-acl")],
            )),
        }
    }
}
