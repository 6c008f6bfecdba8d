//! What a request says of an object beside its bytes.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>

use super::error::{Result, refuse};
use s3s::S3ErrorCode;
use s3s::dto::{Expires, Metadata, Timestamp, TimestampFormat};
use std::collections::BTreeMap;

/// The most bytes of all names and values of an object's metadata (2 KB).
const METADATA: usize = 2 * 1024;

/// The type of an object that was put without one.
const DEFAULT_TYPE: &str = "binary/octet-stream";

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
