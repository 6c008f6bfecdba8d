//! Provisioned concurrency: how many processes wait ahead of the events of a version at all times.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/provisioned-concurrency.html>

use super::function::{Function, VERSIONS, qualified_prefix, version_key};
use super::validate::Checks;
use model::{FunctionArn, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::alias::{ALIASES, is_alias};
use store::kv::{FLOORS, From, Stored, Table};
use store::{Result, Tx, View};

/// What is asked for, by the ARN of the version or the alias.
pub(super) const PROVISIONED: Table<Provisioned> = Table::new("lambda.provisioned");

/// The most versions and aliases of one function that may ask for it.
pub(super) const MOST: usize = 1_000;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Provisioned {
    /// How many processes.
    pub(super) requested: u32,
    /// When that was said.
    pub(super) modified: Timestamp,
}

impl Stored for Provisioned {}

impl Provisioned {
    /// As the API shows it, with so many processes of the version that are there.
    pub(super) fn shown(&self, ready: usize) -> Value {
        let there = u32::try_from(ready).unwrap_or(u32::MAX).min(self.requested);
        json!({
            "RequestedProvisionedConcurrentExecutions": self.requested,
            "AvailableProvisionedConcurrentExecutions": there,
            "AllocatedProvisionedConcurrentExecutions": there,
            "Status": if there == self.requested { "READY" } else { "IN_PROGRESS" },
            "LastModified": self.modified.iso_lambda(),
        })
    }
}

/// Everything that is asked for of the function `arn`, by the ARN of the version or the alias.
pub(super) fn asked(view: &View<'_>, arn: &FunctionArn) -> Result<Vec<(FunctionArn, Provisioned)>> {
    let prefix = qualified_prefix(arn);
    let found = view.scan(&PROVISIONED, &prefix, From::At(&prefix), MOST)?;
    let named = |key: Vec<u8>| FunctionArn::from_stored(String::from_utf8_lossy(&key).into_owned());
    Ok(found.into_iter().map(|(key, asked)| (named(key), asked)).collect())
}

/// The version that a version or an alias stands for, if it is published.
pub(super) fn version_of(view: &View<'_>, arn: &FunctionArn) -> Result<Option<FunctionArn>> {
    let Some(qualifier) = arn.qualifier() else { return Ok(None) };
    let version = match is_alias(qualifier) {
        true => view.get(&ALIASES, arn.as_str())?.map(|alias| alias.version),
        false => Some(qualifier.to_owned()),
    };
    let Some(version) = version else { return Ok(None) };
    let there = view.get(&VERSIONS, version_key(arn, &version))?.is_some();
    Ok(there.then(|| arn.qualified(&version)))
}

/// Makes the versions of the function `arn` have as many processes ahead as is asked for.
pub(super) fn staff(tx: &Tx<'_>, arn: &FunctionArn) -> Result<()> {
    let mut wanted: BTreeMap<FunctionArn, u32> = BTreeMap::new();
    // Those that have some now may lose them.
    for (_, floor) in tx.scan(&FLOORS, &qualified_prefix(arn), From::At(b""), MOST)? {
        wanted.insert(floor.function, 0);
    }
    for (named, asked) in asked(tx, arn)? {
        if let Some(version) = version_of(tx, &named)? {
            let sum = wanted.entry(version).or_default();
            *sum = sum.saturating_add(asked.requested);
        }
    }
    for (version, ahead) in wanted {
        if let Some(mut function) = Function::find(tx, &version)?
            && function.spec.ahead != ahead
        {
            function.spec.ahead = ahead;
            function.save(tx)?;
        }
    }
    Ok(())
}

/// Checks the number of processes.
pub(super) fn check_requested(checks: &mut Checks, requested: Option<i64>) {
    if let Some(requested) = checks.required("provisionedConcurrentExecutions", requested.as_ref()) {
        checks.range("provisionedConcurrentExecutions", *requested, 1, u32::MAX);
    }
}
