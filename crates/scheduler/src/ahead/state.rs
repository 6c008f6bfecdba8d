//! What waits ahead of events now, for people.

use super::Ahead;
use super::decide::{Stage, Way};
use super::pool::Pool;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// What waits for one function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Its name.
    pub function: String,
    /// How its owner wants its processes to come to be.
    pub start: String,
    /// How far its template is: `none`, `starting`, `captured` or `refused`.
    pub template: String,
    /// Why there is no template, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many processes wait.
    pub ahead: usize,
    /// How many should wait.
    pub wanted: usize,
    /// How many are being made.
    pub making: usize,
    /// How many of its events run, or wait to.
    pub running: usize,
    /// The memory that its template and its waiting processes hold, in bytes.
    pub memory_bytes: u64,
}

impl Ahead {
    /// What waits now, by function.
    pub(crate) fn states(&self) -> Vec<State> {
        let (table, now) = (self.table(), Instant::now());
        let functions: Vec<_> = table.pools.keys().cloned().collect();
        let mut states: Vec<State> = functions
            .iter()
            .filter_map(|arn| {
                let taken = super::make::taken(&table, arn, now);
                table.pools.get(arn).map(|pool| state(pool, pool.target(now, &self.0.bounds, taken), now))
            })
            .collect();
        states.sort_by(|one, other| one.function.cmp(&other.function));
        states
    }
}

fn state(pool: &Pool, wanted: usize, now: Instant) -> State {
    let template = match (pool.way, pool.stage()) {
        (Way::Copies, Stage::Starting) => "starting",
        (Way::Copies, Stage::Captured) => "captured",
        (Way::Copies, Stage::Refused) => "refused",
        _ => "none",
    };
    State {
        function: pool.spec.arn.log_name(),
        start: pool.spec.start.name().to_owned(),
        template: template.to_owned(),
        reason: pool.reason.clone(),
        ahead: pool.held.len(),
        wanted,
        making: pool.making,
        running: pool.running,
        memory_bytes: pool.holding(now).memory,
    }
}
