//! Changes of objects: record, bytes, versions and events, in one transaction.

use super::State;
use super::bucket::{Bucket, Versioning, existing};
use super::conditions::WriteConditions;
use super::error::{Error, Result, chain};
use super::event::{Kind, Origin, notify};
use super::find::check_version;
use super::version::{self, Entry, find, mark, succeed};
use super::{acl, expiration, lock};
use crate::object::{OBJECTS, Object, object_key, release};
use store::blob::BlobId;
use store::{Store, Tx};

/// The blobs that a transaction unlinked, to be removed once it has committed.
pub(super) type Unlinked = Vec<BlobId>;

/// Puts `object`, whose content this transaction keeps already, under `key`; what it became.
pub(super) fn put(
    tx: &Tx<'_>,
    origin: &Origin,
    (bucket, key): (&str, &str),
    mut object: Object,
    conditions: &WriteConditions,
    kind: Kind,
) -> Result<(Put, Unlinked)> {
    let of = existing(tx, bucket)?;
    let at = object_key(bucket, key);
    let current = tx.get(&OBJECTS, &at)?;
    conditions.check_put(current.as_ref())?;
    acl::check(tx, bucket, &of, object.acl.as_ref())?;
    object.owner = acl::owner_of_new(&of, object.acl.as_ref(), &origin.account);
    lock::protect(&of, &mut object, tx.now())?;
    let (version, replaced) = succeed(tx, &of, (bucket, key), current)?;
    object.version = version;
    tx.put(&OBJECTS, &at, &object)?;
    let mut unlinked = Unlinked::new();
    for old in &replaced {
        release(tx, &old.content, &mut unlinked)?;
    }
    notify(tx, origin, (bucket, key), kind, Some(&object), object.version.as_deref())?;
    let expiration = expiration::of(tx, &of, (bucket, key), &object)?;
    Ok((Put { version: of.shown(object.version.as_deref()), object, expiration }, unlinked))
}

/// An object that was put.
pub(super) struct Put {
    pub(super) object: Object,
    /// The version as it is answered.
    pub(super) version: Option<String>,
    /// When a rule of the bucket will remove it.
    pub(super) expiration: Option<String>,
}

/// What is to be removed.
#[derive(Clone, Debug, Default)]
pub(super) struct Removal {
    /// This version for good; without one, a version that is there becomes an older one.
    pub(super) version: Option<String>,
    /// Whether a lock in governance mode is no hindrance.
    pub(super) bypass: bool,
    pub(super) conditions: WriteConditions,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Removed {
    /// Whether a delete marker was made or removed.
    pub(super) marker: bool,
    /// The version that was made or removed, as it is answered.
    pub(super) version: Option<String>,
}

/// Removes what is under `key`. That nothing is there is no error.
pub(super) fn delete(
    tx: &Tx<'_>,
    origin: &Origin,
    (bucket, key): (&str, &str),
    removal: &Removal,
    kinds: Kinds,
) -> Result<(Removed, Unlinked)> {
    let of = existing(tx, bucket)?;
    match &removal.version {
        Some(version) => {
            check_version(&of, Some(version))?;
            delete_version(tx, origin, (bucket, key), version, removal, kinds)
        }
        None => delete_current(tx, origin, &of, (bucket, key), &removal.conditions, kinds),
    }
}

/// How a removal is told of: for good, and by a delete marker.
pub(super) type Kinds = (Kind, Kind);

/// The kinds of removals that somebody asked for.
pub(super) const REMOVED: Kinds = (Kind::Deleted, Kind::Marked);

fn delete_current(
    tx: &Tx<'_>,
    origin: &Origin,
    of: &Bucket,
    (bucket, key): (&str, &str),
    conditions: &WriteConditions,
    (deleted, marked): Kinds,
) -> Result<(Removed, Unlinked)> {
    let at = object_key(bucket, key);
    let current = tx.get(&OBJECTS, &at)?;
    conditions.check(current.as_ref())?;
    let mut unlinked = Unlinked::new();
    if of.versioning.is_none() {
        let Some(old) = current else { return Ok((Removed::default(), unlinked)) };
        tx.delete(&OBJECTS, &at)?;
        release(tx, &old.content, &mut unlinked)?;
        notify(tx, origin, (bucket, key), deleted, None, None)?;
        return Ok((Removed::default(), unlinked));
    }
    let (version, replaced) = succeed(tx, of, (bucket, key), current)?;
    for old in &replaced {
        release(tx, &old.content, &mut unlinked)?;
    }
    mark(tx, (bucket, key), version.clone())?;
    notify(tx, origin, (bucket, key), marked, None, Some(&version::shown(version.as_deref())))?;
    Ok((Removed { marker: true, version: of.shown(version.as_deref()) }, unlinked))
}

fn delete_version(
    tx: &Tx<'_>,
    origin: &Origin,
    (bucket, key): (&str, &str),
    version: &str,
    removal: &Removal,
    (deleted, _): Kinds,
) -> Result<(Removed, Unlinked)> {
    let mut unlinked = Unlinked::new();
    let found = find(tx, bucket, key, Some(version))?;
    removal.conditions.check(match found.as_ref().map(|found| &found.entry) {
        Some(Entry::Object(object)) => Some(object),
        _ => None,
    })?;
    let version = Some(version.to_owned());
    let Some(found) = found else { return Ok((Removed { marker: false, version }, unlinked)) };
    let marker = match &found.entry {
        Entry::Object(object) => {
            lock::check_removal(object, removal.bypass, tx.now())?;
            release(tx, &object.content, &mut unlinked)?;
            false
        }
        Entry::Marker(_) => true,
    };
    version::remove(tx, (bucket, key), &found)?;
    notify(tx, origin, (bucket, key), deleted, None, version.as_deref())?;
    Ok((Removed { marker, version }, unlinked))
}

impl Bucket {
    /// How a version's id is answered; a bucket that never had versions does not speak of them.
    pub(super) fn shown(&self, version: Option<&str>) -> Option<String> {
        self.versioning.map(|_| version::shown(version))
    }

    /// Whether new objects become versions beside the older ones.
    pub(super) fn is_versioned(&self) -> bool {
        self.versioning == Some(Versioning::Enabled)
    }
}

impl State {
    /// Runs `work` in a transaction, and removes the blobs that it unlinked, or that were written for it if it failed.
    /// Once begun it goes to its end, even if the client goes away.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        written: Option<BlobId>,
        work: impl FnOnce(&Tx<'_>) -> Result<(T, Unlinked)> + Send + 'static,
    ) -> Result<T> {
        let store = self.store.clone();
        let task = tokio::spawn(async move {
            let (result, unlinked) = match store.write(work).await {
                Ok((result, unlinked)) => (Ok(result), unlinked),
                Err(error) => (Err(error), written.into_iter().collect()),
            };
            if !unlinked.is_empty() {
                remove(store, unlinked).await;
            }
            result
        });
        task.await.map_err(|_| Error::Broken("a change of an object panicked"))?
    }
}

/// Removes files that nothing links any more. What cannot be removed now goes with the next sweep.
async fn remove(store: Store, unlinked: Unlinked) {
    let removal = tokio::task::spawn_blocking(move || store.remove_unlinked(unlinked)).await;
    match removal {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(error = chain(&error), "a blob without links could not be removed"),
        Err(_) => tracing::error!("the removal of a blob without links panicked"),
    }
}
