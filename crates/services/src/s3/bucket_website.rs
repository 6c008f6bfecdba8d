//! `GetBucketWebsite`, `PutBucketWebsite` and `DeleteBucketWebsite`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketWebsite.html>

use super::State;
use super::error::{Error, Result, refuse};
use super::parameters::check_query;
use super::request::Context;
use super::settings::WEBSITE;
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response};

/// The most routing rules.
const MOST: usize = 50;

pub(super) async fn get(
    state: &State,
    _context: &Context,
    request: S3Request<GetBucketWebsiteInput>,
) -> Result<S3Response<GetBucketWebsiteOutput>> {
    let website = state.store.read(|view| WEBSITE.find(view, &request.input.bucket))?;
    Ok(S3Response::new(GetBucketWebsiteOutput {
        error_document: website.error_document,
        index_document: website.index_document,
        redirect_all_requests_to: website.redirect_all_requests_to,
        routing_rules: website.routing_rules,
    }))
}

pub(super) async fn put(
    state: &State,
    _context: &Context,
    request: S3Request<PutBucketWebsiteInput>,
) -> Result<S3Response<PutBucketWebsiteOutput>> {
    check_query(&request.uri, &["website"])?;
    let input = request.input;
    check(&input.website_configuration)?;
    state.store.write(move |tx| WEBSITE.put(tx, &input.bucket, &input.website_configuration)).await?;
    Ok(S3Response::new(PutBucketWebsiteOutput {}))
}

pub(super) async fn delete(
    state: &State,
    _context: &Context,
    request: S3Request<DeleteBucketWebsiteInput>,
) -> Result<S3Response<DeleteBucketWebsiteOutput>> {
    check_query(&request.uri, &["website"])?;
    state.store.write(move |tx| WEBSITE.delete(tx, &request.input.bucket)).await?;
    Ok(S3Response::new(DeleteBucketWebsiteOutput {}))
}

fn invalid(message: &'static str) -> Error {
    refuse(S3ErrorCode::InvalidArgument, message)
}

fn check(website: &WebsiteConfiguration) -> Result<()> {
    let rules = website.routing_rules.as_deref().unwrap_or_default();
    match (&website.redirect_all_requests_to, &website.index_document) {
        (Some(_), None) if website.error_document.is_none() && rules.is_empty() => Ok(()),
        (Some(_), _) => Err(refuse(
            S3ErrorCode::MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema",
        )),
        (None, None) => Err(invalid(
            "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty",
        )),
        (None, Some(index)) if index.suffix.is_empty() || index.suffix.contains('/') => {
            Err(invalid("The IndexDocument Suffix is not well formed"))
        }
        (None, Some(_)) if rules.len() > MOST => Err(refuse(
            S3ErrorCode::InvalidRequest,
            "The number of routing rules must not exceed the allowed limit of 50 rules",
        )),
        (None, Some(_)) => {
            let both = |rule: &RoutingRule| {
                rule.redirect.replace_key_prefix_with.is_some() && rule.redirect.replace_key_with.is_some()
            };
            if rules.iter().any(both) {
                return Err(refuse(
                    S3ErrorCode::InvalidRequest,
                    "You can only define ReplaceKeyPrefix or ReplaceKey but not both.",
                ));
            }
            Ok(())
        }
    }
}
