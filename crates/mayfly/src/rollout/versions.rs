//! `mayfly versions`: what was published, and which aliases lead to it.

use super::Versions;
use super::api::Api;
use crate::client::run;
use anyhow::Result;
use serde_json::Value;
use std::io::Write;

pub(crate) fn main(flags: &Versions) -> Result<()> {
    run(async {
        let api = Api::new(&flags.target);
        let versions = api.all(&flags.function, "versions", "Versions").await?;
        let aliases = api.all(&flags.function, "aliases", "Aliases").await?;
        let mut rows =
            vec![["VERSION", "PUBLISHED", "SIZE", "SHA-256", "ALIASES", "DESCRIPTION"].map(str::to_owned)];
        for version in versions.iter().rev() {
            let text = |member: &str| version[member].as_str().unwrap_or_default().to_owned();
            let number = text("Version");
            rows.push([
                number.clone(),
                text("LastModified").chars().take(19).collect(),
                version["CodeSize"].to_string(),
                text("CodeSha256").chars().take(12).collect(),
                leading_to(&aliases, &number),
                text("Description"),
            ]);
        }
        std::io::stdout().lock().write_all(crate::table::render(&rows).as_bytes())?;
        Ok(())
    })
}

/// The aliases that lead to a version, with the share of those that lead to another one too.
fn leading_to(aliases: &[Value], version: &str) -> String {
    let share = |alias: &Value| {
        let weights = alias["RoutingConfig"]["AdditionalVersionWeights"].as_object();
        let others: f64 = weights.into_iter().flatten().filter_map(|(_, weight)| weight.as_f64()).sum();
        match weights.and_then(|weights| weights.get(version)).and_then(Value::as_f64) {
            Some(weight) => Some(weight),
            None if alias["FunctionVersion"] == version => Some(1.0 - others),
            None => None,
        }
    };
    let named = aliases.iter().filter_map(|alias| {
        let name = alias["Name"].as_str().unwrap_or_default();
        share(alias).map(|share| match share < 1.0 {
            true => format!("{name} ({:.0} %)", share * 100.0),
            false => name.to_owned(),
        })
    });
    named.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn shares_of_aliases_are_told() {
        let aliases = [
            json!({"Name": "live", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.1}}}),
            json!({"Name": "next", "FunctionVersion": "2"}),
        ];
        assert_eq!(leading_to(&aliases, "1"), "live (90 %)");
        assert_eq!(leading_to(&aliases, "2"), "live (10 %), next");
        assert_eq!(leading_to(&aliases, "3"), "");
    }
}
