//! `ExecuteStatement`: one statement, alone or in a transaction.
//!
//! Source: <https://docs.aws.amazon.com/rdsdataservice/latest/APIReference/API_ExecuteStatement.html>

use super::RdsData;
use super::column::{Metadata, metadata};
use super::fault::{bad_request, cluster, fault, refuse_schema};
use super::field::{Field, Options, formatted, records};
use super::parameter::{Parameter, parameters};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use store::sql::{Effect, Statement, Target};
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
    parameters: Vec<Parameter>,
    transaction_id: Option<String>,
    #[serde(default)]
    include_result_metadata: bool,
    #[serde(default)]
    continue_after_timeout: bool,
    #[serde(default)]
    result_set_options: Options,
    #[serde(default)]
    format_records_as: Format,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
enum Format {
    #[default]
    None,
    Json,
}

/// The answer.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    number_of_records_updated: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    generated_fields: Option<Vec<Field>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<Vec<Vec<Field>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column_metadata: Option<Vec<Metadata>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    formatted_records: Option<String>,
}

pub(super) async fn run(state: &RdsData, input: Input) -> Result<Output, Fault> {
    refuse_schema(input.schema.as_ref())?;
    if input.continue_after_timeout {
        return Err(bad_request(
            "continueAfterTimeout is not supported by Mayfly: a statement stops at the time limit.",
        ));
    }
    let target = Target {
        cluster: cluster(&input.resource_arn, &input.secret_arn)?,
        database: input.database,
        transaction: input.transaction_id,
    };
    let statement = Statement { sql: input.sql, sets: vec![parameters(input.parameters)?], rows: true };
    let effects = state.store.databases().execute(target, statement).await.map_err(fault)?;
    let effect = effects.into_iter().next().unwrap_or_default();
    let mut output = Output { number_of_records_updated: effect.changes, ..Output::default() };
    if effect.columns.is_empty() {
        output.generated_fields = Some(generated(&effect));
    } else if input.format_records_as == Format::Json {
        output.formatted_records = Some(formatted(effect)?);
    } else {
        if input.include_result_metadata {
            output.column_metadata = Some(describe(&effect));
        }
        output.records = Some(records(effect, input.result_set_options));
    }
    Ok(output)
}

/// The row id of the last inserted row, as Aurora MySQL tells the AUTO_INCREMENT value.
pub(super) fn generated(effect: &Effect) -> Vec<Field> {
    effect.inserted.map(Field::LongValue).into_iter().collect()
}

fn describe(effect: &Effect) -> Vec<Metadata> {
    let column = |index: usize| effect.rows.iter().filter_map(move |row| row.get(index).cloned());
    effect.columns.iter().enumerate().map(|(index, known)| metadata(known, column(index))).collect()
}

#[cfg(test)]
mod tests {
    use crate::rds_data::test::{ARN, SECRET, service};
    use serde_json::json;

    #[tokio::test]
    async fn a_row_goes_in_and_comes_out() {
        let (_dir, service) = service();
        service
            .sql("CREATE TABLE p (id INTEGER PRIMARY KEY, ok BOOLEAN, price DECIMAL(9,2), img BLOB)")
            .await;
        let inserted = service
            .execute(json!({
                "sql": "INSERT INTO p (ok, price, img) VALUES (:ok, :price, :img)",
                "parameters": [
                    {"name": "ok", "value": {"booleanValue": true}},
                    {"name": "price", "value": {"stringValue": "12.5"}, "typeHint": "DECIMAL"},
                    {"name": "img", "value": {"blobValue": "AAE="}},
                ],
            }))
            .await;
        let expected = json!({"numberOfRecordsUpdated": 1, "generatedFields": [{"longValue": 1}]});
        assert_eq!(inserted, (200, String::new(), expected));
        let (_, _, found) = service
            .execute(json!({"sql": "SELECT *, NULL AS x, id + 0.5 FROM p", "includeResultMetadata": true}))
            .await;
        assert_eq!(
            found["records"],
            json!([[
                {"longValue": 1}, {"booleanValue": true}, {"stringValue": "12.5"}, {"blobValue": "AAE="},
                {"isNull": true}, {"doubleValue": 1.5},
            ]])
        );
        let id = &found["columnMetadata"][0];
        assert_eq!((&id["name"], &id["type"], &id["tableName"]), (&json!("id"), &json!(4), &json!("p")));
        assert_eq!(found["columnMetadata"][2]["scale"], 2);
        assert_eq!(found["columnMetadata"][5]["typeName"], "double");
    }

    #[tokio::test]
    async fn records_can_come_as_one_text() {
        let (_dir, service) = service();
        let sql = "SELECT 'b\"' AS z, 1 AS a, 2.5 AS b, NULL AS n";
        let (_, _, found) = service
            .execute(json!({"sql": sql, "formatRecordsAs": "JSON", "includeResultMetadata": true}))
            .await;
        assert_eq!(found["formattedRecords"], r#"[{"z":"b\"","a":1,"b":2.5,"n":null}]"#);
        assert_eq!((&found["records"], &found["columnMetadata"]), (&json!(null), &json!(null)));
        let (_, _, none) =
            service.execute(json!({"sql": "SELECT 1 WHERE 0", "formatRecordsAs": "JSON"})).await;
        assert_eq!(none["formattedRecords"], "[]");
    }

    #[tokio::test]
    async fn mistakes_have_the_codes_of_the_api() {
        let (_dir, service) = service();
        let large = "SELECT hex(zeroblob(600000))";
        for (request, status, code, part) in [
            (json!({"sql": "SELEC"}), 400, "DatabaseErrorException", "syntax error"),
            (json!({"sql": "SELECT 1; SELECT 2"}), 400, "ValidationException", "Multistatements"),
            (json!({"sql": "BEGIN"}), 400, "DatabaseErrorException", "BeginTransaction"),
            (json!({"sql": "SELECT :a"}), 400, "BadRequestException", "Cannot find parameter: a"),
            (json!({"sql": "SELECT 1", "schema": "x"}), 400, "ValidationException", "schema"),
            (
                json!({"sql": "SELECT 1", "continueAfterTimeout": true}),
                400,
                "BadRequestException",
                "continueAfter",
            ),
            (json!({"sql": "SELECT 1", "color": 1}), 400, "InvalidParameterValueException", "color"),
            (json!({"sql": "SELECT 1", "database": "../x"}), 400, "BadRequestException", "database"),
            (
                json!({"sql": "SELECT 1", "transactionId": "x"}),
                404,
                "TransactionNotFoundException",
                "x is not",
            ),
            (json!({"sql": large}), 400, "DatabaseErrorException", "response size limit"),
            (json!({}), 400, "InvalidParameterValueException", "sql"),
        ] {
            let (got, error, answer) = service.execute(request.clone()).await;
            assert_eq!((got, error.as_str()), (status, code), "{request}: {answer}");
            assert!(answer["message"].as_str().unwrap().contains(part), "{request}: {answer}");
        }
        for (resource, secret) in [("arn:aws:rds:x", SECRET), (ARN, "short")] {
            let request = json!({"resourceArn": resource, "secretArn": secret, "sql": "SELECT 1"});
            let (status, code, _) = service.send("/Execute", request).await;
            assert_eq!((status, code.as_str()), (400, "BadRequestException"));
        }
        let (status, code, _) = service.send("/ExecuteSql", json!({})).await;
        assert_eq!((status, code.as_str()), (501, "NotImplemented"));
    }
}
