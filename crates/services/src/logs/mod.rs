//! The part of the CloudWatch Logs API that tools read functions' logs with: each function has the log group
//! `/aws/lambda/NAME`, with one stream. Nothing is written by it.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/Welcome.html>

mod filter;
mod get;
mod groups;
mod operations;
mod pattern;
mod streams;

use crate::error::Error;
use async_trait::async_trait;
use model::{FunctionArn, Scope, Timestamp};
use std::sync::Arc;
use store::kv::SPECS;
use store::log::Record;
use store::{Store, View};
use wire::rpc::{Call, dispatch, expired_response};
use wire::{Fault, Request, Response, Service};

pub use operations::API;

/// What the names of functions' log groups begin with.
const PREFIX: &str = "/aws/lambda/";

/// The one stream of a log group.
const STREAM: &str = "all";

/// The most events of one answer.
const EVENTS: usize = 10_000;

/// The most bytes of messages in one answer.
const BYTES: usize = 1 << 20;

/// How many records one request looks at; what is behind them is another request's.
const LOOKED_AT: usize = 20_000;

/// How many records are in memory at one time.
const BATCH: usize = 100;

/// The CloudWatch Logs API on a store.
#[derive(Clone)]
pub struct Logs {
    store: Store,
}

impl Logs {
    /// The CloudWatch Logs API on `store`.
    pub fn new(store: Store) -> Self {
        Logs { store }
    }

    /// What is answered to credentials whose time is over.
    pub fn expired(&self, request: &Request) -> Response {
        expired_response(&API, request)
    }

    fn read<T>(&self, call: &Call, look: impl FnOnce(&View<'_>) -> Result<T, Error>) -> Result<T, Fault> {
        let told = |error: Error| error.told(call.operation, call.id, "ServiceUnavailableException");
        self.store.read(look).map_err(told)
    }
}

#[async_trait]
impl Service for Logs {
    async fn call(&self, request: Request) -> Response {
        dispatch(&API, Arc::new(self.clone()), request).await
    }
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new("InvalidParameterException", 400, message)
}

/// The ARN of a log group.
fn group_arn(scope: &Scope, name: &str) -> String {
    scope.arn("logs", &format!("log-group:{name}"))
}

/// The function whose log group a request names, by its name or its ARN.
fn function_of(
    view: &View<'_>,
    scope: &Scope,
    name: Option<&str>,
    identifier: Option<&str>,
) -> Result<FunctionArn, Error> {
    let named = match (name, identifier) {
        (Some(_), Some(_)) => {
            return Err(invalid("Specify logGroupName or logGroupIdentifier, not both.").into());
        }
        (Some(name), None) => name,
        (None, Some(identifier)) => {
            identifier.strip_prefix(&group_arn(scope, "")).unwrap_or(identifier).trim_end_matches(":*")
        }
        (None, None) => return Err(invalid("Either logGroupName or logGroupIdentifier is required.").into()),
    };
    let missing = || Fault::new("ResourceNotFoundException", 400, "The specified log group does not exist.");
    let function = named.strip_prefix(PREFIX).map(|name| FunctionArn::within(scope, name));
    let function = function.and_then(|arn| FunctionArn::parse(arn.as_str())).ok_or_else(missing)?;
    let there = function.qualifier().is_none()
        && (view.get(&SPECS, function.as_str())?.is_some()
            || !view.log(&function.log_name(), 0, 1)?.is_empty());
    if there { Ok(function) } else { Err(missing().into()) }
}

/// A number within its limits, or its default.
fn limit(given: Option<i64>, default: usize, most: usize) -> Result<usize, Fault> {
    let Some(given) = given else { return Ok(default) };
    usize::try_from(given).ok().filter(|given| (1..=most).contains(given)).ok_or_else(|| {
        let (which, bound) = if given < 1 { ("greater", 1) } else { ("less", most) };
        invalid(format!(
            "1 validation error detected: Value '{given}' at 'limit' failed to satisfy constraint: Member must have \
             value {which} than or equal to {bound}"
        ))
    })
}

/// Whether a record was written in the time that a request names, in milliseconds since 1970; the end is not part of it.
fn within(record: &Record, start: Option<i64>, end: Option<i64>) -> bool {
    start.is_none_or(|start| record.time.0 >= start) && end.is_none_or(|end| record.time.0 < end)
}

/// A place in a log, as tokens have it.
fn place(token: &str) -> Result<i64, Fault> {
    token.parse().map_err(|_| invalid("The specified nextToken is invalid."))
}

/// The lowest place behind which all records from `start` on lie.
fn behind(view: &View<'_>, log: &str, start: Option<i64>) -> store::Result<i64> {
    match start {
        Some(start) => view.log_from(log, Timestamp(start)),
        None => Ok(0),
    }
}
