//! `RemoveLayerVersionPermission`: takes a statement out of the policy of a version of a layer.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_RemoveLayerVersionPermission.html>

use super::add_layer_version_permission::with_policy;
use super::name::{LayerArn, version_number};
use super::record::LAYERS;
use crate::lambda::Lambda;
use crate::lambda::error::{Error, not_found, stale_revision};
use crate::lambda::function::new_revision;
use wire::rest_json::Call;

/// Removes a permission.
pub(in crate::lambda) async fn run(lambda: &Lambda, call: Call) -> Result<(), Error> {
    let number = version_number(&call)?;
    let arn = LayerArn::parse(&call, call.label("LayerName"))?;
    let sid = call.label("StatementId").to_owned();
    let revision = call.query("RevisionId").map(str::to_owned);
    lambda
        .store
        .write(move |tx| {
            let mut layer = with_policy(tx, &arn, number)?;
            if revision.is_some_and(|revision| revision != layer.revision) {
                return Err(stale_revision("GetLayerPolicy").into());
            }
            let before = layer.statements.len();
            layer.statements.retain(|statement| statement.sid != sid);
            if layer.statements.len() == before {
                return Err(not_found(format!("Statement {sid} is not found in resource policy.")).into());
            }
            layer.revision = new_revision();
            Ok::<_, Error>(tx.put(&LAYERS, arn.key(number), &layer)?)
        })
        .await
}
