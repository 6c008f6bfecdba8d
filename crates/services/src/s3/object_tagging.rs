//! `GetObjectTagging`, `PutObjectTagging` and `DeleteObjectTagging`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html>

use super::State;
use super::error::Result;
use super::event::{Kind, Origin, notify};
use super::find;
use super::parameters::check_query;
use super::request::Context;
use super::tags::{OF_OBJECT, Tags, of_set, to_set};
use super::version::{self, Entry};
use s3s::dto::{
    DeleteObjectTaggingInput, DeleteObjectTaggingOutput, GetObjectTaggingInput, GetObjectTaggingOutput,
    PutObjectTaggingInput, PutObjectTaggingOutput,
};
use s3s::{S3Request, S3Response};

const PARAMETERS: &[&str] = &["tagging", "versionId"];

pub(super) async fn get(
    state: &State,
    _context: &Context,
    request: S3Request<GetObjectTaggingInput>,
) -> Result<S3Response<GetObjectTaggingOutput>> {
    let input = request.input;
    // A delete marker is refused as such, by whichever name.
    let (of, _, object) = state
        .store
        .read(|view| find::to_change(view, &input.bucket, &input.key, input.version_id.as_deref()))?;
    Ok(S3Response::new(GetObjectTaggingOutput {
        version_id: of.shown(object.version.as_deref()),
        tag_set: to_set(&object.tags),
    }))
}

pub(super) async fn put(
    state: &State,
    context: &Context,
    request: S3Request<PutObjectTaggingInput>,
) -> Result<S3Response<PutObjectTaggingOutput>> {
    check_query(&request.uri, PARAMETERS)?;
    let input = request.input;
    let tags = of_set(input.tagging.tag_set, OF_OBJECT)?;
    let origin = Origin::of(context, &state.region);
    let version_id =
        set(state, origin, (input.bucket, input.key), input.version_id, tags, Kind::Tagged).await?;
    Ok(S3Response::new(PutObjectTaggingOutput { version_id }))
}

pub(super) async fn delete(
    state: &State,
    context: &Context,
    request: S3Request<DeleteObjectTaggingInput>,
) -> Result<S3Response<DeleteObjectTaggingOutput>> {
    check_query(&request.uri, PARAMETERS)?;
    let input = request.input;
    let origin = Origin::of(context, &state.region);
    let none = Tags::new();
    let version_id =
        set(state, origin, (input.bucket, input.key), input.version_id, none, Kind::Untagged).await?;
    Ok(S3Response::new(DeleteObjectTaggingOutput { version_id }))
}

/// Gives a version its tags; the version as it is answered.
async fn set(
    state: &State,
    origin: Origin,
    (bucket, key): (String, String),
    version: Option<String>,
    tags: Tags,
    kind: Kind,
) -> Result<Option<String>> {
    state
        .store
        .write(move |tx| {
            let (of, mut found, mut object) = find::to_change(tx, &bucket, &key, version.as_deref())?;
            object.tags = tags;
            notify(tx, &origin, (&bucket, &key), kind, Some(&object), object.version.as_deref())?;
            let shown = of.shown(object.version.as_deref());
            found.entry = Entry::Object(Box::new(object));
            version::update(tx, (&bucket, &key), &found)?;
            Ok(shown)
        })
        .await
}
