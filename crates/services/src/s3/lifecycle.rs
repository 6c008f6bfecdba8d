//! Lifecycle rules: which objects they are about, and when.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html>

use super::lock::stored;
use crate::object::Object;
use model::Timestamp;
use s3s::dto::{ExpirationStatus, LifecycleRule, LifecycleRuleFilter, Timestamp as Date};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// `days` after `at`, at the next midnight, as S3 counts.
pub(super) fn due(at: Timestamp, days: i32) -> Timestamp {
    let end = at.0.saturating_add(i64::from(days).saturating_mul(DAY_MS));
    Timestamp(
        end.div_euclid(DAY_MS).saturating_add(i64::from(end.rem_euclid(DAY_MS) > 0)).saturating_mul(DAY_MS),
    )
}

/// When something that is due after `days` or at `date` happens to what is there since `at`.
fn when(at: Timestamp, days: Option<i32>, date: Option<&Date>) -> Option<Timestamp> {
    match (days, date) {
        (Some(days), _) => Some(due(at, days)),
        (None, Some(date)) => Some(stored(date.clone())),
        (None, None) => None,
    }
}

pub(super) fn is_on(rule: &LifecycleRule) -> bool {
    rule.status.as_str() == ExpirationStatus::ENABLED
}

/// The prefix of the keys that a rule is about.
pub(super) fn prefix(rule: &LifecycleRule) -> &str {
    let filter = rule.filter.as_ref();
    let of_filter = filter.and_then(|filter| {
        filter.prefix.as_deref().or_else(|| filter.and.as_ref().and_then(|and| and.prefix.as_deref()))
    });
    rule.prefix.as_deref().or(of_filter).unwrap_or_default()
}

/// Whether a rule is about an object.
pub(super) fn is_about(rule: &LifecycleRule, key: &str, object: &Object) -> bool {
    let LifecycleRuleFilter { and, object_size_greater_than, object_size_less_than, tag, .. } =
        rule.filter.clone().unwrap_or_default();
    let and = and.unwrap_or_default();
    let larger = object_size_greater_than.or(and.object_size_greater_than);
    let smaller = object_size_less_than.or(and.object_size_less_than);
    let len = i64::try_from(object.len).unwrap_or(i64::MAX);
    let has = |tag: &s3s::dto::Tag| {
        object.tags.iter().any(|(key, value)| {
            tag.key.as_deref() == Some(key) && tag.value.as_deref().unwrap_or_default() == value
        })
    };
    key.starts_with(prefix(rule))
        && larger.is_none_or(|size| len > size)
        && smaller.is_none_or(|size| len < size)
        && tag.iter().chain(and.tags.iter().flatten()).all(has)
}

/// When, and by which rule, the current version of an object expires.
pub(super) fn expiry<'r>(
    rules: &'r [LifecycleRule],
    key: &str,
    object: &Object,
) -> Option<(Timestamp, &'r LifecycleRule)> {
    rules
        .iter()
        .filter(|rule| is_on(rule) && is_about(rule, key, object))
        .filter_map(|rule| {
            let expiration = rule.expiration.as_ref()?;
            Some((when(object.last_modified, expiration.days, expiration.date.as_ref())?, rule))
        })
        .min_by_key(|(at, _)| *at)
}

/// The storage class that a current object should have by `now`, if rules give it another than it has.
pub(super) fn transition(
    rules: &[LifecycleRule],
    key: &str,
    object: &Object,
    now: Timestamp,
) -> Option<String> {
    let transitions = rules
        .iter()
        .filter(|rule| is_on(rule) && is_about(rule, key, object))
        .flat_map(|rule| rule.transitions.iter().flatten());
    transitions
        .filter_map(|transition| {
            let at = when(object.last_modified, transition.days, transition.date.as_ref())?;
            Some((at, transition.storage_class.as_ref()?.as_str().to_owned()))
        })
        .filter(|(at, _)| *at <= now)
        .max_by_key(|(at, _)| *at)
        .map(|(_, class)| class)
        .filter(|class| object.storage_class.as_deref().unwrap_or("STANDARD") != class)
}

/// Whether a version that is not current since `since`, with `newer` such versions of its key, is to go by `now`.
pub(super) fn is_past(
    rules: &[LifecycleRule],
    key: &str,
    object: &Object,
    since: Timestamp,
    newer: usize,
    now: Timestamp,
) -> bool {
    rules.iter().filter(|rule| is_on(rule) && is_about(rule, key, object)).any(|rule| {
        rule.noncurrent_version_expiration.as_ref().is_some_and(|expiration| {
            let kept = expiration.newer_noncurrent_versions.unwrap_or(0);
            due(since, expiration.noncurrent_days.unwrap_or(0)) <= now
                && newer >= usize::try_from(kept).unwrap_or(0)
        })
    })
}

/// Whether a delete marker that is all there is of its key, since `at`, is to go by `now`.
pub(super) fn is_lone_marker_past(rules: &[LifecycleRule], key: &str, at: Timestamp, now: Timestamp) -> bool {
    rules.iter().filter(|rule| is_on(rule) && key.starts_with(prefix(rule))).any(|rule| {
        rule.expiration.as_ref().is_some_and(|expiration| {
            expiration.expired_object_delete_marker == Some(true)
                || expiration.days.is_some_and(|days| due(at, days) <= now)
        })
    })
}

/// Whether an upload that began at `at` is to be aborted by `now`.
pub(super) fn is_upload_past(rules: &[LifecycleRule], key: &str, at: Timestamp, now: Timestamp) -> bool {
    rules.iter().filter(|rule| is_on(rule) && key.starts_with(prefix(rule))).any(|rule| {
        rule.abort_incomplete_multipart_upload
            .as_ref()
            .and_then(|abort| abort.days_after_initiation)
            .is_some_and(|days| due(at, days) <= now)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_end_at_midnight() {
        let noon = Timestamp(1_769_860_800_000); // 2026-01-31T12:00:00Z
        assert_eq!(due(noon, 1).iso_z(), "2026-02-02T00:00:00.000Z");
        let midnight = Timestamp(1_769_817_600_000);
        assert_eq!(due(midnight, 1).iso_z(), "2026-02-01T00:00:00.000Z");
    }
}
