//! `GetBucketCors`, `PutBucketCors` and `DeleteBucketCors`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketCors.html>

use super::State;
use super::error::{Result, refuse};
use super::parameters::check_query;
use super::request::Context;
use super::settings::CORS;
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response};

const METHODS: &[&str] = &["GET", "PUT", "HEAD", "POST", "DELETE"];

/// The most rules of one bucket.
const MOST: usize = 100;

pub(super) async fn get(
    state: &State,
    _context: &Context,
    request: S3Request<GetBucketCorsInput>,
) -> Result<S3Response<GetBucketCorsOutput>> {
    let cors = state.store.read(|view| CORS.find(view, &request.input.bucket))?;
    Ok(S3Response::new(GetBucketCorsOutput { cors_rules: Some(cors.cors_rules) }))
}

pub(super) async fn put(
    state: &State,
    _context: &Context,
    request: S3Request<PutBucketCorsInput>,
) -> Result<S3Response<PutBucketCorsOutput>> {
    check_query(&request.uri, &["cors"])?;
    let input = request.input;
    check(&input.cors_configuration)?;
    state.store.write(move |tx| CORS.put(tx, &input.bucket, &input.cors_configuration)).await?;
    Ok(S3Response::new(PutBucketCorsOutput {}))
}

pub(super) async fn delete(
    state: &State,
    _context: &Context,
    request: S3Request<DeleteBucketCorsInput>,
) -> Result<S3Response<DeleteBucketCorsOutput>> {
    check_query(&request.uri, &["cors"])?;
    state.store.write(move |tx| CORS.delete(tx, &request.input.bucket)).await?;
    Ok(S3Response::new(DeleteBucketCorsOutput {}))
}

fn check(configuration: &CORSConfiguration) -> Result<()> {
    let rules = &configuration.cors_rules;
    if rules.is_empty() || rules.len() > MOST {
        return Err(refuse(
            S3ErrorCode::MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema",
        ));
    }
    for rule in rules {
        if rule.allowed_methods.is_empty() || rule.allowed_origins.is_empty() {
            return Err(refuse(
                S3ErrorCode::MalformedXML,
                "The XML you provided was not well-formed or did not validate against our published schema",
            ));
        }
        if let Some(method) = rule.allowed_methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
            return Err(refuse(
                S3ErrorCode::InvalidRequest,
                format!("Found unsupported HTTP method in CORS config. Unsupported method is {method}"),
            ));
        }
        let names = rule.allowed_headers.iter().flatten().map(|name| ("AllowedHeader", name));
        let exposed = rule.expose_headers.iter().flatten().map(|name| ("ExposeHeader", name));
        if let Some((what, name)) = names.chain(exposed).find(|(_, name)| !is_header(name)) {
            return Err(refuse(
                S3ErrorCode::InvalidRequest,
                format!("{what} \"{name}\" contains invalid character."),
            ));
        }
        let headers = rule.allowed_headers.iter().flatten();
        for (what, text) in rule
            .allowed_origins
            .iter()
            .map(|o| ("AllowedOrigin", o))
            .chain(headers.map(|h| ("AllowedHeader", h)))
        {
            if text.matches('*').count() > 1 {
                return Err(refuse(
                    S3ErrorCode::InvalidRequest,
                    format!("{what} \"{text}\" can not have more than one wildcard."),
                ));
            }
        }
        if let Some(header) = rule.expose_headers.iter().flatten().find(|header| header.contains('*')) {
            return Err(refuse(
                S3ErrorCode::InvalidRequest,
                format!(
                    "ExposeHeader \"{header}\" contains wildcard. We currently do not support wildcard for ExposeHeader"
                ),
            ));
        }
    }
    Ok(())
}

/// Whether this is the name of a header, in which `*` stands for anything.
fn is_header(name: &str) -> bool {
    http::HeaderName::from_bytes(name.replace('*', "x").as_bytes()).is_ok()
}
