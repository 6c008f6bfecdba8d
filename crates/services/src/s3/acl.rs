//! Access control lists in their modern minimum: canned ones, where the bucket's ownership lets them count.
//!
//! In a new bucket the owner owns everything (`BucketOwnerEnforced`), and ACLs are refused as S3 refuses them.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html>

use super::bucket::Bucket;
use super::error::{Result, not_supported, refuse};
use super::list_buckets::owner;
use http::HeaderMap;
use s3s::S3ErrorCode;
use s3s::dto::{AccessControlPolicy, Grant, Grantee, Permission, Type};

/// The canned ACLs of buckets and objects, without those that mean that the owner alone has access.
const CANNED: &[&str] =
    &["public-read", "public-read-write", "authenticated-read", "aws-exec-read", "log-delivery-write"];

/// What is the case without saying it.
const OWNERS: &[&str] = &["private", "bucket-owner-full-control", "bucket-owner-read"];

const GRANTS: &[&str] = &[
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
];

const EVERYBODY: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const EVERY_USER: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";

/// Grants by header: none of them is a canned ACL, and where ACLs count they are refused by name.
pub(super) const BY_GRANT: &str = "(grants)";

/// The ACL that a request's headers ask for, if it is another than the owner's.
pub(super) fn of_headers(headers: &HeaderMap) -> Result<Option<String>> {
    let granted = GRANTS.iter().any(|name| headers.contains_key(*name));
    match headers.get("x-amz-acl").map(|value| value.to_str().unwrap_or_default()) {
        None if granted => Ok(Some(BY_GRANT.to_owned())),
        None => Ok(None),
        Some(_) if granted => Err(refuse(
            S3ErrorCode::InvalidRequest,
            "Specifying both Canned ACLs and Header Grants is not allowed",
        )),
        Some(canned) => of_canned(canned),
    }
}

/// A canned ACL by its name.
pub(super) fn of_canned(canned: &str) -> Result<Option<String>> {
    if OWNERS.contains(&canned) {
        Ok(None)
    } else if CANNED.contains(&canned) {
        Ok(Some(canned.to_owned()))
    } else {
        Err(refuse(S3ErrorCode::InvalidArgument, format!("The canned ACL {canned} is not known.")))
    }
}

/// Refuses an ACL where ACLs do not count, or where public ones are blocked.
pub(super) fn check(bucket: &Bucket, acl: Option<&str>) -> Result<()> {
    let Some(acl) = acl else { return Ok(()) };
    if bucket.ownership.is_none() {
        return Err(refuse(S3ErrorCode::AccessControlListNotSupported, "The bucket does not allow ACLs"));
    }
    if acl == BY_GRANT {
        return Err(not_supported("A grant in a header (x-amz-grant-...)").into());
    }
    Ok(())
}

/// Whether an ACL gives everybody the right to read.
pub(super) fn is_public(acl: Option<&str>) -> bool {
    acl.is_some_and(|acl| acl.starts_with("public-"))
}

fn grant(grantee: Grantee, permission: &'static str) -> Grant {
    Grant { grantee: Some(grantee), permission: Some(Permission::from_static(permission)) }
}

fn group(uri: &str, permission: &'static str) -> Grant {
    let grantee = Grantee {
        display_name: None,
        email_address: None,
        id: None,
        type_: Type::from_static(Type::GROUP),
        uri: Some(uri.to_owned()),
    };
    grant(grantee, permission)
}

/// The grants of an ACL, the owner's first.
pub(super) fn grants(acl: Option<&str>) -> Vec<Grant> {
    let me = Grantee {
        display_name: None,
        email_address: None,
        id: owner().id,
        type_: Type::from_static(Type::CANONICAL_USER),
        uri: None,
    };
    let mut grants = vec![grant(me, Permission::FULL_CONTROL)];
    match acl {
        Some("public-read") => grants.push(group(EVERYBODY, Permission::READ)),
        Some("public-read-write") => {
            grants.push(group(EVERYBODY, Permission::READ));
            grants.push(group(EVERYBODY, Permission::WRITE));
        }
        Some("authenticated-read") => grants.push(group(EVERY_USER, Permission::READ)),
        Some("log-delivery-write") => {
            grants.push(group(LOG_DELIVERY, Permission::WRITE));
            grants.push(group(LOG_DELIVERY, Permission::READ_ACP));
        }
        _ => {}
    }
    grants
}

/// The canned ACL that a document of grants amounts to.
pub(super) fn of_document(document: AccessControlPolicy) -> Result<Option<String>> {
    let wanted = document.grants.unwrap_or_default();
    let same = |acl: Option<&str>| {
        let known = grants(acl);
        known.len() == wanted.len()
            && known.iter().all(|grant| wanted.iter().any(|other| is_same(grant, other)))
    };
    if same(None) {
        return Ok(None);
    }
    CANNED
        .iter()
        .find(|canned| same(Some(canned)))
        .map(|canned| Some((*canned).to_owned()))
        .ok_or_else(|| not_supported("An ACL that no canned ACL states").into())
}

fn is_same(one: &Grant, other: &Grant) -> bool {
    let key = |grant: &Grant| {
        let grantee = grant.grantee.as_ref();
        (
            grantee.and_then(|grantee| grantee.id.clone()),
            grantee.and_then(|grantee| grantee.uri.clone()),
            grant.permission.clone(),
        )
    };
    key(one) == key(other)
}
