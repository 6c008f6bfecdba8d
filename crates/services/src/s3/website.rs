//! Websites: a bucket's objects as pages, at `BUCKET.s3-website.localhost` or `BUCKET.s3-website-REGION.localhost`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/WebsiteHosting.html>

use super::authorize::{self, Deed};
use super::encoding::encode_key;
use super::error::{Error, Result};
use super::policy_action::PAGE;
use super::policy_condition::Asked;
use super::settings::WEBSITE;
use super::{S3, description::REDIRECT};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use model::RequestId;
use percent_encoding::percent_decode_str;
use s3s::dto::{RedirectAllRequestsTo, RoutingRule, WebsiteConfiguration};
use wire::{Body, Response};

/// The bucket whose website a host name is.
pub(super) fn bucket_of(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    let (bucket, rest) = name.split_once(".s3-website")?;
    (!bucket.is_empty() && (rest.starts_with('.') || rest.starts_with('-'))).then_some(bucket)
}

/// Where a visitor is sent.
struct Elsewhere {
    status: StatusCode,
    to: String,
}

impl S3 {
    /// Serves a page of the website of `bucket`.
    pub(super) async fn page(
        &self,
        id: RequestId,
        method: &Method,
        bucket: &str,
        path: &str,
        headers: &HeaderMap,
    ) -> Response {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return plain(
                StatusCode::METHOD_NOT_ALLOWED,
                "MethodNotAllowed",
                "The specified method is not allowed.",
            );
        }
        let website = match self.state.store.read(|view| WEBSITE.find(view, bucket)) {
            Ok(website) => website,
            Err(Error::Refused(refusal)) => {
                return plain(
                    StatusCode::NOT_FOUND,
                    refusal.code().as_str(),
                    refusal.message().unwrap_or_default(),
                );
            }
            Err(error) => {
                let answer = error.answer("GetObject", id);
                return plain(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    answer.code().as_str(),
                    answer.message().unwrap_or_default(),
                );
            }
        };
        let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
        let key = percent_decode_str(path.trim_start_matches('/')).decode_utf8_lossy().into_owned();
        if let Some(all) = &website.redirect_all_requests_to {
            return moved(&everything_to(all, path));
        }
        let rules = website.routing_rules.as_deref().unwrap_or_default();
        if let Some(elsewhere) = routed(rules, &key, None, host) {
            return moved(&elsewhere);
        }
        let index = website.index_document.as_ref().map_or("index.html", |index| index.suffix.as_str());
        let wanted = if key.is_empty() || key.ends_with('/') { format!("{key}{index}") } else { key.clone() };
        let answer = self.look_up(id, method, bucket, &wanted, headers).await;
        let failed = match answer {
            Ok(answer) => return redirected(answer),
            Err(failed) => failed,
        };
        if failed == StatusCode::NOT_FOUND && wanted == key {
            let page = format!("{key}/{index}");
            if self.look_up(id, &Method::HEAD, bucket, &page, headers).await.is_ok() {
                let to = format!("/{}/", encode_key(&key).replace('+', "%20"));
                return moved(&Elsewhere { status: StatusCode::FOUND, to });
            }
        }
        if let Some(elsewhere) = routed(rules, &key, Some(failed), host) {
            return moved(&elsewhere);
        }
        self.failure(id, method, bucket, &website, failed).await
    }

    /// The answer to a read of an object by anybody, or its failure.
    async fn look_up(
        &self,
        id: RequestId,
        method: &Method,
        bucket: &str,
        key: &str,
        headers: &HeaderMap,
    ) -> std::result::Result<Response, StatusCode> {
        let asked = Asked { headers: Some(headers), now: self.state.store.now(), ..Asked::default() };
        let deed = Deed { operation: PAGE, bucket, key: Some(key), version: None };
        let may: Result<()> = self.state.store.read(|view| authorize::check(view, deed, &asked));
        if may.is_err() {
            return Err(StatusCode::FORBIDDEN);
        }
        let answer = self.read_internally(id, method, bucket, key, headers).await;
        let status = answer.status();
        if status.is_client_error() || status.is_server_error() { Err(status) } else { Ok(answer) }
    }

    async fn failure(
        &self,
        id: RequestId,
        method: &Method,
        bucket: &str,
        website: &WebsiteConfiguration,
        status: StatusCode,
    ) -> Response {
        if let Some(document) = &website.error_document
            && let Ok(mut answer) = self.look_up(id, method, bucket, &document.key, &HeaderMap::new()).await
        {
            *answer.status_mut() = status;
            return answer;
        }
        match status {
            StatusCode::FORBIDDEN => plain(status, "AccessDenied", "Access Denied"),
            StatusCode::NOT_FOUND => plain(status, "NoSuchKey", "The specified key does not exist."),
            other => plain(other, "Error", other.canonical_reason().unwrap_or_default()),
        }
    }
}

fn everything_to(all: &RedirectAllRequestsTo, path: &str) -> Elsewhere {
    let protocol = all.protocol.as_ref().map_or("http", |protocol| protocol.as_str());
    Elsewhere { status: StatusCode::MOVED_PERMANENTLY, to: format!("{protocol}://{}{path}", all.host_name) }
}

/// Where a routing rule sends a visitor who asked for `key`, or whose request failed.
fn routed(rules: &[RoutingRule], key: &str, failed: Option<StatusCode>, host: &str) -> Option<Elsewhere> {
    let rule = rules.iter().find(|rule| {
        let condition = rule.condition.clone().unwrap_or_default();
        let code = condition.http_error_code_returned_equals;
        let by_code = match (&code, failed) {
            (None, None) => true,
            (Some(code), Some(status)) => code == status.as_str(),
            _ => false,
        };
        by_code && condition.key_prefix_equals.is_none_or(|prefix| key.starts_with(&prefix))
    })?;
    let redirect = &rule.redirect;
    let prefix = rule.condition.as_ref().and_then(|c| c.key_prefix_equals.as_deref()).unwrap_or_default();
    let key = match (&redirect.replace_key_with, &redirect.replace_key_prefix_with) {
        (Some(key), _) => key.clone(),
        (None, Some(with)) => format!("{with}{}", key.strip_prefix(prefix).unwrap_or(key)),
        (None, None) => key.to_owned(),
    };
    let code = redirect.http_redirect_code.as_deref().and_then(|code| code.parse::<u16>().ok());
    let status = code.and_then(|code| StatusCode::from_u16(code).ok()).filter(StatusCode::is_redirection);
    let protocol = redirect.protocol.as_ref().map_or("http", |protocol| protocol.as_str());
    let host = redirect.host_name.as_deref().unwrap_or(host);
    let path = encode_key(&key).replace('+', "%20");
    Some(Elsewhere {
        status: status.unwrap_or(StatusCode::MOVED_PERMANENTLY),
        to: format!("{protocol}://{host}/{path}"),
    })
}

fn moved(elsewhere: &Elsewhere) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = elsewhere.status;
    if let Ok(to) = HeaderValue::from_str(&elsewhere.to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

/// An object may say that its visitors are sent elsewhere.
fn redirected(answer: Response) -> Response {
    match answer.headers().get(REDIRECT).and_then(|to| to.to_str().ok()) {
        Some(to) => moved(&Elsewhere { status: StatusCode::MOVED_PERMANENTLY, to: to.to_owned() }),
        None => answer,
    }
}

fn plain(status: StatusCode, code: &str, message: &str) -> Response {
    let title = format!("{} {}", status.as_str(), status.canonical_reason().unwrap_or_default());
    let text = |value: &str| value.replace('&', "&amp;").replace('<', "&lt;");
    let page = format!(
        "<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n<ul>\n<li>Code: {}</li>\n\
         <li>Message: {}</li>\n</ul>\n<hr/>\n</body>\n</html>\n",
        text(code),
        text(message)
    );
    let mut response = Response::new(Body::from(bytes::Bytes::from(page)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}
