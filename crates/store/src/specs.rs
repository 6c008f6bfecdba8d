//! The functions that have been asked for lately, kept until any function changes.

use crate::alias::{ALIASES, Alias, is_alias};
use crate::kv::SPECS;
use crate::{Result, Store};
use model::{FunctionArn, FunctionSpec, LATEST};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// How many are kept.
const KEPT: usize = 1_024;

/// Functions and aliases as the tables have them.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<AsOf>);

#[derive(Debug, Default)]
struct AsOf {
    /// The number of changes at which they were read.
    changes: u64,
    found: HashMap<FunctionArn, Found>,
}

#[derive(Clone, Debug)]
enum Found {
    Spec(Arc<FunctionSpec>),
    Alias(Arc<Alias>),
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, AsOf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// How often functions or aliases were written or removed since the start: while it stays the same, so do
    /// [`SPECS`] and [`ALIASES`].
    pub fn specs_changed(&self) -> watch::Receiver<u64> {
        self.wakes().specs.subscribe()
    }

    /// What runs for an event that is for `arn`: the function, the version that it names, or one of those that the
    /// alias leads to, drawn anew at each call. It is as new as any change whose write has returned.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn spec(&self, arn: &FunctionArn) -> Result<Option<Arc<FunctionSpec>>> {
        let Some(qualifier) = arn.qualifier() else { return self.concrete(arn) };
        if !is_alias(qualifier) {
            return self.version(arn, qualifier);
        }
        match self.find(arn, |view| Ok(view.get(&ALIASES, arn.as_str())?.map(Arc::new).map(Found::Alias)))? {
            Some(Found::Alias(alias)) => self.version(arn, alias.draw()),
            _ => Ok(None),
        }
    }

    fn version(&self, arn: &FunctionArn, version: &str) -> Result<Option<Arc<FunctionSpec>>> {
        match version {
            LATEST => self.concrete(&arn.unqualified()),
            version => self.concrete(&arn.qualified(version)),
        }
    }

    fn concrete(&self, arn: &FunctionArn) -> Result<Option<Arc<FunctionSpec>>> {
        match self.find(arn, |view| Ok(view.get(&SPECS, arn.as_str())?.map(Arc::new).map(Found::Spec)))? {
            Some(Found::Spec(spec)) => Ok(Some(spec)),
            _ => Ok(None),
        }
    }

    /// What `read` finds for `arn`, which is read once for each change of anything.
    fn find(
        &self,
        arn: &FunctionArn,
        read: impl FnOnce(&crate::View<'_>) -> Result<Option<Found>>,
    ) -> Result<Option<Found>> {
        // Looked at before the tables: what is read may be newer than that, never older.
        let changes = *self.wakes().specs.borrow();
        {
            let mut kept = self.kept_specs().lock();
            if kept.changes != changes || kept.found.len() >= KEPT {
                *kept = AsOf { changes, found: HashMap::new() };
            }
            if let Some(found) = kept.found.get(arn) {
                return Ok(Some(found.clone()));
            }
        }
        let found = self.read(read)?;
        let mut kept = self.kept_specs().lock();
        if let Some(found) = &found
            && kept.changes == changes
        {
            kept.found.insert(arn.clone(), found.clone());
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::CodeId;

    fn spec(arn: &FunctionArn) -> FunctionSpec {
        FunctionSpec::new(arn.clone(), "python3.11", "a.b", CodeId(String::new()))
    }

    #[tokio::test]
    async fn what_is_kept_is_as_new_as_the_tables() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        let arn = FunctionArn::of("f");
        assert_eq!(store.spec(&arn).unwrap(), None);
        for timeout_s in [3, 4, 5] {
            let spec = FunctionSpec { timeout_s, ..spec(&arn) };
            store.write(move |tx| tx.put(&SPECS, spec.arn.as_str(), &spec)).await.unwrap();
            let found = store.spec(&arn).unwrap().unwrap();
            assert_eq!(found.timeout_s, timeout_s);
            assert!(Arc::ptr_eq(&found, &store.spec(&arn).unwrap().unwrap()));
            assert!(Arc::ptr_eq(&found, &store.spec(&arn.qualified(LATEST)).unwrap().unwrap()));
        }
        let key = arn.clone();
        store.write(move |tx| tx.delete(&SPECS, key.as_str())).await.unwrap();
        assert_eq!(store.spec(&arn).unwrap(), None);
    }

    #[tokio::test]
    async fn an_alias_leads_to_what_it_names_now() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        let arn = FunctionArn::of("f");
        let live = arn.qualified("live");
        for version in [arn.clone(), arn.qualified("1"), arn.qualified("2")] {
            let spec = spec(&version);
            store.write(move |tx| tx.put(&SPECS, spec.arn.as_str(), &spec)).await.unwrap();
        }
        assert_eq!(store.spec(&live).unwrap(), None);
        for (version, found) in [("1", arn.qualified("1")), ("2", arn.qualified("2")), (LATEST, arn.clone())]
        {
            let alias = Alias {
                version: version.to_owned(),
                weights: Default::default(),
                description: String::new(),
                revision: String::new(),
            };
            let key = live.clone();
            store.write(move |tx| tx.put(&ALIASES, key.as_str(), &alias)).await.unwrap();
            assert_eq!(store.spec(&live).unwrap().unwrap().arn, found);
        }
        assert_eq!(store.spec(&arn.qualified("3")).unwrap(), None);
    }
}
