//! `DeleteFunction`: a function goes, and with it its policy, its URL and the events that wait for it.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunction.html>

use super::Lambda;
use super::error::{Error, invalid};
use super::event_rules;
use super::function::{ABOUT, Function};
use super::name::Named;
use super::policy::POLICIES;
use super::url::record::{URL_OF, URLS};
use store::kv::{FLOORS, SPECS};
use store::rules::RESERVED;
use wire::rest_json::Call;

/// Deletes a function. Its unpacked code stays for runs that are under way and goes with the next sweep.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<(), Error> {
    let named = Named::parse(call.label("FunctionName"), call.query("Qualifier"))?;
    if named.qualifier.is_some() {
        return Err(invalid("$LATEST version cannot be deleted without deleting the function.").into());
    }
    let zip = lambda
        .store
        .write(move |tx| {
            let function = Function::load(tx, &named)?;
            let (arn, name) = (named.arn.as_str(), named.arn.name());
            tx.delete(&ABOUT, arn)?;
            tx.delete(&SPECS, arn)?;
            tx.delete(&FLOORS, arn)?;
            tx.delete(&POLICIES, arn)?;
            if let Some(url) = tx.get(&URL_OF, name)? {
                tx.delete(&URLS, &url.0)?;
                tx.delete(&URL_OF, name)?;
            }
            tx.delete(&RESERVED, arn)?;
            event_rules::forget(tx, &named.arn)?;
            tx.forget_events_of(&named.arn)?;
            Ok::<_, Error>(tx.unlink(function.about.zip)?)
        })
        .await?;
    lambda.remove_zip(zip);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::lambda::testing::Bench;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn everything_of_a_function_goes_with_it() {
        let bench = Bench::new();
        bench.created().await;
        let permission = json!({"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "*"});
        bench.send("POST", "/2015-03-31/functions/f/policy", permission).await;
        bench.send("POST", "/2021-10-31/functions/f/url", json!({"AuthType": "NONE"})).await;
        let event = [("x-amz-invocation-type", "Event")];
        bench.send_with("POST", "/2015-03-31/functions/f/invocations", &event, "{}".into()).await;
        assert_eq!(bench.lambda.store.read(|view| view.durable_events()).unwrap(), 1);

        let got = bench.send_with("DELETE", "/2015-03-31/functions/f", &[], "".into()).await;
        assert_eq!((got.status, &got.body), (204, &Value::Null));
        assert_eq!(bench.lambda.store.read(|view| view.durable_events()).unwrap(), 0);
        assert_eq!(bench.zips(), 0);
        let again = bench.send_with("DELETE", "/2015-03-31/functions/f", &[], "".into()).await;
        again.refused(404, "ResourceNotFoundException", "Function not found");
        bench.created().await;
        for path in ["/2015-03-31/functions/f/policy", "/2021-10-31/functions/f/url"] {
            bench.get(path).await.refused(404, "ResourceNotFoundException", "");
        }
    }
}
