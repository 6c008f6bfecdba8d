//! `GetLayerVersionPolicy`: who else may use a version of a layer.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_GetLayerVersionPolicy.html>

use super::add_layer_version_permission::with_policy;
use super::name::{LayerArn, version_number};
use crate::lambda::Lambda;
use crate::lambda::error::{Error, not_found};
use serde_json::{Value, json};
use wire::rest_json::Call;

/// Shows the policy.
pub(in crate::lambda) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let number = version_number(&call)?;
    let arn = LayerArn::parse(&call, call.label("LayerName"))?;
    let layer = lambda.store.read(|view| with_policy(view, &arn, number))?;
    if layer.statements.is_empty() {
        return Err(not_found("No policy is associated with the given resource.").into());
    }
    let policy = json!({"Version": "2012-10-17", "Id": "default", "Statement": layer.statements});
    Ok(json!({"Policy": policy.to_string(), "RevisionId": layer.revision}))
}
