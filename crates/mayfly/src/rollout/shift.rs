//! `mayfly shift` and `mayfly rollback`: which version gets the events of an alias.

use super::api::Api;
use super::{Rollback, Shift};
use crate::client::run;
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

/// Gives a share of an alias's events to a version.
pub(crate) fn shift(flags: &Shift) -> Result<()> {
    run(async {
        let api = Api::new(&flags.target);
        give(&api, &flags.function, &flags.alias, &flags.version, flags.percent).await
    })
}

/// Gives all events of an alias back to the version before.
pub(crate) fn rollback(flags: &Rollback) -> Result<()> {
    run(async {
        let api = Api::new(&flags.target);
        let (function, alias) = (&flags.function, &flags.alias);
        let found = api.alias(function, alias).await?;
        let found = found.with_context(|| format!("{function} has no alias {alias}"))?;
        let present = found["FunctionVersion"].as_str().unwrap_or_default();
        let shared =
            found["RoutingConfig"]["AdditionalVersionWeights"].as_object().is_some_and(|w| !w.is_empty());
        let version = match &flags.to {
            Some(version) => version.clone(),
            None if shared => present.to_owned(),
            None => {
                let versions = api.all(function, "versions", "Versions").await?;
                let versions: Vec<_> =
                    versions.iter().filter_map(|version| version["Version"].as_str()).collect();
                before(&versions, present)
                    .with_context(|| format!("there is no version before {present}"))?
                    .to_owned()
            }
        };
        api.lead(function, alias, &version, Map::new()).await?;
        println!("{function}:{alias} leads to version {version} again");
        Ok(())
    })
}

/// The version that was published before `present`.
fn before<'a>(versions: &[&'a str], present: &str) -> Option<&'a str> {
    let number = |text: &str| text.parse::<u64>().ok();
    let present = number(present).unwrap_or(u64::MAX);
    let earlier =
        versions.iter().copied().filter(|version| number(version).is_some_and(|version| version < present));
    earlier.max_by_key(|version| number(version))
}

/// Gives `percent` of an alias's events to `version`, and says so.
pub(super) async fn give(
    api: &Api<'_>,
    function: &str,
    alias: &str,
    version: &str,
    percent: u8,
) -> Result<()> {
    let present = match api.alias(function, alias).await? {
        Some(found) => found["FunctionVersion"].as_str().map(str::to_owned),
        None => None,
    };
    match present {
        Some(present) if percent < 100 && present != version => {
            let mut weights = Map::new();
            if percent > 0 {
                weights.insert(version.to_owned(), json!(f64::from(percent) / 100.0));
            }
            api.lead(function, alias, &present, weights).await?;
            println!("{function}:{alias} gives {percent} % to version {version}, the rest to {present}");
        }
        None if percent < 100 => {
            bail!("{function} has no alias {alias} yet, so there is nothing to share with")
        }
        Some(present) if percent < 100 => {
            bail!("{function}:{alias} leads to version {present} already: shift events to another one")
        }
        _ => {
            api.lead(function, alias, version, Map::<String, Value>::new()).await?;
            println!("{function}:{alias} leads to version {version}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_before_is_found_by_number() {
        let versions = ["$LATEST", "1", "2", "9", "10"];
        assert_eq!(before(&versions, "10"), Some("9"));
        assert_eq!(before(&versions, "9"), Some("2"));
        assert_eq!(before(&versions, "$LATEST"), Some("10"));
        assert_eq!(before(&versions, "1"), None);
    }
}
