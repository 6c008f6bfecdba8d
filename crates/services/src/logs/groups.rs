//! `DescribeLogGroups`: one for each function of the account and region.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogGroups.html>

use super::{Error, Logs, PREFIX, group_arn, invalid, limit};
use model::FunctionArn;
use serde::Deserialize;
use serde_json::{Value, json};
use store::kv::{From, SPECS};
use wire::Fault;
use wire::rpc::{Call, integer};

/// How many groups an answer has at most.
const GROUPS: usize = 50;

/// How many functions are looked at in one request.
const LOOKED_AT: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Describe {
    log_group_name_prefix: Option<String>,
    log_group_name_pattern: Option<String>,
    next_token: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    limit: Option<i64>,
}

/// Lists groups in the order of their names.
pub(super) async fn describe(logs: &Logs, input: Describe, call: &Call) -> Result<Value, Fault> {
    if input.log_group_name_prefix.is_some() && input.log_group_name_pattern.is_some() {
        return Err(invalid("Specify logGroupNamePrefix or logGroupNamePattern, not both."));
    }
    let (scope, limit) = (call.scope(), limit(input.limit, GROUPS, GROUPS)?);
    let fits = |name: &str| {
        input.log_group_name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix.as_str()))
            && input
                .log_group_name_pattern
                .as_ref()
                .is_none_or(|part| name.to_ascii_lowercase().contains(&part.to_ascii_lowercase()))
    };
    logs.read(call, |view| {
        let base = scope.arn("lambda", "function:");
        let mut last = input.next_token.as_ref().map(|token| format!("{base}{token}").into_bytes());
        let (mut found, mut looked_at, mut more) = (Vec::new(), 0, true);
        while more && found.len() < limit && looked_at < LOOKED_AT {
            let from = last.as_deref().map_or(From::At(b""), From::After);
            let batch = view.scan(&SPECS, base.as_bytes(), from, GROUPS)?;
            more = batch.len() == GROUPS;
            for (key, spec) in batch {
                looked_at += 1;
                let name = format!("{PREFIX}{}", spec.arn.name());
                if spec.arn.qualifier().is_none() && fits(&name) {
                    if found.len() == limit {
                        more = true;
                        break;
                    }
                    let first = view.log(&spec.arn.log_name(), 0, 1)?;
                    found.push(json!({
                        "logGroupName": name,
                        "creationTime": first.first().map_or(0, |record| record.time.0),
                        "metricFilterCount": 0,
                        "arn": format!("{}:*", group_arn(&scope, &name)),
                        "logGroupArn": group_arn(&scope, &name),
                        "storedBytes": 0,
                        "logGroupClass": "STANDARD",
                    }));
                }
                last = Some(key);
            }
        }
        let mut answer = json!({ "logGroups": found });
        if let (true, Some(last)) = (more, last) {
            let last = FunctionArn::from_stored(String::from_utf8_lossy(&last).into_owned());
            let qualifier = last.qualifier().map(|qualifier| format!(":{qualifier}")).unwrap_or_default();
            answer["nextToken"] = json!(format!("{}{qualifier}", last.name()));
        }
        Ok::<_, Error>(answer)
    })
}
