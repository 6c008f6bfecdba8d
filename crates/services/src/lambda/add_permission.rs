//! `AddPermission`: adds a statement to a function's policy.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html>

use super::Lambda;
use super::error::{Error, conflict, invalid, stale_revision};
use super::function::new_revision;
use super::name::Named;
use super::policy::{LONGEST, Owner, POLICIES, Policy, Statement};
use super::refusal::{Rest, refuse};
use super::validate::{Checks, all, is_account, is_arn, is_word};
use model::FunctionArn;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use wire::Fault;
use wire::rest_json::Call;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    function_name: String,
    qualifier: Option<String>,
    statement_id: Option<String>,
    action: Option<String>,
    principal: Option<String>,
    source_arn: Option<String>,
    source_account: Option<String>,
    event_source_token: Option<String>,
    #[serde(rename = "PrincipalOrgID")]
    principal_org_id: Option<String>,
    function_url_auth_type: Option<String>,
    invoked_via_function_url: Option<bool>,
    revision_id: Option<String>,
    #[serde(flatten)]
    rest: Rest,
}

/// The statement that was added.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    /// JSON within JSON, as AWS answers it.
    statement: String,
}

/// Adds a permission.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Output, Error> {
    let input: Input = call.input()?;
    refuse(call.operation, &input.rest)?;
    input.check()?;
    let named = Named::parse(&call, &input.function_name, input.qualifier.as_deref())?;
    let statement = input.statement(&named.target())?;
    let shown = serde_json::to_string(&statement).unwrap_or_default();
    lambda
        .store
        .write(move |tx| {
            let (owner, arn) = (Owner::load(tx, &named)?, named.target());
            if input.revision_id.is_some_and(|revision| revision != owner.revision()) {
                return Err(Error::from(stale_revision("GetFunction/GetAlias")));
            }
            let mut policy = tx.get(&POLICIES, arn.as_str())?.unwrap_or_else(Policy::new);
            if policy.statements.iter().any(|present| present.sid == statement.sid) {
                return Err(conflict(format!(
                    "The statement id ({}) provided already exists. Please provide a new statement id, or \
                     remove the existing statement.",
                    statement.sid
                ))
                .into());
            }
            policy.statements.push(statement);
            policy.revision = new_revision();
            if policy.document().len() > LONGEST {
                let message = format!("The final policy size is bigger than the limit ({LONGEST}).");
                return Err(Fault::new("PolicyLengthExceededException", 400, message).into());
            }
            tx.put(&POLICIES, arn.as_str(), &policy)?;
            Ok(owner.revise(tx)?)
        })
        .await?;
    Ok(Output { statement: shown })
}

impl Input {
    fn check(&self) -> Result<(), Fault> {
        let mut checks = Checks::default();
        if let Some(sid) = checks.required("statementId", self.statement_id.as_deref()) {
            checks.length("statementId", sid, 1, 100);
            checks.pattern("statementId", sid, "([a-zA-Z0-9-_]+)", is_word(sid));
        }
        if let Some(action) = checks.required("action", self.action.as_deref()) {
            let name = action.strip_prefix("lambda:");
            let fits = action == "*"
                || name.is_some_and(|name| name == "*" || all(name, |c| c.is_ascii_alphabetic()));
            checks.pattern("action", action, "(lambda:[*]|lambda:[a-zA-Z]+|[*])", fits);
        }
        if let Some(principal) = checks.required("principal", self.principal.as_deref()) {
            checks.pattern("principal", principal, r"[^\s]+", all(principal, |c| !c.is_whitespace()));
        }
        if let Some(arn) = &self.source_arn {
            let pattern =
                r"arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:([a-z]{2}(-gov)?-[a-z]+-\d{1})?:(\d{12})?:(.*)";
            checks.pattern("sourceArn", arn, pattern, is_arn(arn));
        }
        if let Some(account) = &self.source_account {
            checks.pattern("sourceAccount", account, r"\d{12}", is_account(account));
        }
        if let Some(auth) = &self.function_url_auth_type {
            checks.one_of("functionUrlAuthType", auth, &["NONE", "AWS_IAM"]);
        }
        checks.finish()
    }

    fn statement(&self, arn: &FunctionArn) -> Result<Statement, Error> {
        let of_url = self.action.as_deref() == Some("lambda:InvokeFunctionUrl");
        if self.function_url_auth_type.is_some() && !of_url {
            return Err(
                invalid("FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action").into()
            );
        }
        Ok(Statement {
            sid: self.statement_id.clone().unwrap_or_default(),
            effect: "Allow".to_owned(),
            principal: principal(self.principal.as_deref().unwrap_or_default())?,
            action: self.action.clone().unwrap_or_default(),
            resource: arn.clone(),
            condition: self.condition(),
        })
    }

    fn condition(&self) -> Map<String, Value> {
        let mut condition = Map::new();
        let mut equals = Map::new();
        for (key, value) in [
            ("lambda:FunctionUrlAuthType", &self.function_url_auth_type),
            ("AWS:SourceAccount", &self.source_account),
            ("lambda:EventSourceToken", &self.event_source_token),
            ("aws:PrincipalOrgID", &self.principal_org_id),
        ] {
            if let Some(value) = value {
                equals.insert(key.to_owned(), json!(value));
            }
        }
        if !equals.is_empty() {
            condition.insert("StringEquals".to_owned(), Value::Object(equals));
        }
        if let Some(arn) = &self.source_arn {
            condition.insert("ArnLike".to_owned(), json!({"AWS:SourceArn": arn}));
        }
        if let Some(via) = self.invoked_via_function_url {
            condition.insert("Bool".to_owned(), json!({"lambda:InvokedViaFunctionUrl": via.to_string()}));
        }
        condition
    }
}

/// How the names of AWS's services end, as principals.
const SERVICES: &[&str] = &[".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".amazon.com"];

/// Who is allowed: everybody, a service, an account, or a user or role by ARN.
fn principal(principal: &str) -> Result<Value, Error> {
    if principal == "*" {
        Ok(json!("*"))
    } else if is_account(principal) {
        Ok(json!({"AWS": format!("arn:aws:iam::{principal}:root")}))
    } else if principal.starts_with("arn:") {
        Ok(json!({"AWS": principal}))
    } else if SERVICES.iter().any(|domain| principal.ends_with(domain)) {
        Ok(json!({"Service": principal}))
    } else {
        Err(invalid("The provided principal was invalid. Please check the principal and try again.").into())
    }
}
