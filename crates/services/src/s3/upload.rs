//! Multipart uploads as they rest in the store. Parts lie as blobs; completing an upload makes them the object's pieces.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>

use super::bucket::existing;
use super::change::Unlinked;
use super::checksum::Algorithm;
use super::description::Described;
use super::error::{Error, Result, refuse};
use super::sse::CustomerKey;
use super::version::base;
use crate::object::acl::Acl;
use crate::object::cipher::{Encryption, Key};
use crate::object::{Content, Object, Retention, release};
use model::Timestamp;
use s3s::S3ErrorCode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use store::kv::{From as Start, Stored, Table};
use store::{Store, Tx, View};
use uuid::Uuid;

/// Uploads under way, by [`upload_key`].
pub(super) const UPLOADS: Table<Upload> = Table::new("s3.upload");

/// Their parts, by [`part_key`].
pub(super) const PARTS: Table<Part> = Table::new("s3.part");

/// Uploads that were completed of late, by [`upload_key`]: a completion that is sent again gets the same answer.
pub(super) const COMPLETED: Table<Completed> = Table::new("s3.completed");

/// The least size of a part that is not the last (5 MB), and the highest number.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub(super) const LEAST: u64 = 5 << 20;
pub(super) const HIGHEST: u16 = 10_000;

/// How many parts are read at once.
const PAGE: usize = 256;

/// One upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Upload {
    pub(super) initiated: Timestamp,
    /// By its name in requests.
    pub(super) algorithm: String,
    /// Whether the request chose it.
    pub(super) explicit: bool,
    pub(super) composite: bool,
    pub(super) encryption: Encryption,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) storage_class: Option<String>,
    pub(super) retention: Option<Retention>,
    pub(super) legal_hold: Option<bool>,
    pub(super) acl: Option<Acl>,
    /// The account that began it, where it is another than the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<String>,
    /// Whether there was an object under its key when it began.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) existed: bool,
}

/// One part; its number is in its key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) len: u64,
    /// The MD5 in hexadecimal.
    pub(super) etag: String,
    pub(super) checksum: String,
    pub(super) modified: Timestamp,
    pub(super) content: Content,
}

/// What a completion answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Completed {
    pub(super) at: Timestamp,
    pub(super) etag: String,
    pub(super) version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expiration: Option<String>,
    pub(super) checksums: BTreeMap<String, String>,
    pub(super) composite: bool,
    pub(super) encryption: Encryption,
}

impl Stored for Upload {}
impl Stored for Part {}
impl Stored for Completed {}

impl Upload {
    pub(super) fn algorithm(&self) -> Result<Algorithm> {
        Algorithm::of_name(&self.algorithm).ok_or(Error::Broken("an upload has an unknown checksum"))
    }

    /// The account that began it.
    pub(super) fn owner(&self) -> &str {
        self.owner.as_deref().unwrap_or(model::ACCOUNT)
    }

    pub(super) fn of(described: Described, at: Timestamp, chosen: Chosen, encryption: Encryption) -> Self {
        Upload {
            owner: None,
            existed: false,
            initiated: at,
            algorithm: chosen.algorithm.name().to_owned(),
            explicit: chosen.explicit,
            composite: chosen.composite,
            encryption,
            headers: described.headers,
            metadata: described.metadata,
            tags: described.tags,
            storage_class: described.storage_class,
            retention: described.lock.retention,
            legal_hold: described.lock.legal_hold,
            acl: described.acl,
        }
    }

    /// Makes what was said of the object when the upload began the object's.
    pub(super) fn put_on(self, object: &mut Object) {
        object.headers = self.headers;
        object.metadata = self.metadata;
        object.tags = self.tags;
        object.storage_class = self.storage_class;
        object.retention = self.retention;
        object.legal_hold = self.legal_hold;
        object.acl = self.acl;
        object.composite = self.composite;
        object.encryption = Some(self.encryption);
    }

    /// The key for a part: the upload's own, or the customer's if it is the one with which the upload began.
    pub(super) fn key(&self, store: &Store, customer: Option<&CustomerKey>) -> Result<Key> {
        match (&self.encryption, customer) {
            (Encryption::Installation(wrapped), None) => Ok(Key::unwrap(wrapped, store.key())?),
            (Encryption::Customer { proof, .. }, Some(customer)) if customer.key.proves(proof) => {
                Ok(customer.key.clone())
            }
            (Encryption::Customer { .. }, None) => Err(refuse(
                S3ErrorCode::InvalidRequest,
                "The multipart upload initiate requested encryption. Subsequent part requests must include the \
                 appropriate encryption parameters.",
            )),
            (Encryption::Customer { .. }, Some(_)) => Err(refuse(
                S3ErrorCode::InvalidRequest,
                "The provided encryption parameters did not match the ones used originally.",
            )),
            (Encryption::Installation(_), Some(_)) => Err(refuse(
                S3ErrorCode::InvalidRequest,
                "The multipart upload initiate did not request encryption with a customer's key.",
            )),
        }
    }
}

/// The checksum that an upload will have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Chosen {
    pub(super) algorithm: Algorithm,
    pub(super) explicit: bool,
    pub(super) composite: bool,
}

impl Chosen {
    /// What a request's headers choose, and S3's defaults.
    pub(super) fn of(algorithm: Option<&str>, kind: Option<&str>) -> Result<Self> {
        let invalid = |message: String| refuse(S3ErrorCode::InvalidRequest, message);
        let explicit = algorithm.is_some();
        let algorithm = match algorithm {
            None if kind.is_some() => {
                return Err(invalid(
                    "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.".into(),
                ));
            }
            None => Algorithm::Crc64Nvme,
            Some(name) => Algorithm::of_name(name).ok_or_else(|| {
                invalid("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]".into())
            })?,
        };
        let composite = match kind {
            None => algorithm != Algorithm::Crc64Nvme,
            Some("COMPOSITE") => true,
            Some("FULL_OBJECT") => false,
            Some(_) => return Err(invalid("Value for x-amz-checksum-type header is invalid.".into())),
        };
        let fits = match algorithm {
            Algorithm::Crc64Nvme => !composite,
            Algorithm::Sha1 | Algorithm::Sha256 => composite,
            Algorithm::Crc32 | Algorithm::Crc32c => true,
        };
        if !fits {
            let kind = if composite { "COMPOSITE" } else { "FULL_OBJECT" };
            return Err(invalid(format!(
                "The {kind} checksum type cannot be used with the {} checksum algorithm.",
                algorithm.lower_name()
            )));
        }
        Ok(Chosen { algorithm, explicit, composite })
    }
}

/// How requests name an upload.
pub(super) fn shown(id: Uuid) -> String {
    id.simple().to_string()
}

pub(super) fn read_id(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|id| shown(*id) == text)
}

/// The key of an upload's record: those of a key in the order in which they began.
pub(super) fn upload_key(bucket: &str, key: &str, id: Uuid) -> Vec<u8> {
    let mut place = base(bucket, key);
    place.extend_from_slice(id.as_bytes());
    place
}

pub(super) fn part_key(id: Uuid, number: u16) -> Vec<u8> {
    [id.as_bytes().as_slice(), &number.to_be_bytes()].concat()
}

/// The number in a part's key.
pub(super) fn number_of(place: &[u8]) -> u16 {
    place.get(16..18).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_be_bytes)
}

/// The upload under way that a request names.
pub(super) fn find(view: &View<'_>, bucket: &str, key: &str, id: &str) -> Result<(Uuid, Upload)> {
    existing(view, bucket)?;
    let id = read_id(id).ok_or_else(no_such_upload)?;
    let upload = view.get(&UPLOADS, upload_key(bucket, key, id))?.ok_or_else(no_such_upload)?;
    Ok((id, upload))
}

pub(super) fn no_such_upload() -> Error {
    refuse(
        S3ErrorCode::NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been \
         aborted or completed.",
    )
}

/// A part's number, if it can be one.
pub(super) fn number(number: i32) -> Result<u16> {
    u16::try_from(number).ok().filter(|number| (1..=HIGHEST).contains(number)).ok_or_else(|| {
        refuse(S3ErrorCode::InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive")
    })
}

/// Puts a part, over an older one of the same number.
pub(super) fn put_part(
    tx: &Tx<'_>,
    (bucket, key, id): (&str, &str, &str),
    number: u16,
    part: &Part,
) -> Result<Unlinked> {
    // It may have been completed or aborted while the part was received.
    let (id, _) = find(tx, bucket, key, id)?;
    let place = part_key(id, number);
    let mut unlinked = Unlinked::new();
    if let Some(old) = tx.get(&PARTS, &place)? {
        release(tx, &old.content, &mut unlinked)?;
    }
    tx.put(&PARTS, &place, part)?;
    Ok(unlinked)
}

/// Forgets an upload and those of its parts that are left.
pub(super) fn forget(tx: &Tx<'_>, bucket: &str, key: &str, id: Uuid) -> Result<Unlinked> {
    let mut unlinked = Unlinked::new();
    loop {
        let parts = tx.scan(&PARTS, id.as_bytes(), Start::At(id.as_bytes()), PAGE)?;
        for (place, part) in &parts {
            tx.delete(&PARTS, place)?;
            release(tx, &part.content, &mut unlinked)?;
        }
        if parts.len() < PAGE {
            break;
        }
    }
    tx.delete(&UPLOADS, upload_key(bucket, key, id))?;
    Ok(unlinked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_chosen_as_s3_lets_them() {
        let of = |algorithm, kind| {
            Chosen::of(algorithm, kind).ok().map(|chosen| (chosen.algorithm, chosen.composite))
        };
        assert_eq!(of(None, None), Some((Algorithm::Crc64Nvme, false)));
        assert_eq!(of(Some("CRC32"), None), Some((Algorithm::Crc32, true)));
        assert_eq!(of(Some("CRC32C"), Some("FULL_OBJECT")), Some((Algorithm::Crc32c, false)));
        assert_eq!(of(Some("SHA256"), Some("COMPOSITE")), Some((Algorithm::Sha256, true)));
        for (algorithm, kind) in [
            (None, Some("COMPOSITE")),
            (Some("MD5"), None),
            (Some("SHA1"), Some("FULL_OBJECT")),
            (Some("CRC64NVME"), Some("COMPOSITE")),
            (Some("CRC32"), Some("HALF")),
        ] {
            assert_eq!(of(algorithm, kind), None);
        }
    }
}
