//! `PutObject`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>

use super::State;
use super::bucket::existing;
use super::change::put;
use super::checksum::hex;
use super::conditions::WriteConditions;
use super::error::{Error, Result, refuse};
use super::event::{Kind, Origin};
use super::parameters::check_query;
use super::request::Context;
use crate::object::Object;
use futures::StreamExt;
use s3s::dto::{
    ChecksumType, ETag, Expires, Metadata, PutObjectInput, PutObjectOutput, StreamingBlob, Timestamp,
    TimestampFormat,
};
use s3s::{S3ErrorCode, S3Request, S3Response};
use std::collections::BTreeMap;
use store::blob::Pinned;

/// The most bytes of all names and values of an object's metadata (2 KB).
const METADATA: usize = 2 * 1024;

/// The type of an object that was put without one.
const DEFAULT_TYPE: &str = "binary/octet-stream";

pub(super) async fn run(
    state: &State,
    context: &Context,
    request: S3Request<PutObjectInput>,
) -> Result<S3Response<PutObjectOutput>> {
    check_query(&request.uri, &[])?;
    let mut input = request.input;
    let described = Description {
        content_type: input.content_type.take(),
        cache_control: input.cache_control.take(),
        content_disposition: input.content_disposition.take(),
        content_encoding: input.content_encoding.take(),
        content_language: input.content_language.take(),
        expires: input.expires.take(),
        metadata: input.metadata.take(),
    };
    let (headers, metadata) = described.checked()?;
    // Asked again in the transaction; here it saves reading a body for nothing.
    state.store.read(|view| existing(view, &input.bucket))?;
    let blob = receive(state, input.body.take()).await?;
    let digests = context.report.digests().ok_or(Error::Broken("a body was not read to its end"))?;
    let mut object = Object {
        blob: blob.id,
        len: blob.len,
        etag: hex(&digests.md5),
        last_modified: state.store.now(),
        headers,
        metadata,
        checksums: BTreeMap::from([(digests.algorithm.name().to_owned(), digests.checksum)]),
    };
    let answer = answer(&object);
    let origin = Origin::of(context, &state.region);
    let conditions = WriteConditions { if_match: input.if_match, if_none_match: input.if_none_match };
    state
        .change(Some(blob), move |tx| {
            // Of two puts, the one that is later in the order of transactions is never the older one.
            object.last_modified = tx.now();
            let unlinked = put(tx, &origin, (&input.bucket, &input.key), &object, &conditions, Kind::Put)?;
            Ok(((), unlinked))
        })
        .await?;
    Ok(S3Response::new(answer))
}

/// Writes the body to a blob. Nothing stays of one that breaks off.
async fn receive(state: &State, body: Option<StreamingBlob>) -> Result<Pinned> {
    let mut writer = state.store.blobs().writer().await?;
    if let Some(mut body) = body {
        while let Some(piece) = body.next().await {
            // Why it broke off is in the request's report, and the answer is made from that.
            let piece = piece.map_err(|_| refuse(S3ErrorCode::IncompleteBody, "The body broke off."))?;
            writer.append(&piece).await?;
        }
    }
    Ok(writer.finish().await?)
}

fn answer(object: &Object) -> PutObjectOutput {
    let checksum = |name: &str| object.checksums.get(name).cloned();
    PutObjectOutput {
        e_tag: Some(ETag::Strong(object.etag.clone())),
        checksum_crc32: checksum("CRC32"),
        checksum_crc32c: checksum("CRC32C"),
        checksum_crc64nvme: checksum("CRC64NVME"),
        checksum_sha1: checksum("SHA1"),
        checksum_sha256: checksum("SHA256"),
        checksum_type: Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
        ..PutObjectOutput::default()
    }
}

/// What a request says of an object beside its bytes.
pub(super) struct Description {
    pub(super) content_type: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) expires: Option<Expires>,
    pub(super) metadata: Option<Metadata>,
}

type Headers = BTreeMap<String, String>;

impl Description {
    /// The headers and the metadata as they are stored.
    pub(super) fn checked(self) -> Result<(Headers, BTreeMap<String, String>)> {
        let metadata: BTreeMap<String, String> = self.metadata.unwrap_or_default().into_iter().collect();
        let size: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size > METADATA {
            return Err(refuse(
                S3ErrorCode::MetadataTooLarge,
                format!(
                    "Your metadata headers exceed the maximum allowed metadata size: {size} of {METADATA} bytes."
                ),
            ));
        }
        let expires = self.expires.as_ref().map(http_date).transpose()?;
        let headers = [
            ("content-type", Some(self.content_type.unwrap_or_else(|| DEFAULT_TYPE.to_owned()))),
            ("cache-control", self.cache_control),
            ("content-disposition", self.content_disposition),
            ("content-encoding", self.content_encoding),
            ("content-language", self.content_language),
            ("expires", expires),
        ];
        let headers =
            headers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        Ok((headers, metadata))
    }
}

fn http_date(at: &Timestamp) -> Result<String> {
    let mut text = Vec::new();
    at.format(TimestampFormat::HttpDate, &mut text)
        .map_err(|_| refuse(S3ErrorCode::InvalidArgument, "The header Expires is no date."))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
