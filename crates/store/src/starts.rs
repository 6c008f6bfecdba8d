//! What is known of how functions start, for those that ask: in memory, as it is now.

use crate::Store;
use model::FunctionArn;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whether a function's events are served by copies of an initialised process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Copies {
    /// They are.
    Made,
    /// They are not, though nobody asked for that: why not, in words for the function's owner.
    Refused(String),
}

/// The functions of which something is known: those that have had events lately, or have processes ahead of them.
#[derive(Debug, Default)]
pub struct Starts {
    copies: Mutex<HashMap<FunctionArn, Copies>>,
    ready: Mutex<HashMap<FunctionArn, usize>>,
}

impl Starts {
    /// What is known of the function `arn`.
    pub fn get(&self, arn: &FunctionArn) -> Option<Copies> {
        lock(&self.copies).get(arn).cloned()
    }

    /// Notes what is known of the function `arn` now, or that nothing is.
    pub fn set(&self, arn: &FunctionArn, copies: Option<Copies>) {
        match copies {
            Some(copies) => lock(&self.copies).insert(arn.clone(), copies),
            None => lock(&self.copies).remove(arn),
        };
    }

    /// How many processes of a function that asks for some wait for its events or serve them.
    pub fn ready(&self, arn: &FunctionArn) -> usize {
        lock(&self.ready).get(arn).copied().unwrap_or(0)
    }

    /// Notes how many processes of each function that asks for some there are now.
    pub fn set_ready(&self, ready: HashMap<FunctionArn, usize>) {
        *lock(&self.ready) = ready;
    }
}

fn lock<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// What is known of how functions start.
    pub fn starts(&self) -> &Starts {
        self.known_starts()
    }
}
