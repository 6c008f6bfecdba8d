//! What the tests of this module share.

use crate::object::Object;
use model::Timestamp;
use std::collections::BTreeMap;

/// An object that was put at 12:00:00.007 on 2026-01-31.
pub(super) fn object(etag: &str) -> Object {
    let blob = serde_json::from_value(serde_json::json!(vec![0; 32])).unwrap();
    Object {
        blob,
        len: 3,
        etag: etag.to_owned(),
        last_modified: Timestamp(1_769_860_800_007),
        headers: BTreeMap::new(),
        metadata: BTreeMap::new(),
        checksums: BTreeMap::new(),
    }
}
