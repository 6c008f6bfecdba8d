//! The functions that are being changed: another change of one waits for nothing, it is refused.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html#functions-states-updating>

use super::error::conflict;
use model::FunctionArn;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use wire::Fault;

/// The functions that are being changed. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Busy(Arc<Mutex<HashSet<FunctionArn>>>);

/// The right to change a function, until it is dropped.
pub(super) struct Change {
    busy: Busy,
    arn: FunctionArn,
}

impl Busy {
    /// Begins a change of the function `arn`.
    ///
    /// # Errors
    /// A conflict while somebody else changes it.
    pub(super) fn begin(&self, arn: &FunctionArn) -> Result<Change, Fault> {
        if self.with(|busy| busy.insert(arn.clone())) {
            return Ok(Change { busy: self.clone(), arn: arn.clone() });
        }
        Err(conflict(format!(
            "The operation cannot be performed at this time. An update is in progress for resource: {arn}"
        )))
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashSet<FunctionArn>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        self.busy.with(|busy| busy.remove(&self.arn));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_changes_at_once_one_is_refused() {
        let (busy, f, g) = (Busy::default(), FunctionArn::of("f"), FunctionArn::of("g"));
        let first = busy.begin(&f).unwrap();
        assert_eq!(busy.begin(&f).err().unwrap().code, "ResourceConflictException");
        assert!(busy.begin(&g).is_ok());
        drop(first);
        assert!(busy.begin(&f).is_ok());
    }
}
