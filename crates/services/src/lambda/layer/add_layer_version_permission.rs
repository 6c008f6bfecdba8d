//! `AddLayerVersionPermission`: lets others use a version of a layer. It is kept whole; callers are not checked yet.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_AddLayerVersionPermission.html>

use super::name::{LayerArn, version_number};
use super::record::{LAYERS, LayerVersion, Statement};
use crate::lambda::Lambda;
use crate::lambda::error::{Error, conflict, not_found, stale_revision};
use crate::lambda::function::new_revision;
use crate::lambda::refusal::{Rest, refuse};
use crate::lambda::validate::{Checks, is_account, is_word};
use serde::Deserialize;
use serde_json::{Value, json};
use store::View;
use wire::rest_json::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    statement_id: Option<String>,
    action: Option<String>,
    principal: Option<String>,
    organization_id: Option<String>,
    revision_id: Option<String>,
    #[serde(rename = "LayerName")]
    _layer: String,
    #[serde(rename = "VersionNumber")]
    _number: String,
    #[serde(flatten)]
    rest: Rest,
}

/// The most statements of one policy: far more than fit into AWS's 20 KB.
const MOST: usize = 200;

/// Adds a permission.
pub(in crate::lambda) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let input: Input = call.input()?;
    refuse(call.operation, &input.rest)?;
    let mut checks = Checks::default();
    if let Some(sid) = checks.required("statementId", input.statement_id.as_deref()) {
        checks.length("statementId", sid, 1, 100);
        checks.pattern("statementId", sid, "([a-zA-Z0-9-_]+)", is_word(sid));
    }
    if let Some(action) = checks.required("action", input.action.as_deref()) {
        const ACTION: &str = "lambda:GetLayerVersion";
        checks.pattern("action", action, ACTION, action == ACTION);
    }
    if let Some(principal) = checks.required("principal", input.principal.as_deref()) {
        let arn = principal.starts_with("arn:aws:iam::") && principal.ends_with(":root");
        let fits = principal == "*" || is_account(principal) || arn;
        checks.pattern("principal", principal, r"\d{12}|\*|arn:(aws[a-zA-Z-]*):iam::\d{12}:root", fits);
    }
    checks.finish()?;
    let number = version_number(&call)?;
    let arn = LayerArn::parse(&call, call.label("LayerName"))?;
    lambda
        .store
        .write(move |tx| {
            let mut layer = with_policy(tx, &arn, number)?;
            let sid = input.statement_id.unwrap_or_default();
            if layer.statements.iter().any(|present| present.sid == sid) || layer.statements.len() >= MOST {
                return Err(conflict(format!(
                    "The statement id ({sid}) provided already exists. Please provide a new statement id, or remove \
                     the existing statement."
                ))
                .into());
            }
            if input.revision_id.is_some_and(|revision| revision != layer.revision) {
                return Err(stale_revision("GetLayerPolicy").into());
            }
            let principal = input.principal.unwrap_or_default();
            let statement = Statement {
                sid,
                effect: "Allow".to_owned(),
                principal: match is_account(&principal) {
                    true => json!({"AWS": format!("arn:aws:iam::{principal}:root")}),
                    false => json!(principal),
                },
                action: input.action.unwrap_or_default(),
                resource: arn.version(number),
                condition: input.organization_id.map(|id| json!({"StringEquals": {"aws:PrincipalOrgID": id}})),
            };
            let shown = serde_json::to_string(&statement).unwrap_or_default();
            layer.statements.push(statement);
            layer.revision = new_revision();
            tx.put(&LAYERS, arn.key(number), &layer)?;
            Ok::<_, Error>(json!({"Statement": shown, "RevisionId": layer.revision}))
        })
        .await
}

/// The version whose policy a request is about.
pub(super) fn with_policy(view: &View<'_>, arn: &LayerArn, number: u64) -> Result<LayerVersion, Error> {
    let missing = || not_found(format!("Layer version {} does not exist.", arn.version(number)));
    Ok(view.get(&LAYERS, arn.key(number))?.ok_or_else(missing)?)
}
