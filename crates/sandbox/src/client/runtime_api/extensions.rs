//! The Extensions API, and the Telemetry and Logs APIs that extensions subscribe through.
//!
//! Sources: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-api-reference.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-logs-api.html>

use super::super::extensions::{Extensions, Refused, Subscriptions};
use super::super::telemetry::{Api, Subscription};
use super::body::{self, Missing};
use super::reply::{self, Refusal, Reply};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Method, StatusCode};
use model::limits::MB;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// The longest body of a registration or a subscription, in bytes.
const REQUEST: usize = 64 * 1024;

/// The longest name of an extension, in bytes.
const NAME: usize = 256;

const IDENTIFIER: &str = "lambda-extension-identifier";
const ERROR_TYPE: &str = "lambda-extension-function-error-type";

/// Answers one request; `path` is what follows the version.
pub(super) async fn serve(
    extensions: &Extensions,
    (method, path): (&Method, &[&str]),
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Result<Reply, Refusal> {
    match (path, method) {
        (["register"], &Method::POST) => register(extensions, headers, &read(body, REQUEST).await?),
        (["event", "next"], &Method::GET) => {
            let event = extensions.roster.ask(identifier(headers)?).await.map_err(refusal)?;
            let mut reply = reply::json(StatusCode::OK, event);
            if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
                reply.headers_mut().insert("lambda-extension-event-identifier", id);
            }
            Ok(reply)
        }
        (["init", "error"], &Method::POST) => fail(extensions, headers, body, true).await,
        (["exit", "error"], &Method::POST) => fail(extensions, headers, body, false).await,
        (["register"] | ["init" | "exit", "error"], _) => Err(Refusal::method("POST", &path.join("/"))),
        (["event", "next"], _) => Err(Refusal::method("GET", &path.join("/"))),
        _ => Err(Refusal::new(404, "NotFound", format!("there is nothing at {}", path.join("/")))),
    }
}

/// Subscribes to telemetry.
pub(super) async fn subscribe(
    extensions: &Extensions,
    api: Api,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Result<Reply, Refusal> {
    let id = identifier(headers)?;
    let closed = match api {
        Api::Telemetry => ("Telemetry.SubscriptionClosed", "Telemetry API subscription is closed".to_owned()),
        Api::Logs => ("Logs.SubscriptionClosed", "Logs API subscription is closed".to_owned()),
    };
    let body = read(body, REQUEST).await?;
    let name = extensions.roster.subscriber(id, closed).map_err(refusal)?;
    let subscription =
        Subscription::read(api, &body).map_err(|wrong| Refusal::new(400, "ValidationError", wrong))?;
    extensions.subscribe(&name, api, subscription);
    Ok(reply::json(StatusCode::OK, Bytes::from_static(b"\"OK\"")))
}

fn register(extensions: &Extensions, headers: &HeaderMap, body: &[u8]) -> Result<Reply, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Registration {
        #[serde(default)]
        events: Vec<String>,
        #[serde(default)]
        configuration_keys: Vec<Value>,
    }
    let forbidden = |kind, message: String| Refusal::new(403, kind, message);
    let name = headers.get("lambda-extension-name").and_then(|name| name.to_str().ok()).unwrap_or_default();
    if name.is_empty() || name.len() > NAME {
        return Err(forbidden("Extension.InvalidExtensionName", "Empty extension name".to_owned()));
    }
    let read = serde_json::from_slice::<Registration>(body);
    let registration = read.map_err(|error| forbidden("InvalidRequestFormat", error.to_string()))?;
    if !registration.configuration_keys.is_empty() {
        let message = "configurationKeys are deprecated; use environment variables instead";
        return Err(forbidden("InvalidRequestFormat", message.to_owned()));
    }
    let mut events = Subscriptions::default();
    for event in &registration.events {
        match event.as_str() {
            "INVOKE" => events.invoke = true,
            "SHUTDOWN" => events.shutdown = true,
            other => {
                let message = format!("{}: Invalid event type", other.chars().take(NAME).collect::<String>());
                return Err(forbidden("Extension.InvalidEventType", message));
            }
        }
    }
    let id = extensions.roster.register(name, events).map_err(refusal)?;
    let mut features =
        headers.get_all("lambda-extension-accept-feature").iter().filter_map(|f| f.to_str().ok());
    let account = features.any(|features| features.split(',').any(|feature| feature.trim() == "accountId"));
    let mut document = json!({
        "functionName": extensions.function,
        "functionVersion": extensions.version,
        "handler": extensions.handler,
    });
    if account {
        document["accountId"] = json!(extensions.account);
    }
    let mut reply = reply::json(StatusCode::OK, document.to_string().into());
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        reply.headers_mut().insert(IDENTIFIER, id);
    }
    Ok(reply)
}

async fn fail(
    extensions: &Extensions,
    headers: &HeaderMap,
    body: &mut Incoming,
    initialising: bool,
) -> Result<Reply, Refusal> {
    let id = identifier(headers)?;
    // The document says more than the platform needs.
    read(body, MB).await?;
    let kind = headers.get(ERROR_TYPE).and_then(|kind| kind.to_str().ok()).filter(|kind| !kind.is_empty());
    let missing = || {
        let message = "Lambda-Extension-Function-Error-Type not found";
        Refusal::new(403, "Extension.MissingHeader", message)
    };
    extensions.roster.fail(id, kind.ok_or_else(missing)?, initialising).map_err(refusal)?;
    Ok(reply::accepted())
}

fn identifier(headers: &HeaderMap) -> Result<Uuid, Refusal> {
    let missing = || {
        let message = "Missing Lambda-Extension-Identifier header";
        Refusal::new(403, "Extension.MissingExtensionIdentifier", message)
    };
    let id = headers.get(IDENTIFIER).ok_or_else(missing)?;
    let id = id.to_str().ok().and_then(|id| Uuid::parse_str(id).ok());
    let message = "Invalid Lambda-Extension-Identifier";
    id.ok_or_else(|| Refusal::new(403, "Extension.InvalidExtensionIdentifier", message))
}

async fn read(body: &mut Incoming, most: usize) -> Result<Bytes, Refusal> {
    match body::read(body, most).await {
        Ok((bytes, _)) => Ok(bytes),
        Err(Missing::TooLarge) => Err(Refusal::too_large(most)),
        Err(Missing::Truncated) => Err(super::serve::truncated()),
    }
}

fn refusal((kind, message): Refused) -> Refusal {
    Refusal::new(403, kind, message)
}
