//! Event source mappings: which source starts which function, and how. The Lambda API writes them, the scheduler runs
//! them.

use crate::kv::{From, Stored, Table};
use crate::{Result, Store, Tx, View};
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

/// The UUIDs of mappings by their source and function.
const BY_ENDS: Table<Ends> = Table::new("lambda.mapping-of");

#[derive(Debug, Serialize, Deserialize)]
struct Ends(Uuid);

impl Stored for Ends {}

fn ends(source: &str, function: &str) -> String {
    format!("{source}\0{function}")
}

impl Tx<'_> {
    /// Writes a mapping; one that exists keeps its source.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn put_mapping(&self, mapping: &Mapping) -> Result<()> {
        let key = mapping.uuid.to_string();
        if let Some(old) = self.get(&MAPPINGS, &key)? {
            self.delete(&BY_ENDS, ends(&old.source, old.function.as_str()))?;
        }
        self.put(&BY_ENDS, ends(&mapping.source, mapping.function.as_str()), &Ends(mapping.uuid))?;
        self.put(&MAPPINGS, key, mapping)
    }

    /// Removes a mapping.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn delete_mapping(&self, mapping: &Mapping) -> Result<()> {
        self.delete(&BY_ENDS, ends(&mapping.source, mapping.function.as_str()))?;
        self.delete(&MAPPINGS, mapping.uuid.to_string()).map(drop)
    }
}

impl View<'_> {
    /// The mapping with this UUID.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn mapping(&self, uuid: &str) -> Result<Option<Mapping>> {
        self.get(&MAPPINGS, uuid)
    }

    /// The UUID of the mapping from `source` to `function`.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn mapping_of(&self, source: &str, function: &FunctionArn) -> Result<Option<Uuid>> {
        Ok(self.get(&BY_ENDS, ends(source, function.as_str()))?.map(|Ends(uuid)| uuid))
    }

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
