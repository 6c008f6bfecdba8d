//! `GetObject`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>

use super::State;
use super::conditions::ReadConditions;
use super::error::{Error, Result};
use super::extent::Extent;
use super::find::{self, Target};
use super::head_object::{check_archived, describe};
use super::request::Context;
use super::sse::{self, CustomerKey};
use super::{expiration, reader};
use crate::object::Content;
use crate::object::read::{ReadError, Reader};
use http::HeaderValue;
use http::header::IF_RANGE;
use s3s::dto::{GetObjectInput, GetObjectOutput, StreamingBlob};
use s3s::{S3Request, S3Response};
use std::io::ErrorKind;
use store::Store;

/// How often an object may be replaced between looking it up and opening its file.
const TRIES: usize = 8;

pub(super) async fn run(
    state: &State,
    _context: &Context,
    request: S3Request<GetObjectInput>,
) -> Result<S3Response<GetObjectOutput>> {
    let if_range = request.headers.get(IF_RANGE).cloned();
    let customer = sse::customer(&request.headers)?;
    get(&state.store, request.input, if_range.as_ref(), customer.as_ref()).await.map(S3Response::new)
}

async fn get(
    store: &Store,
    input: GetObjectInput,
    if_range: Option<&HeaderValue>,
    customer: Option<&CustomerKey>,
) -> Result<GetObjectOutput> {
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    let wanted = Wanted { bucket: &input.bucket, key: &input.key, version: input.version_id.as_deref() };
    let (target, (extent, expiration), reader) = open(store, &wanted, customer, |view, target| {
        conditions.check_read(&target.object, view.now())?;
        check_archived(&target.object, view.now())?;
        // A range of a version that is gone is of no use: the whole object is answered.
        let etag = format!("\"{}\"", target.object.etag);
        let same = if_range.is_none_or(|if_range| if_range.as_bytes() == etag.as_bytes());
        let extent = Extent::of(view, &target.object, input.range.filter(|_| same), input.part_number)?;
        let expiration = expiration::of(view, &target.bucket, (&input.bucket, &input.key), &target.object)?;
        let bytes = extent.bytes.clone();
        Ok(((extent, expiration), bytes))
    })?;
    let head = describe(&target, &extent, input.checksum_mode.as_ref());
    let bytes = extent.bytes;
    let beginning = bytes.start..bytes.end.min(bytes.start + reader::PIECE);
    let (reader, first) = if reader.is_in_memory() {
        let first = reader.read(beginning).map_err(Error::Read)?;
        (reader, first)
    } else {
        let reading =
            tokio::task::spawn_blocking(move || reader.read(beginning).map(|first| (reader, first)));
        reading.await.map_err(|_| Error::Broken("reading an object panicked"))?.map_err(Error::Read)?
    };
    let body = if first.len() as u64 == bytes.end - bytes.start {
        StreamingBlob::from(s3s::Body::from(first))
    } else {
        reader::stream(reader, first, bytes)
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
        expiration,
        expires: head.expires,
        last_modified: head.last_modified,
        metadata: head.metadata,
        object_lock_legal_hold_status: head.object_lock_legal_hold_status,
        object_lock_mode: head.object_lock_mode,
        object_lock_retain_until_date: head.object_lock_retain_until_date,
        parts_count: head.parts_count,
        restore: head.restore,
        server_side_encryption: head.server_side_encryption,
        sse_customer_algorithm: head.sse_customer_algorithm,
        sse_customer_key_md5: head.sse_customer_key_md5,
        storage_class: head.storage_class,
        tag_count: i32::try_from(target.object.tags.len()).ok().filter(|count| *count > 0),
        version_id: head.version_id,
        website_redirect_location: head.website_redirect_location,
        ..GetObjectOutput::default()
    })
}

/// The object that is to be read.
pub(super) struct Wanted<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) version: Option<&'a str>,
}

/// Looks an object up and makes the bytes that `choose` wants of it readable; they stay so whatever happens to it.
/// It blocks.
pub(super) fn open<T>(
    store: &Store,
    wanted: &Wanted<'_>,
    customer: Option<&CustomerKey>,
    choose: impl Fn(&store::View<'_>, &Target) -> Result<(T, std::ops::Range<u64>)>,
) -> Result<(Target, T, Reader)> {
    let mut tries = 0;
    loop {
        tries += 1;
        let look = || {
            store.read(|view| {
                let target = find::object(view, wanted.bucket, wanted.key, wanted.version)?;
                sse::check_read(&target.object, customer)?;
                let (chosen, range) = choose(view, &target)?;
                let key = customer.map(|customer| &customer.key);
                let reader = match Reader::open(store, view, &target.object, key, range) {
                    // The object was replaced or deleted in between, and its bytes with it.
                    Err(ReadError::Store(store::Error::File { source, .. }))
                        if source.kind() == ErrorKind::NotFound && tries < TRIES =>
                    {
                        return Ok(None);
                    }
                    opened => opened?,
                };
                Ok::<_, Error>(Some((target, chosen, reader)))
            })
        };
        let Some((target, chosen, reader)) = look()? else { continue };
        if let Content::Pieces(_) = &target.object.content {
            // The pieces were pinned after they were found: they are there if their object still is.
            let again = store.read(|view| find::object(view, wanted.bucket, wanted.key, wanted.version))?;
            if again.object.content != target.object.content && tries < TRIES {
                continue;
            }
        }
        return Ok((target, chosen, reader));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;

    #[tokio::test]
    async fn ranges_are_parts_of_the_object() {
        let bench = Bench::new().await;
        bench.send("PUT", "/box/k", &[], "0123456789").await;
        bench.send("PUT", "/box/empty", &[], "").await;
        for (key, range, status, body, content_range) in [
            ("k", "bytes=0-0", 206, "0", "bytes 0-0/10"),
            ("k", "bytes=8-", 206, "89", "bytes 8-9/10"),
            ("k", "bytes=-3", 206, "789", "bytes 7-9/10"),
            ("k", "bytes=-99", 206, "0123456789", "bytes 0-9/10"),
            ("k", "bytes=5-99", 206, "56789", "bytes 5-9/10"),
            ("k", "bytes=1-2,4-5", 200, "0123456789", ""),
            ("k", "bytes=2-1", 200, "0123456789", ""),
            ("k", "bytes=-", 200, "0123456789", ""),
            ("k", "bytes=10-", 416, "", "bytes */10"),
            ("k", "bytes=-0", 416, "", "bytes */10"),
            ("empty", "bytes=0-", 416, "", "bytes */0"),
            ("empty", "bytes=-1", 416, "", "bytes */0"),
        ] {
            let uri = format!("/box/{key}");
            let headers = [("range", range), ("x-amz-checksum-mode", "ENABLED")];
            let got = bench.send("GET", &uri, &headers, "").await;
            assert_eq!((got.status, got.header("content-range")), (status, content_range), "{range}");
            // A checksum is of the whole.
            let whole = status < 300 && body.len() == 10;
            assert_eq!(got.headers.contains_key("x-amz-checksum-crc64nvme"), whole, "{range}");
            if status == 416 {
                assert_eq!(got.element("Code"), "InvalidRange");
            } else {
                assert_eq!(got.body, body, "{range}");
                assert_eq!(got.header("content-length"), body.len().to_string());
            }
            let head = bench.send("HEAD", &uri, &headers, "").await;
            assert_eq!((head.status, head.header("content-range")), (status, content_range), "{range}");
            assert_eq!(head.body, "");
        }
        let stale = [("range", "bytes=0-1"), ("if-range", "\"other\"")];
        assert_eq!(bench.send("GET", "/box/k", &stale, "").await.status, 200);
    }

    #[tokio::test]
    async fn conditions_and_overrides_are_followed() {
        let bench = Bench::new().await;
        let put = bench.send("PUT", "/box/k", &[("content-type", "text/plain")], "hello").await;
        let etag = put.header("etag").to_owned();
        let modified = bench.send("HEAD", "/box/k", &[], "").await.header("last-modified").to_owned();
        for (name, value, status) in [
            ("if-match", etag.as_str(), 200),
            ("if-match", "\"other\"", 412),
            ("if-none-match", etag.as_str(), 304),
            ("if-none-match", "\"other\"", 200),
            ("if-modified-since", modified.as_str(), 304),
            ("if-modified-since", "Fri, 31 Dec 2100 12:00:00 GMT", 200),
            ("if-modified-since", "Sat, 31 Jan 1970 12:00:00 GMT", 200),
            ("if-unmodified-since", "Sat, 31 Jan 1970 12:00:00 GMT", 412),
        ] {
            let got = bench.send("GET", "/box/k", &[(name, value)], "").await;
            assert_eq!(got.status, status, "{name}: {value}");
            if status == 304 {
                assert_eq!((got.header("etag"), got.body.as_str()), (etag.as_str(), ""));
                assert!(got.headers.contains_key("last-modified"));
            }
        }
        let uri = "/box/k?response-content-type=image%2Fpng&response-content-disposition=inline";
        for method in ["GET", "HEAD"] {
            let got = bench.send(method, uri, &[], "").await;
            assert_eq!(
                (got.header("content-type"), got.header("content-disposition")),
                ("image/png", "inline")
            );
        }
    }

    #[tokio::test]
    async fn a_large_object_streams_whole_and_in_part() {
        let bench = Bench::new().await;
        let body: String = (0..200_000).map(|n| format!("{n:06}")).collect();
        bench.send("PUT", "/box/k", &[], &body).await;
        assert_eq!(bench.send("GET", "/box/k", &[], "").await.body, body);
        let part = bench.send("GET", "/box/k", &[("range", "bytes=100000-1100000")], "").await;
        assert_eq!(part.body, body[100_000..=1_100_000]);
    }

    #[tokio::test]
    async fn what_is_not_there_is_said_and_what_is_not_supported_is_named() {
        let bench = Bench::new().await;
        assert!(bench.refused("GET", "/box/k", &[], "").await.starts_with("404 NoSuchKey"));
        assert!(bench.refused("GET", "/missing/k", &[], "").await.starts_with("404 NoSuchBucket"));
        assert!(bench.refused("GET", "/box/k?torrent", &[], "").await.contains("GetObjectTorrent"));
        assert!(bench.refused("GET", "/box/k?versionId=x", &[], "").await.starts_with("400 InvalidArgument"));
        assert!(bench.refused("PATCH", "/box/k", &[], "").await.contains("PATCH /box/k"));
        assert!(bench.refused("GET", "/box/%ff", &[], "").await.starts_with("400 InvalidURI"));
        let form = [("content-type", "multipart/form-data; boundary=x")];
        assert!(bench.refused("POST", "/box", &form, "").await.starts_with("400 MalformedPOSTRequest"));
    }
}
