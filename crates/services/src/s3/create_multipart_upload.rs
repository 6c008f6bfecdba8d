//! `CreateMultipartUpload`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html>

use super::State;
use super::bucket::existing;
use super::description::{Described, Description};
use super::error::Result;
use super::parameters::check_query;
use super::request::Context;
use super::upload::{Chosen, UPLOADS, Upload, shown, upload_key};
use super::{acl, lock, sse};
use crate::object::{OBJECTS, object_key};
use s3s::dto::{ChecksumAlgorithm, ChecksumType, CreateMultipartUploadInput, CreateMultipartUploadOutput};
use s3s::{S3Request, S3Response};

pub(super) async fn run(
    state: &State,
    context: &Context,
    request: S3Request<CreateMultipartUploadInput>,
) -> Result<S3Response<CreateMultipartUploadOutput>> {
    check_query(&request.uri, &["uploads"])?;
    let input = request.input;
    let description = Description {
        content_type: input.content_type,
        cache_control: input.cache_control,
        content_disposition: input.content_disposition,
        content_encoding: input.content_encoding,
        content_language: input.content_language,
        expires: input.expires,
        metadata: input.metadata,
    };
    let described = Described::of(description, &request.headers)?;
    let (_, encryption) = sse::for_new(state, &request.headers)?;
    let chosen = Chosen::of(
        input.checksum_algorithm.as_ref().map(ChecksumAlgorithm::as_str),
        input.checksum_type.as_ref().map(ChecksumType::as_str),
    )?;
    let told = sse::told(Some(&encryption));
    // Ids of one millisecond and more apart rise with time; requests have such ids.
    let id = context.id.0;
    let mut upload = Upload::of(described, state.store.now(), chosen, encryption);
    upload.owner = context.account.clone().filter(|account| account != model::ACCOUNT);
    let (bucket, key) = (input.bucket.clone(), input.key.clone());
    state
        .store
        .write(move |tx| {
            let of = existing(tx, &bucket)?;
            acl::check(tx, &bucket, &of, upload.acl.as_ref())?;
            lock::check_wanted(&of, upload.retention.as_ref(), upload.legal_hold, tx.now())?;
            upload.existed = tx.get(&OBJECTS, object_key(&bucket, &key))?.is_some();
            tx.put(&UPLOADS, upload_key(&bucket, &key, id), &upload)?;
            Ok::<_, super::error::Error>(())
        })
        .await?;
    let kind = if chosen.composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        checksum_algorithm: chosen.explicit.then(|| ChecksumAlgorithm::from_static(chosen.algorithm.name())),
        checksum_type: chosen.explicit.then(|| ChecksumType::from_static(kind)),
        key: Some(input.key),
        server_side_encryption: told.algorithm,
        sse_customer_algorithm: told.customer_algorithm,
        sse_customer_key_md5: told.customer_md5,
        upload_id: Some(shown(id)),
        ..CreateMultipartUploadOutput::default()
    }))
}
