//! Versions: where each rests, and how it is found.
//!
//! The current version of a key, if it is an object, lies in [`OBJECTS`], as in a bucket that never had versions: reads
//! and listings of what is current look nowhere else. Everything else, delete markers included, lies here, the newest
//! of a key first. What has no version id is the null version, of which a key has one at most.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html>

use super::bucket::{Bucket, Versioning};
use super::error::{Error, Result, detailed};
use super::event::next_sequence;
pub(super) use crate::object::versions::{Entry, Marker, NULL, VERSIONS, base};
use crate::object::versions::{NULLS, Sequence, escape, sequence_of, slot};
use crate::object::{OBJECTS, Object, object_key};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::S3ErrorCode;
use store::kv::From as Start;
use store::{Tx, View};

/// A version that was looked for.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) entry: Entry,
    /// Whether it is the newest of its key.
    pub(super) latest: bool,
    /// Where it lies among [`VERSIONS`]; `None` in [`OBJECTS`].
    pub(super) place: Option<Vec<u8>>,
}

/// How the versions of a key are answered: `null` where there is no id.
pub(super) fn shown(version: Option<&str>) -> String {
    version.unwrap_or(NULL).to_owned()
}

/// A prefix of the slots of all keys that begin with `prefix`.
pub(super) fn prefix_base(bucket: &str, prefix: &str) -> Vec<u8> {
    let mut base = object_key(bucket, "");
    escape(prefix, &mut base);
    base
}

/// The object's key in a record's key that is [`base`] and `rest` bytes more.
pub(super) fn read_base(bucket: &str, slot: &[u8], rest: usize) -> Result<String> {
    let broken = Error::Broken("a record has a key that cannot be read");
    let Some(escaped) = slot.len().checked_sub(rest + 2).and_then(|end| slot.get(bucket.len() + 1..end))
    else {
        return Err(broken);
    };
    let mut key = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.iter();
    while let Some(byte) = bytes.next() {
        key.push(*byte);
        if *byte == 0 {
            bytes.next();
        }
    }
    String::from_utf8(key).map_err(|_| broken)
}

/// The object's key in the place of a version.
pub(super) fn read_slot(bucket: &str, slot: &[u8]) -> Result<String> {
    read_base(bucket, slot, 8)
}

/// A new id, and its number: ids rise with time.
fn new_id(tx: &Tx<'_>) -> Result<(String, u64)> {
    let sequence = next_sequence(tx)?;
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&sequence.to_be_bytes());
    bytes[8..].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    Ok((URL_SAFE_NO_PAD.encode(bytes), sequence))
}

/// Whether an id that is not one of ours looks like one that a server like this gave.
fn looks_foreign(id: &str) -> bool {
    (20..=128).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// The error for what cannot be the id of a version.
pub(super) fn invalid_id(id: &str) -> Error {
    detailed(
        S3ErrorCode::InvalidArgument,
        "Invalid version id specified",
        &[("ArgumentName", "versionId"), ("ArgumentValue", id)],
    )
}

/// The version `version` of `key`, or the newest one.
pub(super) fn find(view: &View<'_>, bucket: &str, key: &str, version: Option<&str>) -> Result<Option<Found>> {
    let current = view.get(&OBJECTS, object_key(bucket, key))?;
    let is_current = |object: &Object| match version {
        None => true,
        Some(NULL) => object.version.is_none(),
        Some(id) => object.version.as_deref() == Some(id),
    };
    let has_current = current.is_some();
    if let Some(object) = current.filter(is_current) {
        return Ok(Some(Found { entry: Entry::Object(Box::new(object)), latest: true, place: None }));
    }
    let base = base(bucket, key);
    let newest = |view: &View<'_>| view.scan(&VERSIONS, &base, Start::At(&base), 1).map(|mut all| all.pop());
    let found = match version {
        None => newest(view)?,
        Some(NULL) => match view.get(&NULLS, &base)? {
            None => None,
            Some(Sequence(sequence)) => {
                let place = slot(bucket, key, sequence);
                view.get(&VERSIONS, &place)?.map(|entry| (place, entry))
            }
        },
        Some(id) => {
            let sequence = match sequence_of(id) {
                Some(sequence) => sequence,
                // Another server's, perhaps: it has the look of one, and is none of this bucket's.
                None if looks_foreign(id) => return Ok(None),
                None if id.is_empty() => {
                    return Err(detailed(
                        S3ErrorCode::InvalidArgument,
                        "Version id cannot be the empty string",
                        &[("ArgumentName", "versionId"), ("ArgumentValue", "")],
                    ));
                }
                None => return Err(invalid_id(id)),
            };
            let place = slot(bucket, key, sequence);
            view.get(&VERSIONS, &place)?
                .filter(|entry: &Entry| entry.version() == Some(id))
                .map(|entry| (place, entry))
        }
    };
    let Some((place, entry)) = found else { return Ok(None) };
    let latest = !has_current && newest(view)?.is_some_and(|(newest, _)| newest == place);
    Ok(Some(Found { entry, latest, place: Some(place) }))
}

/// Where a listing goes on that ended with the version `version` of `key`, and whether the newest version of that key was
/// listed already: behind all versions of it without one.
pub(super) fn find_place(
    view: &View<'_>,
    bucket: &str,
    key: &str,
    version: Option<&str>,
) -> Result<(Vec<u8>, bool)> {
    let base = base(bucket, key);
    let Some(version) = version else {
        return Ok(([base.as_slice(), &[0xff; 9]].concat(), true));
    };
    if let Some(found) = find(view, bucket, key, Some(version))? {
        // The current one is followed by the first of those that are not.
        return Ok((found.place.unwrap_or(base), true));
    }
    // It was removed since: those that are older follow, and one of them may have become the newest.
    let Some(removed) = sequence_of(version) else { return Ok((base, true)) };
    let place = slot(bucket, key, removed);
    let listed = match view.get(&OBJECTS, object_key(bucket, key))? {
        // Nobody knows how old the null version is that became the current one: better twice than never.
        Some(current) => {
            current.version.as_deref().and_then(sequence_of).is_some_and(|other| other > removed)
        }
        None => {
            let newest = view.scan(&VERSIONS, &base, Start::At(&base), 1)?;
            newest.first().is_none_or(|(newest, _)| *newest < place)
        }
    };
    Ok((place, listed))
}

/// Puts a current object that gets a successor among the older versions.
fn demote(tx: &Tx<'_>, bucket: &str, key: &str, object: Object) -> Result<()> {
    let sequence = match &object.version {
        Some(id) => sequence_of(id).ok_or(Error::Broken("a version has an id that is not ours"))?,
        None => {
            let sequence = next_sequence(tx)?;
            tx.put(&NULLS, base(bucket, key), &Sequence(sequence))?;
            sequence
        }
    };
    tx.put(&VERSIONS, slot(bucket, key, sequence), &Entry::Object(Box::new(object)))?;
    Ok(())
}

/// Takes the null version out from among the older ones.
fn take_null(tx: &Tx<'_>, bucket: &str, key: &str) -> Result<Option<Entry>> {
    let base = base(bucket, key);
    let Some(Sequence(sequence)) = tx.get(&NULLS, &base)? else { return Ok(None) };
    tx.delete(&NULLS, &base)?;
    let place = slot(bucket, key, sequence);
    let entry = tx.get(&VERSIONS, &place)?;
    tx.delete(&VERSIONS, place)?;
    Ok(entry)
}

/// Makes room for a new current version beside `current`: gives it its id, and returns the objects that it replaces.
pub(super) fn succeed(
    tx: &Tx<'_>,
    of: &Bucket,
    (bucket, key): (&str, &str),
    current: Option<Object>,
) -> Result<(Option<String>, Vec<Object>)> {
    match of.versioning {
        None => Ok((None, current.into_iter().collect())),
        Some(Versioning::Enabled) => {
            if let Some(current) = current {
                demote(tx, bucket, key, current)?;
            }
            Ok((Some(new_id(tx)?.0), Vec::new()))
        }
        Some(Versioning::Suspended) => {
            let mut replaced = Vec::new();
            match current {
                Some(current) if current.version.is_none() => replaced.push(current),
                Some(current) => demote(tx, bucket, key, current)?,
                None => {}
            }
            if let Some(Entry::Object(object)) = take_null(tx, bucket, key)? {
                replaced.push(*object);
            }
            Ok((None, replaced))
        }
    }
}

/// Puts a delete marker on top of the versions of `key`, whose id was given by [`succeed`].
pub(super) fn mark(tx: &Tx<'_>, (bucket, key): (&str, &str), version: Option<String>) -> Result<()> {
    let sequence = match &version {
        Some(id) => sequence_of(id).ok_or(Error::Broken("a version has an id that is not ours"))?,
        None => {
            let sequence = next_sequence(tx)?;
            tx.put(&NULLS, base(bucket, key), &Sequence(sequence))?;
            sequence
        }
    };
    tx.delete(&OBJECTS, object_key(bucket, key))?;
    tx.put(&VERSIONS, slot(bucket, key, sequence), &Entry::Marker(Marker { version, at: tx.now() }))?;
    Ok(())
}

/// Writes `entry` where it was found.
pub(super) fn update(tx: &Tx<'_>, (bucket, key): (&str, &str), found: &Found) -> Result<()> {
    match (&found.place, &found.entry) {
        (Some(place), entry) => tx.put(&VERSIONS, place, entry)?,
        (None, Entry::Object(object)) => tx.put(&OBJECTS, object_key(bucket, key), object)?,
        (None, Entry::Marker(_)) => return Err(Error::Broken("a delete marker lies among current objects")),
    }
    Ok(())
}

/// Removes a version that was found; if it was the newest, the one before it becomes current.
pub(super) fn remove(tx: &Tx<'_>, (bucket, key): (&str, &str), found: &Found) -> Result<()> {
    let base = base(bucket, key);
    match &found.place {
        Some(place) => {
            tx.delete(&VERSIONS, place)?;
            if found.entry.version().is_none() {
                tx.delete(&NULLS, &base)?;
            }
        }
        None => {
            tx.delete(&OBJECTS, object_key(bucket, key))?;
        }
    }
    if found.latest
        && let Some((place, Entry::Object(object))) =
            tx.scan(&VERSIONS, &base, Start::At(&base), 1)?.into_iter().next()
    {
        tx.delete(&VERSIONS, place)?;
        if object.version.is_none() {
            tx.delete(&NULLS, &base)?;
        }
        tx.put(&OBJECTS, object_key(bucket, key), &object)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_order_and_come_back() {
        let keys = ["", "a", "a\0", "a\0b", "a\u{1}", "ab", "b"];
        let slots: Vec<_> = keys.iter().map(|key| slot("box", key, 5)).collect();
        assert!(slots.is_sorted());
        assert!(slot("box", "a", 6) < slot("box", "a", 5));
        for (key, slot) in keys.iter().zip(&slots) {
            assert_eq!(read_slot("box", slot).unwrap(), *key);
        }
    }
}
