//! The functions that have had events lately, kept until any function changes.

use model::{FunctionArn, FunctionSpec};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use store::kv::SPECS;
use store::{Result, Store};
use tokio::sync::watch;

/// How many are kept.
const KEPT: usize = 1_024;

/// Functions as the store has them.
pub(crate) struct Specs {
    changes: watch::Receiver<u64>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The number of changes at which they were read.
    as_of: u64,
    specs: HashMap<FunctionArn, Arc<FunctionSpec>>,
}

impl Specs {
    pub(crate) fn new(store: &Store) -> Specs {
        Specs { changes: store.specs_changed(), kept: Mutex::default() }
    }

    /// The function `arn`, if there is one.
    pub(crate) fn get(&self, store: &Store, arn: &FunctionArn) -> Result<Option<Arc<FunctionSpec>>> {
        // Looked at before the store: what is read may be newer than that, never older.
        let now = *self.changes.borrow();
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.as_of != now || kept.specs.len() >= KEPT {
                *kept = Kept { as_of: now, specs: HashMap::new() };
            }
            if let Some(spec) = kept.specs.get(arn) {
                return Ok(Some(spec.clone()));
            }
        }
        let spec = store.read(|view| view.get(&SPECS, arn.as_str()))?.map(Arc::new);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spec) = &spec
            && kept.as_of == now
        {
            kept.specs.insert(arn.clone(), spec.clone());
        }
        Ok(spec)
    }
}
