//! Object lock: versions that cannot be removed before their time.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html>

use super::bucket::{Bucket, DefaultRetention};
use super::error::{Result, refuse};
use crate::object::{Object, Retention};
use http::HeaderMap;
use model::Timestamp;
use s3s::S3ErrorCode;
use s3s::dto::{Timestamp as DtoTimestamp, TimestampFormat};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a request asks for the version that it makes.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) retention: Option<Retention>,
    pub(super) legal_hold: Option<bool>,
}

impl Wanted {
    /// From the headers of a put, a copy or a new multipart upload.
    pub(super) fn of_headers(headers: &HeaderMap) -> Result<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let legal_hold = match text("x-amz-object-lock-legal-hold") {
            None => None,
            Some("ON") => Some(true),
            Some("OFF") => Some(false),
            Some(_) => return Err(invalid("Legal Hold must be either of 'ON' or 'OFF'")),
        };
        let mode = text("x-amz-object-lock-mode");
        let until = text("x-amz-object-lock-retain-until-date");
        let retention = match (mode, until) {
            (None, None) => None,
            (Some(mode), Some(until)) => {
                let until = DtoTimestamp::parse(TimestampFormat::DateTime, until)
                    .map_err(|_| invalid("The retain until date must be provided in ISO 8601 format"))?;
                Some(Retention { compliance: is_compliance(mode)?, until: stored(until) })
            }
            _ => {
                return Err(invalid(
                    "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied",
                ));
            }
        };
        Ok(Wanted { retention, legal_hold })
    }

    /// Makes it the object's.
    pub(super) fn put_on(self, object: &mut Object) {
        object.retention = self.retention;
        object.legal_hold = self.legal_hold;
    }
}

pub(super) fn is_compliance(mode: &str) -> Result<bool> {
    match mode {
        "COMPLIANCE" => Ok(true),
        "GOVERNANCE" => Ok(false),
        _ => Err(invalid("Unknown wormMode directive.")),
    }
}

/// A date of a request as records hold it.
pub(super) fn stored(at: DtoTimestamp) -> Timestamp {
    let at: time::OffsetDateTime = at.into();
    Timestamp(i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX))
}

fn invalid(message: &'static str) -> super::error::Error {
    refuse(S3ErrorCode::InvalidArgument, message)
}

/// Checks what a new version asks for.
pub(super) fn check_wanted(
    bucket: &Bucket,
    retention: Option<&Retention>,
    legal_hold: Option<bool>,
    now: Timestamp,
) -> Result<()> {
    if bucket.lock.is_none() && (retention.is_some() || legal_hold.is_some()) {
        return Err(no_configuration());
    }
    if retention.is_some_and(|retention| retention.until <= now) {
        return Err(invalid("The retain until date must be in the future!"));
    }
    Ok(())
}

/// Checks what a new version asks for, and gives it its bucket's default.
pub(super) fn protect(bucket: &Bucket, object: &mut Object, now: Timestamp) -> Result<()> {
    check_wanted(bucket, object.retention.as_ref(), object.legal_hold, now)?;
    if object.retention.is_none() {
        let default = bucket.lock.as_ref().and_then(|lock| lock.default.as_ref());
        object.retention = default.map(|default| default.from(now));
    }
    Ok(())
}

/// The error for a lock in a bucket that has none.
pub(super) fn no_configuration() -> super::error::Error {
    refuse(S3ErrorCode::InvalidRequest, "Bucket is missing Object Lock Configuration")
}

impl DefaultRetention {
    fn from(&self, now: Timestamp) -> Retention {
        Retention { compliance: self.compliance, until: now.after(DAY.saturating_mul(self.days)) }
    }
}

/// Refuses the removal of a version that is locked.
pub(super) fn check_removal(object: &Object, bypass: bool, now: Timestamp) -> Result<()> {
    let retained = object
        .retention
        .as_ref()
        .is_some_and(|retention| retention.until > now && (retention.compliance || !bypass));
    if retained || object.legal_hold == Some(true) {
        return Err(refuse(
            S3ErrorCode::AccessDenied,
            "Access Denied because object protected by object lock.",
        ));
    }
    Ok(())
}

/// Refuses a change of a retention that would free the version earlier, unless who asks may do so.
pub(super) fn check_change(
    present: Option<&Retention>,
    wanted: Option<&Retention>,
    bypass: bool,
    now: Timestamp,
) -> Result<()> {
    let Some(present) = present.filter(|present| present.until > now) else { return Ok(()) };
    // Longer in the same mode is for everybody.
    let weaker =
        wanted.is_none_or(|wanted| wanted.until < present.until || present.compliance != wanted.compliance);
    if weaker && (present.compliance || !bypass) {
        return Err(refuse(
            S3ErrorCode::AccessDenied,
            "Access Denied because object protected by object lock.",
        ));
    }
    Ok(())
}
