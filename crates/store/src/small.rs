//! Bytes that are too few for a file of their own: they lie in the database and commit with the record that names them.

use crate::engine::{Store, Tx, View};
use crate::{Error, Result};
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

/// Up to so many bytes of an object lie in the database unless somebody says otherwise: one commit instead of a file and two
/// syncs more, and they are read without opening a file. Measured: `benches/s3.py`.
pub const SMALL: usize = 16 * 1024;

/// Names few bytes in the database. Each name belongs to one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SmallId(i64);

impl Store {
    /// Up to how many bytes of an object are few.
    pub fn small_limit(&self) -> usize {
        *self.small_limit_cell().get().unwrap_or(&SMALL)
    }

    /// Tells, once and before anybody asks, up to how many bytes of an object are few.
    pub fn set_small_limit(&self, most: usize) {
        // The first to say so is the program at its start.
        let _ = self.small_limit_cell().set(most);
    }
}

impl View<'_> {
    /// The bytes called `id`.
    ///
    /// # Errors
    /// Only faults of the store; that they are missing is one.
    pub fn small(&self, id: SmallId) -> Result<Vec<u8>> {
        self.connection()
            .prepare_cached("SELECT bytes FROM small WHERE id = ?1")?
            .query_row(params![id.0], |row| row.get(0))
            .optional()?
            .ok_or(Error::Missing { what: "small bytes" })
    }
}

impl Tx<'_> {
    /// Keeps `bytes` under a new name.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn add_small(&self, bytes: &[u8]) -> Result<SmallId> {
        self.connection().prepare_cached("INSERT INTO small (bytes) VALUES (?1)")?.execute(params![bytes])?;
        Ok(SmallId(self.connection().last_insert_rowid()))
    }

    /// Keeps the bytes called `id` a second time, under a new name.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn copy_small(&self, id: SmallId) -> Result<SmallId> {
        self.connection()
            .prepare_cached("INSERT INTO small (bytes) SELECT bytes FROM small WHERE id = ?1")?
            .execute(params![id.0])?;
        Ok(SmallId(self.connection().last_insert_rowid()))
    }

    /// Forgets the bytes called `id`.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn remove_small(&self, id: SmallId) -> Result<()> {
        self.connection().prepare_cached("DELETE FROM small WHERE id = ?1")?.execute(params![id.0])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    #[tokio::test]
    async fn few_bytes_are_kept_copied_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        let (id, copy) = store
            .write(|tx| {
                let id = tx.add_small(b"hello")?;
                Ok::<_, Error>((id, tx.copy_small(id)?))
            })
            .await
            .unwrap();
        store.write(move |tx| tx.remove_small(id)).await.unwrap();
        assert_eq!(store.read(|view| view.small(copy)).unwrap(), b"hello");
        assert!(matches!(store.read(|view| view.small(id)), Err(Error::Missing { .. })));
    }
}
