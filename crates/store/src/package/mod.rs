//! Unpacked deployment packages: directories that sandboxes see read-only at `/var/task`.
//!
//! A package is whole or absent: it is unpacked beside its place, put on disk, and renamed. What a crash leaves
//! half-unpacked goes when the store opens. Whoever refers to packages decides which may go: see
//! [`Packages::remove`].

mod error;
mod merge;
mod path;
mod unpack;

pub use error::{EntryProblem, PackageError};

use crate::engine::{Store, make_private_dir};
use crate::{Error, Result};
use model::CodeId;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use unpack::Bounds;

/// The directory of unpacked packages.
#[derive(Debug)]
pub struct Packages {
    dir: PathBuf,
    temporary: PathBuf,
    /// Held while unpacking: one archive at a time bounds the memory and the disk that archives in the making
    /// take, and two calls for one package do the work once. It counts the directories made.
    unpacking: Mutex<u64>,
}

impl Packages {
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        make_private_dir(dir)?;
        // Sandboxes mount packages, so their paths must not depend on the working directory.
        let dir = dir.canonicalize().map_err(|error| Error::file("find", dir, error))?;
        let temporary = dir.join("tmp");
        remove_tree(&temporary)?;
        make_private_dir(&temporary)?;
        Ok(Packages { dir, temporary, unpacking: Mutex::new(0) })
    }

    /// Where the files of `code` are, if they are: an absolute path.
    pub fn dir(&self, code: &CodeId) -> PathBuf {
        self.dir.join(&code.0)
    }

    /// Whether `code` is unpacked.
    pub fn contains(&self, code: &CodeId) -> bool {
        self.dir(code).is_dir()
    }

    /// The packages that are unpacked.
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn list(&self) -> Result<Vec<CodeId>> {
        let at = |error| Error::file("list", &self.dir, error);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(at)? {
            match entry.map_err(at)?.file_name().into_string() {
                Ok(name) if name != "tmp" => found.push(CodeId(name)),
                _ => {}
            }
        }
        Ok(found)
    }

    /// Unpacks `zip` as the package `code`; one that is there already stays as it is. It blocks: see
    /// [`Store::unpack`].
    ///
    /// # Errors
    /// What is wrong with the archive, or a fault of the disk. Neither leaves anything behind.
    pub fn unpack(&self, code: &CodeId, zip: File) -> std::result::Result<(), PackageError> {
        let mut number = self.lock();
        if self.contains(code) {
            return Ok(());
        }
        *number += 1;
        let temporary = self.temporary.join(number.to_string());
        let unpacked = unpack::unpack(zip, &temporary, Bounds::LIMITS).and_then(|()| {
            self.keep(&temporary, &self.dir(code))?;
            Ok(())
        });
        if unpacked.is_err() {
            // What cannot be removed now goes when the store opens again.
            let _ = remove_tree(&temporary);
        }
        unpacked
    }

    /// Lays `layers`, which are unpacked, over each other as the package `code`; one that is there already stays as it
    /// is. It blocks: see [`Store::merge`].
    ///
    /// # Errors
    /// Faults of the disk. They leave nothing behind.
    pub fn merge(&self, code: &CodeId, layers: &[CodeId]) -> Result<()> {
        let mut number = self.lock();
        if self.contains(code) {
            return Ok(());
        }
        *number += 1;
        let temporary = self.temporary.join(number.to_string());
        let layers: Vec<PathBuf> = layers.iter().map(|layer| self.dir(layer)).collect();
        let merged = merge::merge(&layers, &temporary).and_then(|()| self.keep(&temporary, &self.dir(code)));
        if merged.is_err() {
            // What cannot be removed now goes when the store opens again.
            let _ = remove_tree(&temporary);
        }
        merged
    }

    /// Removes the package `code`. A process that runs from it would lose its files: call this only when none
    /// can.
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn remove(&self, code: &CodeId) -> Result<()> {
        let mut number = self.lock();
        *number += 1;
        let temporary = self.temporary.join(number.to_string());
        match std::fs::rename(self.dir(code), &temporary) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            renamed => renamed.map_err(|error| Error::file("rename", self.dir(code), error))?,
        }
        drop(number);
        remove_tree(&temporary)
    }

    /// Moves a complete directory to its place, all of it on disk before its name is.
    fn keep(&self, temporary: &Path, place: &Path) -> Result<()> {
        let sync = |error: std::io::Error| Error::file("sync", &self.dir, error);
        let dir = File::open(&self.dir).map_err(sync)?;
        rustix::fs::syncfs(&dir).map_err(|error| sync(error.into()))?;
        std::fs::rename(temporary, place).map_err(|error| Error::file("rename", place, error))?;
        dir.sync_all().map_err(sync)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, u64> {
        self.unpacking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Unpacks `zip` as the package `code`, on a thread that may block.
    ///
    /// # Errors
    /// As [`Packages::unpack`].
    pub async fn unpack(&self, code: &CodeId, zip: File) -> std::result::Result<(), PackageError> {
        let (store, code) = (self.clone(), code.clone());
        let unpacked = tokio::task::spawn_blocking(move || store.packages().unpack(&code, zip)).await;
        // A panic was reported when it happened; a cancelled task means that the program ends.
        unpacked.unwrap_or(Err(PackageError::Store(Error::Closed)))
    }
}

impl Store {
    /// As [`Packages::merge`], on a thread that may block.
    ///
    /// # Errors
    /// As there.
    pub async fn merge(&self, code: &CodeId, layers: Vec<CodeId>) -> Result<()> {
        let (store, code) = (self.clone(), code.clone());
        let merged = tokio::task::spawn_blocking(move || store.packages().merge(&code, &layers)).await;
        merged.unwrap_or(Err(Error::Closed))
    }

    /// The bytes of all files of these packages together.
    ///
    /// # Errors
    /// Faults of the disk.
    pub async fn unpacked_size<const N: usize>(&self, packages: [CodeId; N]) -> Result<u64> {
        let store = self.clone();
        let measured = tokio::task::spawn_blocking(move || {
            packages.iter().try_fold(0, |sum, code| {
                let dir = store.packages().dir(code);
                let size = merge::size(&dir).map_err(|error| Error::file("measure", &dir, error))?;
                Ok(sum + size)
            })
        });
        measured.await.unwrap_or(Err(Error::Closed))
    }
}

/// Removes `dir` with everything in it; links in it are removed, not followed.
fn remove_tree(dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|error| Error::file("remove", dir, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::unpack::tests::{file_of, zip_of};
    use std::os::unix::fs::PermissionsExt;

    fn code(name: &str) -> CodeId {
        CodeId(name.to_owned())
    }

    #[tokio::test]
    async fn a_package_is_unpacked_once_listed_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        let packages = store.packages();
        store.unpack(&code("a"), file_of(&zip_of(&[("lib/app.py", 0o100644, b"x = 1")]))).await.unwrap();
        store.unpack(&code("a"), file_of(b"not looked at")).await.unwrap();
        assert!(packages.dir(&code("a")).is_absolute());
        assert_eq!(std::fs::read(packages.dir(&code("a")).join("lib/app.py")).unwrap(), b"x = 1");
        let mode = packages.dir(&code("a")).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755);
        assert_eq!(packages.list().unwrap(), [code("a")]);
        packages.remove(&code("a")).unwrap();
        packages.remove(&code("a")).unwrap();
        assert!(!packages.contains(&code("a")));
    }

    #[tokio::test]
    async fn a_bad_archive_and_a_crash_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        let bad = zip_of(&[("app.py", 0o100644, b"x"), ("../escape", 0o100644, b"x")]);
        store.unpack(&code("a"), file_of(&bad)).await.unwrap_err();
        let temporary = dir.path().join("packages/tmp");
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
        assert!(store.packages().list().unwrap().is_empty());
        std::fs::create_dir_all(temporary.join("7/half")).unwrap();
        drop(store);
        Store::open_for_test(dir.path());
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    }
}
