//! The resource policy of a function: who may call it. It is kept whole and answered; callers are not checked yet.

use super::function::new_revision;
use model::FunctionArn;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::kv::{Stored, Table};

/// Policies by the function's unqualified ARN; a function without statements has none.
pub(super) const POLICIES: Table<Policy> = Table::new("lambda.policy");

/// The longest policy, in bytes of JSON.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub(super) const LONGEST: usize = 20 * 1024;

/// A function's policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Policy {
    pub(super) statements: Vec<Statement>,
    /// Changes with every change of the policy.
    pub(super) revision: String,
}

impl Stored for Policy {}

/// One permission, in the words of AWS's policies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Statement {
    pub(super) sid: String,
    pub(super) effect: String,
    pub(super) principal: Value,
    pub(super) action: String,
    pub(super) resource: FunctionArn,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(super) condition: Map<String, Value>,
}

/// The policy as the document that `GetPolicy` answers.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    version: &'static str,
    id: &'static str,
    statement: &'a [Statement],
}

impl Policy {
    /// A policy without statements.
    pub(super) fn new() -> Self {
        Policy { statements: Vec::new(), revision: new_revision() }
    }

    /// The policy as JSON.
    pub(super) fn document(&self) -> String {
        let document = Document { version: "2012-10-17", id: "default", statement: &self.statements };
        // Nothing in a statement can fail to be written.
        serde_json::to_string(&document).unwrap_or_default()
    }
}
