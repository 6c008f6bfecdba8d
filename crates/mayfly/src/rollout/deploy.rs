//! `mayfly deploy`: code becomes a version, and perhaps an alias leads to it.

use super::Deploy;
use super::api::Api;
use super::package::zip_of;
use super::shift::give;
use crate::client::run;
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The role of functions whose owner names none.
const ROLE: &str = "arn:aws:iam::000000000000:role/mayfly-deploy";

/// How long to wait for a change to be through: a minute.
const PATIENCE: (u32, Duration) = (600, Duration::from_millis(100));

pub(crate) fn main(flags: &Deploy) -> Result<()> {
    run(async {
        let zip = zip_of(&flags.path)?;
        let api = Api::new(&flags.target);
        let settings = settings(flags)?;
        match api.function(&flags.function, None).await? {
            None => create(&api, flags, settings, &zip).await?,
            Some(_) => update(&api, flags, settings, &zip).await?,
        }
        let input = json!({ "Description": flags.description });
        let input = if flags.description.is_some() { input } else { json!({}) };
        let published = api.call("POST", &Api::path(&flags.function, "/versions"), Some(&input)).await?;
        let version = published["Version"].as_str().context("the answer names no version")?;
        println!(
            "{} is at version {version} ({} bytes, SHA-256 {})",
            flags.function,
            published["CodeSize"],
            published["CodeSha256"].as_str().unwrap_or_default()
        );
        if let Some(alias) = &flags.alias {
            give(&api, &flags.function, alias, version, flags.percent.unwrap_or(100)).await?;
        }
        Ok(())
    })
}

fn settings(flags: &Deploy) -> Result<Map<String, Value>> {
    let mut settings = Map::new();
    for (name, value) in [
        ("Runtime", flags.runtime.as_ref().map(|text| json!(text))),
        ("Handler", flags.handler.as_ref().map(|text| json!(text))),
        ("Role", flags.role.as_ref().map(|text| json!(text))),
        ("MemorySize", flags.memory.map(|number| json!(number))),
        ("Timeout", flags.timeout.map(|number| json!(number))),
    ] {
        settings.extend(value.map(|value| (name.to_owned(), value)));
    }
    if !flags.env.is_empty() {
        let mut variables = Map::new();
        for pair in &flags.env {
            let Some((name, value)) = pair.split_once('=') else { bail!("{pair} is not NAME=VALUE") };
            variables.insert(name.to_owned(), json!(value));
        }
        settings.insert("Environment".to_owned(), json!({ "Variables": variables }));
    }
    Ok(settings)
}

async fn create(api: &Api<'_>, flags: &Deploy, mut input: Map<String, Value>, zip: &[u8]) -> Result<()> {
    if flags.runtime.is_none() || flags.handler.is_none() {
        bail!("{} does not exist yet: name its --runtime and its --handler", flags.function);
    }
    input.insert("FunctionName".to_owned(), json!(flags.function));
    input.insert("Code".to_owned(), json!({ "ZipFile": BASE64_STANDARD.encode(zip) }));
    input.entry("Role").or_insert(json!(ROLE));
    api.call("POST", "/2015-03-31/functions", Some(&Value::Object(input))).await?;
    through(api, &flags.function).await
}

async fn update(api: &Api<'_>, flags: &Deploy, settings: Map<String, Value>, zip: &[u8]) -> Result<()> {
    if !settings.is_empty() {
        let path = Api::path(&flags.function, "/configuration");
        api.call("PUT", &path, Some(&Value::Object(settings))).await?;
        through(api, &flags.function).await?;
    }
    let input = json!({ "ZipFile": BASE64_STANDARD.encode(zip) });
    api.call("PUT", &Api::path(&flags.function, "/code"), Some(&input)).await?;
    through(api, &flags.function).await
}

/// Waits until the last change of a function is through.
async fn through(api: &Api<'_>, function: &str) -> Result<()> {
    let (times, pause) = PATIENCE;
    for _ in 0..times {
        let found = api.call("GET", &Api::path(function, "/configuration"), None).await?;
        match (found["State"].as_str(), found["LastUpdateStatus"].as_str()) {
            (Some("Pending"), _) | (_, Some("InProgress")) => tokio::time::sleep(pause).await,
            (Some("Failed"), _) | (_, Some("Failed")) => {
                bail!("{function} has failed: {}", found["StateReason"].as_str().unwrap_or_default())
            }
            _ => return Ok(()),
        }
    }
    bail!("{function} is not through with its last change after a minute")
}
