//! Bytes of an object read and written again: for copies whose encryption, checksum or ETag is another, and for parts.

use super::State;
use super::checksum::{Algorithm, Digests, Hashers};
use super::error::{Error, Result, refuse};
use super::put_object::broken_off;
use super::reader::PIECE;
use crate::object::cipher::{Key, Sealer};
use crate::object::incoming::{Incoming, Received};
use crate::object::read::Reader;
use s3s::S3ErrorCode;
use s3s::dto::CopySource;
use std::ops::Range;
use std::sync::Arc;

/// Writes the bytes of `reader` in `range` again, encrypted with `key`, and what they hash to.
pub(super) async fn rewrite(
    state: &State,
    reader: Reader,
    range: Range<u64>,
    algorithm: Algorithm,
    key: &Key,
) -> Result<(Received, Digests)> {
    let mut incoming = Incoming::new(&state.store, Some(Sealer::new(key)?));
    let (reader, mut at) = (Arc::new(reader), range.start);
    let mut hashers = Hashers::new(algorithm, false);
    while at < range.end {
        let (reader, end) = (reader.clone(), range.end.min(at + PIECE));
        let reading = tokio::task::spawn_blocking(move || {
            let piece = reader.read(at..end)?;
            hashers.update(&piece);
            Ok::<_, std::io::Error>((piece, hashers))
        });
        let piece;
        (piece, hashers) = reading.await.map_err(|_| broken_off())?.map_err(Error::Read)?;
        at += piece.len() as u64;
        incoming.append(&piece).await?;
    }
    Ok((incoming.finish().await?, hashers.finish()))
}

/// An object that a copy is made of.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) version: Option<String>,
}

impl Source {
    /// What `x-amz-copy-source` names.
    pub(super) fn of(source: CopySource) -> Result<Self> {
        match source {
            CopySource::Bucket { bucket, key, version_id } => {
                Ok(Source { bucket: bucket.into(), key: key.into(), version: version_id.map(Into::into) })
            }
            _ => Err(super::error::not_supported("A copy from an access point").into()),
        }
    }
}

/// The error for a source that is too large for one copy.
pub(super) fn source_too_large() -> Error {
    refuse(
        S3ErrorCode::InvalidRequest,
        format!(
            "The specified copy source is larger than the maximum allowable size for a copy source: {}",
            model::limits::OBJECT
        ),
    )
}
