//! The RDS Data API: SQL over HTTP, on the store's embedded databases.
//!
//! Source: <https://docs.aws.amazon.com/rdsdataservice/latest/APIReference/Welcome.html>

mod batch_execute_statement;
mod begin_transaction;
mod column;
mod end_transaction;
mod execute_statement;
mod fault;
mod field;
mod parameter;
#[cfg(test)]
mod test;

use async_trait::async_trait;
use http::Method;
use model::limits;
use std::sync::Arc;
use store::Store;
use wire::rest_json::{Operation, dispatch};
use wire::{Request, Response, Service, json};

/// The RDS Data API.
#[derive(Clone)]
pub struct RdsData {
    store: Store,
}

/// All operations.
pub const OPERATIONS: &[Operation<RdsData>] = &[
    Operation::new(
        "BatchExecuteStatement",
        Method::POST,
        "/BatchExecute",
        json!(200, batch_execute_statement::run),
    )
    .body_limit(limits::SQL_REQUEST),
    Operation::new("BeginTransaction", Method::POST, "/BeginTransaction", json!(200, begin_transaction::run)),
    Operation::new(
        "CommitTransaction",
        Method::POST,
        "/CommitTransaction",
        json!(200, end_transaction::commit),
    ),
    Operation::missing("ExecuteSql", Method::POST, "/ExecuteSql"),
    Operation::new("ExecuteStatement", Method::POST, "/Execute", json!(200, execute_statement::run))
        .body_limit(limits::SQL_REQUEST),
    Operation::new(
        "RollbackTransaction",
        Method::POST,
        "/RollbackTransaction",
        json!(200, end_transaction::rollback),
    ),
];

impl RdsData {
    /// The API on the databases of `store`.
    pub fn new(store: Store) -> Self {
        RdsData { store }
    }
}

#[async_trait]
impl Service for RdsData {
    async fn call(&self, request: Request) -> Response {
        dispatch(OPERATIONS, Arc::new(self.clone()), request).await
    }
}
