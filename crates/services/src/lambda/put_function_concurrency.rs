//! `PutFunctionConcurrency`: reserves concurrency for a function, which is also its limit; 0 turns it off.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionConcurrency.html>

use super::Lambda;
use super::error::{Error, invalid};
use super::function::Function;
use super::name::Named;
use super::refusal::{Rest, refuse};
use super::validate::Checks;
use model::{LATEST, limits};
use serde::{Deserialize, Serialize};
use store::rules::{RESERVED, Reserved};
use wire::rest_json::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    function_name: String,
    reserved_concurrent_executions: Option<i64>,
    #[serde(flatten)]
    rest: Rest,
}

/// What is reserved.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reserved_concurrent_executions: Option<u32>,
}

/// Reserves.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Output, Error> {
    let input: Input = call.input()?;
    refuse(call.operation, &input.rest)?;
    let mut checks = Checks::default();
    let given =
        checks.required("reservedConcurrentExecutions", input.reserved_concurrent_executions.as_ref());
    if let Some(executions) = given {
        checks.range("reservedConcurrentExecutions", *executions, 0, u32::MAX);
    }
    checks.finish()?;
    let executions = input.reserved_concurrent_executions.and_then(|given| u32::try_from(given).ok());
    let executions = executions.unwrap_or(u32::MAX);
    let named = Named::whole(&call, &input.function_name)?;
    let most = lambda.store.concurrency().saturating_sub(limits::CONCURRENCY_UNRESERVED);
    let written = lambda.store.write(move |tx| {
        // AWS names the version that the setting is for.
        let latest = Named { qualifier: Some(LATEST.to_owned()), ..named.clone() };
        Function::load(tx, &latest)?;
        let reservations = tx.reservations()?;
        let others = reservations.sum() - reservations.get(&named.arn).unwrap_or(0);
        // Turning a function off, or asking for less than now, never takes from the others.
        if executions > 0 && others.saturating_add(executions as usize) > most {
            return Err(Error::from(invalid(format!(
                "Specified ReservedConcurrentExecutions for function decreases account's \
                 UnreservedConcurrentExecution below its minimum value of [{}].",
                limits::CONCURRENCY_UNRESERVED
            ))));
        }
        Ok(tx.put(&RESERVED, named.arn.as_str(), &Reserved { function: named.arn.clone(), executions })?)
    });
    written.await?;
    Ok(Output { reserved_concurrent_executions: Some(executions) })
}

#[cfg(test)]
mod tests {
    use crate::lambda::testing::Bench;
    use serde_json::{Value, json};

    const PATH: &str = "/2017-10-31/functions/f/concurrency";
    const GET: &str = "/2019-09-30/functions/f/concurrency";

    #[tokio::test]
    async fn concurrency_is_reserved_shown_and_freed() {
        let bench = Bench::new();
        let body = |n: i64| json!({"ReservedConcurrentExecutions": n});
        bench.send("PUT", PATH, body(1)).await.refused(404, "ResourceNotFoundException", "function:f");
        bench.created().await;
        assert_eq!(bench.get(GET).await.body, json!({}));
        for n in [900, 5, 0] {
            let got = bench.send("PUT", PATH, body(n)).await;
            assert_eq!((got.status, got.body), (200, body(n)));
            assert_eq!(bench.get(GET).await.body, body(n));
            let settings = bench.get("/2016-08-19/account-settings").await.body;
            assert_eq!(settings["AccountLimit"]["UnreservedConcurrentExecutions"], 1000 - n);
            let shown = bench.get("/2015-03-31/functions/f").await.body;
            assert_eq!(shown["Concurrency"], body(n));
        }
        let got = bench.send("PUT", PATH, body(901)).await;
        got.refused(400, "InvalidParameterValueException", "below its minimum value of [100]");
        bench.send("PUT", PATH, body(-1)).await.refused(
            400,
            "ValidationException",
            "reservedConcurrentExecutions",
        );
        bench.send("PUT", PATH, json!({})).await.refused(
            400,
            "ValidationException",
            "reservedConcurrentExecutions",
        );
        let qualified = "/2017-10-31/functions/f:$LATEST/concurrency";
        bench.send("PUT", qualified, body(1)).await.refused(400, "InvalidParameterValueException", "");
        for _ in 0..2 {
            let got = bench.send_with("DELETE", PATH, &[], "".into()).await;
            assert_eq!((got.status, got.body), (204, Value::Null));
        }
        assert_eq!(bench.get(GET).await.body, json!({}));
    }
}
