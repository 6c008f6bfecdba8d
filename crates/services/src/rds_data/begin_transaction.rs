//! `BeginTransaction`: a transaction that lasts over several calls.
//!
//! Source: <https://docs.aws.amazon.com/rdsdataservice/latest/APIReference/API_BeginTransaction.html>

use super::RdsData;
use super::fault::{cluster, fault, refuse_schema};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use store::sql::DatabaseName;
use wire::Fault;

/// The request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Input {
    resource_arn: String,
    secret_arn: String,
    database: Option<String>,
    schema: Option<IgnoredAny>,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    transaction_id: String,
}

pub(super) async fn run(state: &RdsData, input: Input) -> Result<Output, Fault> {
    refuse_schema(input.schema.as_ref())?;
    let cluster = cluster(&input.resource_arn, &input.secret_arn)?;
    let database = DatabaseName::new(cluster, input.database.as_deref()).map_err(fault)?;
    Ok(Output { transaction_id: state.store.databases().begin(database).map_err(fault)? })
}

#[cfg(test)]
mod tests {
    use crate::rds_data::test::{ARN, SECRET, service};
    use serde_json::json;

    #[tokio::test]
    async fn statements_find_their_transaction_in_its_database_only() {
        let (_dir, service) = service();
        let request = json!({"resourceArn": ARN, "secretArn": SECRET, "database": "a"});
        let (_, _, begun) = service.send("/BeginTransaction", request).await;
        let id = &begun["transactionId"];
        for (database, status) in [(json!(null), 200), (json!("a"), 200), (json!("b"), 400)] {
            let request = json!({"sql": "SELECT 1", "transactionId": id, "database": database});
            assert_eq!(service.execute(request).await.0, status, "{database}");
        }
    }
}
