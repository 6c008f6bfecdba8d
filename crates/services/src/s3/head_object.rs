//! `HeadObject`, and what `GetObject` says of an object beside its bytes.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>

use super::State;
use super::bucket::existing;
use super::conditions::{ReadConditions, no_such_key};
use super::error::{Error, Result};
use super::parameters::check_read;
use super::request::Context;
use crate::object::{OBJECTS, Object, object_key};
use http::header::{CONTENT_RANGE, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::dto::{
    ChecksumMode, ChecksumType, ETag, HeadObjectInput, HeadObjectOutput, Range, Timestamp, TimestampFormat,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response};
use store::View;

pub(super) async fn run(
    state: &State,
    _context: &Context,
    request: S3Request<HeadObjectInput>,
) -> Result<S3Response<HeadObjectOutput>> {
    check_read(&request.uri)?;
    let input = request.input;
    let object = state.store.read(|view| find(view, &input.bucket, &input.key))?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    conditions.check_read(&object)?;
    let extent = Extent::of(&object, input.range)?;
    let mut output = describe(&object, &extent, input.checksum_mode.as_ref());
    output.cache_control = input.response_cache_control.or(output.cache_control);
    output.content_disposition = input.response_content_disposition.or(output.content_disposition);
    output.content_encoding = input.response_content_encoding.or(output.content_encoding);
    output.content_language = input.response_content_language.or(output.content_language);
    output.content_type = input.response_content_type.or(output.content_type);
    output.expires = input.response_expires.or(output.expires);
    Ok(S3Response::new(output))
}

/// The object under `key`.
pub(super) fn find(view: &View<'_>, bucket: &str, key: &str) -> Result<Object> {
    existing(view, bucket)?;
    view.get(&OBJECTS, object_key(bucket, key))?.ok_or_else(no_such_key)
}

/// The part of an object that an answer holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Extent {
    pub(super) bytes: std::ops::Range<u64>,
    /// The header that says so; `None` for the whole object.
    pub(super) content_range: Option<String>,
}

impl Extent {
    /// The part that `range` names.
    pub(super) fn of(object: &Object, range: Option<Range>) -> Result<Self> {
        let Some(range) = range else { return Ok(Extent { bytes: 0..object.len, content_range: None }) };
        // An empty object has no last byte, whichever end a range counts from.
        let bytes = range.check(object.len).ok().filter(|bytes| !bytes.is_empty());
        let bytes = bytes.ok_or_else(|| out_of_range(object.len))?;
        let content_range = format!("bytes {}-{}/{}", bytes.start, bytes.end - 1, object.len);
        Ok(Extent { bytes, content_range: Some(content_range) })
    }
}

fn out_of_range(len: u64) -> Error {
    let mut answer = S3Error::with_message(
        S3ErrorCode::InvalidRange,
        format!("The requested range is not satisfiable: the object has {len} bytes."),
    );
    let mut headers: HeaderMap<HeaderValue> = HeaderMap::new();
    let pairs: [(HeaderName, String); 2] =
        [(CONTENT_TYPE, "application/xml".to_owned()), (CONTENT_RANGE, format!("bytes */{len}"))];
    for (name, value) in pairs {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    answer.set_headers(headers);
    Error::Refused(answer)
}

/// All that is said of `object` when `extent` of it is answered.
pub(super) fn describe(object: &Object, extent: &Extent, mode: Option<&ChecksumMode>) -> HeadObjectOutput {
    let header = |name: &str| object.headers.get(name).cloned();
    let wanted = mode.is_some_and(|mode| mode.as_str().eq_ignore_ascii_case(ChecksumMode::ENABLED));
    // A checksum is of the whole object: a client would hold a part's bytes against it in vain.
    let with_checksum = wanted && extent.content_range.is_none() && !object.checksums.is_empty();
    let checksum = |name: &str| object.checksums.get(name).filter(|_| with_checksum).cloned();
    HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        cache_control: header("cache-control"),
        checksum_crc32: checksum("CRC32"),
        checksum_crc32c: checksum("CRC32C"),
        checksum_crc64nvme: checksum("CRC64NVME"),
        checksum_sha1: checksum("SHA1"),
        checksum_sha256: checksum("SHA256"),
        checksum_type: with_checksum.then(|| ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
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
        ..HeadObjectOutput::default()
    }
}
