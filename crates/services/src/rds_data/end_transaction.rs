//! `CommitTransaction` makes what a transaction wrote last, on disk when it is answered; `RollbackTransaction` undoes it.
//!
//! Sources: <https://docs.aws.amazon.com/rdsdataservice/latest/APIReference/API_CommitTransaction.html>,
//! <https://docs.aws.amazon.com/rdsdataservice/latest/APIReference/API_RollbackTransaction.html>

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

pub(super) async fn commit(state: &RdsData, input: Input) -> Result<Output, Fault> {
    end(state, input, End::Commit, "Transaction Committed").await
}

pub(super) async fn rollback(state: &RdsData, input: Input) -> Result<Output, Fault> {
    end(state, input, End::Rollback, "Rollback Complete").await
}

async fn end(state: &RdsData, input: Input, how: End, status: &'static str) -> Result<Output, Fault> {
    let cluster = cluster(&input.resource_arn, &input.secret_arn)?;
    state.store.databases().end(&cluster, &input.transaction_id, how).await.map_err(fault)?;
    Ok(Output { transaction_status: status })
}

#[cfg(test)]
mod tests {
    use crate::rds_data::RdsData;
    use crate::rds_data::test::{ARN, SECRET, service};
    use serde_json::{Value, json};
    use tempfile::TempDir;

    /// A transaction that has written a row, and the request to end it.
    async fn written() -> (TempDir, RdsData, Value) {
        let (dir, service) = service();
        service.sql("CREATE TABLE t (n)").await;
        let id = service.begin().await;
        service.execute(json!({"sql": "INSERT INTO t VALUES (1)", "transactionId": id})).await;
        let (_, _, seen) = service.execute(json!({"sql": "SELECT n FROM t", "transactionId": id})).await;
        assert_eq!(seen["records"], json!([[{"longValue": 1}]]));
        (dir, service, json!({"resourceArn": ARN, "secretArn": SECRET, "transactionId": id}))
    }

    #[tokio::test]
    async fn what_was_committed_stays_and_the_id_is_spent() {
        let (_dir, service, request) = written().await;
        let (_, _, answer) = service.send("/CommitTransaction", request.clone()).await;
        assert_eq!(answer, json!({"transactionStatus": "Transaction Committed"}));
        assert_eq!(service.sql("SELECT n FROM t").await["records"], json!([[{"longValue": 1}]]));
        let (status, code, _) = service.send("/CommitTransaction", request).await;
        assert_eq!((status, code.as_str()), (404, "TransactionNotFoundException"));
    }

    #[tokio::test]
    async fn what_was_rolled_back_is_gone() {
        let (_dir, service, request) = written().await;
        let (_, _, answer) = service.send("/RollbackTransaction", request).await;
        assert_eq!(answer, json!({"transactionStatus": "Rollback Complete"}));
        assert_eq!(service.sql("SELECT n FROM t").await["records"], json!([]));
    }
}
