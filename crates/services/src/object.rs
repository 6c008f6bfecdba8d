//! Objects as they rest in the store: written by S3, read by every service that takes its input from a bucket.

use model::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use store::blob::BlobId;
use store::kv::{Stored, Table};

/// All objects of all buckets, by [`object_key`].
pub const OBJECTS: Table<Object> = Table::new("s3.object");

/// One object: its bytes are a blob, everything else is here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Object {
    /// The bytes.
    pub blob: BlobId,
    /// How many bytes.
    pub len: u64,
    /// The ETag without its quotes: the MD5 of the bytes in hexadecimal.
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
}

impl Stored for Object {}

/// The key of an object's record: buckets apart, keys within one in binary order.
pub fn object_key(bucket: &str, key: &str) -> Vec<u8> {
    // A bucket's name holds no zero byte, so no bucket's range runs into another's.
    [bucket.as_bytes(), b"\0", key.as_bytes()].concat()
}
