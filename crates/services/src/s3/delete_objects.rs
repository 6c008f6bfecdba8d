//! `DeleteObjects`: up to 1,000 objects in one request, and here in one transaction.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>

use super::State;
use super::bucket::existing;
use super::change::{Unlinked, delete};
use super::conditions::WriteConditions;
use super::error::{Error, Result, not_supported, refuse};
use super::event::Origin;
use super::parameters::check_query;
use super::request::Context;
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
    let (deleted, errors) = state
        .change(None, move |tx| {
            existing(tx, &bucket)?;
            let (mut deleted, mut errors, mut unlinked) = (Vec::new(), Vec::new(), Unlinked::new());
            for object in wanted.objects {
                match delete_one(tx, &origin, &bucket, &object) {
                    Ok(blobs) => {
                        unlinked.extend(blobs);
                        deleted.push(DeletedObject { key: Some(object.key), ..DeletedObject::default() });
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

fn delete_one(tx: &Tx<'_>, origin: &Origin, bucket: &str, object: &ObjectIdentifier) -> Result<Unlinked> {
    if object.version_id.as_ref().is_some_and(|version| version != "null") {
        return Err(not_supported("The parameter VersionId").into());
    }
    if object.size.is_some() || object.last_modified_time.is_some() {
        return Err(not_supported("A condition on Size or LastModifiedTime").into());
    }
    let if_match = object.e_tag.clone().map(ETagCondition::ETag);
    let conditions = WriteConditions { if_match, if_none_match: None };
    delete(tx, origin, (bucket, &object.key), &conditions)
}

fn entry(object: ObjectIdentifier, refusal: &S3Error) -> s3s::dto::Error {
    s3s::dto::Error {
        code: Some(refusal.code().as_str().to_owned()),
        key: Some(object.key),
        message: refusal.message().map(str::to_owned),
        version_id: object.version_id,
    }
}
