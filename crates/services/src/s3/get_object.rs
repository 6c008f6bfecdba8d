//! `GetObject`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>

use super::State;
use super::conditions::ReadConditions;
use super::error::{Error, Result};
use super::head_object::{Extent, describe, find};
use super::parameters::check_read;
use super::reader;
use super::request::Context;
use crate::object::Object;
use http::HeaderValue;
use http::header::IF_RANGE;
use s3s::dto::{GetObjectInput, GetObjectOutput, StreamingBlob};
use s3s::{S3Request, S3Response};
use std::fs::File;
use std::io::ErrorKind;
use store::Store;

/// How often an object may be replaced between looking it up and opening its file.
const TRIES: usize = 8;

pub(super) async fn run(
    state: &State,
    _context: &Context,
    request: S3Request<GetObjectInput>,
) -> Result<S3Response<GetObjectOutput>> {
    check_read(&request.uri)?;
    let if_range = request.headers.get(IF_RANGE).cloned();
    let (input, store) = (request.input, state.store.clone());
    let reading = tokio::task::spawn_blocking(move || get(&store, input, if_range.as_ref()));
    reading.await.map_err(|_| Error::Broken("reading an object panicked"))?.map(S3Response::new)
}

fn get(store: &Store, input: GetObjectInput, if_range: Option<&HeaderValue>) -> Result<GetObjectOutput> {
    let (object, file) = open(store, &input.bucket, &input.key)?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    conditions.check_read(&object)?;
    // A range of a version that is gone is of no use: the whole object is answered.
    let same = if_range.is_none_or(|etag| etag.as_bytes() == format!("\"{}\"", object.etag).as_bytes());
    let extent = Extent::of(&object, input.range.filter(|_| same))?;
    let head = describe(&object, &extent, input.checksum_mode.as_ref());
    let body = if extent.bytes.end - extent.bytes.start <= reader::PIECE {
        let bytes =
            reader::read(&file, extent.bytes).map_err(|source| Error::Read { blob: object.blob, source })?;
        StreamingBlob::from(s3s::Body::from(bytes))
    } else {
        reader::stream(file, extent.bytes)
    };
    Ok(GetObjectOutput {
        accept_ranges: head.accept_ranges,
        body: Some(body),
        cache_control: head.cache_control,
        checksum_crc32: head.checksum_crc32,
        checksum_crc32c: head.checksum_crc32c,
        checksum_crc64nvme: head.checksum_crc64nvme,
        checksum_sha1: head.checksum_sha1,
        checksum_sha256: head.checksum_sha256,
        checksum_type: head.checksum_type,
        content_disposition: head.content_disposition,
        content_encoding: head.content_encoding,
        content_language: head.content_language,
        content_length: head.content_length,
        content_range: head.content_range,
        content_type: head.content_type,
        e_tag: head.e_tag,
        expires: head.expires,
        last_modified: head.last_modified,
        metadata: head.metadata,
        ..GetObjectOutput::default()
    })
}

/// Looks the object up and opens its file, which then stays readable whatever happens to the object.
fn open(store: &Store, bucket: &str, key: &str) -> Result<(Object, File)> {
    let mut tries = 0;
    loop {
        tries += 1;
        let object = store.read(|view| find(view, bucket, key))?;
        match store.blobs().read(object.blob) {
            Ok(file) => return Ok((object, file)),
            // The object was replaced or deleted in between, and its bytes with it.
            Err(store::Error::File { source, .. })
                if source.kind() == ErrorKind::NotFound && tries < TRIES => {}
            Err(error) => return Err(error.into()),
        }
    }
}
