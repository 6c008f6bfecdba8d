//! Event source mappings: which source starts which function, and how. The Lambda API writes them, the scheduler runs
//! them.

use crate::kv::{From, Stored, Table};
use crate::{Result, Store, View};
use model::{FunctionArn, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tokio::sync::watch;
use uuid::Uuid;

/// All mappings, by the text of their UUIDs.
pub const MAPPINGS: Table<Mapping> = Table::new("lambda.mapping");

/// A mapping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mapping {
    /// Its name.
    pub uuid: Uuid,
    /// The function, version or alias that it starts.
    pub function: FunctionArn,
    /// The ARN of the source.
    pub source: String,
    /// The most records in one batch.
    pub batch: u32,
    /// How long to gather records for a batch, in seconds.
    pub window: u32,
    /// The most batches at one time, if it says.
    pub concurrency: Option<u32>,
    /// Event patterns: a record is let through by any of them. None let all through.
    pub filters: Vec<String>,
    /// Whether the function tells which records of a batch failed.
    pub partial: bool,
    /// Whether it runs.
    pub enabled: bool,
    /// When it was changed last.
    pub modified: Timestamp,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// `KMSKeyArn`, as it was set.
    #[serde(default)]
    pub key: Option<String>,
    /// `MetricsConfig`, as it was set.
    #[serde(default)]
    pub metrics: Vec<String>,
}

impl Stored for Mapping {}

impl View<'_> {
    /// Up to `limit` mappings behind the one called `after`.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn mappings(&self, after: &str, limit: usize) -> Result<Vec<Mapping>> {
        let found = self.scan(&MAPPINGS, &[], From::After(after.as_bytes()), limit)?;
        Ok(found.into_iter().map(|(_, mapping)| mapping).collect())
    }
}

impl Store {
    /// How often mappings were written or removed since the start.
    pub fn mappings_changed(&self) -> watch::Receiver<u64> {
        self.wakes().mappings.subscribe()
    }
}
