//! `GetAccountSettings`: the limits of the installation, and how much of them is used.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_GetAccountSettings.html>

use super::Lambda;
use super::error::Error;
use super::function::{ABOUT, VERSIONS};
use model::{FunctionArn, limits};
use serde_json::{Value, json};
use store::kv::From;
use wire::rest_json::Call;

/// AWS's limit of all code together (75 GB), which tools print; here the disk decides.
const TOTAL_CODE_SIZE: u64 = 75 << 30;

/// How many functions are read at a time.
const BATCH: usize = 256;

/// Shows limits and usage.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let home = FunctionArn::within(&call.scope, "");
    let (mut count, mut size) = (0_u64, 0_u64);
    let (concurrency, reserved) = (lambda.store.concurrency(), lambda.store.reservations()?.sum());
    lambda.store.read(|view| {
        for table in [ABOUT, VERSIONS] {
            let mut last: Vec<u8> = Vec::new();
            loop {
                let batch = view.scan(&table, home.as_str().as_bytes(), From::After(&last), BATCH)?;
                let Some((key, _)) = batch.last() else { break };
                last.clone_from(key);
                // A version is no function, but its code counts.
                count += batch.iter().filter(|(key, _)| !key[home.as_str().len()..].contains(&b':')).count()
                    as u64;
                size += batch.iter().map(|(_, about)| about.zip_len).sum::<u64>();
            }
        }
        Ok::<_, store::Error>(())
    })?;
    Ok(json!({
        "AccountLimit": {
            "TotalCodeSize": TOTAL_CODE_SIZE,
            "CodeSizeUnzipped": limits::PACKAGE_UNPACKED,
            "CodeSizeZipped": limits::ZIP_INLINE,
            "ConcurrentExecutions": concurrency,
            "UnreservedConcurrentExecutions": concurrency.saturating_sub(reserved),
        },
        "AccountUsage": {"TotalCodeSize": size, "FunctionCount": count},
    }))
}

#[cfg(test)]
mod tests {
    use crate::lambda::testing::Bench;
    use serde_json::json;

    #[tokio::test]
    async fn functions_and_their_code_are_counted() {
        let bench = Bench::new();
        let size = bench.created().await["CodeSize"].clone();
        let got = bench.get("/2016-08-19/account-settings").await.body;
        assert_eq!(got["AccountUsage"], json!({"TotalCodeSize": size, "FunctionCount": 1}));
        assert_eq!(got["AccountLimit"]["ConcurrentExecutions"], 1000);
    }
}
