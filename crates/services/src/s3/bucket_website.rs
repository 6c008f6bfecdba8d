//! `GetBucketWebsite`, `PutBucketWebsite` and `DeleteBucketWebsite`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketWebsite.html>

use super::State;
use super::error::{Error, Result, detailed, refuse};
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
        routing_rules: website.routing_rules.filter(|rules| !rules.is_empty()),
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

fn invalid(name: &str, value: &str, message: &'static str) -> Error {
    detailed(S3ErrorCode::InvalidArgument, message, &[("ArgumentName", name), ("ArgumentValue", value)])
}

fn malformed() -> Error {
    refuse(
        S3ErrorCode::MalformedXML,
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
}

fn check(website: &WebsiteConfiguration) -> Result<()> {
    let rules = website.routing_rules.as_deref().unwrap_or_default();
    match (&website.redirect_all_requests_to, &website.index_document) {
        (Some(to), None) if website.error_document.is_none() && rules.is_empty() => {
            check_protocol(to.protocol.as_ref())
        }
        (Some(_), _) => Err(invalid(
            "RedirectAllRequestsTo",
            "not null",
            "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.",
        )),
        (None, None) => Err(invalid(
            "IndexDocument",
            "null",
            "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty",
        )),
        (None, Some(index)) if index.suffix.is_empty() || index.suffix.contains('/') => {
            Err(invalid("IndexDocument", &index.suffix, "The IndexDocument Suffix is not well formed"))
        }
        (None, Some(_)) if website.routing_rules.as_ref().is_some_and(Vec::is_empty) => Err(malformed()),
        (None, Some(_)) if rules.len() > MOST => Err(refuse(
            S3ErrorCode::InvalidRequest,
            format!(
                "{} routing rules provided, the number of routing rules in a website configuration is limited to {MOST}.",
                rules.len()
            ),
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
            rules.iter().try_for_each(check_rule)?;
            match &website.error_document {
                Some(page) if page.key.is_empty() => {
                    Err(invalid("ErrorDocument", "", "The ErrorDocument Key is not well formed"))
                }
                _ => Ok(()),
            }
        }
    }
}

/// Refuses a rule that says nothing, or what no browser can follow.
fn check_rule(rule: &RoutingRule) -> Result<()> {
    let wrong = |message: String| Err(refuse(S3ErrorCode::InvalidRequest, message));
    if let Some(condition) = &rule.condition {
        match &condition.http_error_code_returned_equals {
            None if condition.key_prefix_equals.is_none() => {
                return wrong(
                    "Condition cannot be empty. To redirect all requests without a condition, the condition element \
                     shouldn't be present."
                        .to_owned(),
                );
            }
            Some(code) if !code.parse::<u16>().is_ok_and(|code| (400..600).contains(&code)) => {
                return wrong(format!(
                    "The provided HTTP error code ({code}) is not valid. Valid codes are 4XX or 5XX."
                ));
            }
            _ => {}
        }
    }
    let redirect = &rule.redirect;
    if *redirect == Redirect::default() {
        return Err(malformed());
    }
    if let Some(code) = &redirect.http_redirect_code
        && !code.parse::<u16>().is_ok_and(|code| (301..400).contains(&code))
    {
        return wrong(format!(
            "The provided HTTP redirect code ({code}) is not valid. Valid codes are 3XX except 300."
        ));
    }
    check_protocol(redirect.protocol.as_ref())
}

fn check_protocol(protocol: Option<&Protocol>) -> Result<()> {
    match protocol.map(Protocol::as_str) {
        None | Some("http" | "https") => Ok(()),
        Some(_) => Err(refuse(
            S3ErrorCode::InvalidRequest,
            "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically.",
        )),
    }
}
