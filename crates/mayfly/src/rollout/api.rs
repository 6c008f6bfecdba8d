//! Calls of the Lambda API.

use super::Target;
use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

/// The largest answer that is read, in bytes: a package.
const ANSWER: usize = 300 << 20;

/// A server, asked as somebody.
pub(super) struct Api<'a> {
    target: &'a Target,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// Why a call was refused.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) code: String,
    pub(super) message: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for Refused {}

impl<'a> Api<'a> {
    pub(super) fn new(target: &'a Target) -> Self {
        Api { target, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Sends a request; a refusal is an error with a [`Refused`] in it.
    pub(super) async fn call(&self, method: &str, path: &str, input: Option<&Value>) -> Result<Value> {
        let Target { endpoint, region, access_key } = self.target;
        let body = input.map(Value::to_string).unwrap_or_default();
        let request = hyper::Request::builder()
            .method(method)
            .uri(format!("{}{path}", endpoint.trim_end_matches('/')))
            .header("content-type", "application/json")
            // The scope says who asks and where; signatures are not verified yet.
            .header(
                "authorization",
                format!(
                    "AWS4-HMAC-SHA256 Credential={access_key}/20260101/{region}/lambda/aws4_request, \
                     SignedHeaders=host, Signature=0"
                ),
            )
            .body(Full::from(body))
            .with_context(|| format!("the endpoint {endpoint} is not a URL"))?;
        let (head, body) = self.send(request).await?;
        if head.status.is_success() {
            return match body.is_empty() {
                true => Ok(Value::Null),
                false => serde_json::from_slice(&body).context("the answer is no JSON"),
            };
        }
        let fault: Value = serde_json::from_slice(&body).unwrap_or_default();
        let code = head.headers.get("x-amzn-errortype").and_then(|code| code.to_str().ok());
        Err(anyhow!(Refused {
            code: code.unwrap_or(head.status.as_str()).to_owned(),
            message: fault["message"].as_str().unwrap_or("the server refused").to_owned(),
        }))
    }

    async fn send(
        &self,
        request: hyper::Request<Full<Bytes>>,
    ) -> Result<(hyper::http::response::Parts, Bytes)> {
        let response = self.client.request(request).await.with_context(|| {
            format!(
                "no server answers at {}; start one with `mayfly serve` or give --endpoint",
                self.target.endpoint
            )
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER).collect().await;
        Ok((head, body.map_err(|error| anyhow!("the answer broke off: {error}"))?.to_bytes()))
    }

    /// Downloads a package from where `GetFunction` says that it is.
    pub(super) async fn download(&self, location: &str) -> Result<Bytes> {
        let request = hyper::Request::get(location).body(Full::default())?;
        let (head, body) = self.send(request).await?;
        match head.status.is_success() {
            true => Ok(body),
            false => Err(anyhow!("the package cannot be downloaded: {}", head.status)),
        }
    }

    /// The path of a function, or of something of it.
    pub(super) fn path(function: &str, rest: &str) -> String {
        format!("/2015-03-31/functions/{}{rest}", utf8_percent_encode(function, NON_ALPHANUMERIC))
    }

    /// A function, a version of it or what an alias leads to; none if there is no such thing.
    pub(super) async fn function(&self, function: &str, qualifier: Option<&str>) -> Result<Option<Value>> {
        let query = qualifier
            .map(|qualifier| format!("?Qualifier={}", utf8_percent_encode(qualifier, NON_ALPHANUMERIC)));
        optional(self.call("GET", &Api::path(function, &query.unwrap_or_default()), None).await)
    }

    /// An alias, if there is one of that name.
    pub(super) async fn alias(&self, function: &str, alias: &str) -> Result<Option<Value>> {
        optional(self.call("GET", &Api::path(function, &format!("/aliases/{alias}")), None).await)
    }

    /// All items of a list.
    pub(super) async fn all(&self, function: &str, list: &str, member: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut marker = String::new();
        loop {
            let query = match marker.is_empty() {
                true => String::new(),
                false => format!("?Marker={marker}"),
            };
            let mut page = self.call("GET", &Api::path(function, &format!("/{list}{query}")), None).await?;
            items.extend(page[member].as_array_mut().map(std::mem::take).unwrap_or_default());
            match page["NextMarker"].as_str() {
                Some(next) => marker = next.to_owned(),
                None => return Ok(items),
            }
        }
    }

    /// Lets an alias lead to `version`, but for the shares of `weights`; creates it if need be.
    pub(super) async fn lead(
        &self,
        function: &str,
        alias: &str,
        version: &str,
        weights: Map<String, Value>,
    ) -> Result<()> {
        let mut input = json!({
            "FunctionVersion": version,
            "RoutingConfig": {"AdditionalVersionWeights": weights},
        });
        match self.alias(function, alias).await? {
            Some(_) => {
                let path = Api::path(function, &format!("/aliases/{alias}"));
                self.call("PUT", &path, Some(&input)).await?;
            }
            None => {
                input["Name"] = json!(alias);
                self.call("POST", &Api::path(function, "/aliases"), Some(&input)).await?;
            }
        }
        Ok(())
    }
}

fn optional(answer: Result<Value>) -> Result<Option<Value>> {
    match answer {
        Err(error)
            if error.downcast_ref::<Refused>().is_some_and(|e| e.code == "ResourceNotFoundException") =>
        {
            Ok(None)
        }
        answer => answer.map(Some),
    }
}
