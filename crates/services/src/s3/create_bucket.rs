//! `CreateBucket`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html>

use super::State;
use super::acl::is_public;
use super::bucket::{BUCKETS, Bucket, Lock, MOST, Versioning, is_valid_new_name};
use super::error::{Error, Result, detailed, not_supported, refuse};
use super::grants;
use super::parameters::check_query;
use super::request::Context;
use super::settings::{PUBLIC_ACCESS_BLOCK, TAGGING};
use super::tags::{self, Tags};
use super::{ownership_controls, public_access_block};
use http::HeaderValue;
use http::header::CONTENT_LENGTH;
use http_body_util::{BodyExt as _, Limited};
use s3s::dto::{CreateBucketConfiguration, CreateBucketInput, CreateBucketOutput, Tagging};
use s3s::{S3ErrorCode, S3Request, S3Response};
use store::Tx;
use store::kv::From;
use wire::credential::query_pairs;

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
    check_region(&context.region, &state.region, location.as_deref())?;
    let headers = &request.headers;
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let mut new = Bucket::new(state.store.now(), location);
    new.ownership = match text("x-amz-object-ownership") {
        None => None,
        Some(said) => ownership_controls::checked(said).map_err(|_| {
            detailed(
                S3ErrorCode::InvalidArgument,
                format!("Invalid x-amz-object-ownership header: {said}"),
                &[("ArgumentName", "x-amz-object-ownership")],
            )
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
        return Err(refuse(
            S3ErrorCode::Custom("InvalidBucketAclWithBlockPublicAccessError".into()),
            "Bucket cannot have public ACLs set with BlockPublicAccess enabled",
        ));
    }
    if text("x-amz-bucket-object-lock-enabled").is_some_and(|on| on.eq_ignore_ascii_case("true")) {
        new.lock = Some(Lock::default());
        new.versioning = Some(Versioning::Enabled);
    }
    let tags = context.bucket_tags.clone();
    let mut answer = S3Response::new(CreateBucketOutput { location: Some(format!("/{name}")) });
    if let Ok(arn) = HeaderValue::from_str(&format!("arn:aws:s3:::{name}")) {
        answer.headers.insert("x-amz-bucket-arn", arn);
    }
    let region = state.region.clone();
    state.store.write(move |tx| create(tx, &name, new, &region, tags)).await?;
    Ok(answer)
}

fn create(tx: &Tx<'_>, name: &str, mut new: Bucket, region: &str, tags: Tags) -> Result<()> {
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
    if !tags.is_empty() {
        TAGGING.put(tx, name, &Tagging { tag_set: tags::to_set(&tags) })?;
    }
    PUBLIC_ACCESS_BLOCK.put(tx, name, &public_access_block::everything())
}

fn location(configuration: Option<CreateBucketConfiguration>) -> Result<Option<String>> {
    let Some(configuration) = configuration else { return Ok(None) };
    if configuration.bucket.is_some() || configuration.location.is_some() {
        return Err(not_supported("A directory bucket (Bucket and Location in the configuration)").into());
    }
    let Some(location) = configuration.location_constraint else { return Ok(None) };
    let location = location.as_str();
    // S3 knows its oldest region by the absence of a constraint.
    if !is_region(location) || location == OLDEST_REGION {
        return Err(invalid_location());
    }
    Ok(Some(location.to_owned()))
}

/// Whether this is the name of a region, of today or of tomorrow; `EU` is the old name of one.
fn is_region(location: &str) -> bool {
    let parts: Vec<&str> = location.split('-').collect();
    let letters =
        |part: &&str| (2..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_lowercase());
    match parts.as_slice() {
        ["EU"] => true,
        [front @ .., number] => {
            (2..=3).contains(&front.len())
                && front.iter().all(letters)
                && number.len() == 1
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }
        [] => false,
    }
}

/// A request that was signed for one region cannot make a bucket in another; one that was signed for the region of this
/// server can, as those to the endpoint of S3's oldest region can.
fn check_region(signed_for: &str, here: &str, location: Option<&str>) -> Result<()> {
    let wanted =
        location.map_or(OLDEST_REGION, |location| if location == "EU" { "eu-west-1" } else { location });
    if signed_for.is_empty() || signed_for == here || signed_for == OLDEST_REGION || signed_for == wanted {
        return Ok(());
    }
    Err(refuse(
        S3ErrorCode::IllegalLocationConstraintException,
        format!(
            "The {} location constraint is incompatible for the region specific endpoint this request was sent to.",
            location.unwrap_or("unspecified")
        ),
    ))
}

/// Whether a request to a bucket makes it.
pub(super) fn is_it(head: &http::request::Parts) -> bool {
    head.method == http::Method::PUT
        && query_pairs(head.uri.query().unwrap_or_default())
            .all(|(name, _)| name == "x-id" || name.to_ascii_lowercase().starts_with("x-amz-"))
}

/// The longest document: fifty tags of the longest kind, each byte escaped.
const DOCUMENT: usize = 512 * 1024;

/// Reads the tags of a bucket to be made, and leaves the request's document as it was.
pub(super) async fn take_tags(request: &mut wire::Request) -> Result<Tags> {
    let declared =
        request.head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared == Some(0_u64) {
        return Ok(Tags::new());
    }
    let body = std::mem::replace(&mut request.body, wire::Body::empty());
    let read = Limited::new(body, DOCUMENT).collect().await;
    let bytes = read.map_err(|_| Error::Refused(S3ErrorCode::MaxMessageLengthExceeded.into()))?.to_bytes();
    let tags = tags_of(&String::from_utf8_lossy(&bytes))?;
    request.body = wire::Body::from(bytes);
    Ok(tags)
}

/// The tags in a request's document, of which `s3s` knows nothing.
pub(super) fn tags_of(document: &str) -> Result<Tags> {
    let Some((_, rest)) = document.split_once("<Tags") else { return Ok(Tags::new()) };
    let malformed = || {
        refuse(
            S3ErrorCode::MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema",
        )
    };
    let (inner, _) =
        rest.split_once('>').and_then(|(_, rest)| rest.split_once("</Tags>")).ok_or_else(malformed)?;
    let tagging = format!("<Tagging><TagSet>{inner}</TagSet></Tagging>");
    let mut reader = s3s::xml::Deserializer::new(tagging.as_bytes());
    let tagging = <Tagging as s3s::xml::Deserialize>::deserialize(&mut reader).map_err(|_| malformed())?;
    tags::of_set(tagging.tag_set, tags::OF_BUCKET)
}

fn invalid_location() -> Error {
    refuse(S3ErrorCode::InvalidLocationConstraint, "The specified location-constraint is not valid")
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
            ("/new", configuration("somewhere"), "400 InvalidLocationConstraint"),
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
