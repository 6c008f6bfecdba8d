//! `GetPolicy`: the policy of a function as a document.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_GetPolicy.html>

use super::Lambda;
use super::error::{Error, no_resource};
use super::function::Function;
use super::name::Named;
use super::policy::{Owner, POLICIES};
use model::LATEST;
use serde::Serialize;
use store::alias::is_alias;
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
    let named = Named::parse(&call, call.label("FunctionName"), call.query("Qualifier"))?;
    lambda.store.read(|view| {
        let owner = match named.qualifier.as_deref() {
            // AWS takes no policy for it, so it has none.
            Some(LATEST) => return Err(no_resource().into()),
            // Of a function that exists, AWS only tells that the policy does not, not that the version does not.
            Some(version) if !is_alias(version) && Function::find(view, &named.target())?.is_none() => {
                Function::load(view, &Named { qualifier: None, ..named.clone() })?;
                return Err(no_resource().into());
            }
            _ => Owner::load(view, &named)?,
        };
        match view.get(&POLICIES, named.target().as_str())? {
            Some(policy) => {
                Ok(Output { policy: policy.document(), revision_id: owner.revision().to_owned() })
            }
            None => Err(no_resource().into()),
        }
    })
}
