//! The operations, listed once: the table yields the implementation of `s3s`'s trait and the public list.
//!
//! Every other operation is refused by its name ([`super::access`]).

use super::State;
use super::request::Context;
use async_trait::async_trait;
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};
use std::sync::Arc;

/// The implementation of `s3s`'s trait: it only delegates.
pub(super) struct Operations(pub(super) Arc<State>);

macro_rules! operations {
    ($($name:ident: $function:ident($input:ident) -> $output:ident;)*) => {
        /// The operations of S3 that are supported.
        pub const OPERATIONS: &[&str] = &[$(stringify!($name)),*];

        #[async_trait]
        impl s3s::S3 for Operations {
            $(async fn $function(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                // Every request gets its context before `s3s` sees it.
                let Some(context) = request.extensions.get::<Context>().cloned() else {
                    return Err(S3ErrorCode::InternalError.into());
                };
                let result = super::$function::run(&self.0, &context, request).await;
                result.map_err(|error| error.answer(stringify!($name), context.id))
            })*
        }
    };
}

operations! {
    CopyObject: copy_object(CopyObjectInput) -> CopyObjectOutput;
    CreateBucket: create_bucket(CreateBucketInput) -> CreateBucketOutput;
    DeleteBucket: delete_bucket(DeleteBucketInput) -> DeleteBucketOutput;
    DeleteObject: delete_object(DeleteObjectInput) -> DeleteObjectOutput;
    DeleteObjects: delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput;
    GetBucketLocation: get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput;
    GetBucketNotificationConfiguration:
        get_bucket_notification_configuration(GetBucketNotificationConfigurationInput)
        -> GetBucketNotificationConfigurationOutput;
    GetObject: get_object(GetObjectInput) -> GetObjectOutput;
    HeadBucket: head_bucket(HeadBucketInput) -> HeadBucketOutput;
    HeadObject: head_object(HeadObjectInput) -> HeadObjectOutput;
    ListBuckets: list_buckets(ListBucketsInput) -> ListBucketsOutput;
    ListObjects: list_objects(ListObjectsInput) -> ListObjectsOutput;
    ListObjectsV2: list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output;
    PutBucketNotificationConfiguration:
        put_bucket_notification_configuration(PutBucketNotificationConfigurationInput)
        -> PutBucketNotificationConfigurationOutput;
    PutObject: put_object(PutObjectInput) -> PutObjectOutput;
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use super::*;

    #[tokio::test]
    async fn the_list_is_sorted_and_everything_else_is_named_in_its_refusal() {
        assert!(OPERATIONS.is_sorted());
        let bench = Bench::new().await;
        for (method, uri, name) in [
            ("POST", "/box/k?uploads", "CreateMultipartUpload"),
            ("GET", "/box?policy", "GetBucketPolicy"),
            ("GET", "/box?versioning", "GetBucketVersioning"),
            ("DELETE", "/box/k?tagging", "DeleteObjectTagging"),
        ] {
            assert!(!OPERATIONS.contains(&name));
            let refused = bench.refused(method, uri, &[], "").await;
            assert!(
                refused.starts_with(&format!("501 NotImplemented The operation {name} is not")),
                "{refused}"
            );
        }
    }
}
