//! `CreateBucket`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html>

use super::State;
use super::bucket::{BUCKETS, Bucket, MOST, is_valid_new_name};
use super::error::{Error, Result, not_supported, refuse};
use super::parameters::check_query;
use super::request::Context;
use s3s::dto::{CreateBucketConfiguration, CreateBucketInput, CreateBucketOutput};
use s3s::{S3ErrorCode, S3Request, S3Response};
use store::Tx;
use store::kv::From;

/// The region in which making a bucket again is no error.
const OLDEST_REGION: &str = "us-east-1";

pub(super) async fn run(
    state: &State,
    _context: &Context,
    request: S3Request<CreateBucketInput>,
) -> Result<S3Response<CreateBucketOutput>> {
    check_query(&request.uri, &[])?;
    let name = request.input.bucket;
    if !is_valid_new_name(&name) {
        return Err(refuse(
            S3ErrorCode::InvalidBucketName,
            format!("The specified bucket is not valid: {name}."),
        ));
    }
    let location = location(request.input.create_bucket_configuration)?;
    let answer = CreateBucketOutput { location: Some(format!("/{name}")) };
    let region = state.region.clone();
    state.store.write(move |tx| create(tx, &name, location, &region)).await?;
    Ok(S3Response::new(answer))
}

fn create(tx: &Tx<'_>, name: &str, location: Option<String>, region: &str) -> Result<()> {
    if let Some(present) = tx.get(&BUCKETS, name)? {
        let oldest = |location: &Option<String>| location.as_deref().unwrap_or(region) == OLDEST_REGION;
        if oldest(&present.location) && oldest(&location) {
            return Ok(());
        }
        return Err(refuse(
            S3ErrorCode::BucketAlreadyOwnedByYou,
            "Your previous request to create the named bucket succeeded and you already own it.",
        ));
    }
    if tx.scan(&BUCKETS, b"", From::At(b""), MOST)?.len() >= MOST {
        return Err(refuse(
            S3ErrorCode::TooManyBuckets,
            format!("There are {MOST} buckets, which is the limit."),
        ));
    }
    tx.put(&BUCKETS, name, &Bucket { created: tx.now(), location })?;
    Ok(())
}

fn location(configuration: Option<CreateBucketConfiguration>) -> Result<Option<String>> {
    let Some(configuration) = configuration else { return Ok(None) };
    if configuration.bucket.is_some() || configuration.location.is_some() {
        return Err(not_supported("A directory bucket (Bucket and Location in the configuration)").into());
    }
    let Some(location) = configuration.location_constraint else { return Ok(None) };
    let location = location.as_str();
    let readable = (1..=32).contains(&location.len())
        && location.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    // S3 knows its oldest region by the absence of a constraint.
    if !readable || location == OLDEST_REGION {
        return Err(invalid_location(location));
    }
    Ok(Some(location.to_owned()))
}

fn invalid_location(location: &str) -> Error {
    refuse(
        S3ErrorCode::InvalidLocationConstraint,
        format!(
            "The specified location-constraint is not valid: {location}. Leave it out for {OLDEST_REGION}."
        ),
    )
}
