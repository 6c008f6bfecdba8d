//! What an extension asks for when it subscribes to telemetry.
//!
//! Sources: <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-api-reference.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-logs-api.html>

use crate::RUNTIME_API_ADDRESS;
use hyper::Uri;
use serde::Deserialize;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The names under which an extension may listen; each is the sandbox itself.
const HOSTS: [&str; 4] = ["sandbox.localdomain", "sandbox", "127.0.0.1", "localhost"];

/// The longest path of a destination, in bytes.
const PATH: usize = 2_048;

/// What telemetry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Category {
    /// What the platform does.
    Platform,
    /// What the function prints.
    Function,
    /// What extensions print.
    Extension,
}

impl Category {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Category::Platform => "platform",
            Category::Function => "function",
            Category::Extension => "extension",
        }
    }
}

/// Through which API was subscribed, which decides how records look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    /// The Telemetry API.
    Telemetry,
    /// The Logs API that it has replaced.
    Logs,
}

/// How records look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Schema {
    /// `2020-08-15` of the Logs API.
    Logs,
    /// `2021-03-18` of the Logs API: with `platform.runtimeDone`.
    LogsDone,
    /// `2022-07-01`.
    First,
    /// `2022-12-13` and `2025-01-29`: lines that are JSON are objects.
    Structured,
}

/// Where telemetry goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A request for each batch.
    Http { port: u16, path: String, put: bool },
    /// A line for each record.
    Tcp { port: u16 },
}

/// How much is gathered before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buffering {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
    pub(crate) timeout: Duration,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) schema: Schema,
    pub(crate) categories: Vec<Category>,
    pub(crate) destination: Destination,
    pub(crate) buffering: Buffering,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    #[serde(default)]
    schema_version: Option<String>,
    types: Vec<Category>,
    #[serde(default)]
    buffering: Option<Bounds>,
    destination: Target,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Bounds {
    #[serde(default)]
    max_items: Option<u64>,
    #[serde(default)]
    max_bytes: Option<u64>,
    #[serde(default)]
    timeout_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    protocol: String,
    #[serde(default, alias = "URI")]
    uri: Option<String>,
    #[serde(default)]
    port: Option<u64>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    encoding: Option<String>,
}

impl Subscription {
    /// Reads the body of a subscription; or says what is wrong with it.
    pub(crate) fn read(api: Api, body: &[u8]) -> Result<Subscription, String> {
        let document: Document = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let schema = match (api, document.schema_version.as_deref()) {
            (Api::Telemetry, Some("2022-07-01")) => Schema::First,
            (Api::Telemetry, Some("2022-12-13" | "2025-01-29")) => Schema::Structured,
            (Api::Telemetry, None) => return Err("schemaVersion is missing".to_owned()),
            (Api::Logs, None | Some("2020-08-15")) => Schema::Logs,
            (Api::Logs, Some("2021-03-18")) => Schema::LogsDone,
            (_, Some(other)) => return Err(format!("schemaVersion {other:?} is not known")),
        };
        if document.types.is_empty() {
            return Err("types is empty".to_owned());
        }
        let mut categories = document.types;
        categories.dedup();
        let bounds =
            document.buffering.unwrap_or(Bounds { max_items: None, max_bytes: None, timeout_ms: None });
        let items = within("maxItems", bounds.max_items, 10_000, 1_000..=10_000)?;
        let bytes = within("maxBytes", bounds.max_bytes, 262_144, 262_144..=1_048_576)?;
        let timeout = within("timeoutMs", bounds.timeout_ms, 1_000, 25..=30_000)?;
        let buffering = Buffering {
            items: usize::try_from(items).unwrap_or(usize::MAX),
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            timeout: Duration::from_millis(timeout),
        };
        categories.truncate(3);
        Ok(Subscription { schema, categories, destination: destination(document.destination)?, buffering })
    }
}

fn within(name: &str, value: Option<u64>, default: u64, range: RangeInclusive<u64>) -> Result<u64, String> {
    let value = value.unwrap_or(default);
    if range.contains(&value) {
        return Ok(value);
    }
    Err(format!("buffering.{name} must be between {} and {}", range.start(), range.end()))
}

fn destination(target: Target) -> Result<Destination, String> {
    if !matches!(target.encoding.as_deref(), None | Some("JSON")) {
        return Err("destination.encoding must be JSON".to_owned());
    }
    match (target.protocol.as_str(), target.uri, target.port) {
        ("HTTP", Some(uri), _) => {
            let put = match target.method.as_deref() {
                None | Some("POST") => false,
                Some("PUT") => true,
                Some(_) => return Err("destination.method must be POST or PUT".to_owned()),
            };
            let wrong =
                || format!("destination.URI must be http://sandbox.localdomain:PORT/PATH, not {uri:?}");
            let parsed: Uri = uri.parse().map_err(|_| wrong())?;
            let host = parsed.host().filter(|host| HOSTS.contains(host));
            let path = parsed.path_and_query().map_or("/", |path| path.as_str());
            if parsed.scheme_str() != Some("http") || host.is_none() || path.len() > PATH {
                return Err(wrong());
            }
            let port = port(parsed.port_u16().map(u64::from))?;
            Ok(Destination::Http { port, path: path.to_owned(), put })
        }
        ("HTTP", None, _) => Err("destination.URI is missing".to_owned()),
        ("TCP", _, given) => Ok(Destination::Tcp { port: port(given)? }),
        _ => Err("destination.protocol must be HTTP or TCP".to_owned()),
    }
}

/// A port that an extension may listen at: not the platform's own.
fn port(port: Option<u64>) -> Result<u16, String> {
    let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
    let port = port.ok_or("the port of the destination must be between 1 and 65535")?;
    let own = [RUNTIME_API_ADDRESS.port(), crate::PLATFORM_ADDRESS.port()];
    if own.contains(&port) { Err(format!("port {port} is the platform's own")) } else { Ok(port) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(api: Api, change: impl FnOnce(&mut Value)) -> Result<Subscription, String> {
        let mut document = json!({
            "schemaVersion": "2022-12-13",
            "types": ["platform", "function"],
            "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080/a?b"},
        });
        change(&mut document);
        Subscription::read(api, document.to_string().as_bytes())
    }

    #[test]
    fn defaults_and_bounds_are_those_of_aws() {
        let read = |change: fn(&mut Value)| read(Api::Telemetry, change);
        let subscription = read(|_| {}).unwrap();
        assert_eq!(
            subscription.destination,
            Destination::Http { port: 8080, path: "/a?b".into(), put: false }
        );
        let timeout = Duration::from_secs(1);
        assert_eq!(subscription.buffering, Buffering { items: 10_000, bytes: 262_144, timeout });
        assert!(
            read(|d| d["buffering"] = json!({"maxItems": 1000, "maxBytes": 1048576, "timeoutMs": 25}))
                .is_ok()
        );
        let wrong: [fn(&mut Value); 14] = [
            |d| d["buffering"] = json!({"maxItems": 999}),
            |d| d["buffering"] = json!({"maxItems": 10001}),
            |d| d["buffering"] = json!({"maxBytes": 262143}),
            |d| d["buffering"] = json!({"timeoutMs": 24}),
            |d| d["buffering"] = json!({"timeoutMs": -1}),
            |d| d["schemaVersion"] = json!("2021-03-18"),
            |d| d["types"] = json!([]),
            |d| d["types"] = json!(["other"]),
            |d| d["destination"] = json!({"protocol": "UDP", "port": 1}),
            |d| d["destination"] = json!({"protocol": "TCP"}),
            |d| d["destination"] = json!({"protocol": "TCP", "port": 9001}),
            |d| d["destination"] = json!({"protocol": "HTTP", "URI": "http://10.0.0.1:80/"}),
            |d| d["destination"] = json!({"protocol": "HTTP", "URI": "https://sandbox.localdomain:80/"}),
            |d| d["destination"] = json!({"protocol": "HTTP", "URI": "http://sandbox.localdomain/"}),
        ];
        for change in wrong {
            assert!(read(change).is_err());
        }
        let tcp = read(|d| d["destination"] = json!({"protocol": "TCP", "port": 4000})).unwrap();
        assert_eq!(tcp.destination, Destination::Tcp { port: 4000 });
    }

    #[test]
    fn the_logs_api_has_schemas_of_its_own() {
        let schema = |version: Option<&str>| {
            let change = |document: &mut Value| match version {
                Some(version) => document["schemaVersion"] = json!(version),
                None => drop(document.as_object_mut().map(|document| document.remove("schemaVersion"))),
            };
            read(Api::Logs, change).map(|subscription| subscription.schema)
        };
        assert_eq!(schema(None), Ok(Schema::Logs));
        assert_eq!(schema(Some("2021-03-18")), Ok(Schema::LogsDone));
        assert!(schema(Some("2022-07-01")).is_err());
    }
}
