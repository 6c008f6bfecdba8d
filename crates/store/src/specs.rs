//! The functions that have been asked for lately, kept until any function changes.

use crate::kv::SPECS;
use crate::{Result, Store};
use model::{FunctionArn, FunctionSpec};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// How many are kept.
const KEPT: usize = 1_024;

/// Functions as the tables have them.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<AsOf>);

#[derive(Debug, Default)]
struct AsOf {
    /// The number of changes at which they were read.
    changes: u64,
    specs: HashMap<FunctionArn, Arc<FunctionSpec>>,
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, AsOf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// How often functions were written or removed since the start: while it stays the same, so do [`SPECS`].
    pub fn specs_changed(&self) -> watch::Receiver<u64> {
        self.wakes().specs.subscribe()
    }

    /// The function `arn` as [`SPECS`] has it, if there is one. It is as new as any change whose write has returned.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn spec(&self, arn: &FunctionArn) -> Result<Option<Arc<FunctionSpec>>> {
        // Looked at before the tables: what is read may be newer than that, never older.
        let changes = *self.wakes().specs.borrow();
        {
            let mut kept = self.kept_specs().lock();
            if kept.changes != changes || kept.specs.len() >= KEPT {
                *kept = AsOf { changes, specs: HashMap::new() };
            }
            if let Some(spec) = kept.specs.get(arn) {
                return Ok(Some(spec.clone()));
            }
        }
        let spec = self.read(|view| view.get(&SPECS, arn.as_str()))?.map(Arc::new);
        let mut kept = self.kept_specs().lock();
        if let Some(spec) = &spec
            && kept.changes == changes
        {
            kept.specs.insert(arn.clone(), spec.clone());
        }
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::CodeId;

    #[tokio::test]
    async fn what_is_kept_is_as_new_as_the_tables() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        let arn = FunctionArn::of("f");
        assert_eq!(store.spec(&arn).unwrap(), None);
        for timeout_s in [3, 4, 5] {
            let spec = FunctionSpec::new(arn.clone(), "python3.11", "a.b", CodeId(String::new()));
            let spec = FunctionSpec { timeout_s, ..spec };
            store.write(move |tx| tx.put(&SPECS, spec.arn.as_str(), &spec)).await.unwrap();
            let found = store.spec(&arn).unwrap().unwrap();
            assert_eq!(found.timeout_s, timeout_s);
            assert!(Arc::ptr_eq(&found, &store.spec(&arn).unwrap().unwrap()));
        }
        let key = arn.clone();
        store.write(move |tx| tx.delete(&SPECS, key.as_str())).await.unwrap();
        assert_eq!(store.spec(&arn).unwrap(), None);
    }
}
