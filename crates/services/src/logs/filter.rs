//! `FilterLogEvents`: what a function wrote in some time, with some words in it.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html>

use super::pattern::Pattern;
use super::{
    BATCH, BYTES, EVENTS, Error, LOOKED_AT, Logs, STREAM, behind, function_of, invalid, limit, place, within,
};
use serde::Deserialize;
use serde_json::{Value, json};
use wire::Fault;
use wire::rpc::{Call, integer};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Filter {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_names: Option<Vec<String>>,
    log_stream_name_prefix: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    start_time: Option<i64>,
    #[serde(default, deserialize_with = "integer")]
    end_time: Option<i64>,
    filter_pattern: Option<String>,
    next_token: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    limit: Option<i64>,
}

/// Answers with one page of events, oldest first. A page may be empty and have another one behind it.
pub(super) async fn run(logs: &Logs, input: Filter, call: &Call) -> Result<Value, Fault> {
    let (scope, limit) = (call.scope(), limit(input.limit, EVENTS, EVENTS)?);
    let pattern = Pattern::parse(input.filter_pattern.as_deref().unwrap_or_default())?;
    if input.log_stream_names.is_some() && input.log_stream_name_prefix.is_some() {
        return Err(invalid("Specify logStreamNames or logStreamNamePrefix, not both."));
    }
    let asked = input.log_stream_names.as_ref().is_none_or(|names| names.iter().any(|name| name == STREAM))
        && STREAM.starts_with(input.log_stream_name_prefix.as_deref().unwrap_or_default());
    logs.read(call, |view| {
        let function = function_of(
            view,
            &scope,
            input.log_group_name.as_deref(),
            input.log_group_identifier.as_deref(),
        )?;
        let log = function.log_name();
        let mut after = match &input.next_token {
            Some(token) => place(token)?,
            None => behind(view, &log, input.start_time)?,
        };
        let (mut events, mut bytes, mut looked_at, mut more) = (Vec::new(), 0, 0, asked);
        'pages: while more && looked_at < LOOKED_AT {
            let batch = view.log(&log, after, BATCH)?;
            more = batch.len() == BATCH;
            for record in batch {
                looked_at += 1;
                if within(&record, input.start_time, input.end_time) && pattern.fits(&record.message) {
                    bytes += record.message.len();
                    if events.len() == limit || (bytes > BYTES && !events.is_empty()) {
                        more = true;
                        break 'pages;
                    }
                    events.push(json!({
                        "logStreamName": STREAM,
                        "timestamp": record.time.0,
                        "message": record.message + "\n",
                        "ingestionTime": record.time.0,
                        "eventId": format!("{:056}", record.seq),
                    }));
                }
                after = record.seq;
            }
        }
        let mut answer = json!({"events": events, "searchedLogStreams": []});
        if more {
            answer["nextToken"] = json!(after.to_string());
        }
        Ok::<_, Error>(answer)
    })
}
