//! `CreateBucket`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html>

use super::State;
use super::acl::is_public;
use super::bucket::{BUCKETS, Bucket, Lock, MOST, Versioning, is_valid_new_name};
use super::error::{Error, Result, not_supported, refuse};
use super::grants;
use super::parameters::check_query;
use super::request::Context;
use super::settings::PUBLIC_ACCESS_BLOCK;
use super::{ownership_controls, public_access_block};
use s3s::dto::{CreateBucketConfiguration, CreateBucketInput, CreateBucketOutput};
use s3s::{S3ErrorCode, S3Request, S3Response};
use store::Tx;
use store::kv::From;

/// The region in which making a bucket again is no error.
const OLDEST_REGION: &str = "us-east-1";

pub(super) async fn run(
    state: &State,
    context: &Context,
    request: S3Request<CreateBucketInput>,
) -> Result<S3Response<CreateBucketOutput>> {
    check_query(&request.uri, &[])?;
    let name = request.input.bucket;
    if !is_valid_new_name(&name) {
        return Err(refuse(S3ErrorCode::InvalidBucketName, "The specified bucket is not valid."));
    }
    let location = location(request.input.create_bucket_configuration)?;
    let headers = &request.headers;
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let mut new = Bucket::new(state.store.now(), location);
    new.ownership = match text("x-amz-object-ownership") {
        None => None,
        Some(said) => ownership_controls::checked(said).map_err(|_| {
            refuse(S3ErrorCode::InvalidArgument, format!("Invalid x-amz-object-ownership header: {said}"))
        })?,
    };
    new.acl = grants::of_headers(headers)?;
    new.owner = context.account.clone().filter(|account| account != model::ACCOUNT);
    if new.ownership.is_none() && new.acl.is_some() {
        return Err(refuse(
            S3ErrorCode::InvalidBucketAclWithObjectOwnership,
            "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
        ));
    }
    if new.acl.as_ref().is_some_and(is_public) {
        return Err(refuse(S3ErrorCode::AccessDenied, "Access Denied"));
    }
    if text("x-amz-bucket-object-lock-enabled").is_some_and(|on| on.eq_ignore_ascii_case("true")) {
        new.lock = Some(Lock::default());
        new.versioning = Some(Versioning::Enabled);
    }
    let answer = CreateBucketOutput { location: Some(format!("/{name}")) };
    let region = state.region.clone();
    state.store.write(move |tx| create(tx, &name, new, &region)).await?;
    Ok(S3Response::new(answer))
}

fn create(tx: &Tx<'_>, name: &str, mut new: Bucket, region: &str) -> Result<()> {
    if let Some(present) = tx.get(&BUCKETS, name)? {
        if present.owner() != new.owner() {
            return Err(refuse(
                S3ErrorCode::BucketAlreadyExists,
                "The requested bucket name is not available. The bucket namespace is shared by all users of the system. \
                 Please select a different name and try again.",
            ));
        }
        let oldest = |location: &Option<String>| location.as_deref().unwrap_or(region) == OLDEST_REGION;
        if oldest(&present.location) && oldest(&new.location) {
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
    new.created = tx.now();
    tx.put(&BUCKETS, name, &new)?;
    PUBLIC_ACCESS_BLOCK.put(tx, name, &public_access_block::everything())
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

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;

    fn configuration(location: &str) -> String {
        format!(
            "<CreateBucketConfiguration><LocationConstraint>{location}</LocationConstraint>\
             </CreateBucketConfiguration>"
        )
    }

    #[tokio::test]
    async fn buckets_come_and_go() {
        let bench = Bench::new().await;
        assert_eq!(bench.send("PUT", "/box", &[], "").await.status, 200);
        let made = bench.send("PUT", "/far", &[], &configuration("eu-west-1")).await;
        assert_eq!((made.status, made.header("location")), (200, "/far"));
        assert_eq!(bench.send("GET", "/far?location", &[], "").await.body.matches("eu-west-1").count(), 1);
        assert_eq!(bench.send("HEAD", "/far", &[], "").await.header("x-amz-bucket-region"), "eu-west-1");
        assert_eq!(bench.send("HEAD", "/box", &[], "").await.header("x-amz-bucket-region"), "us-east-1");
        let again = bench.refused("PUT", "/far", &[], &configuration("eu-west-1")).await;
        assert!(again.starts_with("409 BucketAlreadyOwnedByYou"), "{again}");
        let listed = bench.send("GET", "/", &[], "").await;
        assert_eq!(listed.elements("Name"), ["box", "far"]);
        assert_eq!(bench.send("GET", "/?prefix=f&max-buckets=1", &[], "").await.elements("Name"), ["far"]);
        assert_eq!(bench.send("DELETE", "/far", &[], "").await.status, 204);
        assert_eq!(bench.send("HEAD", "/far", &[], "").await.status, 404);
        bench.send("PUT", "/box/k", &[], "").await;
        assert!(bench.refused("DELETE", "/box", &[], "").await.starts_with("409 BucketNotEmpty"));
        assert!(bench.refused("DELETE", "/far", &[], "").await.starts_with("404 NoSuchBucket"));
    }

    #[tokio::test]
    async fn buckets_that_cannot_be_are_refused() {
        let bench = Bench::new().await;
        for (uri, body, expected) in [
            ("/Bad_Name", String::new(), "400 InvalidBucketName"),
            ("/sthree-a", String::new(), "400 InvalidBucketName"),
            ("/new", configuration("us-east-1"), "400 InvalidLocationConstraint"),
            ("/new", configuration("&lt;"), "400 InvalidLocationConstraint"),
            ("/new", "<Create".to_owned(), "400 MalformedXML"),
            ("/box?versioning", String::new(), "400 MissingRequestBodyError"),
            ("/new?somethingElse", String::new(), "501 NotImplemented"),
        ] {
            let refused = bench.refused("PUT", uri, &[], &body).await;
            assert!(refused.starts_with(expected), "{uri}: {refused}");
        }
    }

    #[tokio::test]
    async fn a_bucket_is_found_by_its_host_name() {
        let bench = Bench::new().await;
        let host = |name| [("host", name)];
        assert_eq!(bench.send("PUT", "/a/key", &host("box.localhost:4566"), "hello").await.status, 200);
        assert_eq!(bench.send("GET", "/a/key", &host("box.s3.localhost"), "").await.body, "hello");
        assert_eq!(bench.send("GET", "/box/a/key", &host("localhost:4566"), "").await.body, "hello");
        assert_eq!(bench.send("GET", "/box/a/key", &host("127.0.0.1:4566"), "").await.body, "hello");
        assert_eq!(bench.send("GET", "/box/a/key", &host("gateway.internal"), "").await.body, "hello");
    }
}
