//! Older versions of objects, and delete markers: where each rests.

use super::{OBJECTS, Object, object_key};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::Timestamp;
use serde::{Deserialize, Serialize};
use store::kv::{Stored, Table};
use store::{Result, View};

/// All versions that are not current objects, by [`slot`].
pub const VERSIONS: Table<Entry> = Table::new("s3.version");

/// Where among them a key's null version lies, by [`base`].
pub const NULLS: Table<Sequence> = Table::new("s3.null");

/// The name of the version that has none.
pub const NULL: &str = "null";

/// One version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Entry {
    /// An object.
    Object(Box<Object>),
    /// A delete marker.
    Marker(Marker),
}

/// A delete marker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Marker {
    /// Its id.
    pub version: Option<String>,
    /// Since when it is there.
    pub at: Timestamp,
}

/// The number of a version: they rise with time.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sequence(pub u64);

impl Stored for Entry {}
impl Stored for Sequence {}

impl Entry {
    /// Its id; none is the null version's.
    pub fn version(&self) -> Option<&str> {
        match self {
            Entry::Object(object) => object.version.as_deref(),
            Entry::Marker(marker) => marker.version.as_deref(),
        }
    }

    /// Since when it is there.
    pub fn at(&self) -> Timestamp {
        match self {
            Entry::Object(object) => object.last_modified,
            Entry::Marker(marker) => marker.at,
        }
    }
}

/// A prefix of all slots of `key`. Zero bytes in a key are escaped, so that keys keep their order.
pub fn base(bucket: &str, key: &str) -> Vec<u8> {
    let mut base = object_key(bucket, "");
    escape(key, &mut base);
    base.extend_from_slice(b"\0\0");
    base
}

/// Adds the bytes of a key, with its zero bytes escaped.
pub fn escape(key: &str, into: &mut Vec<u8>) {
    for byte in key.bytes() {
        into.push(byte);
        if byte == 0 {
            into.push(0xff);
        }
    }
}

/// The place of the version with `sequence`: newer ones first.
pub fn slot(bucket: &str, key: &str, sequence: u64) -> Vec<u8> {
    let mut slot = base(bucket, key);
    slot.extend_from_slice(&(!sequence).to_be_bytes());
    slot
}

/// The number that an id says.
pub fn sequence_of(id: &str) -> Option<u64> {
    let bytes = URL_SAFE_NO_PAD.decode(id).ok().filter(|bytes| bytes.len() == 24)?;
    bytes.get(..8)?.try_into().ok().map(u64::from_be_bytes)
}

/// The version `version` of an object; none if there is no such version, or if it is a delete marker.
///
/// # Errors
/// Faults of the store.
pub fn object_at(view: &View<'_>, bucket: &str, key: &str, version: &str) -> Result<Option<Object>> {
    let wanted = Some(version).filter(|version| *version != NULL);
    let current = view.get(&OBJECTS, object_key(bucket, key))?;
    if let Some(object) = current.filter(|object| object.version.as_deref() == wanted) {
        return Ok(Some(object));
    }
    let sequence = match wanted {
        Some(id) => sequence_of(id),
        None => view.get(&NULLS, base(bucket, key))?.map(|Sequence(sequence)| sequence),
    };
    let Some(sequence) = sequence else { return Ok(None) };
    Ok(match view.get(&VERSIONS, slot(bucket, key, sequence))? {
        Some(Entry::Object(object)) if object.version.as_deref() == wanted => Some(*object),
        _ => None,
    })
}
