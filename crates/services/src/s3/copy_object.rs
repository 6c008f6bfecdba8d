//! `CopyObject`: another record for the same bytes.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>

use super::State;
use super::change::put;
use super::conditions::{ReadConditions, WriteConditions};
use super::description::Description;
use super::error::{Result, not_supported, refuse};
use super::event::{Kind, Origin};
use super::head_object::find;
use super::parameters::check_query;
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

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;

    #[tokio::test]
    async fn a_copy_takes_the_metadata_along_or_gets_its_own() {
        let bench = Bench::new().await;
        let described = [("content-type", "text/plain"), ("x-amz-meta-colour", "red")];
        let etag = bench.send("PUT", "/box/from%20here", &described, "hello").await.header("etag").to_owned();
        let copy = bench.send("PUT", "/box/to", &[("x-amz-copy-source", "/box/from%20here")], "").await;
        assert_eq!((copy.status, copy.element("ETag")), (200, etag.as_str()));
        let got = bench.send("GET", "/box/to", &[], "").await;
        assert_eq!((got.body.as_str(), got.header("x-amz-meta-colour")), ("hello", "red"));
        let replace = [
            ("x-amz-copy-source", "box/to"),
            ("x-amz-metadata-directive", "REPLACE"),
            ("content-type", "text/html"),
        ];
        assert_eq!(bench.send("PUT", "/box/to", &replace, "").await.status, 200);
        let got = bench.send("GET", "/box/to", &[], "").await;
        assert_eq!((got.header("content-type"), got.header("x-amz-meta-colour")), ("text/html", ""));
        assert_eq!(bench.files(), 1);
        bench.send("DELETE", "/box/from%20here", &[], "").await;
        assert_eq!(bench.send("GET", "/box/to", &[], "").await.body, "hello");
        bench.send("DELETE", "/box/to", &[], "").await;
        assert_eq!(bench.files(), 0);
    }

    #[tokio::test]
    async fn copies_that_cannot_be_are_refused() {
        let bench = Bench::new().await;
        bench.send("PUT", "/box/k", &[], "hello").await;
        for (headers, expected) in [
            (vec![("x-amz-copy-source", "box/k")], "400 InvalidRequest"),
            (vec![("x-amz-copy-source", "box/missing")], "404 NoSuchKey"),
            (vec![("x-amz-copy-source", "missing/k")], "404 NoSuchBucket"),
            (vec![("x-amz-copy-source", "box/k?versionId=1")], "501 NotImplemented"),
            (
                vec![
                    ("x-amz-copy-source", "box/k"),
                    ("x-amz-metadata-directive", "REPLACE"),
                    ("x-amz-copy-source-if-match", "\"other\""),
                ],
                "412 PreconditionFailed",
            ),
            (
                vec![
                    ("x-amz-copy-source", "box/k"),
                    ("x-amz-metadata-directive", "REPLACE"),
                    ("if-none-match", "*"),
                ],
                "412 PreconditionFailed",
            ),
        ] {
            let refused = bench.refused("PUT", "/box/k", &headers, "").await;
            assert!(refused.starts_with(expected), "{headers:?}: {refused}");
        }
    }
}
