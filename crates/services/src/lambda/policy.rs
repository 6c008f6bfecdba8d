//! The resource policy of a function: who may call it. It is kept whole and answered; callers are not checked yet.

use super::alias;
use super::error::{Error, invalid, no_function};
use super::function::{Function, new_revision};
use super::name::Named;
use model::{FunctionArn, LATEST};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::alias::{ALIASES, Alias, is_alias};
use store::kv::{Stored, Table};
use store::{Tx, View};

/// Policies by the ARN of the function, the version or the alias; what has no statements has none.
pub(super) const POLICIES: Table<Policy> = Table::new("lambda.policy");

/// The longest policy, in bytes of JSON.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub(super) const LONGEST: usize = 20 * 1024;

/// A function's policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Policy {
    pub(super) statements: Vec<Statement>,
    /// Changed with every change of the policy; what counts now is the revision of what the policy belongs to.
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

/// What a policy belongs to.
pub(super) enum Owner {
    /// A function or a version.
    Function(Box<Function>),
    /// An alias.
    Alias(FunctionArn, Alias),
}

impl Owner {
    /// What a request names.
    ///
    /// # Errors
    /// What does not exist, and `$LATEST`, for which AWS takes no policy.
    pub(super) fn load(view: &View<'_>, named: &Named) -> Result<Self, Error> {
        match named.qualifier.as_deref() {
            Some(LATEST) => Err(invalid("We currently do not support adding policies for $LATEST.").into()),
            // No alias has a $ in its name; AWS looks for a version then.
            Some(name) if is_alias(name) && !name.contains('$') => {
                Ok(Owner::Alias(named.target(), alias::load(view, named, name)?))
            }
            _ => match Function::find(view, &named.target())? {
                Some(function) => Ok(Owner::Function(Box::new(function))),
                None => Err(no_function(named).into()),
            },
        }
    }

    /// Its revision.
    pub(super) fn revision(&self) -> &str {
        match self {
            Owner::Function(function) => &function.about.revision,
            Owner::Alias(_, alias) => &alias.revision,
        }
    }

    /// Gives it a new revision, since its policy has changed.
    pub(super) fn revise(self, tx: &Tx<'_>) -> store::Result<()> {
        match self {
            Owner::Function(mut function) => {
                function.about.revision = new_revision();
                function.save(tx)
            }
            Owner::Alias(arn, mut alias) => {
                alias.revision = new_revision();
                tx.put(&ALIASES, arn.as_str(), &alias)
            }
        }
    }
}
