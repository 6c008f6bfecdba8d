//! An answer on its way out: every one carries its ids, and every error says which request it was and what to do.

use super::access::LONGEST_KEY;
use super::error::{DETAIL, chain, internal};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use http::{HeaderValue, Method, StatusCode};
use model::RequestId;
use s3s::{HttpError, HttpResponse, S3Error, S3ErrorCode};
use wire::credential::query_pairs;
use wire::{Body, Fault, Request, Response};

/// What an answer must know of its request.
pub(super) struct Head {
    id: RequestId,
    method: Method,
    /// The resource in path style.
    path: String,
    /// It asks for attributes, whose ETag stands without quotes.
    bare_etag: bool,
    /// The range that it asks for.
    range: Option<String>,
    /// The first of its conditions.
    condition: Option<&'static str>,
    /// The upload and the version that it names, and the digest that it claims.
    upload: Option<String>,
    version: Option<String>,
    md5: Option<String>,
}

/// Conditions as errors name them, in the order in which they are looked at.
const CONDITIONS: &[&str] = &[
    "If-Match",
    "If-None-Match",
    "If-Unmodified-Since",
    "x-amz-copy-source-If-Match",
    "x-amz-copy-source-If-None-Match",
    "x-amz-copy-source-If-Unmodified-Since",
    "x-amz-copy-source-If-Modified-Since",
];

impl Head {
    /// That of `request`, which is about the resource `path`: `/BUCKET/KEY`.
    pub(super) fn of(request: &Request, path: String) -> Self {
        let header = |name: &str| {
            let value = request.head.headers.get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let parameter = |wanted: &str| {
            let mut pairs = query_pairs(request.head.uri.query()?);
            pairs.find(|(name, _)| name == wanted).map(|(_, value)| value)
        };
        Head {
            id: request.id,
            method: request.head.method.clone(),
            path,
            bare_etag: is_attributes(&request.head.uri),
            range: header(RANGE.as_str()),
            condition: CONDITIONS.iter().copied().find(|name| request.head.headers.contains_key(*name)),
            upload: parameter("uploadId"),
            version: parameter("versionId"),
            md5: header("content-md5"),
        }
    }
}

fn is_attributes(uri: &http::Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|pair| pair.split('=').next() == Some("attributes")))
}

/// The status of an answer that is not the one that `s3s` gives it.
#[derive(Clone, Copy)]
pub(super) struct Status(pub(super) StatusCode);

/// The second id of a request, as S3 sends one. Here it says the same in another form.
pub(super) fn host_id(id: RequestId) -> String {
    STANDARD.encode(id.0.as_bytes())
}

/// A fault from before a request reached its service, as S3's clients read it.
pub fn fault_response(id: RequestId, fault: &Fault) -> Response {
    // What other services call an incomplete signature has a name of its own here.
    let (code, message) = match fault.code.as_ref() {
        "IncompleteSignatureException" if fault.message.contains("KEY:SIGNATURE") => (
            "InvalidArgument",
            "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature".into(),
        ),
        "IncompleteSignatureException" if fault.message.contains("has no Credential") => (
            "AuthorizationHeaderMalformed",
            "The authorization header is malformed; missing Credential.".into(),
        ),
        "IncompleteSignatureException" => (
            "AuthorizationHeaderMalformed",
            "The authorization header is malformed; the Credential is mal-formed; expecting \
             \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\"."
                .into(),
        ),
        other => (other, fault.message.clone()),
    };
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(fault.status);
    refuse(
        &Head {
            id,
            method: Method::GET,
            path: "/".to_owned(),
            bare_etag: false,
            range: None,
            condition: None,
            upload: None,
            version: None,
            md5: None,
        },
        error,
    )
}

/// The answer to a request that was refused.
pub(super) fn refuse(head: &Head, refusal: S3Error) -> Response {
    finish(head, refusal.to_http_response().map_err(|error| HttpError::new(Box::new(error))))
}

/// Completes what `s3s` answered.
pub(super) fn finish(head: &Head, answer: Result<HttpResponse, HttpError>) -> Response {
    let (mut parts, body) = match answer {
        Ok(answer) => answer.into_parts(),
        Err(error) => {
            let cause: s3s::StdError = error.into();
            tracing::error!(id = %head.id, error = chain(&*cause), "an S3 answer could not be made");
            match internal(head.id).to_http_response() {
                Ok(answer) => answer.into_parts(),
                Err(_) => {
                    let mut bare = HttpResponse::new(s3s::Body::empty());
                    *bare.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    bare.into_parts()
                }
            }
        }
    };
    let failed = parts.status.is_client_error() || parts.status.is_server_error();
    let body = match body.bytes() {
        Some(document) if failed => {
            let details: Vec<String> = parts
                .headers
                .get_all(DETAIL)
                .iter()
                .map(|detail| String::from_utf8_lossy(detail.as_bytes()).into_owned())
                .collect();
            let document = complete_error(head, parts.status, &document, &details);
            parts.headers.remove(DETAIL);
            parts.headers.remove(CONTENT_LENGTH);
            Body::from(bytes::Bytes::from(document))
        }
        Some(document) if head.bare_etag => {
            let document = String::from_utf8_lossy(&document)
                .replace("<ETag>&quot;", "<ETag>")
                .replace("&quot;</ETag>", "</ETag>")
                .replace("<ETag>\"", "<ETag>")
                .replace("\"</ETag>", "</ETag>");
            parts.headers.remove(CONTENT_LENGTH);
            Body::from(bytes::Bytes::from(document))
        }
        Some(document) => Body::from(document),
        None => Body::stream(body),
    };
    if let Some(Status(status)) = parts.extensions.get() {
        parts.status = *status;
    }
    if parts.status == StatusCode::OK && parts.headers.contains_key(CONTENT_RANGE) {
        parts.status = StatusCode::PARTIAL_CONTENT;
    }
    // The headers of such an answer describe a body that does not come.
    let bodiless = head.method == Method::HEAD || parts.status == StatusCode::NOT_MODIFIED;
    with_ids(head, Response::from_parts(parts, if bodiless { Body::empty() } else { body }))
}

/// Adds the ids that every answer carries.
pub(super) fn with_ids(head: &Head, mut answer: Response) -> Response {
    for (name, value) in [("x-amz-request-id", head.id.to_string()), ("x-amz-id-2", host_id(head.id))] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

/// Adds to an error document what `s3s` leaves out: which resource and request, and a message where there is none.
fn complete_error(head: &Head, status: StatusCode, document: &[u8], details: &[String]) -> String {
    const END: &str = "</Error>";
    let text = String::from_utf8_lossy(document);
    let Some(start) = text.strip_suffix(END) else { return text.into_owned() };
    let unknown = format!("Mayfly does not know the operation {} {}.", head.method, head.path);
    let mut text = start.replace("<Message>Unknown operation</Message>", &element("Message", &unknown));
    let code =
        text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
    let code = code.unwrap_or_default().to_owned();
    if !text.contains("<Message>") {
        text.push_str(&element("Message", message_of(&code, status)));
    }
    let details: Vec<(&str, &str)> = details.iter().filter_map(|detail| detail.split_once('=')).collect();
    for (name, value) in &details {
        text.push_str(&element(name, value));
    }
    for (name, value) in elements_of(head, &code) {
        if !details.iter().any(|(known, _)| *known == name) {
            text.push_str(&element(name, &value));
        }
    }
    text.push_str(&element("RequestId", &head.id.to_string()));
    text.push_str(&element("HostId", &host_id(head.id)));
    text.push_str(END);
    text
}

/// What an error is about, as S3 names it: what is known of the request alone.
fn elements_of(head: &Head, code: &str) -> Vec<(&'static str, String)> {
    let (bucket, key) = head.path.trim_start_matches('/').split_once('/').unwrap_or((&head.path, ""));
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (bucket, key) = (decoded(bucket.trim_matches('/')), decoded(key));
    let condition = head.condition.map(|condition| ("Condition", condition.to_owned()));
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut elements = match code {
        "InvalidRange" => vec![("RangeRequested", text(&head.range))],
        "PreconditionFailed" => condition.into_iter().collect(),
        "ConditionalRequestConflict" => condition.into_iter().chain([("Key", key)]).collect(),
        "NoSuchKey" => vec![("Key", key)],
        "NoSuchVersion" => vec![("Key", key), ("VersionId", text(&head.version))],
        "NoSuchUpload" | "InvalidPart" | "InvalidPartOrder" => vec![("UploadId", text(&head.upload))],
        "KeyTooLongError" => {
            vec![("Size", key.len().to_string()), ("MaxSizeAllowed", LONGEST_KEY.to_string())]
        }
        "InvalidDigest" => vec![("Content-MD5", text(&head.md5))],
        "MethodNotAllowed" => {
            let kind = match (bucket.as_str(), key.as_str()) {
                ("", _) => "SERVICE",
                (_, "") => "BUCKET",
                _ => "OBJECT",
            };
            vec![("Method", head.method.to_string()), ("ResourceType", kind.to_owned())]
        }
        _ if ABOUT_BUCKETS.contains(&code) => vec![("BucketName", bucket)],
        _ => Vec::new(),
    };
    elements.push(("Resource", head.path.clone()));
    elements
}

/// Errors that name the bucket.
const ABOUT_BUCKETS: &[&str] = &[
    "BucketAlreadyExists",
    "BucketAlreadyOwnedByYou",
    "BucketNotEmpty",
    "InvalidBucketName",
    "NoSuchBucket",
    "NoSuchBucketPolicy",
    "NoSuchCORSConfiguration",
    "NoSuchLifecycleConfiguration",
    "NoSuchPublicAccessBlockConfiguration",
    "NoSuchTagSet",
    "NoSuchWebsiteConfiguration",
    "ObjectLockConfigurationNotFoundError",
    "OwnershipControlsNotFoundError",
    "ReplicationConfigurationNotFoundError",
    "ServerSideEncryptionConfigurationNotFoundError",
];

/// Texts for the errors that `s3s` finds by itself and says nothing about.
fn message_of(code: &str, status: StatusCode) -> &'static str {
    match code {
        "InvalidBucketName" => "The specified bucket is not valid.",
        "InvalidURI" => "Couldn't parse the specified URI.",
        "KeyTooLongError" => "Your key is too long",
        "MalformedXML" => {
            "The XML you provided was not well-formed or did not validate against our published schema"
        }
        "MaxMessageLengthExceeded" => "Your request was too big.",
        "MissingContentLength" => "You must provide the Content-Length HTTP header.",
        "MissingRequestBodyError" => "Request body is empty.",
        "IncompleteBody" => {
            "You did not provide the number of bytes specified by the Content-Length HTTP header."
        }
        "MethodNotAllowed" => "The specified method is not allowed against this resource.",
        _ => status.canonical_reason().unwrap_or("The request failed."),
    }
}

fn element(name: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    // Other control characters cannot stand in XML at all.
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    format!("<{name}>{text}</{name}>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fault_is_told_in_xml() {
        let id = RequestId::new(model::Timestamp(0));
        let answer = fault_response(id, &Fault::new("AccessDenied", 403, "Request has <expired>"));
        assert_eq!(answer.status(), 403);
        assert_eq!(answer.headers()["x-amz-request-id"], id.to_string().as_str());
        let document = answer.into_body().read(1_000).await.unwrap();
        let document = String::from_utf8_lossy(&document);
        let error = "<Error><Code>AccessDenied</Code><Message>Request has &lt;expired&gt;</Message>";
        assert!(document.contains(error), "{document}");
        assert!(document.contains(&format!("<RequestId>{id}</RequestId>")), "{document}");
    }
}
