//! Looking at a whole data directory: whether its databases are sound, and every blob is what its name says.
//!
//! Nothing here writes, so that a server may use the directory meanwhile.

use crate::blob::{BlobId, Blobs};
use crate::engine::{Store, View, open_reader};
use crate::{Error, Result};
use model::Clock;
use rusqlite::{Connection, OpenFlags, params};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// How much of a blob is read at once.
const PIECE: usize = 256 * 1024;

/// What was found of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its bytes are those that its name says, so many.
    Right(u64),
    /// Its bytes are others.
    Damaged,
    /// There is no file.
    Missing,
}

/// A data directory that is looked at.
pub struct Inspection<'a> {
    dir: PathBuf,
    blobs: Blobs,
    connection: Connection,
    clock: &'a dyn Clock,
}

impl<'a> Inspection<'a> {
    /// Opens the data directory `dir` to look at it.
    ///
    /// # Errors
    /// Faults of the disk, and of a directory that is none.
    pub fn open(dir: &Path, clock: &'a dyn Clock) -> Result<Self> {
        let connection = open_reader(&dir.join("mayfly.sqlite"))?;
        Ok(Inspection { dir: dir.to_owned(), blobs: Blobs::at(&dir.join("blobs")), connection, clock })
    }

    /// What is wrong with the databases: the platform's own, and the users'.
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn databases(&self) -> Result<Vec<String>> {
        let mut problems = check(&self.connection, &self.dir.join("mayfly.sqlite"))?;
        let sql = self.dir.join("sql");
        let Ok(files) = std::fs::read_dir(&sql) else { return Ok(problems) };
        for file in files {
            let path = file.map_err(|error| Error::file("list", &sql, error))?.path();
            if path.extension().is_some_and(|extension| extension == "sqlite" || extension == "db") {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                match Connection::open_with_flags(&path, flags) {
                    Ok(connection) => problems.extend(check(&connection, &path)?),
                    Err(error) => problems.push(format!("{}: {error}", path.display())),
                }
            }
        }
        Ok(problems)
    }

    /// The records.
    pub fn view(&self) -> View<'_> {
        View::of(&self.connection, self.clock)
    }

    /// Compares the bytes of a blob with its name.
    ///
    /// # Errors
    /// Faults of the disk other than a missing file.
    pub fn blob(&self, id: BlobId) -> Result<Verdict> {
        self.blobs.verify(id, |_| true)
    }

    /// Whether a record names a blob.
    ///
    /// # Errors
    /// Faults of the store.
    pub fn is_linked(&self, id: BlobId) -> Result<bool> {
        self.view().is_linked(id)
    }

    /// Files among the blobs that no link names: of no harm, and removed when the server starts.
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn orphans(&self) -> Result<u64> {
        let mut orphans = 0;
        for id in self.blobs.files()? {
            orphans += u64::from(!self.view().is_linked(id?)?);
        }
        Ok(orphans)
    }
}

fn check(connection: &Connection, path: &Path) -> Result<Vec<String>> {
    let mut statement = connection.prepare("PRAGMA integrity_check(100)")?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut problems = Vec::new();
    for line in lines {
        let line = line?;
        if line != "ok" {
            problems.push(format!("{}: {line}", path.display()));
        }
    }
    Ok(problems)
}

impl View<'_> {
    /// Up to `limit` blobs that have links, in order, behind `after`.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn linked_blobs(&self, after: Option<BlobId>, limit: u32) -> Result<Vec<BlobId>> {
        let mut statement =
            self.connection().prepare_cached("SELECT id FROM blob_ref WHERE id > ?1 ORDER BY id LIMIT ?2")?;
        let after: Vec<u8> = after.map(|id| id.bytes().to_vec()).unwrap_or_default();
        let rows = statement.query_map(params![after, limit], |row| row.get::<_, [u8; 32]>(0))?;
        rows.map(|row| Ok(BlobId::of(row?))).collect()
    }
}

impl Blobs {
    /// Compares the bytes of a blob with its name; `paced` is told how many were read each time, may wait,
    /// and says whether to go on: what was not read to its end counts as right.
    ///
    /// # Errors
    /// Faults of the disk other than a missing file.
    pub fn verify(&self, id: BlobId, mut paced: impl FnMut(u64) -> bool) -> Result<Verdict> {
        let mut file: File = match self.read(id) {
            Ok(file) => file,
            Err(Error::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Verdict::Missing);
            }
            Err(error) => return Err(error),
        };
        let (mut hash, mut piece, mut len) = (blake3::Hasher::new(), vec![0; PIECE], 0);
        loop {
            let read = match file.read(&mut piece) {
                Ok(read) => read,
                // A disk that cannot give its bytes back is damage like any other.
                Err(_) => return Ok(Verdict::Damaged),
            };
            if read == 0 {
                break;
            }
            hash.update(&piece[..read]);
            len += read as u64;
            if !paced(read as u64) {
                return Ok(Verdict::Right(len));
            }
        }
        Ok(if hash.finalize().as_bytes() == id.bytes() { Verdict::Right(len) } else { Verdict::Damaged })
    }
}

impl Store {
    /// As [`Inspection::blob`], while the store is in use: a blob that lost its links meanwhile is right.
    ///
    /// # Errors
    /// Faults of the disk and of the store.
    pub fn verify_blob(&self, id: BlobId, paced: impl FnMut(u64) -> bool) -> Result<Verdict> {
        let verdict = self.blobs().verify(id, paced)?;
        if !matches!(verdict, Verdict::Right(_)) && !self.read(|view| view.is_linked(id))? {
            return Ok(Verdict::Right(0));
        }
        Ok(verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn damage_is_found_and_orphans_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        let mut ids = Vec::new();
        for bytes in [b"one", b"two", b"six"] {
            let blob = store.blobs().write(bytes).await.unwrap();
            ids.push(blob.id);
            store.write(move |tx| tx.link(&blob)).await.unwrap();
        }
        drop(store.blobs().write(b"orphan").await.unwrap());
        let inspection = Inspection::open(dir.path(), &model::SystemClock).unwrap();
        assert_eq!(inspection.databases().unwrap(), Vec::<String>::new());
        assert_eq!(inspection.orphans().unwrap(), 1);
        assert_eq!(inspection.view().linked_blobs(None, 10).unwrap().len(), 3);
        let path = |id: BlobId| dir.path().join("blobs").join(&id.to_string()[..2]).join(id.to_string());
        std::fs::write(path(ids[0]), b"other").unwrap();
        std::fs::remove_file(path(ids[1])).unwrap();
        let verdicts: Vec<_> = ids.iter().map(|id| inspection.blob(*id).unwrap()).collect();
        assert_eq!(verdicts, [Verdict::Damaged, Verdict::Missing, Verdict::Right(3)]);
        assert_eq!(store.verify_blob(ids[0], |_| true).unwrap(), Verdict::Damaged);
        let unlinked = store
            .write({
                let id = ids[0];
                move |tx| tx.unlink(id)
            })
            .await
            .unwrap();
        assert_eq!(store.verify_blob(unlinked, |_| true).unwrap(), Verdict::Right(0));
    }
}
