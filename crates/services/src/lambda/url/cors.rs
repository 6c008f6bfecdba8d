//! What browsers may do with a function URL: `Cors` of its configuration, acted on by the platform, not the function.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html#urls-cors>

use super::super::validate::Checks;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use wire::{Body, Response};

/// The setting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(in crate::lambda) struct Cors {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allow_credentials: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allow_headers: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allow_methods: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allow_origins: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expose_headers: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_age: Option<i64>,
}

const METHODS: [&str; 7] = ["GET", "PUT", "HEAD", "POST", "PATCH", "DELETE", "*"];

impl Cors {
    /// Whether it says nothing at all: that takes the setting away.
    pub(in crate::lambda) fn is_empty(&self) -> bool {
        *self == Cors::default()
    }

    /// Checks each member.
    pub(in crate::lambda) fn check(&self, checks: &mut Checks) {
        for (member, values, most, longest) in [
            ("cors.allowHeaders", &self.allow_headers, 100, 1024),
            ("cors.exposeHeaders", &self.expose_headers, 100, 1024),
            ("cors.allowOrigins", &self.allow_origins, 100, 253),
            ("cors.allowMethods", &self.allow_methods, 6, 6),
        ] {
            let Some(values) = values else { continue };
            let shown = format!("[{}]", values.join(", "));
            let constraint = format!("Member must have length less than or equal to {most}");
            checks.holds(member, &shown, values.len() <= most, &constraint);
            for value in values {
                checks.length(member, value, 1, longest);
                // What goes into a header cannot end it.
                checks.pattern(member, value, ".*", HeaderValue::from_str(value).is_ok());
                if member == "cors.allowMethods" {
                    checks.one_of(member, value, &METHODS);
                }
            }
        }
        if let Some(age) = self.max_age {
            checks.range("cors.maxAge", age, 0, 86_400);
        }
    }

    /// The answer to a browser that asks first, if the request is that.
    pub(super) fn preflight(&self, method: &Method, asked: &HeaderMap) -> Option<Response> {
        let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
        if method != Method::OPTIONS {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::OK;
        let headers = response.headers_mut();
        if !self.allow_origin(asked, headers) {
            return Some(response);
        }
        let has = |list: &Option<Vec<String>>, value: &str| {
            list.iter().flatten().any(|one| one == "*" || one.eq_ignore_ascii_case(value))
        };
        if has(&self.allow_methods, wanted.to_str().unwrap_or_default()) {
            let allowed = |method: &&str| has(&self.allow_methods, method);
            let all: Vec<&str> = METHODS[..6].iter().copied().filter(allowed).collect();
            set(headers, header::ACCESS_CONTROL_ALLOW_METHODS, &all.join(","));
        }
        if let Some(wanted) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).and_then(|v| v.to_str().ok())
        {
            let allowed: Vec<&str> =
                wanted.split(',').map(str::trim).filter(|name| has(&self.allow_headers, name)).collect();
            if !allowed.is_empty() {
                set(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, &allowed.join(","));
            }
        }
        if let Some(age) = self.max_age {
            set(headers, header::ACCESS_CONTROL_MAX_AGE, &age.to_string());
        }
        Some(response)
    }

    /// Adds to the answer to a request with the headers `asked` what a browser needs; what the function says of it
    /// does not count.
    pub(super) fn add(&self, asked: &HeaderMap, headers: &mut HeaderMap) {
        for name in [
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
        ] {
            headers.remove(name);
        }
        if self.allow_origin(asked, headers)
            && let Some(exposed) = self.expose_headers.as_ref().filter(|exposed| !exposed.is_empty())
        {
            set(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, &exposed.join(","));
        }
    }

    /// Tells the browser whether its page may read the answer; says so too.
    fn allow_origin(&self, asked: &HeaderMap, headers: &mut HeaderMap) -> bool {
        let Some(origin) = asked.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()) else {
            return false;
        };
        let allowed = self.allow_origins.iter().flatten();
        let Some(rule) = allowed.into_iter().find(|rule| *rule == "*" || rule.eq_ignore_ascii_case(origin))
        else {
            return false;
        };
        let credentials = self.allow_credentials == Some(true);
        let shown = if rule == "*" && !credentials { "*" } else { origin };
        set(headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, shown);
        if shown != "*" {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if credentials {
            set(headers, header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
        }
        true
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cors(value: serde_json::Value) -> Cors {
        serde_json::from_value(value).unwrap()
    }

    fn asked(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_browser_that_asks_first_is_answered() {
        let cors = cors(json!({
            "AllowOrigins": ["https://a.example"], "AllowMethods": ["GET", "POST"], "AllowHeaders": ["X-Key"],
            "AllowCredentials": true, "MaxAge": 60,
        }));
        let preflight = |origin, method| {
            let asked = asked(&[
                ("origin", origin),
                ("access-control-request-method", method),
                ("access-control-request-headers", "x-key, x-other"),
            ]);
            cors.preflight(&Method::OPTIONS, &asked).unwrap().into_parts().0.headers
        };
        let headers = preflight("https://a.example", "POST");
        for (name, value) in [
            ("access-control-allow-origin", "https://a.example"),
            ("access-control-allow-methods", "GET,POST"),
            ("access-control-allow-headers", "x-key"),
            ("access-control-allow-credentials", "true"),
            ("access-control-max-age", "60"),
        ] {
            assert_eq!(headers[name], value, "{name}");
        }
        assert!(!preflight("https://a.example", "PUT").contains_key("access-control-allow-methods"));
        assert!(preflight("https://b.example", "POST").is_empty());
        let plain = asked(&[("origin", "https://a.example")]);
        assert!(cors.preflight(&Method::OPTIONS, &plain).is_none());
    }

    #[test]
    fn what_the_function_says_does_not_count() {
        let cors = cors(json!({"AllowOrigins": ["*"], "ExposeHeaders": ["x-total"]}));
        let mut headers = asked(&[("access-control-allow-origin", "https://other.example")]);
        cors.add(&asked(&[("origin", "https://a.example")]), &mut headers);
        assert_eq!(headers["access-control-allow-origin"], "*");
        assert_eq!(headers["access-control-expose-headers"], "x-total");
        cors.add(&HeaderMap::new(), &mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn members_are_checked() {
        for (value, part) in [
            (json!({"AllowMethods": ["FETCH"]}), "cors.allowMethods"),
            (json!({"MaxAge": 86_401}), "86400"),
            (json!({"AllowOrigins": ["a\nb"]}), "cors.allowOrigins"),
        ] {
            let mut checks = Checks::default();
            cors(value).check(&mut checks);
            assert!(checks.finish().unwrap_err().message.contains(part), "{part}");
        }
    }
}
