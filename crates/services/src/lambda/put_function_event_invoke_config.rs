//! `PutFunctionEventInvokeConfig`: says what follows from a function's asynchronous events, in place of what was said before.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html>

use super::Lambda;
use super::error::Error;
use super::event_rules::{Input, exists, key, shown};
use serde_json::Value;
use store::rules::{EVENT_RULES, EventRules};
use wire::rest_json::Call;

/// Replaces the configuration.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let (input, named) = Input::read(&call)?;
    let written = lambda.store.write(move |tx| {
        exists(tx, &named)?;
        let mut rules = EventRules::default();
        input.apply(tx, &named, &mut rules)?;
        tx.put(&EVENT_RULES, key(&named).as_str(), &rules)?;
        Ok::<_, Error>(shown(key(&named).as_str(), &rules))
    });
    written.await
}

#[cfg(test)]
mod tests {
    use crate::lambda::testing::{ARN, Bench};
    use serde_json::{Value, json};

    const PATH: &str = "/2019-09-25/functions/f/event-invoke-config";

    #[tokio::test]
    async fn a_configuration_is_put_changed_listed_and_removed() {
        let bench = Bench::new();
        bench.created().await;
        bench.create(json!({"FunctionName": "g"})).await;
        let missing = "doesn't have an EventInvokeConfig";
        bench.get(PATH).await.refused(404, "ResourceNotFoundException", missing);
        let body = json!({"MaximumRetryAttempts": 0});
        bench.send("POST", PATH, body.clone()).await.refused(404, "ResourceNotFoundException", missing);
        let other = ARN.replace("function:f", "function:g");
        let body = json!({
            "MaximumRetryAttempts": 1,
            "MaximumEventAgeInSeconds": 60,
            "DestinationConfig": {"OnFailure": {"Destination": other}},
        });
        let put = bench.send("PUT", PATH, body).await;
        assert_eq!(put.status, 200, "{put:?}");
        assert_eq!(put.body["FunctionArn"], format!("{ARN}:$LATEST"));
        assert_eq!(put.body["DestinationConfig"]["OnFailure"]["Destination"], other);
        assert_eq!(bench.get(PATH).await.body, put.body);
        assert_eq!(bench.get(&format!("{PATH}?Qualifier=$LATEST")).await.body, put.body);
        let updated = bench.send("POST", PATH, json!({"MaximumRetryAttempts": 0})).await.body;
        assert_eq!(updated["MaximumRetryAttempts"], 0);
        assert_eq!(updated["MaximumEventAgeInSeconds"], 60);
        assert_eq!(
            bench.get(&format!("{PATH}/list")).await.body["FunctionEventInvokeConfigs"],
            json!([updated])
        );
        let replaced = bench.send("PUT", PATH, json!({"MaximumEventAgeInSeconds": 21_600})).await.body;
        assert_eq!(replaced.get("MaximumRetryAttempts"), None);
        let gone = bench.send_with("DELETE", PATH, &[], "".into()).await;
        assert_eq!((gone.status, gone.body), (204, Value::Null));
        let again = bench.send_with("DELETE", PATH, &[], "".into()).await;
        again.refused(404, "ResourceNotFoundException", missing);
        assert_eq!(bench.get(&format!("{PATH}/list")).await.body["FunctionEventInvokeConfigs"], json!([]));
    }

    #[tokio::test]
    async fn what_cannot_be_is_refused() {
        let bench = Bench::new();
        bench.created().await;
        let to = |arn: &str| json!({"DestinationConfig": {"OnSuccess": {"Destination": arn}}});
        let invalid = "InvalidParameterValueException";
        for (body, code, part) in [
            (json!({}), invalid, "at least one of error handling or destination setting"),
            (json!({"MaximumRetryAttempts": 3}), "ValidationException", "maximumRetryAttempts"),
            (json!({"MaximumEventAgeInSeconds": 59}), "ValidationException", "maximumEventAgeInSeconds"),
            (json!({"MaximumEventAgeInSeconds": 21_601}), "ValidationException", "maximumEventAgeInSeconds"),
            (to(ARN), invalid, "as a destination for itself"),
            (to(&ARN.replace("function:f", "function:gone")), invalid, "is invalid"),
            (to("arn:aws:sns:us-east-1:000000000000:t"), invalid, "not supported by Mayfly"),
            (to("nowhere"), "ValidationException", "destinationConfig.onSuccess.destination"),
            (
                to("arn:aws:iam:us-east-1:000000000000:x"),
                invalid,
                "onSuccess=OnSuccess(destination=arn:aws:iam",
            ),
        ] {
            bench.send("PUT", PATH, body).await.refused(400, code, part);
        }
    }
}
