//! The operations, listed once: the table yields the implementation of `s3s`'s trait and the public lists.
//!
//! The operations on one setting of a bucket lie in one file; every other operation has a file of its own. What is not
//! served is refused by its name ([`super::access`], [`super::request`]).

use super::State;
use super::request::Context;
use super::{
    abort_multipart_upload, acls, bucket_cors, bucket_encryption, bucket_lifecycle, bucket_policy,
    bucket_tagging, bucket_versioning, bucket_website, complete_multipart_upload, copy_object, create_bucket,
    create_multipart_upload, defaults, delete_bucket, delete_object, delete_objects, get_bucket_location,
    get_bucket_notification_configuration, get_object, get_object_attributes, head_bucket, head_object,
    list_buckets, list_multipart_uploads, list_object_versions, list_objects, list_objects_v2, list_parts,
    object_lock, object_tagging, ownership_controls, public_access_block,
    put_bucket_notification_configuration, put_object, restore_object, upload_part, upload_part_copy,
};
use async_trait::async_trait;
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};
use std::sync::Arc;

/// The implementation of `s3s`'s trait: it only delegates.
pub(super) struct Operations(pub(super) Arc<State>);

macro_rules! operations {
    ($($name:ident: $method:ident = $module:ident::$function:ident($input:ident) -> $output:ident;)*) => {
        /// The operations of S3 that are supported. `PostObject`, the upload by an HTML form, is beside them: it is no
        /// operation of the SDKs.
        pub const OPERATIONS: &[&str] = &[$(stringify!($name)),*];

        #[async_trait]
        impl s3s::S3 for Operations {
            $(async fn $method(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                // Every request gets its context before `s3s` sees it.
                let Some(context) = request.extensions.get::<Context>().cloned() else {
                    return Err(S3ErrorCode::InternalError.into());
                };
                let result = $module::$function(&self.0, &context, request).await;
                result.map_err(|error| error.answer(stringify!($name), context.id))
            })*
        }
    };
}

operations! {
    AbortMultipartUpload:
        abort_multipart_upload = abort_multipart_upload::run(AbortMultipartUploadInput)
        -> AbortMultipartUploadOutput;
    CompleteMultipartUpload:
        complete_multipart_upload = complete_multipart_upload::run(CompleteMultipartUploadInput)
        -> CompleteMultipartUploadOutput;
    CopyObject: copy_object = copy_object::run(CopyObjectInput) -> CopyObjectOutput;
    CreateBucket: create_bucket = create_bucket::run(CreateBucketInput) -> CreateBucketOutput;
    CreateMultipartUpload:
        create_multipart_upload = create_multipart_upload::run(CreateMultipartUploadInput)
        -> CreateMultipartUploadOutput;
    DeleteBucket: delete_bucket = delete_bucket::run(DeleteBucketInput) -> DeleteBucketOutput;
    DeleteBucketCors:
        delete_bucket_cors = bucket_cors::delete(DeleteBucketCorsInput)
        -> DeleteBucketCorsOutput;
    DeleteBucketEncryption:
        delete_bucket_encryption = bucket_encryption::delete(DeleteBucketEncryptionInput)
        -> DeleteBucketEncryptionOutput;
    DeleteBucketLifecycle:
        delete_bucket_lifecycle = bucket_lifecycle::delete(DeleteBucketLifecycleInput)
        -> DeleteBucketLifecycleOutput;
    DeleteBucketOwnershipControls:
        delete_bucket_ownership_controls = ownership_controls::delete(DeleteBucketOwnershipControlsInput)
        -> DeleteBucketOwnershipControlsOutput;
    DeleteBucketPolicy:
        delete_bucket_policy = bucket_policy::delete(DeleteBucketPolicyInput)
        -> DeleteBucketPolicyOutput;
    DeleteBucketTagging:
        delete_bucket_tagging = bucket_tagging::delete(DeleteBucketTaggingInput)
        -> DeleteBucketTaggingOutput;
    DeleteBucketWebsite:
        delete_bucket_website = bucket_website::delete(DeleteBucketWebsiteInput)
        -> DeleteBucketWebsiteOutput;
    DeleteObject: delete_object = delete_object::run(DeleteObjectInput) -> DeleteObjectOutput;
    DeleteObjectTagging:
        delete_object_tagging = object_tagging::delete(DeleteObjectTaggingInput)
        -> DeleteObjectTaggingOutput;
    DeleteObjects: delete_objects = delete_objects::run(DeleteObjectsInput) -> DeleteObjectsOutput;
    DeletePublicAccessBlock:
        delete_public_access_block = public_access_block::delete(DeletePublicAccessBlockInput)
        -> DeletePublicAccessBlockOutput;
    GetBucketAccelerateConfiguration:
        get_bucket_accelerate_configuration = defaults::accelerate(GetBucketAccelerateConfigurationInput)
        -> GetBucketAccelerateConfigurationOutput;
    GetBucketAcl: get_bucket_acl = acls::get_bucket(GetBucketAclInput) -> GetBucketAclOutput;
    GetBucketAnalyticsConfiguration:
        get_bucket_analytics_configuration = defaults::analytics(GetBucketAnalyticsConfigurationInput)
        -> GetBucketAnalyticsConfigurationOutput;
    GetBucketCors: get_bucket_cors = bucket_cors::get(GetBucketCorsInput) -> GetBucketCorsOutput;
    GetBucketEncryption:
        get_bucket_encryption = bucket_encryption::get(GetBucketEncryptionInput)
        -> GetBucketEncryptionOutput;
    GetBucketIntelligentTieringConfiguration:
        get_bucket_intelligent_tiering_configuration = defaults::intelligent_tiering(GetBucketIntelligentTieringConfigurationInput)
        -> GetBucketIntelligentTieringConfigurationOutput;
    GetBucketInventoryConfiguration:
        get_bucket_inventory_configuration = defaults::inventory(GetBucketInventoryConfigurationInput)
        -> GetBucketInventoryConfigurationOutput;
    GetBucketLifecycleConfiguration:
        get_bucket_lifecycle_configuration = bucket_lifecycle::get(GetBucketLifecycleConfigurationInput)
        -> GetBucketLifecycleConfigurationOutput;
    GetBucketLocation:
        get_bucket_location = get_bucket_location::run(GetBucketLocationInput)
        -> GetBucketLocationOutput;
    GetBucketLogging: get_bucket_logging = defaults::logging(GetBucketLoggingInput) -> GetBucketLoggingOutput;
    GetBucketMetricsConfiguration:
        get_bucket_metrics_configuration = defaults::metrics(GetBucketMetricsConfigurationInput)
        -> GetBucketMetricsConfigurationOutput;
    GetBucketNotificationConfiguration:
        get_bucket_notification_configuration = get_bucket_notification_configuration::run(GetBucketNotificationConfigurationInput)
        -> GetBucketNotificationConfigurationOutput;
    GetBucketOwnershipControls:
        get_bucket_ownership_controls = ownership_controls::get(GetBucketOwnershipControlsInput)
        -> GetBucketOwnershipControlsOutput;
    GetBucketPolicy: get_bucket_policy = bucket_policy::get(GetBucketPolicyInput) -> GetBucketPolicyOutput;
    GetBucketPolicyStatus:
        get_bucket_policy_status = bucket_policy::status(GetBucketPolicyStatusInput)
        -> GetBucketPolicyStatusOutput;
    GetBucketReplication:
        get_bucket_replication = defaults::replication(GetBucketReplicationInput)
        -> GetBucketReplicationOutput;
    GetBucketRequestPayment:
        get_bucket_request_payment = defaults::request_payment(GetBucketRequestPaymentInput)
        -> GetBucketRequestPaymentOutput;
    GetBucketTagging:
        get_bucket_tagging = bucket_tagging::get(GetBucketTaggingInput)
        -> GetBucketTaggingOutput;
    GetBucketVersioning:
        get_bucket_versioning = bucket_versioning::get(GetBucketVersioningInput)
        -> GetBucketVersioningOutput;
    GetBucketWebsite:
        get_bucket_website = bucket_website::get(GetBucketWebsiteInput)
        -> GetBucketWebsiteOutput;
    GetObject: get_object = get_object::run(GetObjectInput) -> GetObjectOutput;
    GetObjectAcl: get_object_acl = acls::get_object(GetObjectAclInput) -> GetObjectAclOutput;
    GetObjectAttributes:
        get_object_attributes = get_object_attributes::run(GetObjectAttributesInput)
        -> GetObjectAttributesOutput;
    GetObjectLegalHold:
        get_object_legal_hold = object_lock::get_legal_hold(GetObjectLegalHoldInput)
        -> GetObjectLegalHoldOutput;
    GetObjectLockConfiguration:
        get_object_lock_configuration = object_lock::get_configuration(GetObjectLockConfigurationInput)
        -> GetObjectLockConfigurationOutput;
    GetObjectRetention:
        get_object_retention = object_lock::get_retention(GetObjectRetentionInput)
        -> GetObjectRetentionOutput;
    GetObjectTagging:
        get_object_tagging = object_tagging::get(GetObjectTaggingInput)
        -> GetObjectTaggingOutput;
    GetPublicAccessBlock:
        get_public_access_block = public_access_block::get(GetPublicAccessBlockInput)
        -> GetPublicAccessBlockOutput;
    HeadBucket: head_bucket = head_bucket::run(HeadBucketInput) -> HeadBucketOutput;
    HeadObject: head_object = head_object::run(HeadObjectInput) -> HeadObjectOutput;
    ListBucketAnalyticsConfigurations:
        list_bucket_analytics_configurations = defaults::list_analytics(ListBucketAnalyticsConfigurationsInput)
        -> ListBucketAnalyticsConfigurationsOutput;
    ListBucketIntelligentTieringConfigurations:
        list_bucket_intelligent_tiering_configurations = defaults::list_intelligent_tiering(ListBucketIntelligentTieringConfigurationsInput)
        -> ListBucketIntelligentTieringConfigurationsOutput;
    ListBucketInventoryConfigurations:
        list_bucket_inventory_configurations = defaults::list_inventory(ListBucketInventoryConfigurationsInput)
        -> ListBucketInventoryConfigurationsOutput;
    ListBucketMetricsConfigurations:
        list_bucket_metrics_configurations = defaults::list_metrics(ListBucketMetricsConfigurationsInput)
        -> ListBucketMetricsConfigurationsOutput;
    ListBuckets: list_buckets = list_buckets::run(ListBucketsInput) -> ListBucketsOutput;
    ListMultipartUploads:
        list_multipart_uploads = list_multipart_uploads::run(ListMultipartUploadsInput)
        -> ListMultipartUploadsOutput;
    ListObjectVersions:
        list_object_versions = list_object_versions::run(ListObjectVersionsInput)
        -> ListObjectVersionsOutput;
    ListObjects: list_objects = list_objects::run(ListObjectsInput) -> ListObjectsOutput;
    ListObjectsV2: list_objects_v2 = list_objects_v2::run(ListObjectsV2Input) -> ListObjectsV2Output;
    ListParts: list_parts = list_parts::run(ListPartsInput) -> ListPartsOutput;
    PutBucketAcl: put_bucket_acl = acls::put_bucket(PutBucketAclInput) -> PutBucketAclOutput;
    PutBucketCors: put_bucket_cors = bucket_cors::put(PutBucketCorsInput) -> PutBucketCorsOutput;
    PutBucketEncryption:
        put_bucket_encryption = bucket_encryption::put(PutBucketEncryptionInput)
        -> PutBucketEncryptionOutput;
    PutBucketLifecycleConfiguration:
        put_bucket_lifecycle_configuration = bucket_lifecycle::put(PutBucketLifecycleConfigurationInput)
        -> PutBucketLifecycleConfigurationOutput;
    PutBucketNotificationConfiguration:
        put_bucket_notification_configuration = put_bucket_notification_configuration::run(PutBucketNotificationConfigurationInput)
        -> PutBucketNotificationConfigurationOutput;
    PutBucketOwnershipControls:
        put_bucket_ownership_controls = ownership_controls::put(PutBucketOwnershipControlsInput)
        -> PutBucketOwnershipControlsOutput;
    PutBucketPolicy: put_bucket_policy = bucket_policy::put(PutBucketPolicyInput) -> PutBucketPolicyOutput;
    PutBucketTagging:
        put_bucket_tagging = bucket_tagging::put(PutBucketTaggingInput)
        -> PutBucketTaggingOutput;
    PutBucketVersioning:
        put_bucket_versioning = bucket_versioning::put(PutBucketVersioningInput)
        -> PutBucketVersioningOutput;
    PutBucketWebsite:
        put_bucket_website = bucket_website::put(PutBucketWebsiteInput)
        -> PutBucketWebsiteOutput;
    PutObject: put_object = put_object::run(PutObjectInput) -> PutObjectOutput;
    PutObjectAcl: put_object_acl = acls::put_object(PutObjectAclInput) -> PutObjectAclOutput;
    PutObjectLegalHold:
        put_object_legal_hold = object_lock::put_legal_hold(PutObjectLegalHoldInput)
        -> PutObjectLegalHoldOutput;
    PutObjectLockConfiguration:
        put_object_lock_configuration = object_lock::put_configuration(PutObjectLockConfigurationInput)
        -> PutObjectLockConfigurationOutput;
    PutObjectRetention:
        put_object_retention = object_lock::put_retention(PutObjectRetentionInput)
        -> PutObjectRetentionOutput;
    PutObjectTagging:
        put_object_tagging = object_tagging::put(PutObjectTaggingInput)
        -> PutObjectTaggingOutput;
    PutPublicAccessBlock:
        put_public_access_block = public_access_block::put(PutPublicAccessBlockInput)
        -> PutPublicAccessBlockOutput;
    RestoreObject: restore_object = restore_object::run(RestoreObjectInput) -> RestoreObjectOutput;
    UploadPart: upload_part = upload_part::run(UploadPartInput) -> UploadPartOutput;
    UploadPartCopy: upload_part_copy = upload_part_copy::run(UploadPartCopyInput) -> UploadPartCopyOutput;
}

/// The operations of S3 that are refused by name.
pub const MISSING: &[&str] = &[
    "CreateBucketMetadataConfiguration",
    "CreateBucketMetadataTableConfiguration",
    "CreateSession",
    "DeleteBucketAnalyticsConfiguration",
    "DeleteBucketIntelligentTieringConfiguration",
    "DeleteBucketInventoryConfiguration",
    "DeleteBucketMetadataConfiguration",
    "DeleteBucketMetadataTableConfiguration",
    "DeleteBucketMetricsConfiguration",
    "DeleteBucketReplication",
    "GetBucketMetadataConfiguration",
    "GetBucketMetadataTableConfiguration",
    "GetObjectTorrent",
    "ListDirectoryBuckets",
    "PutBucketAccelerateConfiguration",
    "PutBucketAnalyticsConfiguration",
    "PutBucketIntelligentTieringConfiguration",
    "PutBucketInventoryConfiguration",
    "PutBucketLogging",
    "PutBucketMetricsConfiguration",
    "PutBucketReplication",
    "PutBucketRequestPayment",
    "RenameObject",
    "SelectObjectContent",
    "UpdateBucketMetadataInventoryTableConfiguration",
    "UpdateBucketMetadataJournalTableConfiguration",
    "WriteGetObjectResponse",
];

/// Those of them that `s3s` does not know, by the method and the parameter that tell them.
pub(super) const UNKNOWN: &[(&str, &str, &str)] = &[
    ("DELETE", "metadataConfiguration", "DeleteBucketMetadataConfiguration"),
    ("GET", "metadataConfiguration", "GetBucketMetadataConfiguration"),
    ("POST", "metadataConfiguration", "CreateBucketMetadataConfiguration"),
    ("PUT", "metadataInventoryTable", "UpdateBucketMetadataInventoryTableConfiguration"),
    ("PUT", "metadataJournalTable", "UpdateBucketMetadataJournalTableConfiguration"),
    ("PUT", "renameObject", "RenameObject"),
];

/// The list of operations in `docs/s3.md`.
#[cfg(test)]
fn page() -> String {
    let mut page = String::from("| operation | state |\n|---|---|\n");
    let mut all: Vec<(&str, &str)> = OPERATIONS.iter().map(|name| (*name, "served")).collect();
    all.extend(MISSING.iter().map(|name| (*name, "501")));
    all.push(("PostObject", "served"));
    all.sort_unstable();
    for (name, state) in all {
        page.push_str(&format!("| {name} | {state} |\n"));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use super::*;

    #[tokio::test]
    async fn the_lists_are_sorted_and_everything_else_is_named_in_its_refusal() {
        assert!(OPERATIONS.is_sorted() && MISSING.is_sorted());
        assert!(UNKNOWN.iter().all(|(_, _, name)| MISSING.contains(name)));
        let bench = Bench::new().await;
        for (method, uri, name) in [
            ("GET", "/box/k?torrent", "GetObjectTorrent"),
            ("PUT", "/box?replication", "PutBucketReplication"),
            ("PUT", "/box?accelerate", "PutBucketAccelerateConfiguration"),
            ("POST", "/box/k?select&select-type=2", "SelectObjectContent"),
            ("PUT", "/box/k?renameObject", "RenameObject"),
            ("GET", "/box?metadataConfiguration", "GetBucketMetadataConfiguration"),
        ] {
            assert!(MISSING.contains(&name));
            let refused = bench.refused(method, uri, &[], "").await;
            assert!(
                refused.starts_with(&format!("501 NotImplemented The operation {name} is not")),
                "{refused}"
            );
        }
    }

    #[test]
    fn the_page_lists_every_operation_with_its_state() {
        let written = include_str!("../../../../docs/s3.md").replace("\r\n", "\n");
        assert!(written.contains(&page()), "docs/s3.md is to hold this:\n{}", page());
    }
}
