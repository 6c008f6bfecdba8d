//! Bytes on their way in: few are kept in memory until they commit, more go to a blob while they come.
//!
//! They are encrypted, hashed and written on a blocking thread, 256 KiB at a time, while the next ones are received.

use super::Content;
use super::cipher::{CHUNK, CipherError, Sealer};
use store::blob::{BlobId, BlobWriter, Pinned};
use store::{Store, Tx};
use tokio::task::JoinHandle;

/// How much is handed to the disk at once; a multiple of what is encrypted at once.
const BATCH: usize = 4 * CHUNK;

/// Why bytes could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum IncomingError {
    /// A fault of the disk.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A fault of the cipher.
    #[error(transparent)]
    Cipher(#[from] CipherError),
}

/// Bytes that were received, and that no record names yet.
#[derive(Debug)]
pub enum Received {
    /// Few, in memory.
    Small(Vec<u8>),
    /// On disk.
    Blob(Pinned),
}

impl Received {
    /// The blob, if it is one: to be removed if no record comes to name it.
    pub fn blob(&self) -> Option<BlobId> {
        match self {
            Received::Small(_) => None,
            Received::Blob(blob) => Some(blob.id),
        }
    }

    /// Makes them the content of a record of this transaction.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn keep(&self, tx: &Tx<'_>) -> store::Result<Content> {
        Ok(match self {
            Received::Small(bytes) => Content::Small(tx.add_small(bytes)?),
            Received::Blob(blob) => {
                tx.link(blob)?;
                Content::Blob(blob.id)
            }
        })
    }
}

/// Where the bytes go.
#[derive(Debug)]
struct Sink {
    writer: Option<BlobWriter>,
    sealer: Option<Sealer>,
    sealed: Vec<u8>,
}

impl Sink {
    fn write(&mut self, store: &Store, mut bytes: Vec<u8>) -> Result<Vec<u8>, IncomingError> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(store.blobs().writer()?),
        };
        match &mut self.sealer {
            Some(sealer) => {
                self.sealed.clear();
                sealer.seal(&mut bytes, &mut self.sealed)?;
                writer.append(&self.sealed)?;
            }
            None => writer.append(&bytes)?,
        }
        bytes.clear();
        Ok(bytes)
    }
}

type Written = Result<(Sink, Vec<u8>), IncomingError>;

/// Receives the bytes of one object or part. Dropping it forgets them.
pub struct Incoming {
    store: Store,
    /// Not there while it is busy on its thread.
    sink: Option<Sink>,
    busy: Option<JoinHandle<Written>>,
    waiting: Vec<u8>,
    len: u64,
}

impl Incoming {
    /// Receives into `store`, encrypted if there is a `sealer`.
    pub fn new(store: &Store, sealer: Option<Sealer>) -> Self {
        let sink = Sink { writer: None, sealer, sealed: Vec::new() };
        Incoming { store: store.clone(), sink: Some(sink), busy: None, waiting: Vec::new(), len: 0 }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// Faults of the disk.
    pub async fn append(&mut self, mut bytes: &[u8]) -> Result<(), IncomingError> {
        self.len += bytes.len() as u64;
        while self.waiting.len() + bytes.len() > BATCH {
            let (now, later) = bytes.split_at(BATCH - self.waiting.len());
            self.waiting.extend_from_slice(now);
            bytes = later;
            self.hand_over().await?;
        }
        self.waiting.extend_from_slice(bytes);
        Ok(())
    }

    /// How many bytes came so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether none came so far.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Everything has come: puts it on disk, unless it is little.
    ///
    /// # Errors
    /// Faults of the disk.
    pub async fn finish(mut self) -> Result<Received, IncomingError> {
        let small = self.len <= self.store.small_limit() as u64;
        self.settle().await?;
        let mut sink = self.sink.take().ok_or(store::Error::Closed)?;
        let mut bytes = std::mem::take(&mut self.waiting);
        if small {
            return Ok(Received::Small(match sink.sealer.take() {
                Some(sealer) => sealer.whole(&mut bytes)?,
                None => bytes,
            }));
        }
        let store = self.store;
        let finishing = tokio::task::spawn_blocking(move || {
            sink.write(&store, bytes)?;
            let writer = sink.writer.take().ok_or(store::Error::Closed)?;
            Ok::<_, IncomingError>(Received::Blob(writer.finish()?))
        });
        finishing.await.map_err(|_| store::Error::Closed)?
    }

    /// Gives what waits to the thread, when it is done with what it got before.
    async fn hand_over(&mut self) -> Result<(), IncomingError> {
        let spare = self.settle().await?;
        let mut sink = self.sink.take().ok_or(store::Error::Closed)?;
        let (store, bytes) = (self.store.clone(), std::mem::replace(&mut self.waiting, spare));
        self.waiting.reserve(BATCH);
        self.busy = Some(tokio::task::spawn_blocking(move || {
            let spare = sink.write(&store, bytes)?;
            Ok((sink, spare))
        }));
        Ok(())
    }

    /// Waits for the thread; the buffer that it gives back.
    async fn settle(&mut self) -> Result<Vec<u8>, IncomingError> {
        let Some(busy) = self.busy.take() else { return Ok(Vec::new()) };
        let (sink, spare) = busy.await.map_err(|_| store::Error::Closed)??;
        self.sink = Some(sink);
        Ok(spare)
    }
}
