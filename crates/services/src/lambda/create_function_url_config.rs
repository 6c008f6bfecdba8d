//! `CreateFunctionUrlConfig`: gives a function an address of its own for HTTP.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunctionUrlConfig.html>

use super::Lambda;
use super::error::{Error, conflict, no_resource};
use super::function::Function;
use super::name::Named;
use super::refusal::{Rest, refuse};
use super::url::record::{AuthType, URL_OF, URLS, UrlConfig, UrlId};
use super::validate::Checks;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::View;
use uuid::Uuid;
use wire::rest_json::Call;

/// What Create and Update take.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    pub(super) function_name: String,
    pub(super) qualifier: Option<String>,
    pub(super) auth_type: Option<String>,
    #[serde(flatten)]
    pub(super) rest: Rest,
}

/// Creates the URL of a function.
pub(super) async fn run(lambda: &Lambda, call: Call) -> Result<Value, Error> {
    let input: Input = call.input()?;
    refuse(call.operation, &input.rest)?;
    let mut checks = Checks::default();
    checks.required("authType", input.auth_type.as_deref());
    checks.finish()?;
    let named = url_owner(&input.function_name, input.qualifier.as_deref())?;
    let auth_type = auth_type(input.auth_type.as_deref())?.unwrap_or(AuthType::None);
    let (id, config) = lambda
        .store
        .write(move |tx| {
            Function::load(tx, &named)?;
            let name = named.arn.name();
            if tx.get(&URL_OF, name)?.is_some() {
                return Err(Error::from(conflict(format!(
                    "Failed to create function url config for [functionArn = {}]. Error message:  \
                     FunctionUrlConfig exists for this Lambda function",
                    named.arn
                ))));
            }
            let id = new_url_id();
            let now = tx.now();
            let config = UrlConfig { function: name.to_owned(), auth_type, created: now, modified: now };
            tx.put(&URLS, &id.0, &config)?;
            tx.put(&URL_OF, name, &id)?;
            Ok((id, config))
        })
        .await?;
    Ok(lambda.show_url(&id, &config, false))
}

/// The function whose URL a request means. `$LATEST` cannot be told apart from the function itself.
pub(super) fn url_owner(name: &str, qualifier: Option<&str>) -> Result<Named, Error> {
    if let Some(qualifier) = qualifier {
        let mut checks = Checks::default();
        let fits = super::validate::is_word(qualifier) && !qualifier.chars().all(|c| c.is_ascii_digit());
        checks.pattern("qualifier", qualifier, r"((?!^\d+$)^[0-9a-zA-Z-_]+$)", fits);
        checks.finish()?;
    }
    let named = Named::parse(name, qualifier)?;
    Ok(Named { qualifier: None, ..named })
}

/// The parameter `AuthType`, if it is there.
pub(super) fn auth_type(value: Option<&str>) -> Result<Option<AuthType>, Error> {
    let Some(value) = value else { return Ok(None) };
    let mut checks = Checks::default();
    checks.one_of("authType", value, &["NONE", "AWS_IAM"]);
    checks.finish()?;
    Ok(Some(if value == "NONE" { AuthType::None } else { AuthType::Iam }))
}

/// The URL of the function that a request names.
pub(super) fn load_url(view: &View<'_>, named: &Named) -> Result<(UrlId, UrlConfig), Error> {
    Function::load(view, named)?;
    let Some(id) = view.get(&URL_OF, named.arn.name())? else { return Err(no_resource().into()) };
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
    /// A function URL as the API shows it; the answer to Create has no `LastModifiedTime`.
    pub(super) fn show_url(&self, id: &UrlId, config: &UrlConfig, modified: bool) -> Value {
        let mut shown = json!({
            "FunctionUrl": format!("{}{}{}/", self.endpoint.get(), wire::route::URL_PATH, id.0),
            "FunctionArn": model::FunctionArn::of(&config.function),
            "AuthType": config.auth_type,
            "CreationTime": config.created.iso_z(),
            "InvokeMode": "BUFFERED",
        });
        if modified {
            shown["LastModifiedTime"] = json!(config.modified.iso_z());
        }
        shown
    }
}
