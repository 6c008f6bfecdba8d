//! The header `x-amz-expiration`: when the bucket's lifecycle will remove an object.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>

use super::bucket::Bucket;
use super::error::Result;
use super::lifecycle::expiry;
use super::settings::LIFECYCLE;
use crate::object::Object;
use s3s::dto::{Timestamp, TimestampFormat};
use store::View;

/// What is said of `object`, if a rule of its bucket will expire it.
pub(super) fn of(
    view: &View<'_>,
    of: &Bucket,
    (bucket, key): (&str, &str),
    object: &Object,
) -> Result<Option<String>> {
    if !of.lifecycle {
        return Ok(None);
    }
    let Some(lifecycle) = LIFECYCLE.get(view, bucket)? else { return Ok(None) };
    Ok(expiry(&lifecycle.rules, key, object).map(|(at, rule)| {
        let mut date = Vec::new();
        // Writing to memory cannot fail.
        let _ = Timestamp::from(at.to_date_time()).format(TimestampFormat::HttpDate, &mut date);
        let id = rule.id.as_deref().unwrap_or_default();
        format!("expiry-date=\"{}\", rule-id=\"{id}\"", String::from_utf8_lossy(&date))
    }))
}
