//! Read-only status of the platform itself: what the command line and the console show beyond the AWS APIs.
//!
//! - `GET /health`
//! - `GET /_mayfly/logs?function=NAME&after=SEQ&wait=SECONDS`: log records behind `after`; with `wait`, held
//!   until there is one.
//! - `GET /_mayfly/runs?function=NAME&limit=N`: the newest runs, of one function or of all, with what they cost.
//! - `GET /_mayfly/functions`: every function's name and runtime.
//! - `GET /_mayfly/starts`: what waits ahead of events, by function.
//! - `GET /_mayfly/latency`: how long functions' events waited and took, since the start.
//! - `GET /_mayfly/load`: what runs and waits now.
//! - `GET /_mayfly/usage`: processor time and memory of the server itself.
//! - `GET /_mayfly/failed-events`: asynchronous events that were given up.
//! - `GET /_mayfly/code/FUNCTION/CODE`: a function's zip, where `GetFunction` says that it is, for ten minutes.

use crate::runs::Row;
use async_trait::async_trait;
use http::Method;
use http::request::Parts;
use model::{FunctionArn, RequestId};
use scheduler::{Latency, Load, State};
use serde_json::{Value, json};
use services::lambda::{CODE_PATH, Lambda};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use store::kv::{From, SPECS};
use store::{Store, View};
use wire::credential::query_value;
use wire::rest_json::{Reply, fault_response};
use wire::{Fault, Request, Response, Service};

/// The most log records in one answer.
const RECORDS: usize = 1_000;

/// The most runs in one answer.
const RUNS: usize = 10_000;

/// How many functions are read at a time.
const FUNCTIONS: usize = 1_000;

/// The most failed events in one answer.
const FAILED_EVENTS: usize = 1_000;

/// The longest that an answer is held back.
const WAIT: Duration = Duration::from_secs(30);

/// What is asked of the scheduler.
pub(crate) struct Tell {
    /// What waits ahead of events.
    pub(crate) starts: Box<dyn Fn() -> Vec<State> + Send + Sync>,
    /// What functions' events have achieved.
    pub(crate) latency: Box<dyn Fn() -> Vec<Latency> + Send + Sync>,
    /// What runs, and how many calls wait.
    pub(crate) load: Box<dyn Fn() -> (Load, usize) + Send + Sync>,
}

/// The status endpoints.
pub(crate) struct Status {
    pub(crate) store: Store,
    pub(crate) lambda: Arc<Lambda>,
    /// Tells of the scheduler, as soon as there is one.
    pub(crate) scheduler: Arc<OnceLock<Tell>>,
}

#[async_trait]
impl Service for Status {
    async fn call(&self, request: Request) -> Response {
        let id = request.id;
        if let Some(code) = request.head.uri.path().strip_prefix(CODE_PATH) {
            let query = request.head.uri.query().unwrap_or_default();
            return match self.lambda.may_have_code(code, query) {
                Ok(()) => self.code(code, id),
                Err(fault) => services::s3::fault_response(id, &fault),
            };
        }
        let answer = match self.answer(&request.head, id).await {
            Ok(value) => Reply::json(200, &value),
            Err(fault) => Err(fault),
        };
        match answer {
            Ok(reply) => {
                let mut response = http::Response::new(reply.body);
                *response.headers_mut() = reply.headers;
                response
            }
            Err(fault) => fault_response(id, &fault),
        }
    }
}

impl Status {
    fn code(&self, path: &str, id: RequestId) -> Response {
        match self.lambda.code(path) {
            Ok(Some(zip)) => zip,
            Ok(None) => fault_response(id, &Fault::new("NotFound", 404, "No function has this code now.")),
            Err(error) => fault_response(id, &broken(id, &error)),
        }
    }

    async fn answer(&self, head: &Parts, id: RequestId) -> Result<Value, Fault> {
        let path = head.uri.path();
        if head.method != Method::GET {
            return Err(Fault::new("MethodNotAllowed", 405, "Status can only be read, with GET."));
        }
        match path {
            "/health" => Ok(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") })),
            "/_mayfly/logs" => self.logs(head.uri.query().unwrap_or_default(), id).await,
            "/_mayfly/functions" => {
                let functions = self.store.read(functions).map_err(|error| broken(id, &error))?;
                let named = |(name, runtime)| json!({ "name": name, "runtime": runtime });
                Ok(json!({ "functions": functions.into_iter().map(named).collect::<Vec<_>>() }))
            }
            "/_mayfly/starts" => Ok(json!({ "starts": self.scheduler.get().map(|tell| (tell.starts)()) })),
            "/_mayfly/latency" => Ok(json!({ "latency": self.scheduler.get().map(|tell| (tell.latency)()) })),
            "/_mayfly/load" => Ok(self.scheduler.get().map_or(Value::Null, |tell| {
                let (load, waiting) = (tell.load)();
                json!({
                    "running": load.running,
                    "starting": load.starting,
                    "background": load.background,
                    "memoryMB": load.memory_mb,
                    "callsWaiting": waiting,
                })
            })),
            "/_mayfly/usage" => Ok(json!(crate::machine::usage_of_server())),
            "/_mayfly/runs" => self.runs(head.uri.query().unwrap_or_default(), id),
            "/_mayfly/failed-events" => {
                let failed = self.store.read(|view| view.failed_events(FAILED_EVENTS));
                failed.map(|failed| json!({ "failedEvents": failed })).map_err(|error| broken(id, &error))
            }
            _ => Err(Fault::new("NotFound", 404, format!("There is nothing at {path}."))),
        }
    }

    async fn logs(&self, query: &str, id: RequestId) -> Result<Value, Fault> {
        let function = query_value(query, "function")
            .ok_or_else(|| Fault::new("InvalidParameter", 400, "Name a function: ?function=NAME"))?;
        let number = |name: &str| match query_value(query, name) {
            None => Ok(0),
            Some(text) => text
                .parse::<i64>()
                .map_err(|_| Fault::new("InvalidParameter", 400, format!("{name} must be a whole number"))),
        };
        let after = number("after")?;
        let wait = Duration::from_secs(u64::try_from(number("wait")?).unwrap_or(0)).min(WAIT);
        let mut grew = self.store.log_grew();
        let read = || {
            self.store.read(|view| view.log(&function, after, RECORDS)).map_err(|error| broken(id, &error))
        };
        let until_one_comes = async {
            loop {
                grew.mark_unchanged();
                let records = read()?;
                // The other end of the channel lives as long as the store.
                if !records.is_empty() || grew.changed().await.is_err() {
                    return Ok(records);
                }
            }
        };
        // The log of a deleted function is still there to be read; a name that never was is a mistake.
        if read()?.is_empty() && after == 0 && !self.exists(&function).map_err(|error| broken(id, &error))? {
            let message = format!("There is no function {function}, and no log of one.");
            return Err(Fault::new("ResourceNotFoundException", 404, message));
        }
        let records = match tokio::time::timeout(wait, until_one_comes).await {
            Ok(records) => records?,
            Err(_) => read()?,
        };
        Ok(json!({ "records": records }))
    }

    fn runs(&self, query: &str, id: RequestId) -> Result<Value, Fault> {
        let function = query_value(query, "function");
        let limit = match query_value(query, "limit").map(|text| text.parse::<usize>()) {
            None => RUNS,
            Some(Ok(limit)) => limit.min(RUNS),
            Some(Err(_)) => {
                return Err(Fault::new("InvalidParameter", 400, "limit must be a whole number"));
            }
        };
        let broken = |error| broken(id, &error);
        let runs = self.store.read(|view| view.runs(function.as_deref(), limit)).map_err(broken)?;
        // The runs of a deleted function are still there to be read; a name that never was is a mistake.
        if let Some(function) = function.filter(|_| runs.is_empty())
            && !self.exists(&function).map_err(broken)?
        {
            let message = format!("There is no function {function}, and no run of one.");
            return Err(Fault::new("ResourceNotFoundException", 404, message));
        }
        let runs: Vec<_> = runs.iter().map(Row::of).collect();
        Ok(json!({ "runs": runs }))
    }

    fn exists(&self, function: &str) -> store::Result<bool> {
        self.store.read(|view| Ok(view.get(&SPECS, named(function).as_str())?.is_some()))
    }
}

/// The function that a request names: by its name, or by its ARN where that does not do.
fn named(function: &str) -> FunctionArn {
    FunctionArn::parse(function).unwrap_or_else(|| FunctionArn::of(function))
}

/// Every function's name and runtime.
pub(crate) fn functions(view: &View<'_>) -> store::Result<Vec<(String, String)>> {
    let mut functions = Vec::new();
    let mut last = Vec::new();
    loop {
        let page = view.scan(&SPECS, &[], From::After(&last), FUNCTIONS)?;
        let Some((key, _)) = page.last() else { return Ok(functions) };
        last = key.clone();
        functions.extend(
            page.into_iter()
                .filter(|(_, spec)| spec.arn.qualifier().is_none())
                .map(|(_, spec)| (spec.arn.log_name(), spec.runtime)),
        );
    }
}

fn broken(id: RequestId, error: &store::Error) -> Fault {
    tracing::error!(%id, %error, "cannot read the status");
    Fault::internal("InternalFailure", id)
}
