//! Aliases of functions: names that lead to a version, or to one of two by weight.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html>

use crate::kv::{Stored, Table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Aliases by their ARN. The Lambda service writes them.
pub const ALIASES: Table<Alias> = Table::new("lambda.alias");

/// Where an alias leads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alias {
    /// The version that gets what the others do not.
    pub version: String,
    /// Other versions, with the share of the events that each gets, from 0 to 1.
    pub weights: BTreeMap<String, f64>,
    /// What it is for, in its owner's words.
    pub description: String,
    /// Changes with every change of the alias.
    pub revision: String,
}

impl Stored for Alias {}

impl Alias {
    /// The version for an event that drew the number `at`, from 0 to below 1.
    pub fn choose(&self, mut at: f64) -> &str {
        for (version, weight) in &self.weights {
            if at < *weight {
                return version;
            }
            at -= weight;
        }
        &self.version
    }

    /// The version for an event.
    pub fn draw(&self) -> &str {
        if self.weights.is_empty() {
            return &self.version;
        }
        // 32 bits are exact in a float; those of a version 4 UUID that come first are all random.
        let (random, ..) = Uuid::new_v4().as_fields();
        self.choose(f64::from(random) / (f64::from(u32::MAX) + 1.0))
    }
}

/// Whether a qualifier may be the name of an alias: versions are numbers.
pub fn is_alias(qualifier: &str) -> bool {
    qualifier != model::LATEST && !qualifier.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(weights: &[(&str, f64)]) -> Alias {
        Alias {
            version: "1".into(),
            weights: weights.iter().map(|(version, weight)| ((*version).to_owned(), *weight)).collect(),
            description: String::new(),
            revision: String::new(),
        }
    }

    #[test]
    fn weights_split_events() {
        let split = alias(&[("2", 0.25)]);
        for (at, version) in [(0.0, "2"), (0.24, "2"), (0.25, "1"), (0.99, "1")] {
            assert_eq!(split.choose(at), version, "{at}");
        }
        assert_eq!(alias(&[]).draw(), "1");
        let second = (0..10_000).filter(|_| split.draw() == "2").count();
        // Six standard deviations: one in a billion runs fails by chance.
        assert!((2_240..2_760).contains(&second), "{second}");
    }

    #[test]
    fn numbers_are_versions() {
        assert!(is_alias("live") && is_alias("1a") && !is_alias("1") && !is_alias("$LATEST"));
    }
}
