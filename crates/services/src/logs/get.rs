//! `GetLogEvents`: the events of a stream from one place on, forwards or backwards.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html>

use super::{
    BATCH, BYTES, EVENTS, Error, LOOKED_AT, Logs, STREAM, behind, function_of, invalid, limit, place, within,
};
use serde::Deserialize;
use serde_json::{Value, json};
use wire::Fault;
use wire::rpc::{Call, boolean, integer};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Get {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    start_time: Option<i64>,
    #[serde(default, deserialize_with = "integer")]
    end_time: Option<i64>,
    next_token: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    limit: Option<i64>,
    #[serde(default, deserialize_with = "boolean")]
    start_from_head: Option<bool>,
}

/// From where a request reads: behind a record, or before it.
enum Way {
    Forward(i64),
    Backward(i64),
}

/// Answers with one page of events, oldest first, and the tokens of its neighbours.
pub(super) async fn run(logs: &Logs, input: Get, call: &Call) -> Result<Value, Fault> {
    let (scope, limit) = (call.scope(), limit(input.limit, EVENTS, EVENTS)?);
    logs.read(call, |view| {
        let function = function_of(
            view,
            &scope,
            input.log_group_name.as_deref(),
            input.log_group_identifier.as_deref(),
        )?;
        if input.log_stream_name.as_deref() != Some(STREAM) {
            let message = "The specified log stream does not exist.";
            return Err(Fault::new("ResourceNotFoundException", 400, message).into());
        }
        let log = function.log_name();
        let way = match input.next_token.as_deref().map(|token| token.split_once('/')) {
            Some(Some(("f", token))) => Way::Forward(place(token)?),
            Some(Some(("b", token))) => Way::Backward(place(token)?),
            Some(_) => return Err(invalid("The specified nextToken is invalid.").into()),
            None if input.start_from_head == Some(true) => {
                Way::Forward(behind(view, &log, input.start_time)?)
            }
            None => Way::Backward(i64::MAX),
        };
        let forward = matches!(way, Way::Forward(_));
        let (Way::Forward(mut at) | Way::Backward(mut at)) = way;
        let (mut events, mut bytes, mut looked_at, mut more) = (Vec::new(), 0, 0, true);
        'pages: while more && looked_at < LOOKED_AT {
            let batch = match forward {
                true => view.log(&log, at, BATCH)?,
                false => view.log_before(&log, at, BATCH)?,
            };
            more = batch.len() == BATCH;
            for record in batch {
                looked_at += 1;
                if within(&record, input.start_time, input.end_time) {
                    bytes += record.message.len();
                    if events.len() == limit || (bytes > BYTES && !events.is_empty()) {
                        break 'pages;
                    }
                    events.push(record.clone());
                }
                at = record.seq;
            }
        }
        if !forward {
            events.reverse();
        }
        // Without events, the next page begins where this one was to.
        let (first, last) = match (events.first(), events.last()) {
            (Some(first), Some(last)) => (first.seq, last.seq),
            _ if at == i64::MAX => (0, 0),
            _ => (at, at),
        };
        let shown = events.into_iter().map(|record| {
            json!({
                "timestamp": record.time.0, "message": record.message + "\n", "ingestionTime": record.time.0,
            })
        });
        Ok::<_, Error>(json!({
            "events": shown.collect::<Vec<_>>(),
            "nextForwardToken": format!("f/{last}"),
            "nextBackwardToken": format!("b/{first}"),
        }))
    })
}
