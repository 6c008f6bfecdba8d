//! What somebody who signed nothing may do: what a bucket's policy or an ACL gives to everybody, unless that is blocked.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>

use super::acl::is_public;
use super::bucket::{BUCKETS, Bucket};
use super::error::{Error, Result, refuse};
use super::find;
use super::policy::Policy;
use super::settings::{POLICY, PUBLIC_ACCESS_BLOCK};
use s3s::S3ErrorCode;
use store::View;

/// Refuses `operation` on a bucket or an object, unless everybody may do it.
pub(super) fn check(
    view: &View<'_>,
    operation: &str,
    bucket: Option<&str>,
    key: Option<&str>,
    version: Option<&str>,
) -> Result<()> {
    let Some(bucket) = bucket else { return Err(denied()) };
    // Of many keys at once, each would need a look of its own.
    if operation == "DeleteObjects" {
        return Err(denied());
    }
    let Some(of) = view.get(&BUCKETS, bucket)? else { return Ok(()) };
    let block = PUBLIC_ACCESS_BLOCK.get(view, bucket)?.unwrap_or_default();
    if block.restrict_public_buckets != Some(true)
        && let Some(text) = POLICY.text(view, bucket)?
    {
        let policy =
            Policy::read(&text, bucket).map_err(|_| Error::Broken("a bucket's policy cannot be read"))?;
        let resource = match key {
            Some(key) => format!("arn:aws:s3:::{bucket}/{key}"),
            None => format!("arn:aws:s3:::{bucket}"),
        };
        if policy.lets_anybody(&action(operation, version), &resource) {
            return Ok(());
        }
    }
    if block.ignore_public_acls != Some(true) && acl_lets(view, &of, operation, (bucket, key), version)? {
        return Ok(());
    }
    Err(denied())
}

/// The error for somebody who may not.
pub(super) fn denied() -> Error {
    refuse(S3ErrorCode::AccessDenied, "Access Denied")
}

/// The action of a policy that `operation` is.
fn action(operation: &str, version: Option<&str>) -> String {
    let name = match operation {
        "GetObject" | "HeadObject" if version.is_some() => "GetObjectVersion",
        "HeadObject" => "GetObject",
        "HeadBucket" | "ListObjects" | "ListObjectsV2" => "ListBucket",
        "ListObjectVersions" => "ListBucketVersions",
        "ListMultipartUploads" => "ListBucketMultipartUploads",
        "ListParts" => "ListMultipartUploadParts",
        "DeleteObject" if version.is_some() => "DeleteObjectVersion",
        "CopyObject"
        | "CreateMultipartUpload"
        | "UploadPart"
        | "UploadPartCopy"
        | "CompleteMultipartUpload"
        | "PostObject" => "PutObject",
        other => other,
    };
    format!("s3:{name}")
}

fn acl_lets(
    view: &View<'_>,
    of: &Bucket,
    operation: &str,
    (bucket, key): (&str, Option<&str>),
    version: Option<&str>,
) -> Result<bool> {
    if of.ownership.is_none() {
        return Ok(false);
    }
    Ok(match (operation, key) {
        ("GetObject" | "HeadObject", Some(key)) => match find::object(view, bucket, key, version) {
            Ok(target) => is_public(target.object.acl.as_deref()),
            // Whether it is there is nobody's business either, unless the bucket may be listed.
            Err(Error::Refused(_)) => is_public(of.acl.as_deref()),
            Err(error) => return Err(error),
        },
        ("HeadBucket" | "ListObjects" | "ListObjectsV2", _) => is_public(of.acl.as_deref()),
        ("PutObject" | "PostObject" | "DeleteObject", Some(_)) => {
            of.acl.as_deref() == Some("public-read-write")
        }
        _ => false,
    })
}
