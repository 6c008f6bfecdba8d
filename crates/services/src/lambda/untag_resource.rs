//! `UntagResource`: removes tags from a function or an event source mapping.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_UntagResource.html>

use super::Lambda;
use super::error::Error;
use super::function::Function;
use super::network;
use super::start;
use super::tag_resource::{Tagged, tag_mapping, tagged};
use super::validate::Checks;
use std::collections::BTreeMap;
use wire::rest_json::Call;

/// Removes tags by their keys; a key that is not there is no fault.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<(), Error> {
    // The parameter comes once per key.
    let keys: Vec<String> =
        call.query.iter().filter(|(name, _)| name == "tagKeys").map(|(_, key)| key.clone()).collect();
    let mut checks = Checks::default();
    checks.required("tagKeys", keys.first());
    checks.finish()?;
    let named = match tagged(&call, call.label("Resource"))? {
        Tagged::Function(named) => named,
        Tagged::Mapping(uuid) => {
            let change = move |tags: &mut BTreeMap<String, String>| tags.retain(|key, _| !keys.contains(key));
            return tag_mapping(lambda, &call, &uuid, change).await;
        }
    };
    lambda
        .store
        .write(move |tx| {
            let mut function = Function::load(tx, &named)?;
            function.about.tags.retain(|key, _| !keys.contains(key));
            if keys.iter().any(|key| key == network::TAG) {
                function.spec.network = None;
            }
            start::reset(&keys, &mut function.spec);
            Ok(function.save(tx)?)
        })
        .await
}

#[cfg(test)]
mod tests {
    use crate::lambda::testing::Bench;
    use serde_json::json;

    const PATH: &str = "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af";

    #[tokio::test]
    async fn tags_come_and_go() {
        let bench = Bench::new();
        bench.created().await;
        let got = bench.send("POST", PATH, json!({"Tags": {"a": "1", "b": "2", "c": "3"}})).await;
        assert_eq!(got.status, 204);
        let path = format!("{PATH}?tagKeys=a&tagKeys=b");
        assert_eq!(bench.send_with("DELETE", &path, &[], "".into()).await.status, 204);
        assert_eq!(bench.get(PATH).await.body, json!({"Tags": {"c": "3"}}));
        let many: std::collections::BTreeMap<_, _> = (0..51).map(|n| (n.to_string(), "")).collect();
        let got = bench.send("POST", PATH, json!({"Tags": many})).await;
        got.refused(400, "InvalidParameterValueException", "tag limit");
        bench.get("/2017-03-31/tags/f").await.refused(400, "ValidationException", "'resource'");
    }
}
