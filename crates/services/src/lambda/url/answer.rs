//! The HTTP response that a function's answer becomes.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads> (response payload
//! format).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use wire::{Body, Response};

/// A function's answer in its full form.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    #[serde(default)]
    headers: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// The response for what the function returned, or what is wrong with it.
pub(super) fn response(payload: &Bytes) -> Result<Response, String> {
    let value: Value = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
    if value.get("statusCode").is_none() {
        // Lambda infers the rest: the whole answer is the body, a text as it is and anything else as compact JSON.
        let body = match value {
            Value::String(text) => Bytes::from(text),
            _ => compact(payload),
        };
        let mut response = Response::new(Body::from(body));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return Ok(response);
    }
    let answer: Answer = serde_json::from_value(value).map_err(|error| error.to_string())?;
    let body = match answer.body {
        None | Some(Value::Null) => Bytes::new(),
        Some(Value::String(text)) if answer.is_base64_encoded => {
            BASE64_STANDARD.decode(&text).map(Bytes::from).map_err(|error| format!("body: {error}"))?
        }
        Some(Value::String(text)) => Bytes::from(text),
        Some(other) => Bytes::from(other.to_string()),
    };
    let mut response = Response::new(Body::from(body));
    set_head(
        &mut response,
        Head { status_code: answer.status_code, headers: answer.headers, cookies: answer.cookies },
    )?;
    Ok(response)
}

/// JSON without the white space between its tokens; all else stays as it was written.
fn compact(json: &[u8]) -> Bytes {
    let (mut in_text, mut escaped) = (false, false);
    let kept = json.iter().copied().filter(|byte| {
        let plain = !in_text;
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            _ => {}
        }
        !(plain && byte.is_ascii_whitespace())
    });
    kept.collect()
}

/// Status and headers as a function gives them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head {
    #[serde(default = "ok")]
    status_code: u16,
    #[serde(default)]
    headers: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
}

fn ok() -> u16 {
    200
}

/// Gives `response` its status and headers, or says what is wrong with them.
pub(super) fn set_head(response: &mut Response, head: Head) -> Result<(), String> {
    *response.status_mut() = StatusCode::from_u16(head.status_code)
        .ok()
        .filter(|status| status.as_u16() >= 200)
        .ok_or_else(|| format!("statusCode {} is none", head.status_code))?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in head.headers.unwrap_or_default() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("header name {name:?}"))?;
        let text = match value {
            Value::String(text) => text,
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => return Err(format!("header {name} is neither text nor a number")),
        };
        if !connection_level(&name) {
            headers.insert(name.clone(), header_value(&text).ok_or_else(|| format!("header {name}"))?);
        }
    }
    for cookie in head.cookies.unwrap_or_default() {
        headers.append(SET_COOKIE, header_value(&cookie).ok_or("a cookie with a control character")?);
    }
    Ok(())
}

fn header_value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_bytes(text.as_bytes()).ok()
}

/// Headers that speak of the connection, which is the server's own.
fn connection_level(name: &HeaderName) -> bool {
    ["connection", "content-length", "keep-alive", "transfer-encoding", "upgrade", "trailer"]
        .contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn answer_of(value: Value) -> Result<(u16, Vec<(String, String)>, Bytes), String> {
        let response = response(&Bytes::from(value.to_string()))?;
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        Ok((response.status().as_u16(), headers, response.into_body().read(1000).await.unwrap()))
    }

    #[tokio::test]
    async fn a_full_answer_sets_everything() {
        let answer = json!({
            "statusCode": 201,
            "headers": {"content-type": "image/png", "X-Number": 7, "Content-Length": "99"},
            "cookies": ["a=1", "b=2; Secure"],
            "body": "YWJj",
            "isBase64Encoded": true,
        });
        let (status, headers, body) = answer_of(answer).await.unwrap();
        assert_eq!((status, &body[..]), (201, &b"abc"[..]));
        let has = |name: &str, value: &str| headers.contains(&(name.to_owned(), value.to_owned()));
        assert!(has("content-type", "image/png") && has("x-number", "7"));
        assert!(has("set-cookie", "a=1") && has("set-cookie", "b=2; Secure"));
        assert!(!headers.iter().any(|(name, _)| name == "content-length"));
    }

    #[tokio::test]
    async fn a_bare_answer_is_the_body() {
        assert_eq!(answer_of(json!("hello \"you\"")).await.unwrap().2, "hello \"you\"");
        assert_eq!(
            compact(br#" { "b" : [ 1 , "a \" b\\" ] , "a" : null } "#),
            r#"{"b":[1,"a \" b\\"],"a":null}"#
        );
        let (status, headers, body) = answer_of(json!({"a": 1})).await.unwrap();
        assert_eq!((status, &body[..]), (200, &b"{\"a\":1}"[..]));
        assert_eq!(headers, [("content-type".to_owned(), "application/json".to_owned())]);
    }

    #[tokio::test]
    async fn what_is_no_response_is_refused() {
        for answer in [
            json!({"statusCode": 99}),
            json!({"statusCode": "two hundred"}),
            json!({"statusCode": 200, "headers": {"a b": "c"}}),
            json!({"statusCode": 200, "headers": {"a": "c\nd"}}),
            json!({"statusCode": 200, "body": "?", "isBase64Encoded": true}),
        ] {
            assert!(answer_of(answer.clone()).await.is_err(), "{answer}");
        }
    }
}
