//! `HeadObject`, and what `GetObject` says of an object beside its bytes.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>

use super::State;
use super::conditions::ReadConditions;
use super::description::REDIRECT;
use super::error::{Error, Result, detailed};
use super::extent::Extent;
use super::find::{self, Target};
use super::request::Context;
use super::{expiration, sse};
use crate::object::Object;
use http::{HeaderMap, HeaderValue};
use s3s::dto::{
    ChecksumMode, ChecksumType, ETag, HeadObjectInput, HeadObjectOutput, ObjectLockLegalHoldStatus,
    ObjectLockMode, StorageClass, Timestamp, TimestampFormat,
};
use s3s::{S3ErrorCode, S3Request, S3Response};

pub(super) async fn run(
    state: &State,
    _context: &Context,
    request: S3Request<HeadObjectInput>,
) -> Result<S3Response<HeadObjectOutput>> {
    let input = request.input;
    let customer = sse::customer(&request.headers)?;
    let (target, extent, expiration) = state.store.read(|view| {
        let target = find::object(view, &input.bucket, &input.key, input.version_id.as_deref())?;
        let extent = Extent::of(view, &target.object, input.range, input.part_number)?;
        let expiration = expiration::of(view, &target.bucket, (&input.bucket, &input.key), &target.object)?;
        Ok::<_, Error>((target, extent, expiration))
    })?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    conditions.check_read(&target.object, state.store.now())?;
    sse::check_read(&target.object, customer.as_ref())?;
    let mut output = describe(&target, &extent, input.checksum_mode.as_ref());
    output.expiration = expiration;
    output.cache_control = input.response_cache_control.or(output.cache_control);
    output.content_disposition = input.response_content_disposition.or(output.content_disposition);
    output.content_encoding = input.response_content_encoding.or(output.content_encoding);
    output.content_language = input.response_content_language.or(output.content_language);
    output.content_type = input.response_content_type.or(output.content_type);
    output.expires = input.response_expires.or(output.expires);
    let mut response = S3Response::new(output);
    tell_tags(&target.object, &mut response.headers);
    Ok(response)
}

/// Says how many tags there are, if any.
fn tell_tags(object: &Object, headers: &mut HeaderMap) {
    if !object.tags.is_empty() {
        headers.insert("x-amz-tagging-count", HeaderValue::from(object.tags.len()));
    }
}

/// Whether the bytes of an archived object can be read.
pub(super) fn check_archived(object: &Object, now: model::Timestamp) -> Result<()> {
    let archived = matches!(object.storage_class.as_deref(), Some("GLACIER" | "DEEP_ARCHIVE"));
    if archived && object.restored.is_none_or(|until| until <= now) {
        return Err(detailed(
            S3ErrorCode::InvalidObjectState,
            "The operation is not valid for the object's storage class",
            &[("StorageClass", object.storage_class.as_deref().unwrap_or_default())],
        ));
    }
    Ok(())
}

/// All that is said of an object when `extent` of it is answered.
pub(super) fn describe(target: &Target, extent: &Extent, mode: Option<&ChecksumMode>) -> HeadObjectOutput {
    let object = &target.object;
    let header = |name: &str| object.headers.get(name).cloned();
    let wanted = mode.is_some_and(|mode| mode.as_str().eq_ignore_ascii_case(ChecksumMode::ENABLED));
    // A checksum is of the whole object, or of the part that was asked for: a client would hold the bytes of a range
    // against it in vain. A range may be the whole.
    let checksums = match &extent.part {
        _ if !wanted => None,
        Some(part) => part.checksums.as_ref(),
        None if extent.bytes != (0..object.len) => None,
        None => Some(&object.checksums),
    };
    let checksum = |name: &str| checksums.and_then(|all| all.get(name)).cloned();
    let kind = if object.composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
    let told = sse::told(object.encryption.as_ref());
    HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        cache_control: header("cache-control"),
        checksum_crc32: checksum("CRC32"),
        checksum_crc32c: checksum("CRC32C"),
        checksum_crc64nvme: checksum("CRC64NVME"),
        checksum_sha1: checksum("SHA1"),
        checksum_sha256: checksum("SHA256"),
        checksum_type: checksums
            .filter(|checksums| !checksums.is_empty())
            .map(|_| ChecksumType::from_static(kind)),
        content_disposition: header("content-disposition"),
        content_encoding: header("content-encoding"),
        content_language: header("content-language"),
        content_length: i64::try_from(extent.bytes.end - extent.bytes.start).ok(),
        content_range: extent.content_range.clone(),
        content_type: header("content-type"),
        e_tag: Some(ETag::Strong(object.etag.clone())),
        expires: header("expires").and_then(|at| Timestamp::parse(TimestampFormat::HttpDate, &at).ok()),
        last_modified: Some(Timestamp::from(object.last_modified.to_date_time())),
        metadata: Some(object.metadata.clone().into_iter().collect()),
        object_lock_legal_hold_status: object.legal_hold.map(|on| {
            let status = if on { ObjectLockLegalHoldStatus::ON } else { ObjectLockLegalHoldStatus::OFF };
            ObjectLockLegalHoldStatus::from_static(status)
        }),
        object_lock_mode: object.retention.as_ref().map(|retention| {
            let mode =
                if retention.compliance { ObjectLockMode::COMPLIANCE } else { ObjectLockMode::GOVERNANCE };
            ObjectLockMode::from_static(mode)
        }),
        object_lock_retain_until_date: object
            .retention
            .as_ref()
            .map(|retention| Timestamp::from(retention.until.to_date_time())),
        parts_count: extent
            .part
            .as_ref()
            .filter(|_| object.parts > 0)
            .and_then(|_| i32::try_from(object.parts).ok()),
        restore: object.restored.map(|until| {
            let mut date = Vec::new();
            // Writing to memory cannot fail.
            let _ = Timestamp::from(until.to_date_time()).format(TimestampFormat::HttpDate, &mut date);
            format!("ongoing-request=\"false\", expiry-date=\"{}\"", String::from_utf8_lossy(&date))
        }),
        server_side_encryption: told.algorithm,
        sse_customer_algorithm: told.customer_algorithm,
        sse_customer_key_md5: told.customer_md5,
        storage_class: object.storage_class.clone().map(StorageClass::from),
        version_id: target.version(),
        website_redirect_location: header(REDIRECT),
        ..HeadObjectOutput::default()
    }
}
