//! What the operations on aliases share.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-aliases.html>

use super::error::{Error, invalid, not_found};
use super::function::{Function, VERSIONS, version_key};
use super::name::Named;
use super::validate::{Checks, all, is_word};
use model::{FunctionArn, LATEST};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::View;
use store::alias::{ALIASES, Alias};
use wire::Fault;

/// The parameter `RoutingConfig`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Routing {
    #[serde(default)]
    additional_version_weights: Option<BTreeMap<String, f64>>,
}

impl Routing {
    /// The weights of the versions that it names.
    pub(super) fn weights(self) -> BTreeMap<String, f64> {
        self.additional_version_weights.unwrap_or_default()
    }
}

/// Checks the name of an alias.
pub(super) fn check_name(checks: &mut Checks, name: &str) {
    let fits = is_word(name) && !name.chars().all(|c| c.is_ascii_digit());
    checks.length("name", name, 1, 128);
    checks.pattern("name", name, "(?!^[0-9]+$)([a-zA-Z0-9-_]+)", fits);
}

/// Checks what a request says of where an alias leads.
pub(super) fn check_target(
    checks: &mut Checks,
    version: Option<&str>,
    description: Option<&str>,
    routing: Option<&Routing>,
) {
    if let Some(version) = version {
        let fits = version == LATEST || all(version, |c| c.is_ascii_digit());
        checks.length("functionVersion", version, 1, 1024);
        checks.pattern("functionVersion", version, r"(\$LATEST|[0-9]+)", fits);
    }
    if let Some(description) = description {
        checks.length("description", description, 0, 256);
    }
    let weights = routing.and_then(|routing| routing.additional_version_weights.as_ref());
    for (version, weight) in weights.into_iter().flatten() {
        // A whole number is shown with its zero, as in Java.
        let shown = format!("{{{version}={weight:?}}}");
        let member = "routingConfig.additionalVersionWeights";
        checks.holds(
            member,
            &shown,
            (0.0..1.0).contains(weight),
            "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have \
             value greater than or equal to 0.0, Member must not be null]",
        );
        checks.holds(
            member,
            &shown,
            all(version, |c| c.is_ascii_digit()),
            "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have \
             length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+, Member must \
             not be null]",
        );
    }
}

/// Checks that an alias of `arn` leads to versions that exist.
pub(super) fn check_routes(view: &View<'_>, arn: &FunctionArn, alias: &Alias) -> Result<(), Error> {
    let Alias { version, weights, .. } = alias;
    let exists = |version: &str| match version {
        LATEST => Ok(true),
        version => Ok::<_, store::Error>(view.get(&VERSIONS, version_key(arn, version))?.is_some()),
    };
    let missing = |version: &str| not_found(format!("Function not found: {}", arn.qualified(version)));
    if !exists(version)? {
        return Err(missing(version).into());
    }
    if weights.len() > 1 {
        let message = "Number of items in AdditionalVersionWeights cannot be greater than 1";
        return Err(invalid(message).into());
    }
    for other in weights.keys() {
        if other == version {
            return Err(invalid(format!(
                "Invalid function version {version}. Function version {version} is already included in routing \
                 configuration."
            ))
            .into());
        }
        if version == LATEST {
            let message = "$LATEST is not supported for an alias pointing to more than 1 version";
            return Err(invalid(message).into());
        }
        if !exists(other)? {
            return Err(missing(other).into());
        }
        check_alike(view, &arn.qualified(version), &arn.qualified(other))?;
    }
    Ok(())
}

/// Checks that two versions may share the events of an alias.
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html>
fn check_alike(view: &View<'_>, one: &FunctionArn, other: &FunctionArn) -> Result<(), Error> {
    let (Some(one), Some(other)) = (Function::find(view, one)?, Function::find(view, other)?) else {
        return Ok(());
    };
    let what = match () {
        () if one.about.role != other.about.role => "execution role",
        () if one.spec.dead_letter != other.spec.dead_letter => "dead letter queue configuration",
        () => return Ok(()),
    };
    Err(invalid(format!("Specified versions must be associated with the same {what}")).into())
}

/// The alias `name` of the function that a request names.
pub(super) fn load(view: &View<'_>, named: &Named, name: &str) -> Result<Alias, Error> {
    find(view, &named.arn.qualified(name)).or_else(|missing| {
        Function::load(view, named)?;
        Err(missing)
    })
}

/// The alias `arn`, of whose function nothing is known.
pub(super) fn find(view: &View<'_>, arn: &FunctionArn) -> Result<Alias, Error> {
    let missing = || Fault::new("ResourceNotFoundException", 404, format!("Cannot find alias arn: {arn}"));
    view.get(&ALIASES, arn.as_str())?.ok_or_else(|| missing().into())
}

/// An alias as the API shows it.
pub(super) fn shown(arn: &FunctionArn, alias: &Alias) -> Value {
    let mut shown = json!({
        "AliasArn": arn,
        "Name": arn.qualifier().unwrap_or_default(),
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": alias.revision,
    });
    if !alias.weights.is_empty() {
        shown["RoutingConfig"] = json!({"AdditionalVersionWeights": alias.weights});
    }
    shown
}
