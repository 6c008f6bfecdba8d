//! `PutObject`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>

use super::State;
use super::bucket::existing;
use super::change::{Put, put};
use super::checksum::{Digests, hex};
use super::conditions::WriteConditions;
use super::description::{Described, Description};
use super::error::{Error, Result, refuse};
use super::event::{Kind, Origin};
use super::parameters::check_query;
use super::request::Context;
use super::sse;
use crate::object::cipher::{Encryption, Key, Sealer};
use crate::object::incoming::{Incoming, Received};
use crate::object::{Content, Object};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use s3s::dto::{ChecksumType, ETag, PutObjectInput, PutObjectOutput};
use s3s::{S3ErrorCode, S3Request, S3Response};
use std::collections::BTreeMap;

pub(super) async fn run(
    state: &State,
    context: &Context,
    request: S3Request<PutObjectInput>,
) -> Result<S3Response<PutObjectOutput>> {
    check_query(&request.uri, &[])?;
    let mut input = request.input;
    let description = Description {
        content_type: input.content_type.take(),
        cache_control: input.cache_control.take(),
        content_disposition: input.content_disposition.take(),
        content_encoding: input.content_encoding.take(),
        content_language: input.content_language.take(),
        expires: input.expires.take(),
        metadata: input.metadata.take(),
    };
    let described = Described::of(description, &request.headers)?;
    let (key, encryption) = sse::for_new(state, &request.headers)?;
    // Asked again in the transaction; here it saves reading a body for nothing.
    state.store.read(|view| existing(view, &input.bucket))?;
    let body = input.body.take().map(|body| body.map(|piece| piece.map_err(|_| broken_off())));
    let (received, len) = receive(state, &key, body).await?;
    let digests = context.report.digests().ok_or(Error::Broken("a body was not read to its end"))?;
    let conditions = WriteConditions { if_match: input.if_match, if_none_match: input.if_none_match };
    let new = New { received, len, digests, encryption, described };
    let at = (input.bucket, input.key);
    let put = store(state, &Origin::of(context, &state.region), at, new, conditions, Kind::Put).await?;
    Ok(S3Response::new(answer(put)))
}

/// An object that was received and has no record yet.
pub(super) struct New {
    pub(super) received: Received,
    pub(super) len: u64,
    pub(super) digests: Digests,
    pub(super) encryption: Encryption,
    pub(super) described: Described,
}

/// Makes a received object the one under its key.
pub(super) async fn store(
    state: &State,
    origin: &Origin,
    (bucket, key): (String, String),
    new: New,
    conditions: WriteConditions,
    kind: Kind,
) -> Result<Put> {
    let New { received, len, digests, encryption, described } = new;
    let origin = origin.clone();
    state
        .change(received.blob(), move |tx| {
            // Of two puts, the one that is later in the order of transactions is never the older one.
            let mut object = Object::new(Content::Pieces(uuid::Uuid::nil()), len, tx.now());
            object.etag = hex(&digests.md5);
            object.checksums = BTreeMap::from([(digests.algorithm.name().to_owned(), digests.checksum)]);
            object.encryption = Some(encryption);
            described.put_on(&mut object);
            existing(tx, &bucket)?;
            object.content = received.keep(tx)?;
            put(tx, &origin, (&bucket, &key), object, &conditions, kind)
        })
        .await
}

/// What a reader of a body that broke off says; why is in the request's report, and the answer is made from that.
pub(super) fn broken_off() -> Error {
    refuse(S3ErrorCode::IncompleteBody, "The body broke off.")
}

/// Receives a body, encrypted with `key`, and its length. Nothing stays of one that breaks off.
pub(super) async fn receive(
    state: &State,
    key: &Key,
    body: Option<impl Stream<Item = Result<Bytes>> + Unpin>,
) -> Result<(Received, u64)> {
    let mut incoming = Incoming::new(&state.store, Some(Sealer::new(key)?));
    if let Some(mut body) = body {
        while let Some(piece) = body.next().await {
            incoming.append(&piece?).await?;
        }
    }
    let len = incoming.len();
    Ok((incoming.finish().await?, len))
}

fn answer(Put { object, version, expiration }: Put) -> PutObjectOutput {
    let checksum = |name: &str| object.checksums.get(name).cloned();
    let told = sse::told(object.encryption.as_ref());
    PutObjectOutput {
        checksum_crc32: checksum("CRC32"),
        checksum_crc32c: checksum("CRC32C"),
        checksum_crc64nvme: checksum("CRC64NVME"),
        checksum_sha1: checksum("SHA1"),
        checksum_sha256: checksum("SHA256"),
        checksum_type: Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
        e_tag: Some(ETag::Strong(object.etag)),
        server_side_encryption: told.algorithm,
        sse_customer_algorithm: told.customer_algorithm,
        sse_customer_key_md5: told.customer_md5,
        expiration,
        version_id: version,
        ..PutObjectOutput::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use bytes::Bytes;
    use http_body::Frame;
    use http_body_util::StreamBody;
    use wire::Body;
    use wire::body::BoxError;

    #[tokio::test]
    async fn an_object_comes_back_with_all_that_was_said_of_it() {
        let bench = Bench::new().await;
        let headers = [
            ("content-type", "text/plain"),
            ("cache-control", "no-store"),
            ("content-disposition", "attachment"),
            ("content-encoding", "gzip"),
            ("content-language", "de"),
            ("expires", "Sat, 31 Jan 2026 12:00:00 GMT"),
            ("x-amz-meta-colour", "red"),
        ];
        let put = bench.send("PUT", "/box/a%20key", &headers, "hello").await;
        assert_eq!((put.status, put.header("etag")), (200, "\"5d41402abc4b2a76b9719d911017c592\""));
        assert_eq!(put.header("x-amz-checksum-crc64nvme"), "M3eFcAZSQlc=");
        let got = bench.send("GET", "/box/a%20key", &[("x-amz-checksum-mode", "ENABLED")], "").await;
        assert_eq!((got.status, got.body.as_str()), (200, "hello"));
        for (name, value) in headers {
            assert_eq!(got.header(name), value);
        }
        assert_eq!(got.header("accept-ranges"), "bytes");
        assert_eq!(got.header("x-amz-checksum-crc64nvme"), "M3eFcAZSQlc=");
        assert_eq!(got.header("x-amz-checksum-type"), "FULL_OBJECT");
        bench.send("PUT", "/box/plain", &[], "").await;
        let plain = bench.send("HEAD", "/box/plain", &[], "").await;
        assert_eq!(plain.header("content-type"), "binary/octet-stream");
        assert_eq!(plain.header("content-length"), "0");
    }

    #[tokio::test]
    async fn a_body_that_is_not_what_was_claimed_leaves_nothing() {
        let bench = Bench::new().await;
        let zeros = "0".repeat(64);
        for (headers, expected) in [
            ([("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")], "400 BadDigest"),
            ([("content-md5", "AAAA")], "400 InvalidDigest"),
            ([("x-amz-content-sha256", zeros.as_str())], "400 XAmzContentSHA256Mismatch"),
            ([("x-amz-checksum-crc32", "AAAAAA==")], "400 BadDigest The CRC32"),
            ([("x-amz-checksum-crc32", "AA==")], "400 InvalidRequest"),
            ([("x-amz-checksum-md5", "AA==")], "501 NotImplemented"),
        ] {
            let refused = bench.refused("PUT", "/box/k", &headers, "hello").await;
            assert!(refused.starts_with(expected), "{refused}");
        }
        assert_eq!(bench.send("GET", "/box/k", &[], "").await.element("Code"), "NoSuchKey");
        assert_eq!(bench.files(), 0);
        let right = [
            ("content-md5", "XUFAKrxLKna5cZ2REBfFkg=="),
            ("x-amz-content-sha256", "2CF24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"),
            ("x-amz-checksum-crc32", "NhCmhg=="),
            ("x-amz-sdk-checksum-algorithm", "CRC32"),
        ];
        let put = bench.send("PUT", "/box/k", &right, "hello").await;
        assert_eq!((put.status, put.header("x-amz-checksum-crc32")), (200, "NhCmhg=="));
    }

    #[tokio::test]
    async fn a_chunked_body_is_decoded_and_its_trailer_is_held_against_it() {
        let bench = Bench::new().await;
        let headers = [
            ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            ("content-encoding", "aws-chunked"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
            ("x-amz-decoded-content-length", "5"),
        ];
        let body = |trailer: &str| format!("5\r\nhello\r\n0\r\n{trailer}\r\n");
        let right = body("x-amz-checksum-crc32:NhCmhg==\r\n");
        let put = bench.send("PUT", "/box/k", &headers, &right).await;
        assert_eq!((put.status, put.header("x-amz-checksum-crc32")), (200, "NhCmhg=="));
        let got = bench.send("GET", "/box/k", &[], "").await;
        assert_eq!((got.body.as_str(), got.header("content-encoding")), ("hello", ""));
        for (body, expected) in [
            (body("x-amz-checksum-crc32:AAAAAA==\r\n"), "400 BadDigest"),
            (body("x-amz-checksum-crc32:AA==\r\n"), "400 InvalidRequest"),
            (body("x-amz-checksum-crc32c:AAAAAA==\r\n"), "400 MalformedTrailerError"),
            (body(""), "400 MalformedTrailerError"),
            (right[..20].to_owned(), "400 IncompleteBody"),
            ("hello".to_owned(), "400 IncompleteBody"),
        ] {
            let refused = bench.refused("PUT", "/box/other", &headers, &body).await;
            assert!(refused.starts_with(expected), "{body:?}: {refused}");
        }
        assert_eq!(bench.files(), 0);
    }

    #[tokio::test]
    async fn a_client_that_goes_away_leaves_nothing() {
        let bench = Bench::new().await;
        let parts: Vec<Result<Frame<Bytes>, BoxError>> =
            vec![Ok(Frame::data(Bytes::from("half"))), Err("reset by peer".into())];
        let body = Body::stream(StreamBody::new(futures::stream::iter(parts)));
        let answer = bench.send_body("PUT", "/box/k", &[], body, 8).await;
        assert_eq!(answer.element("Code"), "IncompleteBody");
        let first = futures::stream::iter([Ok::<_, BoxError>(Frame::data(Bytes::from("half")))]);
        let body =
            Body::stream(StreamBody::new(futures::StreamExt::chain(first, futures::stream::pending())));
        let sending = bench.send_body("PUT", "/box/k", &[], body, 8);
        assert!(tokio::time::timeout(std::time::Duration::from_millis(50), sending).await.is_err());
        assert_eq!(bench.files(), 0);
        assert_eq!(bench.send("HEAD", "/box/k", &[], "").await.status, 404);
    }

    #[tokio::test]
    async fn replaced_bytes_are_removed_and_few_bytes_have_no_file() {
        let bench = Bench::new().await;
        let (one, two) = ("1".repeat(20_000), "2".repeat(300_000));
        for (key, body, files) in [
            ("a", one.as_str(), 1),
            ("b", &one, 2),
            ("a", &two, 2),
            ("b", "few", 1),
            ("b", "fewer", 1),
            ("b", &two, 2),
        ] {
            assert_eq!(bench.send("PUT", &format!("/box/{key}"), &[], body).await.status, 200);
            assert_eq!(bench.files(), files, "after {key}");
            assert_eq!(bench.send("GET", &format!("/box/{key}"), &[], "").await.body, body);
        }
    }

    #[tokio::test]
    async fn limits_and_wishes_are_refused_by_name() {
        let bench = Bench::new().await;
        let (long_key, long_value) = (format!("/box/{}", "k".repeat(1_025)), "v".repeat(2_048));
        for (uri, header, expected) in [
            ("/missing/k", ("a", "b"), "404 NoSuchBucket"),
            (long_key.as_str(), ("a", "b"), "400 KeyTooLongError"),
            ("/Bad_Name/k", ("a", "b"), "400 InvalidBucketName"),
            ("/box/k", ("x-amz-meta-m", long_value.as_str()), "400 MetadataTooLarge"),
            ("/box/k", ("content-length", "5368709121"), "400 EntityTooLarge"),
            ("/box/k", ("x-amz-storage-class", "PAPER"), "400 InvalidStorageClass"),
            ("/box/k", ("if-match", "\"abc\""), "404 NoSuchKey"),
            ("/box/k?versionId=1", ("a", "b"), "501 NotImplemented The parameter versionId"),
            ("/box/k?renameObject", ("a", "b"), "501 NotImplemented The operation RenameObject"),
            ("/box/k?tagging", ("a", "b"), "400 MalformedXML"),
            ("/box/k?uploadId=1&partNumber=1", ("a", "b"), "404 NoSuchUpload"),
        ] {
            let mut headers = vec![header];
            if header.0 == "content-length" {
                headers =
                    vec![("x-amz-decoded-content-length", header.1), ("content-encoding", "aws-chunked")];
            }
            let refused = bench.refused("PUT", uri, &headers, "hello").await;
            assert!(refused.starts_with(expected), "{uri}: {refused}");
        }
        let new = [("if-none-match", "*")];
        assert_eq!(bench.send("PUT", "/box/k", &new, "1").await.status, 200);
        assert!(bench.refused("PUT", "/box/k", &new, "2").await.starts_with("412 PreconditionFailed"));
        assert_eq!(bench.files(), 0);
    }
}
