//! Cross-origin requests of browsers: preflights, and the headers that let a page read an answer.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html>

use super::State;
use super::bucket::BUCKETS;
use super::error::{Result, refuse, with_details};
use super::settings::CORS;
use http::header::*;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use s3s::S3ErrorCode;
use s3s::dto::{CORSConfiguration, CORSRule};

/// What a browser says of a request from another origin.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    origin: String,
    method: String,
    /// The headers that it wants to send, by lower-case name; those of a preflight.
    headers: Vec<String>,
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

impl Asked {
    /// `None` for a request that no other origin made.
    pub(super) fn of(method: &Method, headers: &HeaderMap) -> Option<Self> {
        let origin = text(headers, ORIGIN)?;
        let wanted = text(headers, ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default();
        Some(Asked {
            origin,
            method: text(headers, ACCESS_CONTROL_REQUEST_METHOD)
                .unwrap_or_else(|| method.as_str().to_owned()),
            headers: wanted
                .split(',')
                .map(|name| name.trim().to_ascii_lowercase())
                .filter(|name| !name.is_empty())
                .collect(),
        })
    }

    fn matches(&self, rule: &CORSRule) -> bool {
        rule.allowed_methods.contains(&self.method)
            && rule.allowed_origins.iter().any(|origin| fits(origin, &self.origin))
            && self.headers.iter().all(|name| {
                let mut allowed = rule.allowed_headers.iter().flatten();
                allowed.any(|allowed| fits(&allowed.to_ascii_lowercase(), name))
            })
    }

    /// What an answer says to the browser, if a rule of the bucket lets it.
    pub(super) fn answer(&self, configuration: &CORSConfiguration) -> Option<HeaderMap> {
        let rule = configuration.cors_rules.iter().find(|rule| self.matches(rule))?;
        let mut answer = HeaderMap::new();
        let mut set = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                answer.insert(name, value);
            }
        };
        // Whoever may come is told so; one of several is told that it is meant, with its credentials.
        if rule.allowed_origins.iter().any(|origin| origin == "*") {
            set(ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        } else {
            set(ACCESS_CONTROL_ALLOW_ORIGIN, &self.origin);
            set(ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
        }
        let methods: Vec<&str> = rule.allowed_methods.iter().map(String::as_str).collect();
        set(ACCESS_CONTROL_ALLOW_METHODS, &methods.join(", "));
        if !self.headers.is_empty() {
            set(ACCESS_CONTROL_ALLOW_HEADERS, &self.headers.join(", "));
        }
        if let Some(exposed) = rule.expose_headers.as_ref().filter(|exposed| !exposed.is_empty()) {
            set(ACCESS_CONTROL_EXPOSE_HEADERS, &exposed.join(", "));
        }
        if let Some(age) = rule.max_age_seconds {
            set(ACCESS_CONTROL_MAX_AGE, &age.to_string());
        }
        set(VARY, "Origin, Access-Control-Request-Headers, Access-Control-Request-Method");
        Some(answer)
    }
}

/// Whether `text` fits `pattern`, in which one `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((front, end)) => {
            text.len() >= front.len() + end.len() && text.starts_with(front) && text.ends_with(end)
        }
    }
}

/// The headers for a request from another origin to `bucket`, if any.
pub(super) fn headers(state: &State, bucket: &str, asked: &Asked) -> Result<Option<HeaderMap>> {
    let configuration = state.store.read(|view| CORS.get(view, bucket))?;
    Ok(configuration.and_then(|configuration| asked.answer(&configuration)))
}

/// What rules can allow.
const METHODS: &[&str] = &["DELETE", "GET", "HEAD", "POST", "PUT"];

/// The answer to a preflight.
pub(super) fn preflight(state: &State, bucket: Option<&str>, headers: &HeaderMap) -> Result<HeaderMap> {
    if headers.get(ORIGIN).is_none_or(HeaderValue::is_empty) {
        return Err(refuse(
            S3ErrorCode::Custom("BadRequest".into()),
            "Insufficient information. Origin request header needed.",
        ));
    }
    let asked = Asked::of(&Method::OPTIONS, headers);
    let method = asked.as_ref().map_or("OPTIONS", |asked| asked.method.as_str()).to_owned();
    let forbidden = |kind: &str, message: &'static str| forbidden(&method, kind, message);
    let not_found = || forbidden("BUCKET", "CORSResponse: Bucket not found");
    let (Some(bucket), Some(asked)) = (bucket, asked) else { return Err(not_found()) };
    let configuration = state.store.read(|view| {
        Ok::<_, super::error::Error>(match view.get(&BUCKETS, bucket)? {
            None => None,
            Some(_) => Some(CORS.get(view, bucket)?),
        })
    })?;
    let configuration = configuration
        .ok_or_else(not_found)?
        .ok_or_else(|| forbidden("BUCKET", "CORSResponse: CORS is not enabled for this bucket."))?;
    let said = headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if !said || !METHODS.contains(&asked.method.as_str()) {
        let method = if said { asked.method.as_str() } else { "null" };
        return Err(refuse(
            S3ErrorCode::Custom("BadRequest".into()),
            format!("Invalid Access-Control-Request-Method: {method}"),
        ));
    }
    asked.answer(&configuration).ok_or_else(|| {
        forbidden(
            "OBJECT",
            "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request \
             method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the \
             resource's CORS spec.",
        )
    })
}

fn forbidden(method: &str, kind: &str, message: &'static str) -> super::error::Error {
    let mut error = with_details(
        S3ErrorCode::Custom("AccessForbidden".into()),
        message,
        &[("Method", method), ("ResourceType", kind)],
    );
    error.set_status_code(http::StatusCode::FORBIDDEN);
    super::error::Error::Refused(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_star_stands_for_anything() {
        for (pattern, text, expected) in [
            ("*", "http://a", true),
            ("http://*.example.com", "http://www.example.com", true),
            ("http://*.example.com", "http://example.com", false),
            ("http://a", "http://a", true),
            ("http://a", "http://b", false),
            ("ab*bc", "abc", false),
            ("x-amz-*", "x-amz-date", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }
}
