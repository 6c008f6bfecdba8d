//! `DescribeLogStreams`: the one stream of a group.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogStreams.html>

use super::{Error, Logs, PREFIX, STREAM, function_of, group_arn, limit};
use serde::Deserialize;
use serde_json::{Value, json};
use wire::Fault;
use wire::rpc::{Call, integer};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Describe {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name_prefix: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    limit: Option<i64>,
}

/// Lists the stream of a group, if something was written to it.
pub(super) async fn describe(logs: &Logs, input: Describe, call: &Call) -> Result<Value, Fault> {
    limit(input.limit, 50, 50)?;
    let scope = call.scope();
    logs.read(call, |view| {
        let function = function_of(
            view,
            &scope,
            input.log_group_name.as_deref(),
            input.log_group_identifier.as_deref(),
        )?;
        let log = function.log_name();
        let (first, last) = (view.log(&log, 0, 1)?, view.log_before(&log, i64::MAX, 1)?);
        let wanted = STREAM.starts_with(input.log_stream_name_prefix.as_deref().unwrap_or_default());
        let streams: Vec<Value> = first
            .first()
            .zip(last.first())
            .filter(|_| wanted)
            .map(|(first, last)| {
                let group = group_arn(&scope, &format!("{PREFIX}{}", function.name()));
                json!({
                    "logStreamName": STREAM,
                    "creationTime": first.time.0,
                    "firstEventTimestamp": first.time.0,
                    "lastEventTimestamp": last.time.0,
                    "lastIngestionTime": last.time.0,
                    "arn": format!("{group}:log-stream:{STREAM}"),
                    "storedBytes": 0,
                })
            })
            .into_iter()
            .collect();
        Ok::<_, Error>(json!({ "logStreams": streams }))
    })
}
