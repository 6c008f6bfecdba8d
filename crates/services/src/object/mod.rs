//! Objects as they rest in the store: written by S3, read by every service that takes its input from a bucket.
//!
//! An object's record is apart from its bytes ([`Content`]): few bytes lie in the database, more in a blob, and those
//! of a multipart upload in a blob for each part, so that completing one copies nothing. What is encrypted is so
//! before it gets here ([`cipher`]). [`incoming`] writes bytes, [`read`] reads them again.

pub mod acl;
pub mod cipher;
pub mod incoming;
pub mod read;
pub mod versions;

use acl::Acl;
use cipher::Encryption;
use model::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use store::blob::BlobId;
use store::kv::{From as Start, Stored, Table};
use store::small::SmallId;
use store::{Result, Tx, View};
use uuid::Uuid;

/// The current version of every object of all buckets that has one, by [`object_key`]. Delete markers and versions that
/// are not current lie apart.
pub const OBJECTS: Table<Object> = Table::new("s3.object");

/// The pieces of objects that were uploaded in parts, by [`piece_key`].
pub const PIECES: Table<Piece> = Table::new("s3.piece");

/// How many pieces are read at once.
const PAGE: usize = 256;

/// Where bytes are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Content {
    /// In one blob.
    Blob(BlobId),
    /// In the database.
    Small(SmallId),
    /// In the pieces of this name.
    Pieces(Uuid),
}

/// One object: its bytes are its content, everything else is here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Object {
    /// The bytes.
    pub content: Content,
    /// How many bytes.
    pub len: u64,
    /// The ETag without its quotes: the MD5 of the bytes in hexadecimal, or that of the parts' MD5s and their number.
    pub etag: String,
    /// When it was put.
    pub last_modified: Timestamp,
    /// Headers that come back with the object, such as `content-type`, by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The user's metadata, without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// Its checksums in base64, by S3's name of the algorithm, such as `CRC32`.
    #[serde(default)]
    pub checksums: BTreeMap<String, String>,
    /// Whether the checksums are those of the parts' checksums, and not of the bytes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub composite: bool,
    /// In how many parts it was uploaded; 0 for an object that was put at once.
    #[serde(default, skip_serializing_if = "is_default")]
    pub parts: u32,
    /// The version's id; `None` is the null version.
    #[serde(default, skip_serializing_if = "is_default")]
    pub version: Option<String>,
    /// How the bytes are encrypted; `None` for bytes that are not.
    #[serde(default, skip_serializing_if = "is_default")]
    pub encryption: Option<Encryption>,
    /// The storage class, where it is another than `STANDARD`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub storage_class: Option<String>,
    /// The tags, in the order in which they were given.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tags: Vec<(String, String)>,
    /// Until when it is locked, and how.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retention: Option<Retention>,
    /// Whether somebody put a legal hold on it; `None` if nobody ever said.
    #[serde(default, skip_serializing_if = "is_default")]
    pub legal_hold: Option<bool>,
    /// What its ACL grants; `None`: nothing to anybody but its owner.
    #[serde(default, skip_serializing_if = "is_default")]
    pub acl: Option<Acl>,
    /// The account that owns it, where it is another than the usual one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub owner: Option<String>,
    /// Until when a copy of an archived object can be read.
    #[serde(default, skip_serializing_if = "is_default")]
    pub restored: Option<Timestamp>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Object {
    /// An object of which nothing is said yet.
    pub fn new(content: Content, len: u64, last_modified: Timestamp) -> Self {
        Object {
            content,
            len,
            etag: String::new(),
            last_modified,
            headers: BTreeMap::new(),
            metadata: BTreeMap::new(),
            checksums: BTreeMap::new(),
            composite: false,
            parts: 0,
            version: None,
            encryption: None,
            storage_class: None,
            tags: Vec::new(),
            retention: None,
            legal_hold: None,
            acl: None,
            owner: None,
            restored: None,
        }
    }
}

impl Object {
    /// The account that owns it.
    pub fn owner(&self) -> &str {
        self.owner.as_deref().unwrap_or(model::ACCOUNT)
    }
}

/// Keeps a version from being removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retention {
    /// `true`: nobody can shorten it (compliance); `false`: those can who say so (governance).
    pub compliance: bool,
    /// Until when.
    pub until: Timestamp,
}

impl Stored for Object {
    const VERSION: u8 = 2;

    fn migrate(version: u8, json: &[u8]) -> std::result::Result<Self, String> {
        if version != 1 {
            return Err(format!("version {version} is unknown to this program"));
        }
        // The first version had one blob, and nothing of what came later.
        let mut record: serde_json::Value =
            serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let blob = record.as_object_mut().and_then(|record| record.remove("blob")).ok_or("it has no blob")?;
        record["content"] = serde_json::json!({ "Blob": blob });
        serde_json::from_value(record).map_err(|error| error.to_string())
    }
}

/// One piece of an object that was uploaded in parts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Piece {
    /// The part's number.
    pub number: u16,
    /// Where in the object it begins.
    pub start: u64,
    /// How many bytes.
    pub len: u64,
    /// The bytes; never pieces again.
    pub content: Content,
    /// Its checksum in base64, of the object's algorithm.
    pub checksum: Option<String>,
}

impl Stored for Piece {}

/// The key of an object's record: buckets apart, keys within one in binary order.
pub fn object_key(bucket: &str, key: &str) -> Vec<u8> {
    // A bucket's name holds no zero byte, so no bucket's range runs into another's.
    [bucket.as_bytes(), b"\0", key.as_bytes()].concat()
}

/// The key of the piece of `pieces` that ends before `end`: the first record behind `piece_key(pieces, n)` holds byte n.
pub fn piece_key(pieces: Uuid, end: u64) -> Vec<u8> {
    [pieces.as_bytes().as_slice(), &end.to_be_bytes()].concat()
}

/// Calls `each` with the pieces of `pieces` that hold the bytes in `range`, in order.
///
/// # Errors
/// What `each` returns, and faults of the store.
pub fn for_each_piece<E: From<store::Error>>(
    view: &View<'_>,
    pieces: Uuid,
    range: std::ops::Range<u64>,
    mut each: impl FnMut(Vec<u8>, Piece) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let mut after = piece_key(pieces, range.start);
    loop {
        let found = view.scan(&PIECES, pieces.as_bytes(), Start::After(&after), PAGE)?;
        let ended = found.len() < PAGE;
        for (key, piece) in found {
            if piece.start >= range.end {
                return Ok(());
            }
            after.clone_from(&key);
            each(key, piece)?;
        }
        if ended {
            return Ok(());
        }
    }
}

/// Takes away the link of `content`; what it named of blobs joins `unlinked`, to be handed to
/// [`store::Store::remove_unlinked`] when the transaction has committed.
///
/// # Errors
/// Only faults of the store.
pub fn release(tx: &Tx<'_>, content: &Content, unlinked: &mut Vec<BlobId>) -> Result<()> {
    match content {
        Content::Blob(id) => unlinked.push(tx.unlink(*id)?),
        Content::Small(id) => tx.remove_small(*id)?,
        Content::Pieces(pieces) => for_each_piece(tx, *pieces, 0..u64::MAX, |key, piece| {
            tx.delete(&PIECES, key)?;
            release(tx, &piece.content, unlinked)
        })?,
    }
    Ok(())
}

/// Gives `content` a second owner, without copying the bytes of blobs.
///
/// # Errors
/// Only faults of the store.
pub fn share(tx: &Tx<'_>, content: &Content) -> Result<Content> {
    Ok(match content {
        Content::Blob(id) => {
            tx.link_again(*id)?;
            Content::Blob(*id)
        }
        Content::Small(id) => Content::Small(tx.copy_small(*id)?),
        Content::Pieces(pieces) => {
            let copy = Uuid::new_v4();
            for_each_piece(tx, *pieces, 0..u64::MAX, |_, mut piece| {
                piece.content = share(tx, &piece.content)?;
                tx.put(&PIECES, piece_key(copy, piece.start + piece.len), &piece)
            })?;
            Content::Pieces(copy)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_the_first_version_is_still_read() {
        let blob: Vec<u8> = (0..32).collect();
        let old = serde_json::json!({
            "blob": blob, "len": 5, "etag": "e", "last_modified": 7, "headers": {"content-type": "text/plain"},
            "metadata": {}, "checksums": {"CRC32": "AAAAAA=="},
        });
        let object = Object::migrate(1, old.to_string().as_bytes()).unwrap();
        assert!(matches!(object.content, Content::Blob(_)));
        assert_eq!((object.len, object.version, object.parts), (5, None, 0));
        assert!(Object::migrate(9, b"{}").is_err());
    }
}
