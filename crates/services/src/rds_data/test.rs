//! The service as its tests see it: requests go in through the protocol.

use super::RdsData;
use bytes::Bytes;
use model::{RequestId, SystemClock, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;
use store::Store;
use tempfile::TempDir;
use wire::{Body, Caller, Request, Service};

pub(super) const ARN: &str = "arn:aws:rds:us-east-1:000000000000:cluster:test";
pub(super) const SECRET: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:test";

/// A service on an empty store, and the directory that lives as long as it.
pub(super) fn service() -> (TempDir, RdsData) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Arc::new(SystemClock)).unwrap();
    (dir, RdsData::new(store))
}

impl RdsData {
    /// Status, error code and body of the answer.
    pub(super) async fn send(&self, path: &str, body: Value) -> (u16, String, Value) {
        let request = http::Request::builder().method("POST").uri(path).body(()).unwrap();
        let request = Request {
            head: request.into_parts().0,
            body: Body::from(Bytes::from(body.to_string())),
            caller: Caller::Outside,
            credential: None,
            id: RequestId::new(Timestamp(0)),
        };
        let response = self.call(request).await;
        let code =
            response.headers().get("x-amzn-errortype").map_or("", |code| code.to_str().unwrap()).to_owned();
        let status = response.status().as_u16();
        let body = response.into_body().read(20_000_000).await.unwrap();
        (status, code, serde_json::from_slice(&body).unwrap())
    }

    /// Executes a statement on the test's database.
    pub(super) async fn execute(&self, mut request: Value) -> (u16, String, Value) {
        request["resourceArn"] = json!(ARN);
        request["secretArn"] = json!(SECRET);
        self.send("/Execute", request).await
    }

    /// Executes a statement that must succeed.
    pub(super) async fn sql(&self, sql: &str) -> Value {
        let (status, _, answer) = self.execute(json!({"sql": sql})).await;
        assert_eq!(status, 200, "{sql}: {answer}");
        answer
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self) -> String {
        let request = json!({"resourceArn": ARN, "secretArn": SECRET});
        let (_, _, answer) = self.send("/BeginTransaction", request).await;
        answer["transactionId"].as_str().unwrap().to_owned()
    }
}
