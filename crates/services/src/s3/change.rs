//! Changes of objects: record, blob links and events, in one transaction.

use super::State;
use super::bucket::existing;
use super::conditions::WriteConditions;
use super::error::{Error, Result, chain};
use super::event::{Kind, Origin, notify};
use crate::object::{OBJECTS, Object, object_key};
use store::blob::{BlobId, Pinned};
use store::{Store, Tx};

/// The blobs that a transaction unlinked, to be removed once it has committed.
pub(super) type Unlinked = Vec<BlobId>;

/// Puts `object` under `key`, over one that is there.
pub(super) fn put(
    tx: &Tx<'_>,
    origin: &Origin,
    (bucket, key): (&str, &str),
    object: &Object,
    conditions: &WriteConditions,
    kind: Kind,
) -> Result<Unlinked> {
    existing(tx, bucket)?;
    let at = object_key(bucket, key);
    let present = tx.get(&OBJECTS, &at)?;
    conditions.check(present.as_ref())?;
    // Linked before the old link goes, so that the same bytes put again never lie there without a link.
    tx.link_again(object.blob)?;
    tx.put(&OBJECTS, &at, object)?;
    let unlinked = present.map(|old| tx.unlink(old.blob)).transpose()?;
    notify(tx, origin, (bucket, key), kind, Some(object))?;
    Ok(unlinked.into_iter().collect())
}

/// Removes the object under `key`. That there is none is no error, and no change.
pub(super) fn delete(
    tx: &Tx<'_>,
    origin: &Origin,
    (bucket, key): (&str, &str),
    conditions: &WriteConditions,
) -> Result<Unlinked> {
    let at = object_key(bucket, key);
    let present = tx.get(&OBJECTS, &at)?;
    conditions.check(present.as_ref())?;
    let Some(old) = present else { return Ok(Unlinked::new()) };
    tx.delete(&OBJECTS, &at)?;
    notify(tx, origin, (bucket, key), Kind::Deleted, None)?;
    Ok(vec![tx.unlink(old.blob)?])
}

impl State {
    /// Runs `work` in a transaction, and removes the blobs that it unlinked. Once begun it goes to its end, even
    /// if the client goes away; `blob` stays pinned until its link is on disk.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        blob: Option<Pinned>,
        work: impl FnOnce(&Tx<'_>) -> Result<(T, Unlinked)> + Send + 'static,
    ) -> Result<T> {
        let store = self.store.clone();
        let task = tokio::spawn(async move {
            let written = blob.as_ref().map(|blob| blob.id);
            let result = store.write(work).await;
            drop(blob);
            let (result, unlinked) = match result {
                Ok((result, unlinked)) => (Ok(result), unlinked),
                // The blob was written for nothing.
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

/// Removes files that nothing links any more. What cannot be removed now goes with the sweep at the next start.
async fn remove(store: Store, unlinked: Unlinked) {
    let removal = tokio::task::spawn_blocking(move || store.remove_unlinked(unlinked)).await;
    match removal {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(error = chain(&error), "a blob without links could not be removed"),
        Err(_) => tracing::error!("the removal of a blob without links panicked"),
    }
}
