//! `RestoreObject`: an archived object can be read again for some days. Here that is so at once.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html>

use super::State;
use super::error::{Result, not_supported, refuse};
use super::event::{Kind, Origin, notify};
use super::find;
use super::lifecycle::due;
use super::parameters::check_query;
use super::request::Context;
use super::response::Status;
use super::version::{self, Entry};
use s3s::dto::{RestoreObjectInput, RestoreObjectOutput};
use s3s::{S3ErrorCode, S3Request, S3Response};

pub(super) async fn run(
    state: &State,
    context: &Context,
    request: S3Request<RestoreObjectInput>,
) -> Result<S3Response<RestoreObjectOutput>> {
    check_query(&request.uri, &["restore", "versionId"])?;
    let input = request.input;
    let wanted = input.restore_request.unwrap_or_default();
    if wanted.select_parameters.is_some() || wanted.output_location.is_some() {
        return Err(not_supported("A restore with SELECT").into());
    }
    let days = wanted.days.filter(|days| *days > 0).ok_or_else(|| {
        refuse(
            S3ErrorCode::MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema",
        )
    })?;
    let origin = Origin::of(context, &state.region);
    let (bucket, key, version) = (input.bucket, input.key, input.version_id);
    let again = state
        .store
        .write(move |tx| {
            let (_, mut found, mut object) = find::to_change(tx, &bucket, &key, version.as_deref())?;
            if !matches!(object.storage_class.as_deref(), Some("GLACIER" | "DEEP_ARCHIVE")) {
                return Err(refuse(
                    S3ErrorCode::InvalidObjectState,
                    "Restore is not allowed for the object's current storage class",
                ));
            }
            let again = object.restored.is_some_and(|until| until > tx.now());
            object.restored = Some(due(tx.now(), days));
            for kind in [Kind::RestorePosted, Kind::RestoreCompleted] {
                notify(tx, &origin, (&bucket, &key), kind, Some(&object), object.version.as_deref())?;
            }
            found.entry = Entry::Object(Box::new(object));
            version::update(tx, (&bucket, &key), &found)?;
            Ok(again)
        })
        .await?;
    let mut response = S3Response::new(RestoreObjectOutput::default());
    let status = if again { http::StatusCode::OK } else { http::StatusCode::ACCEPTED };
    response.extensions.insert(Status(status));
    Ok(response)
}
