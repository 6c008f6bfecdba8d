//! Access control lists: canned ones and grants, where the bucket's ownership lets them count.
//!
//! In a new bucket the owner owns everything (`BucketOwnerEnforced`), and ACLs are refused as S3 refuses them.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html>

use super::bucket::{Bucket, existing};
use super::error::{Error, Result, detailed, refuse};
use super::settings::PUBLIC_ACCESS_BLOCK;
use crate::object::acl::{Acl, Granted, Grantee};
use s3s::S3ErrorCode;
use s3s::dto::{ObjectOwnership, Permission};
use store::View;

/// The canned ACLs that give something to others than the two owners.
const CANNED: &[&str] =
    &["public-read", "public-read-write", "authenticated-read", "aws-exec-read", "log-delivery-write"];

/// Those that give it to the owner of the bucket.
pub(super) const FULL_CONTROL_TO_BUCKET_OWNER: &str = "bucket-owner-full-control";
const READ_TO_BUCKET_OWNER: &str = "bucket-owner-read";

pub(super) const EVERYBODY: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
pub(super) const EVERY_USER: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";
pub(super) const GROUPS: &[&str] = &[EVERYBODY, EVERY_USER, LOG_DELIVERY];

/// The account of EC2 that `aws-exec-read` lets read bundles of images.
const EC2: &str = "6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c";

/// A canned ACL by its name; `None` for the one that says nothing.
pub(super) fn of_canned(canned: &str) -> Result<Option<Acl>> {
    if canned == "private" {
        Ok(None)
    } else if CANNED.contains(&canned)
        || [FULL_CONTROL_TO_BUCKET_OWNER, READ_TO_BUCKET_OWNER].contains(&canned)
    {
        Ok(Some(Acl::Canned(canned.to_owned())))
    } else {
        Err(detailed(
            S3ErrorCode::InvalidArgument,
            "",
            &[("ArgumentName", "x-amz-acl"), ("ArgumentValue", canned)],
        ))
    }
}

/// Whether an ACL says nothing that is not the case in a bucket whose owner owns everything.
pub(super) fn is_owners(acl: &Acl, owner: &str) -> bool {
    match acl {
        Acl::Canned(name) => [FULL_CONTROL_TO_BUCKET_OWNER, READ_TO_BUCKET_OWNER].contains(&name.as_str()),
        Acl::Grants(grants) => {
            matches!(grants.as_slice(), [one] if *one == to_account(owner, Permission::FULL_CONTROL))
        }
    }
}

/// Refuses an ACL where ACLs do not count, and a public one where those are blocked.
pub(super) fn check(view: &View<'_>, name: &str, bucket: &Bucket, acl: Option<&Acl>) -> Result<()> {
    let Some(acl) = acl else { return Ok(()) };
    if bucket.ownership.is_none() && !is_owners(acl, bucket.owner()) {
        return Err(not_allowed());
    }
    if is_public(acl)
        && PUBLIC_ACCESS_BLOCK.get(view, name)?.and_then(|block| block.block_public_acls) == Some(true)
    {
        return Err(refuse(S3ErrorCode::AccessDenied, "Access Denied"));
    }
    Ok(())
}

fn not_allowed() -> Error {
    refuse(S3ErrorCode::AccessControlListNotSupported, "The bucket does not allow ACLs")
}

/// Refuses grants where ACLs do not count, whatever they say.
pub(super) fn check_grants_count(view: &View<'_>, name: &str) -> Result<()> {
    if existing(view, name)?.ownership.is_none() { Err(not_allowed()) } else { Ok(()) }
}

/// Whether an ACL gives something to everybody, or to whoever has an account.
pub(super) fn is_public(acl: &Acl) -> bool {
    match acl {
        Acl::Canned(name) => name.starts_with("public-") || name == "authenticated-read",
        Acl::Grants(grants) => grants.iter().any(|grant| is_to_the_public(&grant.to)),
    }
}

fn is_to_the_public(to: &Grantee) -> bool {
    matches!(to, Grantee::Group(uri) if uri == EVERYBODY || uri == EVERY_USER)
}

/// Who owns an object that `writer` puts into a bucket.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html>
pub(super) fn owner_of_new(bucket: &Bucket, acl: Option<&Acl>, writer: &str) -> Option<String> {
    let gives = matches!(acl, Some(Acl::Canned(name)) if name == FULL_CONTROL_TO_BUCKET_OWNER);
    let owner = match bucket.ownership.as_deref() {
        None => bucket.owner(),
        Some(ObjectOwnership::BUCKET_OWNER_PREFERRED) if gives => bucket.owner(),
        // Whoever has no account leaves what was written to the owner of the bucket.
        Some(_) if writer.is_empty() => bucket.owner(),
        Some(_) => writer,
    };
    (owner != model::ACCOUNT).then(|| owner.to_owned())
}

fn to_account(account: &str, permission: &str) -> Granted {
    Granted { to: Grantee::Account(account.to_owned()), permission: permission.to_owned() }
}

fn to_group(uri: &str, permission: &str) -> Granted {
    Granted { to: Grantee::Group(uri.to_owned()), permission: permission.to_owned() }
}

/// The grants of an ACL, the owner's first where it is a canned one.
pub(super) fn grants(acl: Option<&Acl>, owner: &str, bucket_owner: &str) -> Vec<Granted> {
    let canned = match acl {
        Some(Acl::Grants(grants)) => return grants.clone(),
        Some(Acl::Canned(name)) => name.as_str(),
        None => "private",
    };
    let mut grants = vec![to_account(owner, Permission::FULL_CONTROL)];
    match canned {
        "public-read" => grants.push(to_group(EVERYBODY, Permission::READ)),
        "public-read-write" => {
            grants.push(to_group(EVERYBODY, Permission::READ));
            grants.push(to_group(EVERYBODY, Permission::WRITE));
        }
        "authenticated-read" => grants.push(to_group(EVERY_USER, Permission::READ)),
        "aws-exec-read" => grants.push(to_account(EC2, Permission::READ)),
        "log-delivery-write" => {
            grants.push(to_group(LOG_DELIVERY, Permission::WRITE));
            grants.push(to_group(LOG_DELIVERY, Permission::READ_ACP));
        }
        READ_TO_BUCKET_OWNER if owner != bucket_owner => {
            grants.push(to_account(bucket_owner, Permission::READ));
        }
        FULL_CONTROL_TO_BUCKET_OWNER if owner != bucket_owner => {
            grants.push(to_account(bucket_owner, Permission::FULL_CONTROL));
        }
        _ => {}
    }
    grants
}

/// Whether grants give `permission` to an account, or to somebody who signed nothing; what they give to the public counts
/// only if it is `open`.
pub(super) fn gives(grants: &[Granted], permission: &str, account: Option<&str>, open: bool) -> bool {
    grants.iter().any(|grant| {
        let to = match &grant.to {
            Grantee::Account(id) => account == Some(id),
            Grantee::Group(uri) if uri == EVERYBODY => open,
            Grantee::Group(uri) if uri == EVERY_USER => open && account.is_some(),
            Grantee::Group(_) => false,
        };
        to && (grant.permission == permission || grant.permission == Permission::FULL_CONTROL)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_acl_gives_is_asked_by_account_and_permission() {
        let (mine, theirs) = ("111111111111", "222222222222");
        let canned = |name: &str| of_canned(name).unwrap();
        let own = Acl::Grants(vec![to_account(theirs, "WRITE"), to_group(EVERYBODY, "READ_ACP")]);
        for (acl, permission, account, open, expected) in [
            (canned("private"), "READ", None, true, false),
            (canned("private"), "READ", Some(mine), true, true),
            (canned("public-read"), "READ", None, true, true),
            (canned("public-read"), "READ", None, false, false),
            (canned("public-read"), "WRITE", None, true, false),
            (canned("authenticated-read"), "READ", None, true, false),
            (canned("authenticated-read"), "READ", Some(theirs), true, true),
            (Some(own.clone()), "WRITE", Some(theirs), false, true),
            (Some(own.clone()), "READ", Some(theirs), true, false),
            (Some(own), "READ_ACP", None, true, true),
        ] {
            let grants = grants(acl.as_ref(), mine, mine);
            assert_eq!(
                gives(&grants, permission, account, open),
                expected,
                "{acl:?} {permission} {account:?}"
            );
        }
        assert!(of_canned("somebody-else").is_err());
    }
}
