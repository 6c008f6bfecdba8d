//! `mayfly compare`: what two versions of a function differ in.

use super::Compare;
use super::api::Api;
use super::package::contents;
use crate::client::run;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write;

/// What differs between any two versions and says nothing.
const PASSED_OVER: [&str; 9] = [
    "CodeSha256",
    "CodeSize",
    "FunctionArn",
    "LastModified",
    "LastUpdateStatus",
    "RevisionId",
    "State",
    "StateReason",
    "Version",
];

pub(crate) fn main(flags: &Compare) -> Result<()> {
    run(async {
        let api = Api::new(&flags.target);
        let find = async |qualifier: &str| {
            let found = api.function(&flags.function, Some(qualifier)).await?;
            found.with_context(|| format!("{} has no version or alias {qualifier}", flags.function))
        };
        let (before, after) = (find(&flags.before).await?, find(&flags.after).await?);
        let mut lines = Vec::new();
        settings("", &before["Configuration"], &after["Configuration"], &mut lines);
        if before["Configuration"]["CodeSha256"] != after["Configuration"]["CodeSha256"] {
            let package = async |function: &Value| {
                let location = function["Code"]["Location"].as_str().context("there is no package")?;
                contents(&api.download(location).await?)
            };
            let (old, new) = (package(&before).await?, package(&after).await?);
            let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
            for name in names {
                match (old.get(name), new.get(name)) {
                    (None, Some(_)) => lines.push(format!("+ {name}")),
                    (Some(_), None) => lines.push(format!("- {name}")),
                    (old, new) if old != new => lines.push(format!("~ {name}")),
                    _ => {}
                }
            }
        }
        if lines.is_empty() {
            lines.push("no difference".to_owned());
        }
        writeln!(std::io::stdout().lock(), "{}", lines.join("\n"))?;
        Ok(())
    })
}

/// Adds a line for each setting that differs, named by its path.
fn settings(path: &str, before: &Value, after: &Value, lines: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
            for name in names {
                if path.is_empty() && PASSED_OVER.contains(&name.as_str()) {
                    continue;
                }
                let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let member = |of: &serde_json::Map<String, Value>| of.get(name).cloned().unwrap_or_default();
                settings(&at, &member(old), &member(new), lines);
            }
        }
        (before, after) if before != after => lines.push(format!("{path}: {before} -> {after}")),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_are_compared_member_by_member() {
        let mut lines = Vec::new();
        let before =
            json!({"Timeout": 3, "Environment": {"Variables": {"A": "1", "B": "1"}}, "RevisionId": "a"});
        let after =
            json!({"Timeout": 9, "Environment": {"Variables": {"A": "1", "C": "1"}}, "RevisionId": "b"});
        settings("", &before, &after, &mut lines);
        let expected = [
            "Environment.Variables.B: \"1\" -> null",
            "Environment.Variables.C: null -> \"1\"",
            "Timeout: 3 -> 9",
        ];
        assert_eq!(lines, expected);
    }
}
