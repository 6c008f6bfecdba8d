//! `UpdateFunctionConfiguration`: changes settings; those that are absent stay.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionConfiguration.html>

use super::Lambda;
use super::error::Error;
use super::event_rules::check_queue;
use super::function::Function;
use super::name::Named;
use super::settings::Settings;
use serde::Deserialize;
use serde_json::Value;
use wire::rest_json::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    revision_id: Option<String>,
    #[serde(flatten)]
    settings: Settings,
}

/// Changes the configuration of a function.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let input: Input = call.input()?;
    let named = Named::latest(&call, call.label("FunctionName"))?;
    input.settings.check(call.operation, &lambda.runtimes)?;
    let _change = lambda.busy.begin(&named.arn)?;
    let laid = match &input.settings.layers {
        Some(layers) => {
            let present = lambda.store.read(|view| Function::load(view, &named))?;
            let laid = lambda.lay(&call.scope, layers, &present.about.layers).await?;
            lambda.check_size(&present.spec.code, laid.code()).await?;
            Some(laid)
        }
        None => None,
    };
    let (changed, unused) = lambda
        .store
        .write(move |tx| {
            let mut function = Function::load(tx, &named)?;
            function.expect_revision(input.revision_id.as_deref())?;
            input.settings.apply(&mut function)?;
            if let Some(queue) = &function.spec.dead_letter {
                check_queue(tx, queue)?;
            }
            let unused = laid.map(|laid| laid.give(tx, &mut function)).transpose()?.unwrap_or_default();
            function.touch(tx.now());
            function.save(tx)?;
            Ok::<_, Error>((function, unused))
        })
        .await?;
    for zip in unused {
        lambda.remove_zip(zip);
    }
    Ok(lambda.changed(&changed))
}

#[cfg(test)]
mod tests {
    use crate::lambda::testing::{ARN, Bench};
    use serde_json::json;
    use store::kv::SPECS;

    const PATH: &str = "/2015-03-31/functions/f/configuration";

    #[tokio::test]
    async fn settings_change_and_the_rest_stays() {
        let bench = Bench::new();
        bench.create(json!({"Environment": {"Variables": {"AB": "1"}}, "Description": "old"})).await;
        let input = json!({"Timeout": 60, "MemorySize": 512, "Description": "new"});
        let got = bench.send("PUT", PATH, input).await;
        assert_eq!((got.status, &got.body["LastUpdateStatus"]), (200, &json!("InProgress")));
        let found = bench.get(PATH).await.body;
        assert_eq!(found["Environment"], json!({"Variables": {"AB": "1"}}));
        assert_eq!((&found["Description"], &found["Timeout"]), (&json!("new"), &json!(60)));
        let spec = bench.lambda.store.read(|view| view.get(&SPECS, ARN)).unwrap().unwrap();
        assert_eq!((spec.timeout_s, spec.memory_mb), (60, 512));
        bench.send("PUT", PATH, json!({"Environment": {}})).await;
        assert_eq!(bench.get(PATH).await.body.get("Environment"), None);
        bench.send("PUT", PATH, json!({"Environment": {"Variables": {}}})).await;
        assert_eq!(bench.get(PATH).await.body["Environment"], json!({"Variables": {}}));
        bench.send("PUT", PATH, json!({"TracingConfig": {"Mode": "Active"}})).await;
        assert_eq!(bench.get(PATH).await.body["TracingConfig"], json!({"Mode": "Active"}));
    }

    #[tokio::test]
    async fn a_revision_is_good_for_one_change() {
        let bench = Bench::new();
        bench.created().await;
        let revision = bench.get(PATH).await.body["RevisionId"].clone();
        let input = json!({"Timeout": 60, "RevisionId": revision});
        assert_eq!(bench.send("PUT", PATH, input.clone()).await.status, 200);
        let got = bench.send("PUT", PATH, input).await;
        got.refused(412, "PreconditionFailedException", "GetFunction/GetAlias");
        let got = bench.send("PUT", PATH, json!({"Timeout": 901})).await;
        got.refused(400, "ValidationException", "'timeout'");
        let got = bench.send("PUT", PATH, json!({"ImageConfig": {"Command": ["x"]}})).await;
        got.refused(400, "InvalidParameterValueException", "ImageConfig");
    }
}
