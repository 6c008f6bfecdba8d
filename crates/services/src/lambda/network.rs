//! What a function can reach, by a tag that every client of AWS's API can set.

use super::error::invalid;
use model::NetworkPolicy;
use std::collections::BTreeMap;
use wire::Fault;

/// The key of the tag; its value is the name of a policy.
pub(super) const TAG: &str = "mayfly:network";

/// The policy that the tags ask for, if they do.
pub(super) fn policy(
    tags: &BTreeMap<String, String>,
    most: NetworkPolicy,
) -> Result<Option<NetworkPolicy>, Fault> {
    let Some(name) = tags.get(TAG) else { return Ok(None) };
    let policy = NetworkPolicy::named(name).ok_or_else(|| {
        let names = NetworkPolicy::ALL.map(NetworkPolicy::name).join(", ");
        invalid(format!("Value '{name}' of the tag {TAG} is none of the network policies: {names}."))
    })?;
    if policy > most {
        return Err(invalid(format!(
            "Value '{name}' of the tag {TAG} is more than this installation allows its functions: {most} at the most."
        )));
    }
    Ok(Some(policy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lambda::testing::{ARN, Bench};
    use serde_json::json;
    use store::kv::SPECS;

    const PATH: &str = "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af";

    fn of(bench: &Bench) -> Option<NetworkPolicy> {
        bench.lambda.store.read(|view| view.get(&SPECS, ARN)).unwrap().unwrap().network
    }

    #[tokio::test]
    async fn the_tag_decides_what_a_function_can_reach() {
        let bench = Bench::new();
        let got = bench.create(json!({"Tags": {TAG: "all"}})).await;
        got.refused(400, "InvalidParameterValueException", "'all' of the tag mayfly:network is none of");
        assert_eq!(bench.create(json!({"Tags": {TAG: "none"}})).await.status, 201);
        assert_eq!(of(&bench), Some(NetworkPolicy::Nothing));
        bench.send("POST", PATH, json!({"Tags": {"other": "1"}})).await;
        assert_eq!(of(&bench), Some(NetworkPolicy::Nothing));
        bench.send("POST", PATH, json!({"Tags": {TAG: "internet"}})).await;
        assert_eq!(of(&bench), Some(NetworkPolicy::Internet));
        let got = bench.send("POST", PATH, json!({"Tags": {TAG: "Internet"}})).await;
        got.refused(400, "InvalidParameterValueException", "'Internet'");
        bench.send("PUT", "/2015-03-31/functions/f/configuration", json!({"Timeout": 9})).await;
        assert_eq!(of(&bench), Some(NetworkPolicy::Internet));
        bench.send_with("DELETE", &format!("{PATH}?tagKeys=mayfly%3Anetwork"), &[], "".into()).await;
        assert_eq!(of(&bench), None);
    }

    #[test]
    fn more_than_is_allowed_is_refused() {
        let tags = BTreeMap::from([(TAG.to_owned(), "internet".to_owned())]);
        assert_eq!(policy(&tags, NetworkPolicy::Internet).unwrap(), Some(NetworkPolicy::Internet));
        let fault = policy(&tags, NetworkPolicy::Platform).unwrap_err();
        assert!(format!("{fault:?}").contains("platform at the most"), "{fault:?}");
        assert_eq!(policy(&BTreeMap::new(), NetworkPolicy::Nothing).unwrap(), None);
    }
}
