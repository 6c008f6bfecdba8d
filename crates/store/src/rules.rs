//! What owners say of how much of their functions runs, and of what follows from asynchronous events.

use crate::kv::{From, Stored, Table};
use crate::{Result, Store, View};
use model::{FunctionArn, LATEST, Timestamp, limits};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// The concurrency that is reserved for functions, by unqualified ARN. The Lambda service writes it.
pub const RESERVED: Table<Reserved> = Table::new("lambda.reserved");

/// What follows from asynchronous events, by ARN: unqualified for `$LATEST`. The Lambda service writes it.
pub const EVENT_RULES: Table<EventRules> = Table::new("lambda.event-rules");

/// The functions whose loops may go on, by unqualified ARN. The Lambda service writes it.
pub const LOOPS: Table<Loops> = Table::new("lambda.loops");

/// How many functions' rules are kept in memory.
const KEPT: usize = 1_024;

/// How many records are read at a time.
const BATCH: usize = 256;

/// How many events of a function run at the same time: so many are kept free for it, and no more run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserved {
    /// Whose.
    pub function: FunctionArn,
    /// How many; 0 turns the function off.
    pub executions: u32,
}

impl Stored for Reserved {}

/// Events of a function that lead to more of its events may do so without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loops;

impl Stored for Loops {}

/// What follows from the asynchronous events of a function; what is unset is as AWS has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRules {
    /// How often a failed event is tried again: 0 to 2.
    #[serde(default)]
    pub retries: Option<u32>,
    /// How old an event may become, in seconds: 60 to 21,600.
    #[serde(default)]
    pub max_age_s: Option<u32>,
    /// Where a record of an event goes that succeeded: an ARN.
    #[serde(default)]
    pub on_success: Option<String>,
    /// Where a record of an event goes that was given up: an ARN.
    #[serde(default)]
    pub on_failure: Option<String>,
    /// When the rules were written, in milliseconds since 1970.
    #[serde(default)]
    pub modified: i64,
}

impl Stored for EventRules {}

impl EventRules {
    /// How often a failed event is tried again.
    pub fn retries(&self) -> u32 {
        self.retries.unwrap_or(limits::ASYNC_RETRIES)
    }

    /// How old an event may become.
    pub fn max_age(&self) -> Duration {
        self.max_age_s.map_or(limits::ASYNC_MAX_AGE, |seconds| Duration::from_secs(u64::from(seconds)))
    }

    /// Whether an event that was `accepted` then may still run `now`.
    pub fn may_still_run(&self, accepted: Timestamp, now: Timestamp) -> bool {
        now.since(accepted) <= self.max_age()
    }
}

/// All reservations.
#[derive(Debug, Default)]
pub struct Reservations {
    changes: u64,
    by: HashMap<FunctionArn, usize>,
    sum: usize,
}

impl Reservations {
    /// Those of these functions.
    pub fn of(by: impl IntoIterator<Item = (FunctionArn, usize)>) -> Self {
        let by: HashMap<_, _> = by.into_iter().collect();
        Reservations { changes: 0, sum: by.values().sum(), by }
    }

    /// What is reserved for `function`, which is unqualified.
    pub fn get(&self, function: &FunctionArn) -> Option<usize> {
        self.by.get(function).copied()
    }

    /// What is reserved for functions all together.
    pub fn sum(&self) -> usize {
        self.sum
    }
}

/// Rules that have been asked for lately, and all reservations, as the tables have them.
#[derive(Debug, Default)]
pub(crate) struct KeptRules {
    reserved: Mutex<Option<Arc<Reservations>>>,
    rules: Mutex<AsOf>,
    concurrency: OnceLock<usize>,
}

#[derive(Debug, Default)]
struct AsOf {
    changes: u64,
    by: HashMap<FunctionArn, Arc<EventRules>>,
}

impl Store {
    /// Whether events of `function` may lead to more of them without end.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn may_loop(&self, function: &FunctionArn) -> Result<bool> {
        self.read(|view| Ok(view.get(&LOOPS, function.unqualified().as_str())?.is_some()))
    }
}

impl View<'_> {
    /// All reservations.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn reservations(&self) -> Result<Reservations> {
        let mut found = Vec::new();
        let mut last: Vec<u8> = Vec::new();
        loop {
            let batch = self.scan(&RESERVED, b"", From::After(&last), BATCH)?;
            let Some((key, _)) = batch.last() else { break };
            last.clone_from(key);
            found.extend(batch.into_iter().map(|(_, one)| (one.function, one.executions as usize)));
        }
        Ok(Reservations::of(found))
    }
}

impl Store {
    /// How many events run at the same time at the most.
    pub fn concurrency(&self) -> usize {
        *self.kept_rules().concurrency.get().unwrap_or(&limits::CONCURRENCY)
    }

    /// Tells, once and before anybody asks, how many events run at the same time at the most.
    pub fn set_concurrency(&self, most: usize) {
        // The first to say so is the program at its start.
        let _ = self.kept_rules().concurrency.set(most);
    }

    /// All reservations, as new as any change whose write has returned.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn reservations(&self) -> Result<Arc<Reservations>> {
        // Looked at before the tables: what is read may be newer than that, never older.
        let changes = *self.wakes().reserved.borrow();
        let kept = || self.kept_rules().reserved.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept().as_ref().filter(|known| known.changes == changes) {
            return Ok(known.clone());
        }
        let found = Arc::new(Reservations { changes, ..self.read(|view| view.reservations())? });
        *kept() = Some(found.clone());
        Ok(found)
    }

    /// The rules for asynchronous events that are for `arn`.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn event_rules(&self, arn: &FunctionArn) -> Result<Arc<EventRules>> {
        let latest = arn.qualifier() == Some(LATEST);
        let arn = if latest { &arn.unqualified() } else { arn };
        let changes = *self.wakes().specs.borrow();
        let kept = || self.kept_rules().rules.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut kept = kept();
            if kept.changes != changes || kept.by.len() >= KEPT {
                *kept = AsOf { changes, by: HashMap::new() };
            }
            if let Some(rules) = kept.by.get(arn) {
                return Ok(rules.clone());
            }
        }
        let rules = Arc::new(self.read(|view| view.get(&EVENT_RULES, arn.as_str()))?.unwrap_or_default());
        let mut kept = kept();
        if kept.changes == changes {
            kept.by.insert(arn.clone(), rules.clone());
        }
        Ok(rules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_kept_is_as_new_as_the_tables() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        let arn = FunctionArn::of("f");
        assert_eq!(store.reservations().unwrap().get(&arn), None);
        assert_eq!(*store.event_rules(&arn).unwrap(), EventRules::default());
        for executions in [3, 0] {
            let reserved = Reserved { function: arn.clone(), executions };
            let rules = EventRules { retries: Some(executions), ..EventRules::default() };
            store
                .write(move |tx| {
                    tx.put(&RESERVED, reserved.function.as_str(), &reserved)?;
                    tx.put(&EVENT_RULES, reserved.function.as_str(), &rules)
                })
                .await
                .unwrap();
            let reservations = store.reservations().unwrap();
            assert_eq!(
                (reservations.get(&arn), reservations.sum()),
                (Some(executions as usize), executions as usize)
            );
            assert_eq!(store.event_rules(&arn).unwrap().retries(), executions);
        }
        let key = arn.clone();
        store.write(move |tx| tx.delete(&RESERVED, key.as_str())).await.unwrap();
        assert_eq!(store.reservations().unwrap().get(&arn), None);
    }
}
