//! The operations of object lock: `Get/PutObjectLockConfiguration`, `Get/PutObjectRetention`, `Get/PutObjectLegalHold`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-configure.html>

use super::State;
use super::bucket::{BUCKETS, Bucket, DefaultRetention, Lock, existing};
use super::error::{Error, Result, refuse};
use super::find;
use super::lock::{check_change, is_compliance, no_configuration, stored};
use super::parameters::{bypasses_governance, check_query};
use super::request::Context;
use super::version::{self, Entry};
use crate::object::{Object, Retention};
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response};
use store::Tx;

fn malformed() -> Error {
    refuse(
        S3ErrorCode::MalformedXML,
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
}

fn mode(compliance: bool) -> &'static str {
    if compliance { ObjectLockRetentionMode::COMPLIANCE } else { ObjectLockRetentionMode::GOVERNANCE }
}

pub(super) async fn get_configuration(
    state: &State,
    _context: &Context,
    request: S3Request<GetObjectLockConfigurationInput>,
) -> Result<S3Response<GetObjectLockConfigurationOutput>> {
    let bucket = state.store.read(|view| existing(view, &request.input.bucket))?;
    let lock = bucket.lock.ok_or_else(|| {
        refuse(
            S3ErrorCode::ObjectLockConfigurationNotFoundError,
            "Object Lock configuration does not exist for this bucket",
        )
    })?;
    let rule = lock.default.map(|default| ObjectLockRule {
        default_retention: Some(s3s::dto::DefaultRetention {
            days: i32::try_from(default.days).ok().filter(|_| default.years.is_none()),
            mode: Some(ObjectLockRetentionMode::from_static(mode(default.compliance))),
            years: default.years,
        }),
    });
    Ok(S3Response::new(GetObjectLockConfigurationOutput {
        object_lock_configuration: Some(ObjectLockConfiguration {
            object_lock_enabled: Some(ObjectLockEnabled::from_static(ObjectLockEnabled::ENABLED)),
            rule,
        }),
    }))
}

pub(super) async fn put_configuration(
    state: &State,
    _context: &Context,
    request: S3Request<PutObjectLockConfigurationInput>,
) -> Result<S3Response<PutObjectLockConfigurationOutput>> {
    check_query(&request.uri, &["object-lock"])?;
    let input = request.input;
    let missing = || Error::Refused(S3ErrorCode::MissingRequestBodyError.into());
    let wanted = input.object_lock_configuration.ok_or_else(missing)?;
    if wanted.object_lock_enabled.as_ref().map(ObjectLockEnabled::as_str) != Some(ObjectLockEnabled::ENABLED)
    {
        return Err(malformed());
    }
    let default = wanted.rule.map(default_retention).transpose()?;
    let name = input.bucket;
    state
        .store
        .write(move |tx| {
            let mut bucket = existing(tx, &name)?;
            if !bucket.is_versioned() {
                return Err(refuse(
                    S3ErrorCode::InvalidBucketState,
                    "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
                ));
            }
            bucket.lock = Some(Lock { default });
            tx.put(&BUCKETS, &name, &bucket)?;
            Ok::<_, Error>(())
        })
        .await?;
    Ok(S3Response::new(PutObjectLockConfigurationOutput::default()))
}

fn default_retention(rule: ObjectLockRule) -> Result<DefaultRetention> {
    let default = rule.default_retention.ok_or_else(malformed)?;
    let compliance =
        is_compliance(default.mode.as_ref().ok_or_else(malformed)?.as_str()).map_err(|_| malformed())?;
    let positive = |value: i32, most: i32, what: &str| {
        if value <= 0 {
            let message = "Default retention period must be a positive integer value.";
            return Err(refuse(S3ErrorCode::InvalidArgument, message));
        }
        if value > most {
            let message = format!("Default retention period too large: at most {most} {what}.");
            return Err(refuse(S3ErrorCode::InvalidArgument, message));
        }
        Ok(value.unsigned_abs())
    };
    match (default.days, default.years) {
        (Some(days), None) => {
            Ok(DefaultRetention { compliance, days: positive(days, 36_500, "days")?, years: None })
        }
        (None, Some(years)) => {
            let days = positive(years, 100, "years")? * 365;
            Ok(DefaultRetention { compliance, days, years: Some(years) })
        }
        _ => Err(malformed()),
    }
}

/// Changes the lock of a version.
async fn change(
    state: &State,
    (bucket, key): (String, String),
    version: Option<String>,
    work: impl FnOnce(&Tx<'_>, &mut Object) -> Result<()> + Send + 'static,
) -> Result<()> {
    state
        .store
        .write(move |tx| {
            require_lock(&existing(tx, &bucket)?)?;
            let (_, mut found, mut object) = find::to_change(tx, &bucket, &key, version.as_deref())?;
            work(tx, &mut object)?;
            found.entry = Entry::Object(Box::new(object));
            version::update(tx, (&bucket, &key), &found)
        })
        .await
}

fn require_lock(bucket: &Bucket) -> Result<()> {
    bucket.lock.as_ref().map(|_| ()).ok_or_else(no_configuration)
}

fn look(state: &State, bucket: &str, key: &str, version: Option<&str>) -> Result<Object> {
    state.store.read(|view| {
        require_lock(&existing(view, bucket)?)?;
        Ok(find::object(view, bucket, key, version)?.object)
    })
}

fn not_set() -> Error {
    refuse(
        S3ErrorCode::NoSuchObjectLockConfiguration,
        "The specified object does not have a ObjectLock configuration",
    )
}

pub(super) async fn get_retention(
    state: &State,
    _context: &Context,
    request: S3Request<GetObjectRetentionInput>,
) -> Result<S3Response<GetObjectRetentionOutput>> {
    let input = request.input;
    let object = look(state, &input.bucket, &input.key, input.version_id.as_deref())?;
    let retention = object.retention.ok_or_else(not_set)?;
    Ok(S3Response::new(GetObjectRetentionOutput {
        retention: Some(ObjectLockRetention {
            mode: Some(ObjectLockRetentionMode::from_static(mode(retention.compliance))),
            retain_until_date: Some(Timestamp::from(retention.until.to_date_time())),
        }),
    }))
}

pub(super) async fn put_retention(
    state: &State,
    _context: &Context,
    request: S3Request<PutObjectRetentionInput>,
) -> Result<S3Response<PutObjectRetentionOutput>> {
    check_query(&request.uri, &["retention", "versionId"])?;
    let bypass = bypasses_governance(&request.headers);
    let input = request.input;
    let wanted = match input.retention {
        Some(ObjectLockRetention { mode: Some(mode), retain_until_date: Some(until) }) => Some(Retention {
            compliance: is_compliance(mode.as_str()).map_err(|_| malformed())?,
            until: stored(until),
        }),
        Some(ObjectLockRetention { mode: None, retain_until_date: None }) => None,
        _ => return Err(malformed()),
    };
    change(state, (input.bucket, input.key), input.version_id, move |tx, object| {
        if wanted.as_ref().is_some_and(|wanted| wanted.until <= tx.now()) {
            return Err(refuse(S3ErrorCode::InvalidArgument, "The retain until date must be in the future!"));
        }
        check_change(object.retention.as_ref(), wanted.as_ref(), bypass, tx.now())?;
        object.retention = wanted;
        Ok(())
    })
    .await?;
    Ok(S3Response::new(PutObjectRetentionOutput::default()))
}

pub(super) async fn get_legal_hold(
    state: &State,
    _context: &Context,
    request: S3Request<GetObjectLegalHoldInput>,
) -> Result<S3Response<GetObjectLegalHoldOutput>> {
    let input = request.input;
    let object = look(state, &input.bucket, &input.key, input.version_id.as_deref())?;
    let on = object.legal_hold.ok_or_else(not_set)?;
    let status = if on { ObjectLockLegalHoldStatus::ON } else { ObjectLockLegalHoldStatus::OFF };
    Ok(S3Response::new(GetObjectLegalHoldOutput {
        legal_hold: Some(ObjectLockLegalHold {
            status: Some(ObjectLockLegalHoldStatus::from_static(status)),
        }),
    }))
}

pub(super) async fn put_legal_hold(
    state: &State,
    _context: &Context,
    request: S3Request<PutObjectLegalHoldInput>,
) -> Result<S3Response<PutObjectLegalHoldOutput>> {
    check_query(&request.uri, &["legal-hold", "versionId"])?;
    let input = request.input;
    let status = input.legal_hold.and_then(|hold| hold.status).ok_or_else(malformed)?;
    let on = match status.as_str() {
        ObjectLockLegalHoldStatus::ON => true,
        ObjectLockLegalHoldStatus::OFF => false,
        _ => return Err(malformed()),
    };
    change(state, (input.bucket, input.key), input.version_id, move |_, object| {
        object.legal_hold = Some(on);
        Ok(())
    })
    .await?;
    Ok(S3Response::new(PutObjectLegalHoldOutput::default()))
}
