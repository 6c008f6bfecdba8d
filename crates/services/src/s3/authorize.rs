//! Who may do what: the owner everything that no policy denies; others what a bucket's policy or an ACL gives to them or to
//! everybody, unless that is blocked.
//!
//! Sources: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/how-s3-evaluates-access-control.html>,
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>

use super::acl::{gives, grants};
use super::bucket::{BUCKETS, Bucket, existing};
use super::error::{Error, Result, refuse};
use super::grants::in_headers;
use super::policy::{Policy, Verdict};
use super::policy_action::{self, PAGE};
use super::policy_condition::Asked;
use super::settings::{POLICY, PUBLIC_ACCESS_BLOCK};
use super::version::{self, Entry};
use crate::object::Object;
use s3s::S3ErrorCode;
use s3s::dto::Permission;
use store::View;

/// What is to be done with a bucket or an object.
#[derive(Clone, Copy)]
pub(super) struct Deed<'a> {
    pub(super) operation: &'a str,
    pub(super) bucket: &'a str,
    pub(super) key: Option<&'a str>,
    pub(super) version: Option<&'a str>,
}

/// What the owner may do whatever the policy says, so that nobody locks themselves out.
const ALWAYS: &[&str] = &["GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"];

/// The error for somebody who may not.
pub(super) fn denied() -> Error {
    refuse(S3ErrorCode::AccessDenied, "Access Denied")
}

/// Refuses `deed`, unless who asks may do it.
pub(super) fn check(view: &View<'_>, deed: Deed<'_>, asked: &Asked<'_>) -> Result<()> {
    let of = existing(view, deed.bucket)?;
    let owns = asked.account == Some(of.owner());
    let policy = POLICY.text(view, deed.bucket)?;
    if owns && policy.is_none() && of.ownership.is_none() {
        return Ok(());
    }
    let object = object(view, deed)?;
    let asked = Asked { tags: object.as_ref().map_or(&[], |object| &object.tags), ..asked.clone() };
    let bucket = Known { view, of: &of, object: object.as_ref(), owns };
    let verdict = match policy {
        Some(text) => bucket.verdict(deed, &text, &asked)?,
        None => Verdict::default(),
    };
    if verdict.denies && !(owns && ALWAYS.contains(&deed.operation)) {
        return Err(denied());
    }
    if bucket.lets(deed, verdict, &asked)? { Ok(()) } else { Err(denied()) }
}

/// The object that a deed is about, if it is there.
fn object(view: &View<'_>, deed: Deed<'_>) -> Result<Option<Object>> {
    let Some(key) = deed.key else { return Ok(None) };
    match version::find(view, deed.bucket, key, deed.version) {
        Ok(Some(version::Found { entry: Entry::Object(object), .. })) => Ok(Some(*object)),
        Ok(_) | Err(Error::Refused(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A bucket, and what is known of who asks.
struct Known<'a, 'v> {
    view: &'a View<'v>,
    of: &'a Bucket,
    object: Option<&'a Object>,
    owns: bool,
}

impl Known<'_, '_> {
    /// What the policy says of everything that a deed is.
    fn verdict(&self, deed: Deed<'_>, text: &str, asked: &Asked<'_>) -> Result<Verdict> {
        let policy =
            Policy::read(text, deed.bucket).map_err(|_| Error::Broken("a bucket's policy cannot be read"))?;
        let resource = match deed.key {
            Some(key) => format!("arn:aws:s3:::{}/{key}", deed.bucket),
            None => format!("arn:aws:s3:::{}", deed.bucket),
        };
        let actions = actions(deed, asked);
        let mut whole = Verdict { denies: false, allows: true };
        for action in &actions {
            let verdict = policy.verdict(action, &resource, asked);
            whole.denies |= verdict.denies;
            whole.allows &= verdict.allows;
        }
        let block = PUBLIC_ACCESS_BLOCK.get(self.view, deed.bucket)?.unwrap_or_default();
        if !self.owns && block.restrict_public_buckets == Some(true) && policy.is_public() {
            whole.allows = false;
        }
        Ok(whole)
    }

    fn lets(&self, deed: Deed<'_>, verdict: Verdict, asked: &Asked<'_>) -> Result<bool> {
        let mine = self.object.is_none_or(|object| Some(object.owner()) == asked.account);
        let found = match (deed.operation, deed.key) {
            ("GetObject" | "HeadObject" | "GetObjectAttributes", Some(_)) => self.object.is_some(),
            _ => true,
        };
        if self.owns && (mine || self.of.ownership.is_none() || !is_of_objects_owner(deed.operation)) {
            return Ok(true);
        }
        let open =
            PUBLIC_ACCESS_BLOCK.get(self.view, deed.bucket)?.and_then(|block| block.ignore_public_acls)
                != Some(true);
        if !found {
            // Whether it is there is nobody's business who may not list the bucket.
            return self.may_list(deed, asked, open);
        }
        Ok(verdict.allows || self.acl_lets(deed, asked.account, open))
    }

    fn may_list(&self, deed: Deed<'_>, asked: &Asked<'_>, open: bool) -> Result<bool> {
        let listing = Deed { operation: "ListObjectsV2", key: None, version: None, ..deed };
        let allowed = match POLICY.text(self.view, deed.bucket)? {
            Some(text) => {
                let verdict = self.verdict(listing, &text, asked)?;
                verdict.allows && !verdict.denies
            }
            None => false,
        };
        Ok(allowed || self.acl_lets(listing, asked.account, open))
    }

    fn acl_lets(&self, deed: Deed<'_>, account: Option<&str>, open: bool) -> bool {
        if self.of.ownership.is_none() {
            return false;
        }
        let bucket = |permission| {
            gives(&grants(self.of.acl.as_ref(), self.of.owner(), self.of.owner()), permission, account, open)
        };
        let object = |permission| {
            self.object.is_some_and(|object| {
                let owns = account == Some(object.owner());
                owns || gives(
                    &grants(object.acl.as_ref(), object.owner(), self.of.owner()),
                    permission,
                    account,
                    open,
                )
            })
        };
        match deed.operation {
            "GetObject" | "HeadObject" | "GetObjectAttributes" | PAGE => object(Permission::READ),
            "GetObjectAcl" => object(Permission::READ_ACP),
            "PutObjectAcl" => object(Permission::WRITE_ACP),
            "GetObjectTagging" | "PutObjectTagging" | "DeleteObjectTagging" => {
                self.object.is_some_and(|object| account == Some(object.owner()))
            }
            "HeadBucket"
            | "ListObjects"
            | "ListObjectsV2"
            | "ListObjectVersions"
            | "ListMultipartUploads" => bucket(Permission::READ),
            "PutObject"
            | "PostObject"
            | "DeleteObject"
            | "CopyObject"
            | "CreateMultipartUpload"
            | "UploadPart"
            | "UploadPartCopy"
            | "CompleteMultipartUpload"
            | "AbortMultipartUpload"
            | "ListParts" => deed.version.is_none() && bucket(Permission::WRITE),
            "GetBucketAcl" => bucket(Permission::READ_ACP),
            "PutBucketAcl" => bucket(Permission::WRITE_ACP),
            _ => false,
        }
    }
}

/// Whether an operation is for the owner of an object to allow, and not for that of its bucket.
fn is_of_objects_owner(operation: &str) -> bool {
    matches!(
        operation,
        "GetObject"
            | "HeadObject"
            | "GetObjectAttributes"
            | "GetObjectAcl"
            | "PutObjectAcl"
            | "GetObjectTagging"
            | "PutObjectTagging"
            | "DeleteObjectTagging"
    )
}

/// The actions that a deed is: its own, and those of what its headers ask for.
fn actions(deed: Deed<'_>, asked: &Asked<'_>) -> Vec<String> {
    let mut actions = vec![policy_action::of(deed.operation, deed.version.is_some())];
    let has = |name: &str| asked.headers.is_some_and(|headers| headers.contains_key(name));
    if deed.operation == "GetObjectAttributes" {
        actions.push(policy_action::of("GetObject", deed.version.is_some()));
    }
    if matches!(deed.operation, "PutObject" | "CopyObject" | "CreateMultipartUpload") {
        for (header, action) in [
            ("x-amz-tagging", "s3:PutObjectTagging"),
            ("x-amz-object-lock-mode", "s3:PutObjectRetention"),
            ("x-amz-object-lock-legal-hold", "s3:PutObjectLegalHold"),
        ] {
            if has(header) {
                actions.push(action.to_owned());
            }
        }
        if asked.headers.is_some_and(in_headers) {
            actions.push("s3:PutObjectAcl".to_owned());
        }
    }
    if asked.headers.is_some_and(super::parameters::bypasses_governance) {
        actions.push("s3:BypassGovernanceRetention".to_owned());
    }
    actions
}

/// The deed of reading what a copy is made from.
pub(super) fn reading<'a>(bucket: &'a str, key: &'a str, version: Option<&'a str>) -> Deed<'a> {
    Deed { operation: "GetObject", bucket, key: Some(key), version }
}

/// Whether the bucket is `expected`'s: a caller says so in order not to talk to a stranger's.
pub(super) fn check_owner(view: &View<'_>, bucket: &str, expected: &str) -> Result<()> {
    if !wire::is_account(expected) {
        return Err(refuse(
            S3ErrorCode::Custom("InvalidBucketOwnerAWSAccountID".into()),
            format!(
                "The value of the expected bucket owner parameter must be an AWS Account ID... [{expected}]"
            ),
        ));
    }
    match view.get(&BUCKETS, bucket)? {
        Some(of) if of.owner() != expected => Err(denied()),
        _ => Ok(()),
    }
}
