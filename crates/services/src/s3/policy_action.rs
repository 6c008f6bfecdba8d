//! The actions of policies: what each operation is to a policy, and what each action is about.
//!
//! Source: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>

use super::policy::matches;

/// What an action can be about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) bucket: bool,
    pub(super) object: bool,
}

impl Level {
    pub(super) fn or(self, other: Level) -> Level {
        Level { bucket: self.bucket || other.bucket, object: self.object || other.object }
    }
}

/// The actions that are about buckets.
const OF_BUCKETS: &[&str] = &[
    "CreateBucket",
    "DeleteBucket",
    "DeleteBucketPolicy",
    "DeleteBucketWebsite",
    "GetAccelerateConfiguration",
    "GetAnalyticsConfiguration",
    "GetBucketAcl",
    "GetBucketCORS",
    "GetBucketLocation",
    "GetBucketLogging",
    "GetBucketNotification",
    "GetBucketObjectLockConfiguration",
    "GetBucketOwnershipControls",
    "GetBucketPolicy",
    "GetBucketPolicyStatus",
    "GetBucketPublicAccessBlock",
    "GetBucketRequestPayment",
    "GetBucketTagging",
    "GetBucketVersioning",
    "GetBucketWebsite",
    "GetEncryptionConfiguration",
    "GetIntelligentTieringConfiguration",
    "GetInventoryConfiguration",
    "GetLifecycleConfiguration",
    "GetMetricsConfiguration",
    "GetReplicationConfiguration",
    "ListBucket",
    "ListBucketMultipartUploads",
    "ListBucketVersions",
    "ListTagsForResource",
    "PutAccelerateConfiguration",
    "PutAnalyticsConfiguration",
    "PutBucketAcl",
    "PutBucketCORS",
    "PutBucketLogging",
    "PutBucketNotification",
    "PutBucketObjectLockConfiguration",
    "PutBucketOwnershipControls",
    "PutBucketPolicy",
    "PutBucketPublicAccessBlock",
    "PutBucketRequestPayment",
    "PutBucketTagging",
    "PutBucketVersioning",
    "PutBucketWebsite",
    "PutEncryptionConfiguration",
    "PutIntelligentTieringConfiguration",
    "PutInventoryConfiguration",
    "PutLifecycleConfiguration",
    "PutMetricsConfiguration",
    "PutReplicationConfiguration",
    "TagResource",
    "UntagResource",
];

/// Those that are about objects.
const OF_OBJECTS: &[&str] = &[
    "AbortMultipartUpload",
    "BypassGovernanceRetention",
    "DeleteObject",
    "DeleteObjectTagging",
    "DeleteObjectVersion",
    "DeleteObjectVersionTagging",
    "GetObject",
    "GetObjectAcl",
    "GetObjectAttributes",
    "GetObjectLegalHold",
    "GetObjectRetention",
    "GetObjectTagging",
    "GetObjectTorrent",
    "GetObjectVersion",
    "GetObjectVersionAcl",
    "GetObjectVersionAttributes",
    "GetObjectVersionForReplication",
    "GetObjectVersionTagging",
    "GetObjectVersionTorrent",
    "ListMultipartUploadParts",
    "ObjectOwnerOverrideToBucketOwner",
    "PutObject",
    "PutObjectAcl",
    "PutObjectLegalHold",
    "PutObjectRetention",
    "PutObjectTagging",
    "PutObjectVersionAcl",
    "PutObjectVersionTagging",
    "ReplicateDelete",
    "ReplicateObject",
    "ReplicateTags",
    "RestoreObject",
];

/// What the actions are about that `pattern` names; `None` if it names none of S3's.
pub(super) fn level(pattern: &str) -> Option<Level> {
    let pattern = pattern.to_ascii_lowercase();
    let name = if pattern == "*" { "*" } else { pattern.strip_prefix("s3:")? };
    let any = |all: &[&str]| all.iter().any(|action| matches(name, &action.to_ascii_lowercase()));
    let level = Level { bucket: any(OF_BUCKETS), object: any(OF_OBJECTS) };
    (level != Level::default()).then_some(level)
}

/// A read for a page of a website: as GetObject, but who may read what is not there learns that it is not there, since
/// another page stands for it.
pub(super) const PAGE: &str = "WebsitePage";

/// The action that `operation` is.
pub(super) fn of(operation: &str, version: bool) -> String {
    let name = match operation {
        "GetObject" | "HeadObject" if version => "GetObjectVersion",
        "HeadObject" | PAGE => "GetObject",
        "GetObjectAttributes" if version => "GetObjectVersionAttributes",
        "GetObjectAcl" if version => "GetObjectVersionAcl",
        "PutObjectAcl" if version => "PutObjectVersionAcl",
        "GetObjectTagging" if version => "GetObjectVersionTagging",
        "PutObjectTagging" if version => "PutObjectVersionTagging",
        "DeleteObjectTagging" if version => "DeleteObjectVersionTagging",
        "DeleteObject" if version => "DeleteObjectVersion",
        "CopyObject"
        | "CreateMultipartUpload"
        | "UploadPart"
        | "UploadPartCopy"
        | "CompleteMultipartUpload"
        | "PostObject" => "PutObject",
        "ListParts" => "ListMultipartUploadParts",
        "HeadBucket" | "ListObjects" | "ListObjectsV2" => "ListBucket",
        "ListObjectVersions" => "ListBucketVersions",
        "ListMultipartUploads" => "ListBucketMultipartUploads",
        "DeleteBucketCors" => "PutBucketCors",
        "DeleteBucketEncryption" | "PutBucketEncryption" => "PutEncryptionConfiguration",
        "GetBucketEncryption" => "GetEncryptionConfiguration",
        "DeleteBucketLifecycle" | "PutBucketLifecycleConfiguration" => "PutLifecycleConfiguration",
        "GetBucketLifecycleConfiguration" => "GetLifecycleConfiguration",
        "GetBucketNotificationConfiguration" => "GetBucketNotification",
        "PutBucketNotificationConfiguration" => "PutBucketNotification",
        "DeleteBucketOwnershipControls" => "PutBucketOwnershipControls",
        "DeleteBucketTagging" => "PutBucketTagging",
        "GetPublicAccessBlock" => "GetBucketPublicAccessBlock",
        "PutPublicAccessBlock" | "DeletePublicAccessBlock" => "PutBucketPublicAccessBlock",
        "GetObjectLockConfiguration" => "GetBucketObjectLockConfiguration",
        "PutObjectLockConfiguration" => "PutBucketObjectLockConfiguration",
        "GetBucketAccelerateConfiguration" => "GetAccelerateConfiguration",
        "GetBucketReplication" => "GetReplicationConfiguration",
        "GetBucketAnalyticsConfiguration" | "ListBucketAnalyticsConfigurations" => {
            "GetAnalyticsConfiguration"
        }
        "GetBucketInventoryConfiguration" | "ListBucketInventoryConfigurations" => {
            "GetInventoryConfiguration"
        }
        "GetBucketMetricsConfiguration" | "ListBucketMetricsConfigurations" => "GetMetricsConfiguration",
        "GetBucketIntelligentTieringConfiguration" | "ListBucketIntelligentTieringConfigurations" => {
            "GetIntelligentTieringConfiguration"
        }
        other => other,
    };
    format!("s3:{name}")
}

#[cfg(test)]
mod tests {
    use super::super::operations::OPERATIONS;
    use super::*;

    #[test]
    fn every_operation_on_a_bucket_or_an_object_is_an_action() {
        for operation in OPERATIONS {
            // All buckets, and many objects: neither is one resource.
            if !["ListBuckets", "DeleteObjects"].contains(operation) {
                let action = of(operation, false);
                assert!(level(&action).is_some(), "{operation} is {action}");
                assert!(level(&of(operation, true)).is_some(), "{operation} of a version");
            }
        }
        assert_eq!(level("s3:Get*").unwrap(), Level { bucket: true, object: true });
        assert_eq!(level("s3:PutObject?ag*").unwrap(), Level { bucket: false, object: true });
        assert!(level("s3:Nothing").is_none() && level("ec2:*").is_none());
    }
}
