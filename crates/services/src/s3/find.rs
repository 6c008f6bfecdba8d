//! Finding the version that a request is about, and saying what stands in its way.

use super::bucket::{Bucket, existing};
use super::conditions::no_such_key;
use super::error::{Error, Result, add_details, refuse};
use super::rewrite::Source;
use super::version::{self, Entry, Found, Marker};
use crate::object::Object;
use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::dto::{Timestamp, TimestampFormat};
use s3s::{S3Error, S3ErrorCode};
use store::View;

/// An object that a request is about.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) bucket: Bucket,
    pub(super) object: Object,
}

impl Target {
    /// The version as it is answered.
    pub(super) fn version(&self) -> Option<String> {
        self.bucket.shown(self.object.version.as_deref())
    }
}

/// The object that is the version `version` of `key`, or the current one.
pub(super) fn object(view: &View<'_>, bucket: &str, key: &str, version: Option<&str>) -> Result<Target> {
    let (of, found) = entry(view, bucket, key, version)?;
    match found.entry {
        Entry::Object(object) => Ok(Target { bucket: of, object: *object }),
        Entry::Marker(marker) => Err(is_marker(&marker, version.is_some())),
    }
}

/// The version `version` of `key`, or the current one, with its place, to be changed.
pub(super) fn entry(
    view: &View<'_>,
    bucket: &str,
    key: &str,
    version: Option<&str>,
) -> Result<(Bucket, Found)> {
    let of = existing(view, bucket)?;
    check_version(&of, version)?;
    match version::find(view, bucket, key, version)? {
        Some(found) => Ok((of, found)),
        None if version.is_some() => Err(no_such_version()),
        None => Err(no_such_key()),
    }
}

/// The object of a version whose record is to be changed.
pub(super) fn to_change(
    view: &View<'_>,
    bucket: &str,
    key: &str,
    version: Option<&str>,
) -> Result<(Bucket, Found, Object)> {
    let (of, found) = entry(view, bucket, key, version)?;
    match &found.entry {
        Entry::Object(object) => {
            let object = (**object).clone();
            Ok((of, found, object))
        }
        Entry::Marker(marker) => Err(is_marker(marker, true)),
    }
}

/// In a bucket that never had versions, nothing but the null version has a name.
pub(super) fn check_version(of: &Bucket, version: Option<&str>) -> Result<()> {
    match version {
        Some(id) if of.versioning.is_none() && id != version::NULL => Err(version::invalid_id(id)),
        _ => Ok(()),
    }
}

/// An error about the source of a copy: it names the source, and not what the request is for.
pub(super) fn about_source(error: Error, source: &Source) -> Error {
    let Error::Refused(mut refusal) = error else { return error };
    let mut details = vec![("Resource", format!("/{}/{}", source.bucket, source.key))];
    match refusal.code() {
        S3ErrorCode::NoSuchBucket => details.push(("BucketName", source.bucket.clone())),
        S3ErrorCode::NoSuchKey => details.push(("Key", source.key.clone())),
        S3ErrorCode::NoSuchVersion => {
            details.push(("Key", source.key.clone()));
            details.push(("VersionId", source.version.clone().unwrap_or_default()));
        }
        S3ErrorCode::MethodNotAllowed => {
            return refuse(
                S3ErrorCode::InvalidRequest,
                "The source of a copy request may not specifically refer to a delete marker by version id.",
            );
        }
        _ => return Error::Refused(refusal),
    }
    let mut headers = refusal.headers().cloned().unwrap_or_default();
    headers.entry(http::header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/xml"));
    let details: Vec<(&str, &str)> = details.iter().map(|(name, value)| (*name, value.as_str())).collect();
    add_details(&mut headers, &details);
    refusal.set_headers(headers);
    Error::Refused(refusal)
}

pub(super) fn no_such_version() -> Error {
    refuse(S3ErrorCode::NoSuchVersion, "The specified version does not exist.")
}

/// A delete marker was found: by its own name it is no object, and otherwise there is none.
fn is_marker(marker: &Marker, named: bool) -> Error {
    let mut answer = if named {
        S3Error::with_message(
            S3ErrorCode::MethodNotAllowed,
            "The specified method is not allowed against this resource.",
        )
    } else {
        S3Error::with_message(S3ErrorCode::NoSuchKey, "The specified key does not exist.")
    };
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: &[u8]| {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("content-type", b"application/xml");
    set("x-amz-delete-marker", b"true");
    set("x-amz-version-id", version::shown(marker.version.as_deref()).as_bytes());
    if named {
        set("allow", b"DELETE");
        let mut at = Vec::new();
        if Timestamp::from(marker.at.to_date_time()).format(TimestampFormat::HttpDate, &mut at).is_ok() {
            set("last-modified", &at);
        }
    }
    if named {
        add_details(&mut headers, &[("ResourceType", "DeleteMarker")]);
    }
    answer.set_headers(headers);
    Error::Refused(answer)
}
