//! What a request says of an object beside its bytes.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>

use super::error::{Result, detailed, refuse};
use super::tags::{self, Tags};
use super::{grants, lock};
use crate::object::Object;
use crate::object::acl::Acl;
use http::HeaderMap;
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

/// Storage classes that a request may name. All are kept on the same disk; what is archived is read only when restored.
const STORAGE_CLASSES: &[&str] = &[
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "GLACIER_IR",
];

/// The header that is kept among an object's own.
pub(super) const REDIRECT: &str = "x-amz-website-redirect-location";

/// Everything that a record holds beside its bytes, checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Described {
    pub(super) headers: Headers,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) tags: Tags,
    pub(super) storage_class: Option<String>,
    pub(super) lock: lock::Wanted,
    pub(super) acl: Option<Acl>,
}

impl Described {
    /// Of a description, and of what only the headers of the request say.
    pub(super) fn of(description: Description, request: &HeaderMap) -> Result<Self> {
        let (mut headers, metadata) = description.checked()?;
        let text = |name: &str| request.get(name).map(|value| value.to_str().unwrap_or_default());
        if let Some(to) = text(REDIRECT) {
            if !to.starts_with('/') && !to.starts_with("http://") && !to.starts_with("https://") {
                return Err(refuse(
                    S3ErrorCode::Custom("InvalidRedirectLocation".into()),
                    "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
                ));
            }
            headers.insert(REDIRECT.to_owned(), to.to_owned());
        }
        let storage_class = text("x-amz-storage-class").unwrap_or(STORAGE_CLASSES[0]);
        if !STORAGE_CLASSES.contains(&storage_class) {
            return Err(detailed(
                S3ErrorCode::InvalidStorageClass,
                "The storage class you specified is not valid",
                &[("StorageClassRequested", storage_class)],
            ));
        }
        Ok(Described {
            headers,
            metadata,
            tags: text("x-amz-tagging").map(tags::of_header).transpose()?.unwrap_or_default(),
            storage_class: (storage_class != STORAGE_CLASSES[0]).then(|| storage_class.to_owned()),
            lock: lock::Wanted::of_headers(request)?,
            acl: grants::of_headers(request)?,
        })
    }

    /// Makes it the object's.
    pub(super) fn put_on(self, object: &mut Object) {
        object.headers = self.headers;
        object.metadata = self.metadata;
        object.tags = self.tags;
        object.storage_class = self.storage_class;
        object.acl = self.acl;
        self.lock.put_on(object);
    }
}

impl Description {
    /// The headers and the metadata as they are stored.
    pub(super) fn checked(self) -> Result<(Headers, BTreeMap<String, String>)> {
        let metadata: BTreeMap<String, String> = self.metadata.unwrap_or_default().into_iter().collect();
        let size: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size > METADATA {
            return Err(refuse(
                S3ErrorCode::MetadataTooLarge,
                "Your metadata headers exceed the maximum allowed metadata size",
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
