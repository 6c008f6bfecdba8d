//! `BatchExecuteStatement`: one statement with many sets of parameters.
//!
//! All sets are one piece of work: if one fails, nothing of the call stays.
//!
//! Source: <https://docs.aws.amazon.com/rdsdataservice/latest/APIReference/API_BatchExecuteStatement.html>

use super::RdsData;
use super::execute_statement::generated;
use super::fault::{cluster, fault, refuse_schema};
use super::field::Field;
use super::parameter::{Parameter, parameters};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use store::sql::{Statement, Target};
use wire::Fault;

/// The request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Input {
    resource_arn: String,
    secret_arn: String,
    sql: String,
    database: Option<String>,
    schema: Option<IgnoredAny>,
    #[serde(default)]
    parameter_sets: Vec<Vec<Parameter>>,
    transaction_id: Option<String>,
}

/// The answer: one result per set.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    update_results: Vec<UpdateResult>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct UpdateResult {
    generated_fields: Vec<Field>,
}

pub(super) async fn run(state: &RdsData, input: Input) -> Result<Output, Fault> {
    refuse_schema(input.schema.as_ref())?;
    let target = Target {
        cluster: cluster(&input.resource_arn, &input.secret_arn)?,
        database: input.database,
        transaction: input.transaction_id,
    };
    let sets: Vec<_> = input.parameter_sets.into_iter().map(parameters).collect::<Result<_, _>>()?;
    let statement = Statement { sql: input.sql, sets, rows: false };
    let effects = state.store.databases().execute(target, statement).await.map_err(fault)?;
    let results = effects.iter().map(|effect| UpdateResult { generated_fields: generated(effect) });
    Ok(Output { update_results: results.collect() })
}

#[cfg(test)]
mod tests {
    use crate::rds_data::test::{ARN, SECRET, service};
    use serde_json::json;

    #[tokio::test]
    async fn a_batch_is_done_wholly_or_not_at_all() {
        let (_dir, service) = service();
        service.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER UNIQUE)").await;
        let batch = |numbers: &[i64]| {
            let sets = numbers.iter().map(|n| json!([{"name": "n", "value": {"longValue": n}}]));
            json!({
                "resourceArn": ARN, "secretArn": SECRET, "sql": "INSERT INTO t (n) VALUES (:n)",
                "parameterSets": sets.collect::<Vec<_>>(),
            })
        };
        let (status, _, answer) = service.send("/BatchExecute", batch(&[5, 6])).await;
        let generated =
            json!([{"generatedFields": [{"longValue": 1}]}, {"generatedFields": [{"longValue": 2}]}]);
        assert_eq!((status, answer), (200, json!({"updateResults": generated})));
        let (status, code, _) = service.send("/BatchExecute", batch(&[7, 5])).await;
        assert_eq!((status, code.as_str()), (400, "DatabaseErrorException"));
        let (_, _, none) = service.send("/BatchExecute", batch(&[])).await;
        assert_eq!(none, json!({"updateResults": []}));
        assert_eq!(service.sql("SELECT count(*) FROM t").await["records"], json!([[{"longValue": 2}]]));
    }
}
