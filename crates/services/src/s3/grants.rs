//! ACLs as requests state them: in headers, or in a document.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAcl.html>

use super::acl::{GROUPS, of_canned};
use super::error::{Error, Result, detailed, refuse};
use crate::object::acl::{Acl, Granted, Grantee};
use http::HeaderMap;
use s3s::S3ErrorCode;
use s3s::dto::{AccessControlPolicy, Grant, Owner, Permission, Type};

/// The headers of grants, with what they grant.
const HEADERS: &[(&str, &str)] = &[
    ("x-amz-grant-full-control", Permission::FULL_CONTROL),
    ("x-amz-grant-read", Permission::READ),
    ("x-amz-grant-read-acp", Permission::READ_ACP),
    ("x-amz-grant-write", Permission::WRITE),
    ("x-amz-grant-write-acp", Permission::WRITE_ACP),
];

/// The most grants of one ACL.
const MOST: usize = 100;

/// Whether a request grants something by a header.
pub(super) fn by_grant(headers: &HeaderMap) -> bool {
    HEADERS.iter().any(|(name, _)| headers.contains_key(*name))
}

/// A request states a canned ACL or grants, not both.
pub(super) fn check_one_kind(headers: &HeaderMap) -> Result<()> {
    if headers.contains_key("x-amz-acl") && by_grant(headers) {
        return Err(refuse(
            S3ErrorCode::InvalidRequest,
            "Specifying both Canned ACLs and Header Grants is not allowed",
        ));
    }
    Ok(())
}

/// Whether a request states an ACL in its headers.
pub(super) fn in_headers(headers: &HeaderMap) -> bool {
    headers.contains_key("x-amz-acl") || by_grant(headers)
}

/// The ACL that a request's headers ask for, if it is another than the owner's.
pub(super) fn of_headers(headers: &HeaderMap) -> Result<Option<Acl>> {
    let mut grants = Vec::new();
    for (name, permission) in HEADERS {
        for value in headers.get_all(*name) {
            for grantee in value.to_str().unwrap_or_default().split(',') {
                grants.push(Granted { to: grantee_of(name, grantee)?, permission: (*permission).to_owned() });
            }
        }
    }
    match headers.get("x-amz-acl").map(|value| value.to_str().unwrap_or_default()) {
        Some(canned) => of_canned(canned),
        None if grants.is_empty() => Ok(None),
        None => limited(grants),
    }
}

fn limited(grants: Vec<Granted>) -> Result<Option<Acl>> {
    if grants.len() > MOST {
        return Err(malformed());
    }
    Ok(Some(Acl::Grants(grants)))
}

/// `id="..."`, `uri="..."` or `emailAddress="..."`.
fn grantee_of(header: &str, text: &str) -> Result<Grantee> {
    let unknown = || invalid(header, text.trim(), "Argument format not recognized");
    let (kind, value) = text.trim().split_once('=').ok_or_else(unknown)?;
    let value = value.trim().trim_matches('"');
    match kind.trim().to_ascii_lowercase().as_str() {
        "id" => account("id", value),
        "uri" => group("uri", value),
        "emailaddress" => Err(unresolvable()),
        _ => Err(unknown()),
    }
}

/// An account's number, or a canonical id of AWS's.
fn account(argument: &str, id: &str) -> Result<Grantee> {
    let canonical = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if wire::is_account(id) || canonical {
        Ok(Grantee::Account(id.to_owned()))
    } else {
        Err(invalid(argument, id, "Invalid id"))
    }
}

fn group(argument: &str, uri: &str) -> Result<Grantee> {
    if GROUPS.contains(&uri) {
        Ok(Grantee::Group(uri.to_owned()))
    } else {
        Err(invalid(argument, uri, "Invalid group uri"))
    }
}

fn invalid(name: &str, value: &str, message: &'static str) -> Error {
    detailed(S3ErrorCode::InvalidArgument, message, &[("ArgumentName", name), ("ArgumentValue", value)])
}

fn malformed() -> Error {
    refuse(
        S3ErrorCode::MalformedACLError,
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
}

fn unresolvable() -> Error {
    refuse(
        S3ErrorCode::UnresolvableGrantByEmailAddress,
        "The e-mail address you provided does not match any account on record.",
    )
}

/// The ACL that a document states for what `owner` owns.
pub(super) fn of_document(document: AccessControlPolicy, owner: &str) -> Result<Option<Acl>> {
    let said = document.owner.and_then(|owner| owner.id).filter(|id| !id.is_empty()).ok_or_else(malformed)?;
    if said != owner {
        account("CanonicalUser/ID", &said)?;
        return Err(refuse(S3ErrorCode::AccessDenied, "Access Denied"));
    }
    let grants =
        document.grants.ok_or_else(malformed)?.into_iter().map(granted).collect::<Result<Vec<_>>>()?;
    let all =
        Granted { to: Grantee::Account(owner.to_owned()), permission: Permission::FULL_CONTROL.to_owned() };
    if grants == [all] {
        return Ok(None);
    }
    limited(grants)
}

fn granted(grant: Grant) -> Result<Granted> {
    let permission = grant.permission.ok_or_else(malformed)?;
    if !HEADERS.iter().any(|(_, known)| permission.as_str() == *known) {
        return Err(malformed());
    }
    let grantee = grant.grantee.ok_or_else(malformed)?;
    let text = |value: Option<String>| value.filter(|value| !value.is_empty()).ok_or_else(malformed);
    let to = match grantee.type_.as_str() {
        Type::CANONICAL_USER => account("CanonicalUser/ID", &text(grantee.id)?)?,
        Type::GROUP => group("Group/URI", &text(grantee.uri)?)?,
        Type::AMAZON_CUSTOMER_BY_EMAIL => return Err(unresolvable()),
        _ => return Err(malformed()),
    };
    Ok(Granted { to, permission: permission.as_str().to_owned() })
}

/// Grants as they are answered.
pub(super) fn told(grants: Vec<Granted>) -> Vec<Grant> {
    let grantee = |kind: &'static str, id: Option<String>, uri: Option<String>| s3s::dto::Grantee {
        display_name: None,
        email_address: None,
        id,
        type_: Type::from_static(kind),
        uri,
    };
    grants
        .into_iter()
        .map(|grant| Grant {
            grantee: Some(match grant.to {
                Grantee::Account(id) => grantee(Type::CANONICAL_USER, Some(id), None),
                Grantee::Group(uri) => grantee(Type::GROUP, None, Some(uri)),
            }),
            permission: Some(Permission::from(grant.permission)),
        })
        .collect()
}

/// An account as the owner of something.
pub(super) fn owner(account: &str) -> Owner {
    Owner { display_name: None, id: Some(account.to_owned()) }
}
