//! `CreateFunctionUrlConfig`: gives a function an address of its own for HTTP.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunctionUrlConfig.html>

use super::Lambda;
use super::error::{Error, conflict, no_resource, not_found};
use super::function::Function;
use super::name::Named;
use super::refusal::{Rest, refuse};
use super::url::Cors;
use super::url::record::{AuthType, InvokeMode, URL_OF, URLS, UrlConfig, UrlId, owner_key};
use super::validate::{Checks, is_word};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::View;
use store::alias::is_alias;
use uuid::Uuid;
use wire::rest_json::Call;

/// What Create and Update take.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    pub(super) function_name: String,
    pub(super) qualifier: Option<String>,
    pub(super) auth_type: Option<String>,
    pub(super) cors: Option<Cors>,
    pub(super) invoke_mode: Option<String>,
    #[serde(flatten)]
    pub(super) rest: Rest,
}

/// Creates the URL of a function or of an alias.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let input: Input = call.input()?;
    refuse(call.operation, &input.rest)?;
    let mut checks = Checks::default();
    checks.required("authType", input.auth_type.as_deref());
    let said = input.check(checks)?;
    let said_mode = said.mode.is_some();
    let named = url_owner(&call, &input.function_name, input.qualifier.as_deref())?;
    let (id, config) = lambda
        .store
        .write(move |tx| {
            if Function::resolve(tx, &named).is_err() {
                return Err(not_found("Function does not exist").into());
            }
            let (arn, key) = (named.target(), owner_key(&named.target()));
            if tx.get(&URL_OF, &key)?.is_some() {
                return Err(Error::from(conflict(format!(
                    "Failed to create function url config for [functionArn = {arn}]. Error message:  \
                     FunctionUrlConfig exists for this Lambda function"
                ))));
            }
            let id = new_url_id();
            let now = tx.now();
            let config = UrlConfig {
                function: key.clone(),
                auth_type: said.auth_type.unwrap_or(AuthType::None),
                created: now,
                modified: now,
                cors: input.cors.filter(|cors| !cors.is_empty()),
                mode: said.mode.unwrap_or_default(),
            };
            tx.put(&URLS, &id.0, &config)?;
            tx.put(&URL_OF, &key, &id)?;
            Ok((id, config))
        })
        .await?;
    let mut shown = lambda.show_url(&id, &config, said_mode);
    if let Some(members) = shown.as_object_mut() {
        // The answer to Create does not have it.
        members.remove("LastModifiedTime");
    }
    Ok(shown)
}

/// What a request says of a URL, as far as it is one of several values.
pub(super) struct Said {
    pub(super) auth_type: Option<AuthType>,
    pub(super) mode: Option<InvokeMode>,
}

impl Input {
    /// Checks what a request says.
    pub(super) fn check(&self, mut checks: Checks) -> Result<Said, Error> {
        if let Some(auth) = &self.auth_type {
            checks.one_of("authType", auth, &["NONE", "AWS_IAM"]);
        }
        if let Some(mode) = &self.invoke_mode {
            checks.one_of("invokeMode", mode, &["RESPONSE_STREAM", "BUFFERED"]);
        }
        if let Some(cors) = &self.cors {
            cors.check(&mut checks);
        }
        checks.finish()?;
        let auth = |auth: &str| if auth == "NONE" { AuthType::None } else { AuthType::Iam };
        let mode = |mode: &str| if mode == "BUFFERED" { InvokeMode::Buffered } else { InvokeMode::Stream };
        Ok(Said {
            auth_type: self.auth_type.as_deref().map(auth),
            mode: self.invoke_mode.as_deref().map(mode),
        })
    }
}

/// The function or the alias whose URL a request means.
pub(super) fn url_owner(call: &Call, name: &str, qualifier: Option<&str>) -> Result<Named, Error> {
    let named = Named::parse(call, name, qualifier)?;
    if let Some(qualifier) = &named.qualifier {
        let mut checks = Checks::default();
        let fits = is_word(qualifier) && is_alias(qualifier);
        checks.pattern("qualifier", qualifier, r"((?!^\d+$)^[0-9a-zA-Z-_]+$)", fits);
        checks.finish()?;
    }
    Ok(named)
}

/// The URL of the function or the alias that a request names.
pub(super) fn load_url(view: &View<'_>, named: &Named) -> Result<(UrlId, UrlConfig), Error> {
    let Some(id) = view.get(&URL_OF, owner_key(&named.target()))? else { return Err(no_resource().into()) };
    match view.get(&URLS, &id.0)? {
        Some(config) => Ok((id, config)),
        None => Err(no_resource().into()),
    }
}

/// A new id: too long to be guessed.
fn new_url_id() -> UrlId {
    const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let random = Sha256::digest([Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat());
    UrlId(random.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect())
}

impl Lambda {
    /// A function URL as the API shows it; the answers to Create and Update tell the mode only if the request did.
    pub(super) fn show_url(&self, id: &UrlId, config: &UrlConfig, mode: bool) -> Value {
        let mut shown = json!({
            "FunctionUrl": format!("{}{}{}/", self.endpoint.get(), wire::route::URL_PATH, id.0),
            "FunctionArn": config.arn(),
            "AuthType": config.auth_type,
            "CreationTime": config.created.iso_z(),
            "LastModifiedTime": config.modified.iso_z(),
        });
        if let Some(cors) = &config.cors {
            shown["Cors"] = json!(cors);
        }
        if mode {
            shown["InvokeMode"] = json!(config.mode);
        }
        shown
    }
}
