//! `DeleteObjects`: up to 1,000 objects in one request, and here in one transaction.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>

use super::State;
use super::access::{LONGEST_KEY, too_long};
use super::authorize::{self, Deed};
use super::bucket::existing;
use super::change::{REMOVED, Removal, Removed, Unlinked, delete};
use super::conditions::WriteConditions;
use super::error::{Error, Result, not_supported, refuse};
use super::event::Origin;
use super::find::no_such_version;
use super::parameters::{bypasses_governance, check_query};
use super::policy_condition::Asked;
use super::request::Context;
use super::version;
use s3s::dto::{DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETagCondition, ObjectIdentifier};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response};
use store::Tx;

/// The most objects of one request.
const MOST: usize = 1_000;

pub(super) async fn run(
    state: &State,
    context: &Context,
    request: S3Request<DeleteObjectsInput>,
) -> Result<S3Response<DeleteObjectsOutput>> {
    check_query(&request.uri, &["delete"])?;
    let (bucket, wanted) = (request.input.bucket, request.input.delete);
    if wanted.objects.len() > MOST {
        return Err(refuse(S3ErrorCode::MalformedXML, "One request can name 1000 objects."));
    }
    let quiet = wanted.quiet.unwrap_or(false);
    let origin = Origin::of(context, &state.region);
    let bypass = bypasses_governance(&request.headers);
    let (headers, context) = (request.headers, context.clone());
    let (deleted, errors) = state
        .change(None, move |tx| {
            let versioned = existing(tx, &bucket)?.versioning.is_some();
            let asked = context.asked(&headers, "", tx.now());
            let (mut deleted, mut errors, mut unlinked) = (Vec::new(), Vec::new(), Unlinked::new());
            for object in wanted.objects {
                match delete_one(tx, &origin, &asked, (&bucket, versioned), &object, bypass) {
                    Ok((removed, blobs)) => {
                        unlinked.extend(blobs);
                        deleted.push(told(object, removed));
                    }
                    Err(Error::Refused(refusal)) => errors.push(entry(object, &refusal)),
                    Err(error) => return Err(error),
                }
            }
            Ok(((deleted, errors), unlinked))
        })
        .await?;
    Ok(S3Response::new(DeleteObjectsOutput {
        deleted: (!quiet).then_some(deleted),
        errors: Some(errors),
        request_charged: None,
    }))
}

fn delete_one(
    tx: &Tx<'_>,
    origin: &Origin,
    asked: &Asked<'_>,
    (bucket, versioned): (&str, bool),
    object: &ObjectIdentifier,
    bypass: bool,
) -> Result<(Removed, Unlinked)> {
    if object.size.is_some() || object.last_modified_time.is_some() {
        return Err(not_supported("A condition on Size or LastModifiedTime").into());
    }
    if object.key.len() > LONGEST_KEY {
        return Err(too_long(&object.key).into());
    }
    let version = object.version_id.as_deref();
    let deed = Deed { operation: "DeleteObject", bucket, key: Some(&object.key), version };
    authorize::check(tx, deed, asked)?;
    // Unlike DeleteObject, this tells of a version that never was; one that was removed before is removed once more.
    if let Some(id) = version.filter(|id| *id != version::NULL)
        && !(versioned && version::was_given(tx, id)?)
    {
        return Err(no_such_version());
    }
    let if_match = object.e_tag.clone().map(ETagCondition::ETag);
    let conditions = WriteConditions { if_match, if_none_match: None };
    let removal = Removal { version: object.version_id.clone(), bypass, conditions };
    delete(tx, origin, (bucket, &object.key), &removal, REMOVED)
}

fn told(object: ObjectIdentifier, removed: Removed) -> DeletedObject {
    DeletedObject {
        delete_marker: removed.marker.then_some(true),
        delete_marker_version_id: removed.version.filter(|_| removed.marker),
        key: Some(object.key),
        version_id: object.version_id,
    }
}

fn entry(object: ObjectIdentifier, refusal: &S3Error) -> s3s::dto::Error {
    s3s::dto::Error {
        code: Some(refusal.code().as_str().to_owned()),
        key: Some(object.key),
        message: refusal.message().map(str::to_owned),
        version_id: object.version_id,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;

    #[tokio::test]
    async fn many_objects_go_at_once_and_each_refusal_is_told() {
        let bench = Bench::new().await;
        for key in ["a", "b%3C", "c"] {
            bench.send("PUT", &format!("/box/{key}"), &[], &"same".repeat(5_000)).await;
        }
        let document = "<Delete><Object><Key>a</Key></Object><Object><Key>b&lt;</Key></Object>\
            <Object><Key>none</Key></Object><Object><Key>c</Key><VersionId>1</VersionId></Object></Delete>";
        let answer = bench.send("POST", "/box?delete", &[], document).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body.matches("<Deleted>").count(), 3);
        assert_eq!((answer.element("Code"), answer.element("VersionId")), ("NoSuchVersion", "1"));
        assert_eq!(bench.files(), 1);
        let quiet = "<Delete><Quiet>true</Quiet><Object><Key>c</Key></Object></Delete>";
        let answer = bench.send("POST", "/box?delete", &[], quiet).await;
        assert!(!answer.body.contains("<Deleted>"));
        assert_eq!(bench.files(), 0);
    }

    #[tokio::test]
    async fn documents_that_cannot_be_followed_change_nothing() {
        let bench = Bench::new().await;
        bench.send("PUT", "/box/k0", &[], &"x".repeat(20_000)).await;
        let many: String = (0..1_001).map(|n| format!("<Object><Key>k{n}</Key></Object>")).collect();
        let many = format!("<Delete>{many}</Delete>");
        let one = "<Delete><Object><Key>k0</Key></Object></Delete>";
        let broken = format!("{one}<");
        for (uri, headers, body, expected) in [
            ("/box?delete", vec![], many.as_str(), "400 MalformedXML"),
            ("/box?delete", vec![], "<Delete></Delete>", "400 MalformedXML"),
            ("/box?delete", vec![], &broken, "400 MalformedXML"),
            ("/box?delete", vec![], "", "400 MissingRequestBodyError"),
            ("/missing?delete", vec![], one, "404 NoSuchBucket"),
            ("/box?delete", vec![("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")], one, "400 BadDigest"),
            ("/box?delete", vec![("x-amz-checksum-crc32", "AAAAAA==")], one, "400 BadDigest"),
        ] {
            let refused = bench.refused("POST", uri, &headers, body).await;
            assert!(refused.starts_with(expected), "{refused}");
        }
        let large = " ".repeat(super::super::XML_BODY + 1);
        let refused = bench.refused("POST", "/box?delete", &[], &large).await;
        assert!(refused.starts_with("400 MaxMessageLengthExceeded Your request was too big"), "{refused}");
        assert_eq!(bench.files(), 1);
    }
}
