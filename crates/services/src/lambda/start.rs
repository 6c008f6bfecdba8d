//! How a function's processes come to be, by tags that every client of AWS's API can set.

use super::error::invalid;
use model::limits::AHEAD;
use model::{FunctionSpec, StartMode};
use std::collections::BTreeMap;
use wire::Fault;

/// The key of the tag whose value is the name of a mode.
const MODE: &str = "mayfly:start";

/// The key of the tag whose value is how many processes wait ahead of events at the least.
const FLOOR: &str = "mayfly:ahead";

/// What tags ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    mode: Option<StartMode>,
    floor: Option<u32>,
}

impl Start {
    /// What these tags ask for.
    pub(super) fn of(tags: &BTreeMap<String, String>) -> Result<Start, Fault> {
        let mode = |name: &String| {
            StartMode::named(name).ok_or_else(|| {
                let names = StartMode::ALL.map(StartMode::name).join(", ");
                invalid(format!("Value '{name}' of the tag {MODE} is none of the ways to start: {names}."))
            })
        };
        let floor = |text: &String| {
            text.parse().ok().filter(|floor| *floor <= AHEAD).ok_or_else(|| {
                invalid(format!("Value '{text}' of the tag {FLOOR} is no whole number from 0 to {AHEAD}."))
            })
        };
        Ok(Start {
            mode: tags.get(MODE).map(mode).transpose()?,
            floor: tags.get(FLOOR).map(floor).transpose()?,
        })
    }

    /// Changes a function accordingly; what no tag asks for stays as it is.
    pub(super) fn apply(self, spec: &mut FunctionSpec) -> Result<(), Fault> {
        spec.start = self.mode.unwrap_or(spec.start);
        spec.ahead = self.floor.unwrap_or(spec.ahead);
        if spec.start == StartMode::Cold && spec.ahead > 0 {
            return Err(invalid(format!(
                "The tags {MODE} = cold and {FLOOR} = {} exclude each other: nothing waits for a cold start.",
                spec.ahead
            )));
        }
        Ok(())
    }
}

/// Sets back what the tags with these keys had asked for.
pub(super) fn reset(keys: &[String], spec: &mut FunctionSpec) {
    if keys.iter().any(|key| key == MODE) {
        spec.start = StartMode::default();
    }
    if keys.iter().any(|key| key == FLOOR) {
        spec.ahead = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lambda::testing::{ARN, Bench};
    use serde_json::json;
    use store::kv::{FLOORS, SPECS};

    const PATH: &str = "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af";

    fn of(bench: &Bench) -> (StartMode, u32, bool) {
        bench
            .lambda
            .store
            .read(|view| {
                let spec = view.get(&SPECS, ARN)?.unwrap();
                Ok::<_, store::Error>((spec.start, spec.ahead, view.get(&FLOORS, ARN)?.is_some()))
            })
            .unwrap()
    }

    #[tokio::test]
    async fn tags_decide_how_processes_come_to_be() {
        let bench = Bench::new();
        for (tags, part) in [
            (
                json!({MODE: "hot"}),
                "'hot' of the tag mayfly:start is none of the ways to start: fresh, clone, ready",
            ),
            (json!({FLOOR: "-1"}), "'-1' of the tag mayfly:ahead is no whole number from 0 to 1000"),
            (json!({FLOOR: "1001"}), "'1001'"),
            (json!({MODE: "cold", FLOOR: "1"}), "exclude each other"),
        ] {
            bench.create(json!({"Tags": tags})).await.refused(400, "InvalidParameterValueException", part);
        }
        assert_eq!(bench.create(json!({"Tags": {MODE: "ready", FLOOR: "2"}})).await.status, 201);
        assert_eq!(of(&bench), (StartMode::Ready, 2, true));
        let got = bench.send("POST", PATH, json!({"Tags": {MODE: "cold"}})).await;
        got.refused(400, "InvalidParameterValueException", "exclude each other");
        bench.send("POST", PATH, json!({"Tags": {MODE: "warm"}})).await;
        assert_eq!(of(&bench), (StartMode::Warm, 2, true));
        bench.send("PUT", "/2015-03-31/functions/f/configuration", json!({"Timeout": 9})).await;
        assert_eq!(of(&bench), (StartMode::Warm, 2, true));
        let path = format!("{PATH}?tagKeys=mayfly%3Astart&tagKeys=mayfly%3Aahead");
        bench.send_with("DELETE", &path, &[], "".into()).await;
        assert_eq!(of(&bench), (StartMode::Fresh, 0, false));
        bench.send("POST", PATH, json!({"Tags": {FLOOR: "1"}})).await;
        bench.send_with("DELETE", "/2015-03-31/functions/f", &[], "".into()).await;
        assert!(!bench.lambda.store.read(|view| view.any(&FLOORS, b"")).unwrap());
    }
}
