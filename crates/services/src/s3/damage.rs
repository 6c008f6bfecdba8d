//! Which objects are damaged: those whose bytes are gone or are not what they were.
//!
//! The scrubber rereads every blob, slowly, while the server runs ([`super::scrub`]); `mayfly fsck` does so at once.

use super::error::{Error, Result};
use super::upload::{PARTS, number_of};
use super::version::{Entry, VERSIONS, read_slot, shown};
use crate::object::{Content, OBJECTS, PIECES};
use std::collections::{BTreeMap, HashSet};
use store::blob::BlobId;
use store::kv::From as Start;
use store::{Store, View};
use uuid::Uuid;

/// How many records are looked at in one snapshot.
const BATCH: usize = 512;

/// The objects that use one of `damaged`, or bytes in the database that are not there: `s3://BUCKET/KEY`, with the version
/// where it has one.
///
/// # Errors
/// Faults of the store.
pub fn damaged_objects(view: &View<'_>, damaged: &HashSet<BlobId>) -> store::Result<Vec<String>> {
    let is_damaged = |content: &Content| match content {
        Content::Blob(id) => damaged.contains(id),
        Content::Small(id) => view.small(*id).is_err(),
        Content::Pieces(_) => false,
    };
    let mut pieces: HashSet<Uuid> = HashSet::new();
    for_each(view, &PIECES, |key, piece| {
        if is_damaged(&piece.content) {
            pieces.extend(key.get(..16).and_then(|id| Uuid::from_slice(id).ok()));
        }
    })?;
    let is_damaged = |content: &Content| match content {
        Content::Pieces(id) => pieces.contains(id),
        other => is_damaged(other),
    };
    let mut found = Vec::new();
    let mut note = |key: &[u8], version: Option<&str>, content: &Content| {
        if is_damaged(content) {
            let (bucket, key) = split(key);
            let version = version.map(|version| format!("?versionId={version}")).unwrap_or_default();
            found.push(format!("s3://{bucket}/{key}{version}"));
        }
    };
    for_each(view, &OBJECTS, |key, object| note(key, object.version.as_deref(), &object.content))?;
    for_each(view, &VERSIONS, |place, entry| {
        if let Entry::Object(object) = &entry {
            let (bucket, _) = split(place);
            let key = read_slot(&bucket, place).unwrap_or_default();
            let place = crate::object::object_key(&bucket, &key);
            note(&place, Some(&shown(entry.version())), &object.content);
        }
    })?;
    let mut parts = BTreeMap::new();
    for_each(view, &PARTS, |key, part| {
        if is_damaged(&part.content) {
            let id = key.get(..16).and_then(|id| Uuid::from_slice(id).ok()).unwrap_or_default();
            parts.insert((id, number_of(key)), ());
        }
    })?;
    found
        .extend(parts.into_keys().map(|(id, number)| format!("part {number} of the upload {}", id.simple())));
    Ok(found)
}

fn split(key: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(key);
    let (bucket, key) = text.split_once('\0').unwrap_or((&text, ""));
    (bucket.to_owned(), key.to_owned())
}

fn for_each<V: store::kv::Stored>(
    view: &View<'_>,
    table: &store::kv::Table<V>,
    mut each: impl FnMut(&[u8], V),
) -> store::Result<()> {
    let mut after = Vec::new();
    loop {
        let records = view.scan(table, b"", Start::After(&after), BATCH)?;
        let ended = records.len() < BATCH;
        for (key, record) in records {
            each(&key, record);
            after = key;
        }
        if ended {
            return Ok(());
        }
    }
}

/// Tells the log which objects are damaged.
pub(super) async fn report(store: &Store, damaged: HashSet<BlobId>) -> Result<()> {
    let store = store.clone();
    let looking = tokio::task::spawn_blocking(move || store.read(|view| damaged_objects(view, &damaged)));
    for object in looking.await.map_err(|_| Error::Broken("the scrubber panicked"))?? {
        tracing::error!(object, "an object is damaged: its bytes are not those that were stored");
    }
    Ok(())
}
