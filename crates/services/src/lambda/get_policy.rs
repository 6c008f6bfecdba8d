//! `GetPolicy`: the policy of a function as a document.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_GetPolicy.html>

use super::Lambda;
use super::error::{Error, no_resource};
use super::function::Function;
use super::name::Named;
use super::policy::POLICIES;
use serde::Serialize;
use wire::rest_json::Call;

/// A policy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    /// JSON within JSON, as AWS answers it.
    policy: String,
    revision_id: String,
}

/// Shows the policy of one function.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Output, Error> {
    let named = Named::parse(call.label("FunctionName"), call.query("Qualifier"))?;
    let policy = lambda.store.read(|view| {
        Function::load(view, &named)?;
        Ok::<_, Error>(view.get(&POLICIES, named.arn.as_str())?)
    })?;
    match policy {
        // Policies belong to qualifiers, and `$LATEST` cannot have one.
        Some(policy) if named.qualifier.is_none() => {
            Ok(Output { policy: policy.document(), revision_id: policy.revision })
        }
        _ => Err(no_resource().into()),
    }
}
