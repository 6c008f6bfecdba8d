//! Conditional requests: `If-Match` and its relatives.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html>

use super::error::{Error, Result, detailed, refuse};
use crate::object::Object;
use http::header::{ETAG, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue};
use s3s::dto::{ETagCondition, Timestamp, TimestampFormat};
use s3s::{S3Error, S3ErrorCode};

/// The conditions of a read, or on the source of a copy.
#[derive(Debug, Default)]
pub(super) struct ReadConditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

/// What a condition that does not hold means.
#[derive(Debug, PartialEq)]
pub(super) enum Unmet {
    NotModified,
    Failed,
}

impl ReadConditions {
    /// The first condition that `object` does not meet, in the order that HTTP gives them.
    pub(super) fn unmet(&self, object: &Object, now: model::Timestamp) -> Option<Unmet> {
        let to_come = |since: &Timestamp| {
            let since: time::OffsetDateTime = since.clone().into();
            since.unix_timestamp() > now.seconds()
        };
        let modified = |since: &Timestamp| {
            // Times in headers have whole seconds.
            let since: time::OffsetDateTime = since.clone().into();
            object.last_modified.seconds() > since.unix_timestamp()
        };
        let failed = match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) => !matches(condition, object),
            (None, Some(since)) => modified(since),
            (None, None) => false,
        };
        let unmodified = match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => matches(condition, object),
            // A time to come is no condition, as HTTP says.
            (None, Some(since)) => !modified(since) && !to_come(since),
            (None, None) => false,
        };
        if failed {
            Some(Unmet::Failed)
        } else if unmodified {
            Some(Unmet::NotModified)
        } else {
            None
        }
    }

    /// Answers a read whose conditions `object` does not meet.
    pub(super) fn check_read(&self, object: &Object, now: model::Timestamp) -> Result<()> {
        match self.unmet(object, now) {
            None => Ok(()),
            Some(Unmet::Failed) => Err(failed()),
            Some(Unmet::NotModified) => Err(not_modified(object)),
        }
    }

    /// Answers a copy whose conditions its source does not meet.
    pub(super) fn check_copy(&self, source: &Object, now: model::Timestamp) -> Result<()> {
        self.unmet(source, now).map_or(Ok(()), |_| Err(failed()))
    }
}

/// The conditions of a change, on the object that is there before it.
#[derive(Clone, Debug, Default)]
pub(super) struct WriteConditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
}

impl WriteConditions {
    /// The conditions in a request's own headers, for operations whose input has none.
    pub(super) fn of_headers(headers: &HeaderMap) -> Result<Self> {
        let condition = |name: &str| match headers.get(name) {
            None => Ok(None),
            Some(value) => ETagCondition::parse_http_header(value.as_bytes())
                .map(Some)
                .map_err(|_| refuse(S3ErrorCode::InvalidArgument, format!("The header {name} is no ETag."))),
        };
        Ok(WriteConditions { if_match: condition("if-match")?, if_none_match: condition("if-none-match")? })
    }

    /// Answers a change whose conditions do not hold for the object that is there, if one is.
    pub(super) fn check(&self, present: Option<&Object>) -> Result<()> {
        if self.if_match.is_some() && self.if_none_match.is_some() {
            return Err(not_implemented(
                "If-Match,If-None-Match",
                "Multiple conditional request headers present in the request",
            ));
        }
        match (&self.if_none_match, present) {
            (Some(ETagCondition::ETag(_)), _) => {
                return Err(not_implemented(
                    "If-None-Match",
                    "We don't accept the provided value of If-None-Match header for this API",
                ));
            }
            (Some(ETagCondition::Any), Some(_)) => return Err(failed()),
            _ => {}
        }
        match (&self.if_match, present) {
            (Some(_), None) => Err(no_such_key()),
            (Some(condition), Some(object)) if !matches(condition, object) => Err(failed()),
            _ => Ok(()),
        }
    }

    /// The same of a request that puts an object: that there is any is no condition of such a one.
    pub(super) fn check_put(&self, present: Option<&Object>) -> Result<()> {
        if matches!(self.if_match, Some(ETagCondition::Any)) && self.if_none_match.is_none() {
            return Err(not_implemented(
                "If-Match",
                "We don't accept the provided value of If-Match header for this API",
            ));
        }
        self.check(present)
    }

    /// The same of a request that completes what began at `since`, when there was an object or, if not `existed`, none:
    /// what was changed meanwhile is a conflict, even if the condition holds.
    pub(super) fn check_completion(
        &self,
        present: Option<&Object>,
        since: model::Timestamp,
        existed: bool,
    ) -> Result<()> {
        self.check_put(present)?;
        let changed = match (&self.if_match, present) {
            (Some(_), Some(object)) => object.last_modified > since,
            _ => self.if_none_match.is_some() && existed,
        };
        if changed {
            let mut conflict = S3Error::with_message(
                S3ErrorCode::Custom("ConditionalRequestConflict".into()),
                "The conditional request cannot succeed due to a conflicting operation against this resource.",
            );
            conflict.set_status_code(http::StatusCode::CONFLICT);
            return Err(Error::Refused(conflict));
        }
        Ok(())
    }
}

fn not_implemented(header: &str, more: &str) -> Error {
    detailed(
        S3ErrorCode::NotImplemented,
        "A header you provided implies functionality that is not implemented",
        &[("Header", header), ("additionalMessage", more)],
    )
}

/// The error for a key under which there is no object.
pub(super) fn no_such_key() -> Error {
    refuse(S3ErrorCode::NoSuchKey, "The specified key does not exist.")
}

fn matches(condition: &ETagCondition, object: &Object) -> bool {
    condition.as_etag().is_none_or(|etag| etag.value() == object.etag)
}

fn failed() -> Error {
    refuse(S3ErrorCode::PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}

fn not_modified(object: &Object) -> Error {
    let mut answer = S3Error::new(S3ErrorCode::NotModified);
    let mut headers = HeaderMap::new();
    let mut modified = Vec::new();
    let at = Timestamp::from(object.last_modified.to_date_time());
    if at.format(TimestampFormat::HttpDate, &mut modified).is_ok()
        && let Ok(value) = HeaderValue::from_bytes(&modified)
    {
        headers.insert(LAST_MODIFIED, value);
    }
    if let Ok(value) = HeaderValue::from_str(&format!("\"{}\"", object.etag)) {
        headers.insert(ETAG, value);
    }
    answer.set_headers(headers);
    Error::Refused(answer)
}

#[cfg(test)]
mod tests {
    use super::super::testing::object;
    use super::*;

    fn etag(text: &str) -> Option<ETagCondition> {
        Some(text.parse().unwrap())
    }

    fn at(text: &str) -> Option<Timestamp> {
        Some(Timestamp::parse(TimestampFormat::HttpDate, text).unwrap())
    }

    #[test]
    fn reads_follow_the_order_of_http() {
        // Modified at 12:00:00.007.
        let object = object("abc");
        let (before, same) = ("Sat, 31 Jan 2026 11:59:59 GMT", "Sat, 31 Jan 2026 12:00:00 GMT");
        let none = ReadConditions::default;
        let now = object.last_modified.after(std::time::Duration::from_secs(60));
        for (conditions, unmet) in [
            (none(), None),
            (ReadConditions { if_match: etag("\"abc\""), ..none() }, None),
            (ReadConditions { if_match: etag("*"), ..none() }, None),
            (ReadConditions { if_match: etag("\"abd\""), ..none() }, Some(Unmet::Failed)),
            (ReadConditions { if_none_match: etag("\"abc\""), ..none() }, Some(Unmet::NotModified)),
            (ReadConditions { if_none_match: etag("\"abd\""), ..none() }, None),
            (ReadConditions { if_modified_since: at(before), ..none() }, None),
            (ReadConditions { if_modified_since: at(same), ..none() }, Some(Unmet::NotModified)),
            (ReadConditions { if_modified_since: at("Sat, 31 Jan 2026 12:30:00 GMT"), ..none() }, None),
            (ReadConditions { if_unmodified_since: at(before), ..none() }, Some(Unmet::Failed)),
            (ReadConditions { if_unmodified_since: at(same), ..none() }, None),
            (ReadConditions { if_match: etag("\"abc\""), if_unmodified_since: at(before), ..none() }, None),
            (ReadConditions { if_none_match: etag("\"abd\""), if_modified_since: at(same), ..none() }, None),
        ] {
            assert_eq!(conditions.unmet(&object, now), unmet, "{conditions:?}");
        }
    }

    #[test]
    fn writes_can_ask_for_a_new_or_a_known_object() {
        let object = object("abc");
        let new = WriteConditions { if_none_match: etag("*"), if_match: None };
        assert!(new.check(None).is_ok());
        assert!(new.check(Some(&object)).is_err());
        let known = WriteConditions { if_match: etag("\"abc\""), if_none_match: None };
        assert!(known.check(Some(&object)).is_ok());
        assert!(known.check(None).unwrap_err().to_string().contains("NoSuchKey"));
        let other = WriteConditions { if_match: etag("\"abd\""), if_none_match: None };
        assert!(other.check(Some(&object)).is_err());
        let odd = WriteConditions { if_none_match: etag("\"abc\""), if_match: None };
        assert!(odd.check(None).unwrap_err().to_string().contains("NotImplemented"));
    }
}
