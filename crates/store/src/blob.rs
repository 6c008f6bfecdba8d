//! Bytes in files, named by their content (BLAKE3), on disk before anybody refers to them.
//!
//! A blob is written to a temporary name, fsynced, renamed, and only then linked by a transaction. Links are
//! counted in the store; a file without links is removed when its last link goes, or by the sweep at start.
//! A [`Pinned`] blob is one that was written and not linked yet: no removal touches it.

use crate::engine::{Store, Tx, View, make_private_dir};
use crate::{Error, Result};
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Names a blob by its content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlobId([u8; 32]);

impl BlobId {
    pub(crate) fn of(bytes: [u8; 32]) -> Self {
        BlobId(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The directory of blobs. Clones share it.
#[derive(Clone, Debug)]
pub struct Blobs(Arc<Directory>);

#[derive(Debug)]
struct Directory {
    dir: PathBuf,
    next_temporary: AtomicU64,
    pins: Pins,
}

#[derive(Clone, Debug, Default)]
struct Pins(Arc<Mutex<Pinboard>>);

#[derive(Debug, Default)]
struct Pinboard {
    held: HashMap<BlobId, u32>,
    /// Blobs that lost their last link while somebody held them: to be removed by the next removal.
    left: Vec<BlobId>,
}

impl Pins {
    fn lock(&self) -> std::sync::MutexGuard<'_, Pinboard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A blob that rests on disk and stays there at least as long as this lives.
#[derive(Debug)]
pub struct Pinned {
    /// Its name.
    pub id: BlobId,
    /// Its length in bytes.
    pub len: u64,
    pins: Pins,
}

impl Clone for Pinned {
    fn clone(&self) -> Self {
        *self.pins.lock().held.entry(self.id).or_default() += 1;
        Pinned { id: self.id, len: self.len, pins: self.pins.clone() }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let mut pins = self.pins.lock();
        if let Some(count) = pins.held.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                pins.held.remove(&self.id);
            }
        }
    }
}

/// A blob that is being written. Dropping it removes what was written.
#[derive(Debug)]
pub struct BlobWriter {
    blobs: Blobs,
    path: PathBuf,
    file: Option<File>,
    hash: blake3::Hasher,
    len: u64,
}

impl Blobs {
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let temporary = dir.join("tmp");
        match std::fs::remove_dir_all(&temporary) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file("clear", &temporary, error));
            }
            _ => {}
        }
        make_private_dir(&temporary)?;
        Ok(Blobs::at(dir))
    }

    /// The blobs in `dir`, as they are.
    pub(crate) fn at(dir: &Path) -> Self {
        let directory =
            Directory { dir: dir.to_owned(), next_temporary: AtomicU64::new(0), pins: Pins::default() };
        Blobs(Arc::new(directory))
    }

    /// The blobs that have a file.
    pub(crate) fn files(&self) -> Result<impl Iterator<Item = Result<BlobId>> + use<'_>> {
        let at = |error| Error::file("list", &self.0.dir, error);
        let dirs = std::fs::read_dir(&self.0.dir).map_err(at)?;
        let files = dirs.flat_map(move |dir| match dir {
            Ok(dir) if dir.file_name() == "tmp" => Vec::new(),
            Ok(dir) => match std::fs::read_dir(dir.path()) {
                Ok(files) => files.map(|file| file.map(|file| file.file_name()).map_err(at)).collect(),
                Err(error) => vec![Err(at(error))],
            },
            Err(error) => vec![Err(at(error))],
        });
        Ok(files.filter_map(|name| match name {
            Ok(name) => {
                let hash = name.to_str().and_then(|name| blake3::Hash::from_hex(name).ok())?;
                Some(Ok(BlobId(*hash.as_bytes())))
            }
            Err(error) => Some(Err(error)),
        }))
    }

    /// Begins a new blob. It blocks, as everything that a writer does.
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn writer(&self) -> Result<BlobWriter> {
        let number = self.0.next_temporary.fetch_add(1, Ordering::Relaxed);
        let path = self.0.dir.join("tmp").join(number.to_string());
        let file = File::create_new(&path).map_err(|error| Error::file("create", &path, error))?;
        Ok(BlobWriter { blobs: self.clone(), path, file: Some(file), hash: blake3::Hasher::new(), len: 0 })
    }

    /// Writes `bytes` as one blob, on a thread where that may block.
    ///
    /// # Errors
    /// Faults of the disk.
    pub async fn write(&self, bytes: impl AsRef<[u8]>) -> Result<Pinned> {
        let (blobs, bytes) = (self.clone(), bytes.as_ref().to_vec());
        let writing = tokio::task::spawn_blocking(move || {
            let mut writer = blobs.writer()?;
            writer.append(&bytes)?;
            writer.finish()
        });
        writing.await.map_err(|_| Error::Closed)?
    }

    /// Opens a blob to read it; it stays readable even if its last link goes meanwhile.
    ///
    /// # Errors
    /// Faults of the disk; a missing file is one, since links outlive no blob.
    pub fn read(&self, id: BlobId) -> Result<File> {
        let path = self.path(id);
        File::open(&path).map_err(|error| Error::file("open", path, error))
    }

    /// Keeps the file of a blob that has a link now from being removed. Look again afterwards whether the link is
    /// still there: if so, the file stays as long as the result lives.
    pub fn pin(&self, id: BlobId, len: u64) -> Pinned {
        *self.0.pins.lock().held.entry(id).or_default() += 1;
        Pinned { id, len, pins: self.0.pins.clone() }
    }

    fn path(&self, id: BlobId) -> PathBuf {
        let name = id.to_string();
        self.0.dir.join(&name[..2]).join(name)
    }

    /// Moves a finished temporary file to its name and pins it.
    fn keep(&self, temporary: &Path, id: BlobId, len: u64) -> Result<Pinned> {
        let path = self.path(id);
        let dir = path.parent().unwrap_or(&self.0.dir);
        // Pinned first: under this lock no removal is under way, and a file that exists now stays.
        let pinned = {
            let mut pins = self.0.pins.lock();
            if path.exists() {
                std::fs::remove_file(temporary).map_err(|error| Error::file("remove", temporary, error))?;
            } else {
                if !dir.exists() {
                    make_private_dir(dir)?;
                    sync_dir(&self.0.dir)?;
                }
                std::fs::rename(temporary, &path).map_err(|error| Error::file("rename", &path, error))?;
            }
            *pins.held.entry(id).or_default() += 1;
            Pinned { id, len, pins: self.0.pins.clone() }
        };
        // Also for a file that existed: its own writer may not have come this far yet.
        sync_dir(dir)?;
        Ok(pinned)
    }
}

impl BlobWriter {
    /// Appends `bytes`. It blocks.
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.len += bytes.len() as u64;
        let file = self.file.as_mut().ok_or(Error::Closed)?;
        file.write_all(bytes).map_err(|error| Error::file("write", &self.path, error))
    }

    /// Bytes appended so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was appended so far.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts the blob on disk, for good, under its name. It blocks.
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn finish(mut self) -> Result<Pinned> {
        let file = self.file.as_ref().ok_or(Error::Closed)?;
        file.sync_data().map_err(|error| Error::file("write", &self.path, error))?;
        let id = BlobId(*self.hash.finalize().as_bytes());
        let pinned = self.blobs.keep(&self.path, id, self.len)?;
        self.file = None;
        Ok(pinned)
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // What stays behind here is cleared at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Tx<'_> {
    /// Adds a link to `blob`, in the same transaction as the record that names it. The blob stays pinned until
    /// the link is on disk.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn link(&self, blob: &Pinned) -> Result<()> {
        self.linked.borrow_mut().push(blob.clone());
        self.link_again(blob.id)
    }

    /// Adds a link to a blob that has one already, in a record read in this transaction.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn link_again(&self, id: BlobId) -> Result<()> {
        self.connection()
            .prepare_cached(
                "INSERT INTO blob_ref (id, count) VALUES (?1, 1) ON CONFLICT (id) DO UPDATE SET count = count + 1",
            )?
            .execute(params![id.0])?;
        Ok(())
    }

    /// Takes a link away. When the transaction has committed, hand the result to [`Store::remove_unlinked`].
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn unlink(&self, id: BlobId) -> Result<BlobId> {
        self.connection()
            .prepare_cached("UPDATE blob_ref SET count = count - 1 WHERE id = ?1")?
            .execute(params![id.0])?;
        self.connection()
            .prepare_cached("DELETE FROM blob_ref WHERE id = ?1 AND count <= 0")?
            .execute(params![id.0])?;
        Ok(id)
    }
}

impl View<'_> {
    pub(crate) fn is_linked(&self, id: BlobId) -> Result<bool> {
        let found = self
            .connection()
            .prepare_cached("SELECT 1 FROM blob_ref WHERE id = ?1")?
            .query_row(params![id.0], |_| Ok(()))
            .optional()?;
        Ok(found.is_some())
    }
}

impl Store {
    /// Removes the files of those of `blobs` that nothing links or pins any more, and of those that were pinned when
    /// their last link went. It blocks.
    ///
    /// # Errors
    /// Faults of the store; what is left then goes with the sweep at the next start.
    pub fn remove_unlinked(&self, blobs: impl IntoIterator<Item = BlobId>) -> Result<()> {
        let left = std::mem::take(&mut self.blobs().0.pins.lock().left);
        for id in left.into_iter().chain(blobs) {
            let mut pins = self.blobs().0.pins.lock();
            if self.read(|view| view.is_linked(id))? {
                continue;
            }
            if pins.held.contains_key(&id) {
                if !pins.left.contains(&id) {
                    pins.left.push(id);
                }
                continue;
            }
            let path = self.blobs().path(id);
            match std::fs::remove_file(&path) {
                // Whoever took the same bytes' last link was quicker.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                removed => removed.map_err(|error| Error::file("remove", path, error))?,
            }
        }
        Ok(())
    }

    /// Removes every blob that nothing links: what a crash left between writing and linking.
    pub(crate) fn sweep_blobs(&self) -> Result<()> {
        for id in self.blobs().files()? {
            let id = id?;
            if !self.read(|view| view.is_linked(id))? {
                self.remove_unlinked([id])?;
            }
        }
        Ok(())
    }
}

fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| Error::file("sync", dir, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn content(store: &Store, id: BlobId) -> Vec<u8> {
        let mut bytes = Vec::new();
        store.blobs().read(id).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn files(dir: &Path) -> usize {
        std::fs::read_dir(dir.join("blobs"))
            .unwrap()
            .flat_map(|dir| std::fs::read_dir(dir.unwrap().path()).unwrap())
            .count()
    }

    #[tokio::test]
    async fn a_blob_lives_as_long_as_its_links() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        let blob = store.blobs().write(b"hello").await.unwrap();
        let id = blob.id;
        store
            .write(move |tx| {
                tx.link(&blob)?;
                tx.link_again(blob.id)
            })
            .await
            .unwrap();
        assert_eq!(content(&store, id), b"hello");
        for left in [1, 0] {
            let unlinked = store.write(move |tx| tx.unlink(id)).await.unwrap();
            store.remove_unlinked([unlinked]).unwrap();
            assert_eq!(files(dir.path()), left);
        }
    }

    #[tokio::test]
    async fn a_blob_that_is_being_linked_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        let blob = store.blobs().write(b"same").await.unwrap();
        let id = blob.id;
        let remover = store.clone();
        store
            .write(move |tx| {
                tx.link(&blob)?;
                drop(blob);
                // Nobody else sees the link yet.
                remover.remove_unlinked([id])
            })
            .await
            .unwrap();
        assert_eq!(content(&store, id), b"same");
    }

    #[tokio::test]
    async fn a_pinned_blob_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        let blob = store.blobs().write(b"same").await.unwrap();
        store.remove_unlinked([blob.id]).unwrap();
        assert_eq!(content(&store, blob.id), b"same");
        let id = blob.id;
        drop(blob);
        store.remove_unlinked([id]).unwrap();
        assert_eq!(files(dir.path()), 0);
    }

    #[tokio::test]
    async fn an_unfinished_writer_and_an_unlinked_blob_leave_nothing_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        let mut writer = store.blobs().writer().unwrap();
        writer.append(b"half").unwrap();
        drop(writer);
        drop(store.blobs().write(b"orphan").await.unwrap());
        assert_eq!(files(dir.path()), 1);
        drop(store);
        let _store = Store::open_for_test(dir.path());
        assert_eq!(files(dir.path()), 0);
    }
}
