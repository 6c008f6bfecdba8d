//! `RollbackTransaction`: undoes what a transaction wrote.
//!
//! Source: <https://docs.aws.amazon.com/rdsdataservice/latest/APIReference/API_RollbackTransaction.html>

use super::RdsData;
use super::fault::{cluster, fault};
use serde::{Deserialize, Serialize};
use store::sql::End;
use wire::Fault;

/// The request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Input {
    resource_arn: String,
    secret_arn: String,
    transaction_id: String,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    transaction_status: &'static str,
}

pub(super) async fn run(state: &RdsData, input: Input) -> Result<Output, Fault> {
    let cluster = cluster(&input.resource_arn, &input.secret_arn)?;
    let databases = state.store.databases();
    databases.end(&cluster, &input.transaction_id, End::Rollback).await.map_err(fault)?;
    Ok(Output { transaction_status: "Rollback Complete" })
}

#[cfg(test)]
mod tests {
    use crate::rds_data::test::{ARN, SECRET, service};
    use serde_json::json;

    #[tokio::test]
    async fn what_was_written_is_gone() {
        let (_dir, service) = service();
        service.sql("CREATE TABLE t (n)").await;
        let id = service.begin().await;
        service.execute(json!({"sql": "INSERT INTO t VALUES (1)", "transactionId": id})).await;
        let (_, _, seen) = service.execute(json!({"sql": "SELECT n FROM t", "transactionId": id})).await;
        assert_eq!(seen["records"], json!([[{"longValue": 1}]]));
        let request = json!({"resourceArn": ARN, "secretArn": SECRET, "transactionId": id});
        let (_, _, answer) = service.send("/RollbackTransaction", request).await;
        assert_eq!(answer, json!({"transactionStatus": "Rollback Complete"}));
        assert_eq!(service.sql("SELECT n FROM t").await["records"], json!([]));
    }
}
