//! `RemovePermission`: takes a statement out of a function's policy.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_RemovePermission.html>

use super::Lambda;
use super::error::{Error, not_found, stale_revision};
use super::function::{Function, new_revision};
use super::name::Named;
use super::policy::{Owner, POLICIES};
use wire::rest_json::Call;

/// Removes a permission.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<(), Error> {
    let named = Named::parse(&call, call.label("FunctionName"), call.query("Qualifier"))?;
    let sid = call.label("StatementId").to_owned();
    let revision = call.query("RevisionId").map(str::to_owned);
    lambda
        .store
        .write(move |tx| {
            if Function::find(tx, &named.arn)?.is_none() {
                return Err(not_found(format!("No policy found for: {}", named.shown())).into());
            }
            let (owner, arn) = (Owner::load(tx, &named)?, named.target());
            let arn = arn.as_str();
            let Some(mut policy) = tx.get(&POLICIES, arn)? else {
                return Err(not_found("No policy is associated with the given resource.").into());
            };
            if revision.is_some_and(|revision| revision != owner.revision()) {
                return Err(stale_revision("GetPolicy").into());
            }
            let before = policy.statements.len();
            policy.statements.retain(|statement| statement.sid != sid);
            if policy.statements.len() == before {
                return Err(not_found(format!("Statement {sid} is not found in resource policy.")).into());
            }
            policy.revision = new_revision();
            if policy.statements.is_empty() {
                tx.delete(&POLICIES, arn)?;
            } else {
                tx.put(&POLICIES, arn, &policy)?;
            }
            Ok::<_, Error>(owner.revise(tx)?)
        })
        .await
}

#[cfg(test)]
mod tests {
    use crate::lambda::testing::{ARN, Bench};
    use serde_json::{Value, json};

    const PATH: &str = "/2015-03-31/functions/f/policy";

    #[tokio::test]
    async fn permissions_are_added_shown_and_removed() {
        let bench = Bench::new();
        bench.created().await;
        bench.get(PATH).await.refused(404, "ResourceNotFoundException", "does not exist");
        let input = json!({
            "StatementId": "s3", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com",
            "SourceArn": "arn:aws:s3:::uploads", "SourceAccount": "000000000000",
        });
        let added = bench.send("POST", PATH, input.clone()).await;
        assert_eq!(added.status, 201);
        let statement: Value = serde_json::from_str(added.body["Statement"].as_str().unwrap()).unwrap();
        let expected = json!({
            "Sid": "s3", "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "lambda:InvokeFunction", "Resource": ARN,
            "Condition": {
                "StringEquals": {"AWS:SourceAccount": "000000000000"},
                "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::uploads"},
            },
        });
        assert_eq!(statement, expected);
        bench.send("POST", PATH, input).await.refused(409, "ResourceConflictException", "(s3)");
        let input = json!({"StatementId": "account", "Action": "lambda:*", "Principal": "123456789012"});
        bench.send("POST", PATH, input).await;
        let shown = bench.get(PATH).await.body;
        let policy: Value = serde_json::from_str(shown["Policy"].as_str().unwrap()).unwrap();
        assert_eq!((&policy["Id"], &policy["Statement"][0]), (&json!("default"), &expected));
        assert_eq!(policy["Statement"][1]["Principal"], json!({"AWS": "arn:aws:iam::123456789012:root"}));

        let bench = &bench;
        let delete = |path: String| async move { bench.send_with("DELETE", &path, &[], "".into()).await };
        let stale = delete(format!("{PATH}/s3?RevisionId=x")).await;
        stale.refused(412, "PreconditionFailedException", "GetPolicy");
        for sid in ["s3", "account"] {
            assert_eq!(delete(format!("{PATH}/{sid}")).await.status, 204);
        }
        delete(format!("{PATH}/s3")).await.refused(404, "ResourceNotFoundException", "");
        bench.get(PATH).await.refused(404, "ResourceNotFoundException", "");
    }

    #[tokio::test]
    async fn versions_and_aliases_have_policies_of_their_own() {
        let bench = Bench::new();
        bench.create(json!({"Publish": true})).await;
        bench
            .send("POST", "/2015-03-31/functions/f/aliases", json!({"Name": "live", "FunctionVersion": "1"}))
            .await;
        let input = json!({"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "*"});
        for qualifier in ["1", "live"] {
            let path = format!("{PATH}?Qualifier={qualifier}");
            let added = bench.send("POST", &path, input.clone()).await;
            let part = format!("{ARN}:{qualifier}");
            assert!(added.body["Statement"].as_str().unwrap().contains(&part), "{added:?}");
            assert!(bench.get(&path).await.body["Policy"].as_str().unwrap().contains(&part));
        }
        bench.get(PATH).await.refused(404, "ResourceNotFoundException", "");
        for (qualifier, status, code, part) in [
            ("$LATEST", 400, "InvalidParameterValueException", "policies for $LATEST"),
            ("2", 404, "ResourceNotFoundException", "Function not found"),
            ("dead", 404, "ResourceNotFoundException", "Cannot find alias arn"),
        ] {
            let path = format!("{PATH}?Qualifier={qualifier}");
            bench.send("POST", &path, input.clone()).await.refused(status, code, part);
        }
        let revision = bench.get("/2015-03-31/functions/f/aliases/live").await.body["RevisionId"].clone();
        let path = format!("{PATH}/s?Qualifier=live&RevisionId={}", revision.as_str().unwrap());
        assert_eq!(bench.send_with("DELETE", &path, &[], "".into()).await.status, 204);
    }

    #[tokio::test]
    async fn statements_that_make_no_sense_are_refused() {
        let bench = Bench::new();
        bench.created().await;
        for (member, value, code) in [
            ("StatementId", json!("a b"), "ValidationException"),
            ("Action", json!("s3:GetObject"), "ValidationException"),
            ("Principal", json!("somebody"), "InvalidParameterValueException"),
            ("SourceArn", json!("bucket"), "ValidationException"),
            ("SourceAccount", json!("1"), "ValidationException"),
            ("FunctionUrlAuthType", json!("ANY"), "ValidationException"),
            ("Principal", Value::Null, "ValidationException"),
        ] {
            let mut input = json!({"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "*"});
            input[member] = value;
            bench.send("POST", PATH, input).await.refused(400, code, "");
        }
        bench.get(PATH).await.refused(404, "ResourceNotFoundException", "");
    }
}
