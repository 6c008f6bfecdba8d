//! `CopyObject`: another record for the same bytes.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>

use super::State;
use super::change::put;
use super::conditions::{ReadConditions, WriteConditions};
use super::error::{Result, not_supported, refuse};
use super::event::{Kind, Origin};
use super::head_object::find;
use super::parameters::check_query;
use super::put_object::Description;
use super::request::Context;
use crate::object::Object;
use s3s::dto::{
    ChecksumType, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, ETag, MetadataDirective,
    Timestamp,
};
use s3s::{S3ErrorCode, S3Request, S3Response};

pub(super) async fn run(
    state: &State,
    context: &Context,
    request: S3Request<CopyObjectInput>,
) -> Result<S3Response<CopyObjectOutput>> {
    check_query(&request.uri, &[])?;
    let write_conditions = WriteConditions::of_headers(&request.headers)?;
    let input = request.input;
    let (from_bucket, from_key) = source(input.copy_source)?;
    let replace = match input.metadata_directive.as_ref().map(MetadataDirective::as_str) {
        None | Some(MetadataDirective::COPY) => false,
        Some(MetadataDirective::REPLACE) => true,
        Some(_) => return Err(refuse(S3ErrorCode::InvalidArgument, "Unknown metadata directive.")),
    };
    if !replace && from_bucket == input.bucket && from_key == input.key {
        return Err(refuse(
            S3ErrorCode::InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the \
             object's metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    let read_conditions = ReadConditions {
        if_match: input.copy_source_if_match,
        if_none_match: input.copy_source_if_none_match,
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    let description = Description {
        content_type: input.content_type,
        cache_control: input.cache_control,
        content_disposition: input.content_disposition,
        content_encoding: input.content_encoding,
        content_language: input.content_language,
        expires: input.expires,
        metadata: input.metadata,
    };
    let described = replace.then(|| description.checked()).transpose()?;
    let (bucket, key, algorithm) = (input.bucket, input.key, input.checksum_algorithm);
    let origin = Origin::of(context, &state.region);
    let copied = state
        .change(None, move |tx| {
            let mut object = find(tx, &from_bucket, &from_key)?;
            read_conditions.check_copy(&object)?;
            if let Some(algorithm) = algorithm
                && !object.checksums.contains_key(algorithm.as_str())
            {
                let algorithm = algorithm.as_str();
                return Err(not_supported(format_args!("A copy with another checksum ({algorithm})")).into());
            }
            if let Some((headers, metadata)) = described {
                (object.headers, object.metadata) = (headers, metadata);
            }
            object.last_modified = tx.now();
            let unlinked = put(tx, &origin, (&bucket, &key), &object, &write_conditions, Kind::Copied)?;
            Ok((object, unlinked))
        })
        .await?;
    Ok(S3Response::new(CopyObjectOutput {
        copy_object_result: Some(result(&copied)),
        ..CopyObjectOutput::default()
    }))
}

fn source(source: CopySource) -> Result<(String, String)> {
    match source {
        CopySource::Bucket { bucket, key, version_id }
            if version_id.as_deref().is_none_or(|id| id == "null") =>
        {
            Ok((bucket.into(), key.into()))
        }
        CopySource::Bucket { .. } => Err(not_supported("The versionId of a copy's source").into()),
        _ => Err(not_supported("A copy from an access point").into()),
    }
}

fn result(object: &Object) -> CopyObjectResult {
    let checksum = |name: &str| object.checksums.get(name).cloned();
    CopyObjectResult {
        checksum_crc32: checksum("CRC32"),
        checksum_crc32c: checksum("CRC32C"),
        checksum_crc64nvme: checksum("CRC64NVME"),
        checksum_sha1: checksum("SHA1"),
        checksum_sha256: checksum("SHA256"),
        checksum_type: (!object.checksums.is_empty())
            .then(|| ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
        e_tag: Some(ETag::Strong(object.etag.clone())),
        last_modified: Some(Timestamp::from(object.last_modified.to_date_time())),
    }
}
