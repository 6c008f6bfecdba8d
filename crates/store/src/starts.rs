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

/// The functions of which something is known: those that have had events lately.
#[derive(Debug, Default)]
pub struct Starts(Mutex<HashMap<FunctionArn, Copies>>);

impl Starts {
    /// What is known of the function `arn`.
    pub fn get(&self, arn: &FunctionArn) -> Option<Copies> {
        self.lock().get(arn).cloned()
    }

    /// Notes what is known of the function `arn` now, or that nothing is.
    pub fn set(&self, arn: &FunctionArn, copies: Option<Copies>) {
        match copies {
            Some(copies) => self.lock().insert(arn.clone(), copies),
            None => self.lock().remove(arn),
        };
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FunctionArn, Copies>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// What is known of how functions start.
    pub fn starts(&self) -> &Starts {
        self.known_starts()
    }
}
