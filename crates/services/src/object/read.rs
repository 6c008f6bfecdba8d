//! An object's bytes on their way out: any range of them, in pieces, never whole.

use super::cipher::{Encryption, Key, decrypt};
use super::{Content, Object, for_each_piece};
use bytes::Bytes;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};
use store::blob::{BlobId, Pinned};
use store::{Store, View};

/// Bytes that can be read for as long as this lives, whatever happens to their object meanwhile.
pub struct Reader {
    store: Store,
    segments: Vec<Segment>,
    key: Option<Key>,
    /// The file that was read last, by the number of its segment.
    open: Mutex<Option<(usize, std::sync::Arc<File>)>>,
}

#[derive(Debug)]
struct Segment {
    start: u64,
    len: u64,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Memory(Bytes),
    File(std::sync::Arc<File>),
    /// Opened when it is its turn: an object may have 10,000 pieces.
    Blob(Pinned),
}

/// Why an object cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A fault of the store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The installation's key is not the one with which the object was encrypted.
    #[error("an object's key cannot be read: {0}")]
    Key(#[from] super::cipher::CipherError),
    /// The object is encrypted with a key of the customer's, which is not here.
    #[error("the object is encrypted with a customer's key")]
    CustomerKey,
}

impl Object {
    /// The key of its bytes: `customer`'s where it is encrypted with one, else the one in the record.
    ///
    /// # Errors
    /// [`ReadError::CustomerKey`] when `customer` is missing or not the right one.
    pub fn cipher_key(&self, store: &Store, customer: Option<&Key>) -> Result<Option<Key>, ReadError> {
        match &self.encryption {
            None => Ok(None),
            Some(Encryption::Installation(wrapped)) => Ok(Some(Key::unwrap(wrapped, store.key())?)),
            Some(Encryption::Customer { proof, .. }) => {
                let key = customer.filter(|key| key.proves(proof)).ok_or(ReadError::CustomerKey)?;
                Ok(Some(key.clone()))
            }
        }
    }
}

impl Reader {
    /// Makes the bytes of `object` in `range` readable. `view` is the snapshot in which the object was found; a blob may
    /// be gone all the same, which is [`io::ErrorKind::NotFound`] in [`store::Error::File`]: look the object up again.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn open(
        store: &Store,
        view: &View<'_>,
        object: &Object,
        customer: Option<&Key>,
        range: Range<u64>,
    ) -> Result<Self, ReadError> {
        let key = object.cipher_key(store, customer)?;
        let mut segments = Vec::new();
        match &object.content {
            Content::Pieces(pieces) if !range.is_empty() => {
                for_each_piece::<ReadError>(view, *pieces, range, |_, piece| {
                    let source = match piece.content {
                        Content::Blob(id) => Source::Blob(store.blobs().pin(id, piece.len)),
                        Content::Small(id) => Source::Memory(view.small(id)?.into()),
                        Content::Pieces(_) => return Err(store::Error::Closed.into()),
                    };
                    segments.push(Segment { start: piece.start, len: piece.len, source });
                    Ok(())
                })?;
                // Pinned after they were found: the first may be gone, and then the object is.
                if let Some(Segment { source: Source::Blob(blob), .. }) = segments.first() {
                    store.blobs().read(blob.id)?;
                }
            }
            Content::Pieces(_) => {}
            Content::Small(id) => {
                let source = Source::Memory(view.small(*id)?.into());
                segments.push(Segment { start: 0, len: object.len, source });
            }
            Content::Blob(id) => {
                let source = Source::File(std::sync::Arc::new(store.blobs().read(*id)?));
                segments.push(Segment { start: 0, len: object.len, source });
            }
        }
        Ok(Reader { store: store.clone(), segments, key, open: Mutex::new(None) })
    }

    /// Whether reading does not wait for the disk.
    pub fn is_in_memory(&self) -> bool {
        self.segments.iter().all(|segment| matches!(segment.source, Source::Memory(_)))
    }

    /// Reads some of the bytes in `range`, from its start: at least one, if it is not empty. It blocks.
    ///
    /// # Errors
    /// Faults of the disk, and [`io::ErrorKind::InvalidData`] for encrypted bytes that were changed.
    pub fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let number = self.segments.partition_point(|segment| segment.start + segment.len <= range.start);
        let segment = self.segments.get(number).ok_or(io::ErrorKind::UnexpectedEof)?;
        let inner = range.start - segment.start..range.end.min(segment.start + segment.len) - segment.start;
        match &segment.source {
            Source::Memory(bytes) => match &self.key {
                None => {
                    let bounds = size(inner.start)?..size(inner.end)?;
                    bytes.get(bounds.clone()).ok_or(io::ErrorKind::UnexpectedEof)?;
                    Ok(bytes.slice(bounds))
                }
                Some(_) => self.bytes(segment, inner, |at, len| {
                    let at = size(at)?;
                    Ok(bytes.get(at..at + len).ok_or(io::ErrorKind::UnexpectedEof)?.to_vec())
                }),
            },
            Source::File(file) => self.bytes(segment, inner, |at, len| read_at(file, at, len)),
            Source::Blob(blob) => {
                let file = self.file(number, blob.id)?;
                self.bytes(segment, inner, |at, len| read_at(&file, at, len))
            }
        }
    }

    fn bytes(
        &self,
        segment: &Segment,
        inner: Range<u64>,
        read: impl Fn(u64, usize) -> io::Result<Vec<u8>>,
    ) -> io::Result<Bytes> {
        match &self.key {
            None => read(inner.start, size(inner.end - inner.start)?).map(Bytes::from),
            Some(key) => decrypt(key, read, segment.len, inner).map(Bytes::from),
        }
    }

    fn file(&self, number: usize, id: BlobId) -> io::Result<std::sync::Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match &*open {
            Some((at, file)) if *at == number => Ok(file.clone()),
            _ => {
                let file = std::sync::Arc::new(self.store.blobs().read(id).map_err(io::Error::other)?);
                *open = Some((number, file.clone()));
                Ok(file)
            }
        }
    }
}

fn read_at(file: &File, at: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}

fn size(bytes: u64) -> io::Result<usize> {
    usize::try_from(bytes).map_err(io::Error::other)
}
