//! `GetBucketLifecycleConfiguration`, `PutBucketLifecycleConfiguration` and `DeleteBucketLifecycle`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html>

use super::State;
use super::bucket::{BUCKETS, existing};
use super::error::{Error, Result, detailed, refuse};
use super::parameters::check_query;
use super::request::Context;
use super::settings::LIFECYCLE;
use super::timer;
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response};
use std::time::Duration;

/// The most rules of one bucket, and the longest id.
const MOST: usize = 1_000;
const LONGEST_ID: usize = 255;

const DAY_S: i64 = 24 * 60 * 60;

pub(super) async fn get(
    state: &State,
    _context: &Context,
    request: S3Request<GetBucketLifecycleConfigurationInput>,
) -> Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
    let lifecycle = state.store.read(|view| LIFECYCLE.find(view, &request.input.bucket))?;
    Ok(S3Response::new(GetBucketLifecycleConfigurationOutput {
        rules: Some(lifecycle.rules),
        ..GetBucketLifecycleConfigurationOutput::default()
    }))
}

pub(super) async fn put(
    state: &State,
    _context: &Context,
    request: S3Request<PutBucketLifecycleConfigurationInput>,
) -> Result<S3Response<PutBucketLifecycleConfigurationOutput>> {
    check_query(&request.uri, &["lifecycle"])?;
    let input = request.input;
    let mut lifecycle = input.lifecycle_configuration.ok_or_else(malformed)?;
    check(&mut lifecycle.rules)?;
    set(state, input.bucket, Some(lifecycle)).await?;
    Ok(S3Response::new(PutBucketLifecycleConfigurationOutput::default()))
}

pub(super) async fn delete(
    state: &State,
    _context: &Context,
    request: S3Request<DeleteBucketLifecycleInput>,
) -> Result<S3Response<DeleteBucketLifecycleOutput>> {
    check_query(&request.uri, &["lifecycle"])?;
    set(state, request.input.bucket, None).await?;
    Ok(S3Response::new(DeleteBucketLifecycleOutput {}))
}

/// How long after rules were put they are followed for the first time, so that who made a mistake can mend it. Where rules
/// are followed more often than that, it is shorter.
const SETTLING: Duration = Duration::from_secs(60);

async fn set(state: &State, name: String, lifecycle: Option<BucketLifecycleConfiguration>) -> Result<()> {
    state
        .store
        .write(move |tx| {
            let mut bucket = existing(tx, &name)?;
            bucket.lifecycle = lifecycle.is_some();
            tx.put(&BUCKETS, &name, &bucket)?;
            match lifecycle {
                Some(lifecycle) => {
                    timer::set(tx, &name, tx.now().after(SETTLING))?;
                    LIFECYCLE.put(tx, &name, &lifecycle)
                }
                None => {
                    timer::unset(tx, &name)?;
                    LIFECYCLE.delete(tx, &name)
                }
            }
        })
        .await?;
    state.timer_set.notify_one();
    Ok(())
}

fn malformed() -> Error {
    refuse(
        S3ErrorCode::MalformedXML,
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    refuse(S3ErrorCode::InvalidArgument, message)
}

/// Checks the rules, and names those that have no id.
fn check(rules: &mut [LifecycleRule]) -> Result<()> {
    if rules.is_empty() || rules.len() > MOST {
        return Err(malformed());
    }
    for index in 0..rules.len() {
        let (before, rest) = rules.split_at_mut(index);
        let Some(rule) = rest.first_mut() else { break };
        let id = rule.id.get_or_insert_with(|| uuid::Uuid::new_v4().to_string());
        if id.len() > LONGEST_ID {
            return Err(invalid("ID length should not exceed allowed limit of 255"));
        }
        if before.iter().any(|other| other.id.as_ref() == Some(id)) {
            return Err(invalid(format!(
                "Rule ID must be unique. Found same ID for more than one rule: {id}"
            )));
        }
        check_rule(rule)?;
    }
    Ok(())
}

fn check_rule(rule: &LifecycleRule) -> Result<()> {
    if !matches!(rule.status.as_str(), ExpirationStatus::ENABLED | ExpirationStatus::DISABLED) {
        return Err(malformed());
    }
    // Exactly one of them.
    if rule.prefix.is_some() == rule.filter.is_some() {
        return Err(malformed());
    }
    // A filter is one thing; several are joined by And.
    if let Some(filter) = &rule.filter {
        let tags = filter.and.as_ref().and_then(|and| and.tags.as_deref()).unwrap_or_default();
        let twice = |at: usize| tags[..at].iter().any(|tag| tag.key == tags[at].key);
        if (0..tags.len()).any(twice) {
            return Err(refuse(S3ErrorCode::InvalidRequest, "Duplicate Tag Keys are not allowed."));
        }
        let things = usize::from(filter.prefix.is_some())
            + usize::from(filter.tag.is_some())
            + usize::from(filter.and.is_some())
            + usize::from(filter.object_size_greater_than.is_some())
            + usize::from(filter.object_size_less_than.is_some());
        if things > 1 {
            return Err(malformed());
        }
    }
    for transition in rule.noncurrent_version_transitions.iter().flatten() {
        if transition.noncurrent_days.is_none() || transition.storage_class.is_none() {
            return Err(malformed());
        }
    }
    let acts = rule.expiration.is_some()
        || rule.abort_incomplete_multipart_upload.is_some()
        || rule.noncurrent_version_expiration.is_some()
        || rule.transitions.as_ref().is_some_and(|all| !all.is_empty())
        || rule.noncurrent_version_transitions.as_ref().is_some_and(|all| !all.is_empty());
    if !acts {
        return Err(refuse(
            S3ErrorCode::InvalidRequest,
            "At least one action needs to be specified in a rule.",
        ));
    }
    let with_tags = rule.filter.as_ref().is_some_and(|filter| {
        filter.tag.is_some() || filter.and.as_ref().is_some_and(|and| and.tags.is_some())
    });
    if let Some(expiration) = &rule.expiration {
        let marker = expiration.expired_object_delete_marker.is_some();
        let given = usize::from(expiration.days.is_some())
            + usize::from(expiration.date.is_some())
            + usize::from(marker);
        if given != 1 {
            return Err(malformed());
        }
        if marker && with_tags {
            return Err(refuse(
                S3ErrorCode::InvalidRequest,
                "ExpiredObjectDeleteMarker cannot be specified with tags.",
            ));
        }
        positive(expiration.days, "Expiration")?;
        at_midnight(expiration.date.as_ref())?;
    }
    if let Some(abort) = &rule.abort_incomplete_multipart_upload {
        if with_tags {
            return Err(refuse(
                S3ErrorCode::InvalidRequest,
                "AbortIncompleteMultipartUpload cannot be specified with tags.",
            ));
        }
        positive(Some(abort.days_after_initiation.unwrap_or(0)), "AbortIncompleteMultipartUpload")?;
    }
    if let Some(expiration) = &rule.noncurrent_version_expiration {
        if expiration.noncurrent_days.is_none() && expiration.newer_noncurrent_versions.is_none() {
            return Err(malformed());
        }
        positive(Some(expiration.noncurrent_days.unwrap_or(0)), "NoncurrentVersionExpiration")?;
    }
    for transition in rule.transitions.iter().flatten() {
        if transition.days.is_some() == transition.date.is_some() || transition.storage_class.is_none() {
            return Err(malformed());
        }
        at_midnight(transition.date.as_ref())?;
    }
    Ok(())
}

fn positive(days: Option<i32>, action: &str) -> Result<()> {
    if days.is_some_and(|days| days <= 0) {
        return Err(invalid(format!("'Days' for {action} action must be a positive integer")));
    }
    Ok(())
}

fn at_midnight(date: Option<&Timestamp>) -> Result<()> {
    let midnight = |date: &Timestamp| {
        let date: time::OffsetDateTime = date.clone().into();
        date.unix_timestamp() % DAY_S == 0
    };
    match date.filter(|date| !midnight(date)) {
        None => Ok(()),
        Some(date) => {
            let mut said = Vec::new();
            // Writing to memory cannot fail.
            let _ = date.format(TimestampFormat::DateTime, &mut said);
            let details = [("ArgumentName", "Date"), ("ArgumentValue", &*String::from_utf8_lossy(&said))];
            Err(detailed(S3ErrorCode::InvalidArgument, "'Date' must be at midnight GMT", &details))
        }
    }
}
