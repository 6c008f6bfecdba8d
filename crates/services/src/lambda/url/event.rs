//! The event that an HTTP request to a function URL becomes: payload format 2.0.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads>

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, COOKIE, HOST, USER_AGENT};
use http::request::Parts;
use model::{Lineage, RequestId, Timestamp};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use wire::credential::query_pairs;

/// Where requests come from, as far as functions are told.
const SOURCE: &str = "127.0.0.1";

const CLF_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");

/// The event for a request with `head` and `body` to the URL `url_id`. The first `base` bytes of the path belong
/// to the platform; the function does not see them. `caller` is the access key and the account of whoever signed, where
/// that is asked for.
pub(super) fn event(
    head: &Parts,
    body: &Bytes,
    url_id: &str,
    base: usize,
    id: RequestId,
    now: Timestamp,
    caller: Option<&(String, String)>,
) -> Bytes {
    let mut headers = joined_headers(head);
    add_forwarded(&mut headers, id);
    let path = match head.uri.path().get(base..) {
        Some(path) if path.starts_with('/') => path,
        _ => "/",
    };
    let query = head.uri.query().unwrap_or_default();
    let host = headers.get(HOST.as_str()).cloned().unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": url_id,
            "domainName": host,
            "domainPrefix": host.split('.').next().unwrap_or_default(),
            "http": {
                "method": head.method.as_str(),
                "path": percent_decode_str(path).decode_utf8_lossy(),
                "protocol": format!("{:?}", head.version),
                "sourceIp": SOURCE,
                "userAgent": headers.get(USER_AGENT.as_str()).map(String::as_str).unwrap_or_default(),
            },
            "requestId": id.to_string(),
            "routeKey": "$default",
            "stage": "$default",
            "time": now.to_date_time().format(CLF_TIME).unwrap_or_default(),
            "timeEpoch": now.0,
        },
        "isBase64Encoded": false,
    });
    let cookies: Vec<&str> = head
        .headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';').map(str::trim))
        .filter(|cookie| !cookie.is_empty())
        .collect();
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if !query.is_empty() {
        event["queryStringParameters"] = joined_query(query);
    }
    if let Some((access_key, account)) = caller {
        event["requestContext"]["accountId"] = json!(account);
        event["requestContext"]["authentication"] = Value::Null;
        event["requestContext"]["authorizer"] = json!({"iam": {
            "accessKey": access_key,
            "accountId": account,
            "callerId": account,
            "cognitoIdentity": null,
            "principalOrgId": null,
            "userArn": format!("arn:aws:iam::{account}:root"),
            "userId": account,
        }});
    }
    if !body.is_empty() {
        let (text, encoded) = encode_body(head, body);
        event["body"] = json!(text);
        event["isBase64Encoded"] = json!(encoded);
    }
    event.to_string().into()
}

/// Header names in lower case; values of one name joined by commas. Cookies go apart.
fn joined_headers(head: &Parts) -> BTreeMap<String, String> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &head.headers {
        if name != COOKIE {
            let value = String::from_utf8_lossy(value.as_bytes());
            headers
                .entry(name.as_str().to_owned())
                .and_modify(|joined| {
                    joined.push(',');
                    joined.push_str(&value);
                })
                .or_insert_with(|| value.into_owned());
        }
    }
    // HTTP/2 names the host in the URI.
    if let Some(authority) = head.uri.authority() {
        headers.entry(HOST.as_str().to_owned()).or_insert_with(|| authority.to_string());
    }
    headers
}

/// What Lambda's own front tells of the connection, unless another front has told it already.
fn add_forwarded(headers: &mut BTreeMap<String, String>, id: RequestId) {
    headers.remove(CONNECTION.as_str());
    let host = headers.get(HOST.as_str()).map(String::as_str).unwrap_or_default();
    let port = host.rsplit_once(':').map_or("80", |(_, port)| port).to_owned();
    let root = id.trace_header(false, &Lineage::default());
    let root = root.split(';').next().unwrap_or_default().to_owned();
    for (name, value) in [
        ("x-amzn-trace-id", root),
        ("x-forwarded-for", SOURCE.to_owned()),
        ("x-forwarded-port", port),
        ("x-forwarded-proto", "http".to_owned()),
    ] {
        headers.entry(name.to_owned()).or_insert(value);
    }
}

fn joined_query(query: &str) -> Value {
    let mut parameters = Map::new();
    for (name, value) in query_pairs(query) {
        match parameters.get_mut(&name) {
            Some(Value::String(joined)) => {
                joined.push(',');
                joined.push_str(&value);
            }
            _ => {
                parameters.insert(name, Value::String(value));
            }
        }
    }
    Value::Object(parameters)
}

/// The body as text, or as base64 when its type is not one of text or its bytes are not UTF-8.
fn encode_body(head: &Parts, body: &Bytes) -> (String, bool) {
    let content_type =
        head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match std::str::from_utf8(body) {
        Ok(text) if is_text(content_type) => (text.to_owned(), false),
        _ => (BASE64_STANDARD.encode(body), true),
    }
}

fn is_text(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("text/")
        || ["application/json", "application/xml", "application/javascript"].contains(&essence.as_str())
        || (essence.starts_with("application/") && (essence.ends_with("+json") || essence.ends_with("+xml")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event_of(request: http::request::Builder, body: &'static str, base: usize) -> Value {
        let head = request.body(()).unwrap().into_parts().0;
        let id = RequestId::new(Timestamp(0));
        let body = Bytes::from(body);
        serde_json::from_slice(&event(&head, &body, "abc", base, id, Timestamp(1_769_860_800_007), None))
            .unwrap()
    }

    #[test]
    fn a_request_becomes_a_payload_of_format_2() {
        let request = http::Request::builder()
            .method("POST")
            .uri("/lambda-url/abc/a%20b/c?x=1&x=2&y=%C3%A9")
            .header("Host", "abc.example:80")
            .header("Cookie", "a=1; b=2")
            .header("X-Thing", "one")
            .header("X-Thing", "two")
            .header("Content-Type", "application/json; charset=utf-8");
        let event = event_of(request, "{\"n\":1}", 15);
        assert_eq!(
            (&event["rawPath"], &event["requestContext"]["http"]["path"]),
            (&json!("/a%20b/c"), &json!("/a b/c"))
        );
        assert_eq!(
            (&event["headers"]["x-forwarded-port"], &event["headers"]["x-forwarded-proto"]),
            (&json!("80"), &json!("http"))
        );
        assert_eq!(event["rawQueryString"], "x=1&x=2&y=%C3%A9");
        assert_eq!(event["queryStringParameters"], json!({"x": "1,2", "y": "é"}));
        assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
        assert_eq!(event["headers"]["x-thing"], "one,two");
        assert_eq!(event["headers"].get("cookie"), None);
        assert_eq!(event["body"], "{\"n\":1}");
        assert_eq!(event["isBase64Encoded"], false);
        let context = &event["requestContext"];
        assert_eq!(context["domainPrefix"], "abc");
        assert_eq!(context["http"]["method"], "POST");
        assert_eq!(context["http"]["protocol"], "HTTP/1.1");
        assert_eq!(context["time"], "31/Jan/2026:12:00:00 +0000");
        assert_eq!(context["timeEpoch"], 1_769_860_800_007_i64);
    }

    #[test]
    fn binary_bodies_are_base64_and_empty_ones_absent() {
        let request = || http::Request::builder().uri("/lambda-url/abc");
        let event = event_of(request().header("Content-Type", "image/png"), "abc", 15);
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("YWJj"), &json!(true)));
        let event = event_of(request(), "", 15);
        assert_eq!(event.get("body"), None);
        assert_eq!(event["rawPath"], "/");
        assert_eq!(event.get("queryStringParameters"), None);
    }
}
