//! The part of the STS API that tools need: who somebody is, and credentials that pass. Nobody's signature is verified
//! yet, so they only have to say for which account they are, and until when.
//!
//! Source: <https://docs.aws.amazon.com/STS/latest/APIReference/welcome.html>

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use model::{Clock, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;
use wire::request::{is_account, temporary_key};
use wire::rpc::{Api, Call, Operation, dispatch, expired_response, integer};
use wire::session::Session;
use wire::{Caller, Fault, Request, Response, Service, rpc};

/// The STS API.
#[derive(Clone)]
pub struct Sts {
    clock: Arc<dyn Clock>,
}

impl Sts {
    /// The STS API by this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Sts { clock }
    }
}

impl Sts {
    /// What is answered to credentials whose time is over.
    pub fn expired(&self, request: &Request) -> Response {
        expired_response(&API, request)
    }
}

#[async_trait]
impl Service for Sts {
    async fn call(&self, request: Request) -> Response {
        dispatch(&API, Arc::new(self.clone()), request).await
    }
}

/// The API; any other operation answers 501 with its name.
static API: Api<Sts> = Api {
    target: "",
    shapes: "com.amazonaws.sts",
    xmlns: "https://sts.amazonaws.com/doc/2011-06-15/",
    query_code: |code| code,
    body_limit: 1 << 20,
    operations: &[
        Operation::new("AssumeRole", rpc!(assume_role)),
        Operation::missing("AssumeRoleWithSAML"),
        Operation::missing("AssumeRoleWithWebIdentity"),
        Operation::missing("DecodeAuthorizationMessage"),
        Operation::missing("GetAccessKeyInfo"),
        Operation::new("GetCallerIdentity", rpc!(get_caller_identity)),
        Operation::missing("GetFederationToken"),
        Operation::new("GetSessionToken", rpc!(get_session_token)),
    ],
};

/// `GetCallerIdentity`.
async fn get_caller_identity(_: &Sts, _: Value, call: &Call) -> Result<Value, Fault> {
    let account = call.scope().account;
    let (arn, user) = match &call.caller {
        Caller::Outside => match session(call).filter(|session| !session.arn.is_empty()) {
            Some(session) => (session.arn, session.user),
            None => (format!("arn:aws:iam::{account}:root"), account.clone()),
        },
        Caller::Function(function) => (
            format!("arn:aws:sts::{account}:assumed-role/function/{}", function.name()),
            format!("AROAFUNCTION:{}", function.name()),
        ),
    };
    Ok(json!({"UserId": user, "Account": account, "Arn": arn}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AssumeRole {
    role_arn: Option<String>,
    role_session_name: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    duration_seconds: Option<i64>,
}

/// The longest ARN of a role, in bytes.
const ROLE_ARN: usize = 2_048;

/// `AssumeRole`: credentials of the role's account.
async fn assume_role(sts: &Sts, input: AssumeRole, _: &Call) -> Result<Value, Fault> {
    let arn = required("roleArn", input.role_arn)?;
    let session = required("roleSessionName", input.role_session_name)?;
    if arn.len() > ROLE_ARN {
        return Err(invalid(format!(
            "1 validation error detected: Value at 'roleArn' failed to satisfy constraint: Member must have length less \
             than or equal to {ROLE_ARN}"
        )));
    }
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let (account, role) = match parts[..] {
        ["arn", "aws", "iam", "", account, role] if is_account(account) && role.starts_with("role/") => {
            (account, role.rsplit('/').next().unwrap_or_default())
        }
        _ => return Err(invalid(format!("{arn} is invalid"))),
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || "_=,.@-".contains(c);
    if !(2..=64).contains(&session.len()) || !session.chars().all(fits) {
        return Err(invalid(format!(
            "1 validation error detected: Value '{session}' at 'roleSessionName' failed to satisfy constraint: Member \
             must satisfy regular expression pattern: [\\w+=,.@-]*"
        )));
    }
    let seconds = seconds(input.duration_seconds, 3_600, 43_200)?;
    let id = format!("AROA{}:{session}", &temporary_key(account)[4..]);
    let arn = format!("arn:aws:sts::{account}:assumed-role/{role}/{session}");
    Ok(json!({
        "Credentials": credentials(account, sts.clock.now(), seconds, (id.clone(), arn.clone())),
        "AssumedRoleUser": {"AssumedRoleId": id, "Arn": arn},
        "PackedPolicySize": 6,
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetSessionToken {
    #[serde(default, deserialize_with = "integer")]
    duration_seconds: Option<i64>,
}

/// `GetSessionToken`: credentials of the caller's own account.
async fn get_session_token(sts: &Sts, input: GetSessionToken, call: &Call) -> Result<Value, Fault> {
    let seconds = seconds(input.duration_seconds, 43_200, 129_600)?;
    // They are the caller's own, whoever that is.
    let caller = session(call).map(|session| (session.user, session.arn)).unwrap_or_default();
    Ok(json!({"Credentials": credentials(&call.scope().account, sts.clock.now(), seconds, caller)}))
}

/// The session that the caller's credentials are of, if they are temporary.
fn session(call: &Call) -> Option<Session> {
    Session::of(&call.head.headers, call.head.uri.query())
}

fn required(member: &str, value: Option<String>) -> Result<String, Fault> {
    let message = || {
        format!(
            "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
        )
    };
    value.ok_or_else(|| invalid(message()))
}

fn seconds(asked: Option<i64>, default: u64, most: u64) -> Result<u64, Fault> {
    match asked.map_or(Ok(default), u64::try_from) {
        Ok(seconds) if (900..=most).contains(&seconds) => Ok(seconds),
        _ => Err(invalid(format!("DurationSeconds must be from 900 to {most}."))),
    }
}

fn invalid(message: String) -> Fault {
    Fault::new("ValidationError", 400, message)
}

fn credentials(account: &str, now: Timestamp, seconds: u64, (user, arn): (String, String)) -> Value {
    let secret: String =
        BASE64_STANDARD.encode(Sha256::digest(Uuid::new_v4().as_bytes())).chars().take(40).collect();
    let expires = now.after(Duration::from_secs(seconds));
    json!({
        "AccessKeyId": temporary_key(account),
        "SecretAccessKey": secret,
        "SessionToken": Session { expires, user, arn }.token(),
        "Expiration": expires.iso_z(),
    })
}
