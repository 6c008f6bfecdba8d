//! `AddPermission`: adds a statement to the queue's policy.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_AddPermission.html>

use super::Sqs;
use super::fault::{fault, invalid_value, missing};
use super::target::Target;
use serde::Deserialize;
use serde_json::{Value, json};
use wire::Fault;
use wire::rpc::Call;

/// What can be allowed to others.
const ACTIONS: &[&str] = &[
    "*",
    "SendMessage",
    "ReceiveMessage",
    "DeleteMessage",
    "ChangeMessageVisibility",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "PurgeQueue",
];

/// What only the owner of a queue does.
const OWNERS: &[&str] = &[
    "AddPermission",
    "CancelMessageMoveTask",
    "CreateQueue",
    "DeleteQueue",
    "ListMessageMoveTasks",
    "ListQueueTags",
    "ListQueues",
    "RemovePermission",
    "SetQueueAttributes",
    "StartMessageMoveTask",
    "TagQueue",
    "UntagQueue",
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
    label: Option<String>,
    #[serde(default, rename = "AWSAccountIds")]
    accounts: Vec<String>,
    #[serde(default)]
    actions: Vec<String>,
}

pub(super) async fn run(state: &Sqs, input: Input, call: &Call) -> Result<(), Fault> {
    let target = Target::of(call, input.queue_url.as_deref())?;
    let label = input.label.ok_or_else(|| missing("Label"))?;
    check(&label, &input.accounts, &input.actions)?;
    let principals = input.accounts.iter().map(|account| format!("arn:aws:iam::{account}:root"));
    let actions = input.actions.iter().map(|action| format!("SQS:{action}"));
    let (principals, actions) = (one_or_many(principals), one_or_many(actions));
    state
        .write(call, move |tx| {
            let mut queue = target.find(tx)?;
            let mut policy = policy(queue.settings.policy.as_deref(), &queue.arn);
            let statements = statements(&mut policy);
            if statements.iter().any(|statement| statement["Sid"] == label.as_str()) {
                return Err(invalid_value(&label, "Label", "Already exists.").into());
            }
            statements.push(json!({
                "Sid": label, "Effect": "Allow", "Principal": { "AWS": principals }, "Action": actions,
                "Resource": queue.arn,
            }));
            queue.settings.policy = Some(policy.to_string());
            queue.modified = tx.now();
            Ok(tx.update_queue(&queue)?)
        })
        .await
}

fn check(label: &str, accounts: &[String], actions: &[String]) -> Result<(), Fault> {
    let fits = (1..=80).contains(&label.len());
    if !fits || !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        let reason = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
        return Err(invalid_value(label, "Label", reason));
    }
    if accounts.is_empty() {
        return Err(invalid_value("[]", "PrincipalId", "Unable to verify."));
    }
    if actions.is_empty() {
        return Err(missing("Actions"));
    }
    if actions.len() > 7 {
        let message = format!("{} Actions were found, maximum allowed is 7.", actions.len());
        return Err(fault("OverLimit", message));
    }
    for action in actions {
        if OWNERS.contains(&action.as_str()) {
            let reason = "Only the queue owner is allowed to invoke this action.";
            return Err(invalid_value(format!("SQS:{action}"), "ActionName", reason));
        }
        if !ACTIONS.contains(&action.as_str()) {
            return Err(invalid_value(
                format!("SQS:{action}"),
                "ActionName",
                "Please refer to the appropriate WSDL for a list of valid actions.",
            ));
        }
    }
    let account = accounts.iter().find(|id| id.len() != 12 || !id.bytes().all(|byte| byte.is_ascii_digit()));
    account.map_or(Ok(()), |id| Err(invalid_value(format!("[{id}]"), "PrincipalId", "Unable to verify.")))
}

fn one_or_many(values: impl Iterator<Item = String>) -> Value {
    let mut values: Vec<Value> = values.map(Value::String).collect();
    if values.len() == 1 { values.remove(0) } else { Value::Array(values) }
}

/// The policy of a queue, or an empty one.
pub(super) fn policy(policy: Option<&str>, arn: &str) -> Value {
    policy.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(
        || json!({ "Version": "2008-10-17", "Id": format!("{arn}/SQSDefaultPolicy"), "Statement": [] }),
    )
}

/// The statements of a policy; one that stands alone becomes a list.
pub(super) fn statements(policy: &mut Value) -> &mut Vec<Value> {
    if !policy.is_object() {
        *policy = json!({});
    }
    let statements = &mut policy["Statement"];
    if !statements.is_array() {
        let alone = statements.take();
        *statements = if alone.is_null() { json!([]) } else { json!([alone]) };
    }
    match statements {
        Value::Array(statements) => statements,
        _ => unreachable!("it was made a list above"),
    }
}
