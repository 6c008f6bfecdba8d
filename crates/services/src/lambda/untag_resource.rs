//! `UntagResource`: removes tags from a function.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_UntagResource.html>

use super::Lambda;
use super::error::Error;
use super::function::Function;
use super::tag_resource::tagged;
use super::validate::Checks;
use wire::rest_json::Call;

/// Removes tags by their keys; a key that is not there is no fault.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<(), Error> {
    // The parameter comes once per key.
    let keys: Vec<String> =
        call.query.iter().filter(|(name, _)| name == "tagKeys").map(|(_, key)| key.clone()).collect();
    let mut checks = Checks::default();
    checks.required("tagKeys", keys.first());
    checks.finish()?;
    let named = tagged(call.label("Resource"))?;
    lambda
        .store
        .write(move |tx| {
            let mut function = Function::load(tx, &named)?;
            function.about.tags.retain(|key, _| !keys.contains(key));
            Ok(function.save(tx)?)
        })
        .await
}
