//! Typed tables of records, each record with its version in front, in the binary order of their keys.

use crate::engine::{Tx, View};
use crate::rules::{EVENT_RULES, RESERVED};
use crate::{Error, Result};
use model::{FunctionArn, FunctionSpec};
use rusqlite::{OptionalExtension, params};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;

/// A record that can be stored, and read again by every later version of the program.
pub trait Stored: Serialize + DeserializeOwned {
    /// The version that is written now. Raise it when the shape changes, and teach [`Stored::migrate`].
    const VERSION: u8 = 1;

    /// Reads a record written as an older `version`.
    ///
    /// # Errors
    /// The reason why the record cannot be understood.
    fn migrate(version: u8, _json: &[u8]) -> std::result::Result<Self, String> {
        Err(format!("version {version} is unknown to this program"))
    }
}

/// The functions as the scheduler runs them, by ARN: unqualified for what changes, with its number for a version.
/// The Lambda service writes them.
pub const SPECS: Table<FunctionSpec> = Table::new("lambda.spec");

impl Stored for FunctionSpec {}

/// Functions that have processes ready at all times, by ARN: those of [`SPECS`] with `ahead` above zero.
pub const FLOORS: Table<Floor> = Table::new("lambda.floor");

/// A function that has processes ready at all times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// Which one.
    pub function: FunctionArn,
}

impl Stored for Floor {}

/// A named table of records of one type.
#[derive(Debug)]
pub struct Table<V> {
    pub(crate) name: &'static str,
    record: PhantomData<fn() -> V>,
}

impl<V> Table<V> {
    /// The table called `name`; names are unique in the whole store, `service.record` by custom.
    pub const fn new(name: &'static str) -> Self {
        Table { name, record: PhantomData }
    }
}

impl<V: Stored> Table<V> {
    fn encode(&self, value: &V) -> Result<Vec<u8>> {
        let mut bytes = vec![V::VERSION];
        serde_json::to_writer(&mut bytes, value).map_err(|error| self.undecodable(V::VERSION, error))?;
        Ok(bytes)
    }

    fn decode(&self, bytes: &[u8]) -> Result<V> {
        let (version, json) = bytes.split_first().ok_or_else(|| self.undecodable(0, "empty"))?;
        if *version == V::VERSION {
            serde_json::from_slice(json).map_err(|error| self.undecodable(*version, error))
        } else {
            V::migrate(*version, json).map_err(|reason| self.undecodable(*version, reason))
        }
    }

    fn undecodable(&self, version: u8, reason: impl ToString) -> Error {
        Error::Decode { table: self.name, version, reason: reason.to_string() }
    }
}

/// Where a scan begins.
#[derive(Clone, Copy, Debug)]
pub enum From<'a> {
    /// At this key, if it exists, or the next one.
    At(&'a [u8]),
    /// Behind this key.
    After(&'a [u8]),
}

impl View<'_> {
    /// The record under `key`.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn get<V: Stored>(&self, table: &Table<V>, key: impl AsRef<[u8]>) -> Result<Option<V>> {
        let bytes: Option<Vec<u8>> = self
            .connection()
            .prepare_cached("SELECT value FROM kv WHERE space = ?1 AND key = ?2")?
            .query_row(params![table.name, key.as_ref()], |row| row.get(0))
            .optional()?;
        bytes.map(|bytes| table.decode(&bytes)).transpose()
    }

    /// Up to `limit` records whose keys begin with `prefix`, in key order, beginning at `from`.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn scan<V: Stored>(
        &self,
        table: &Table<V>,
        prefix: &[u8],
        from: From<'_>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, V)>> {
        let (start, exclusive) = match from {
            From::At(key) => (key.max(prefix), false),
            From::After(key) if key < prefix => (prefix, false),
            From::After(key) => (key, true),
        };
        let end = end_of(prefix);
        // The end must be a bound of the index: what is only a filter is looked for up to the end of the table.
        let mut statement = self.connection().prepare_cached(match end {
            Some(_) => {
                "SELECT key, value FROM kv WHERE space = ?1 AND key >= ?2 AND key < ?3 AND (?4 = 0 OR key > ?2)
                 ORDER BY key LIMIT ?5"
            }
            None => {
                "SELECT key, value FROM kv WHERE space = ?1 AND key >= ?2 AND ?3 IS NULL AND (?4 = 0 OR key > ?2)
                 ORDER BY key LIMIT ?5"
            }
        })?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![table.name, start, end, exclusive as i64, limit])?;
        let mut records = Vec::new();
        while let Some(row) = rows.next()? {
            let bytes: Vec<u8> = row.get(1)?;
            records.push((row.get(0)?, table.decode(&bytes)?));
        }
        Ok(records)
    }

    /// Whether any record's key begins with `prefix`.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn any<V: Stored>(&self, table: &Table<V>, prefix: &[u8]) -> Result<bool> {
        let end = end_of(prefix);
        let mut statement = self.connection().prepare_cached(match end {
            Some(_) => "SELECT 1 FROM kv WHERE space = ?1 AND key >= ?2 AND key < ?3 LIMIT 1",
            None => "SELECT 1 FROM kv WHERE space = ?1 AND key >= ?2 AND ?3 IS NULL LIMIT 1",
        })?;
        Ok(statement.exists(params![table.name, prefix, end])?)
    }
}

impl Tx<'_> {
    /// Writes `value` under `key`, over any older record.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn put<V: Stored>(&self, table: &Table<V>, key: impl AsRef<[u8]>, value: &V) -> Result<()> {
        self.connection()
            .prepare_cached("INSERT OR REPLACE INTO kv (space, key, value) VALUES (?1, ?2, ?3)")?
            .execute(params![table.name, key.as_ref(), table.encode(value)?])?;
        self.note_change(table);
        Ok(())
    }

    /// Removes the record under `key`; says whether there was one.
    ///
    /// # Errors
    /// Only faults of the store.
    pub fn delete<V: Stored>(&self, table: &Table<V>, key: impl AsRef<[u8]>) -> Result<bool> {
        let removed = self
            .connection()
            .prepare_cached("DELETE FROM kv WHERE space = ?1 AND key = ?2")?
            .execute(params![table.name, key.as_ref()])?;
        self.note_change(table);
        Ok(removed > 0)
    }

    fn note_change<V>(&self, table: &Table<V>) {
        if [SPECS.name, EVENT_RULES.name, crate::alias::ALIASES.name].contains(&table.name) {
            self.specs_changed.set(true);
        }
        if table.name == crate::mapping::MAPPINGS.name {
            self.mappings_changed.set(true);
        }
        if table.name == RESERVED.name {
            self.reserved_changed.set(true);
        }
    }
}

/// The first key behind all keys that begin with `prefix`; `None` when there is no such key.
fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Note {
        text: String,
    }

    impl Stored for Note {
        const VERSION: u8 = 2;

        fn migrate(version: u8, json: &[u8]) -> std::result::Result<Self, String> {
            match version {
                1 => serde_json::from_slice(json).map(|text| Note { text }).map_err(|e| e.to_string()),
                other => Err(format!("version {other}")),
            }
        }
    }

    const NOTES: Table<Note> = Table::new("test.note");
    const OLD_NOTES: Table<String> = Table::new("test.note");

    impl Stored for String {}

    fn note(text: &str) -> Note {
        Note { text: text.into() }
    }

    #[tokio::test]
    async fn records_are_found_scanned_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        store
            .write(|tx| {
                for key in ["a/1", "a/2", "a/3", "b/1"] {
                    tx.put(&NOTES, key, &note(key))?;
                }
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
        let keys = |prefix: &'static str, from: From<'static>, limit| {
            let found = store.read(|view| view.scan(&NOTES, prefix.as_bytes(), from, limit)).unwrap();
            found.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(keys("a/", From::At(b""), 10), ["a/1", "a/2", "a/3"]);
        assert_eq!(keys("a/", From::At(b"a/2"), 10), ["a/2", "a/3"]);
        assert_eq!(keys("a/", From::After(b"a/2"), 10), ["a/3"]);
        assert_eq!(keys("", From::After(b"a/1"), 2), ["a/2", "a/3"]);
        assert!(store.read(|view| view.any(&NOTES, b"b/")).unwrap());
        assert!(!store.read(|view| view.any(&NOTES, b"c/")).unwrap());
        assert!(store.write(|tx| tx.delete(&NOTES, "b/1")).await.unwrap());
        assert!(!store.write(|tx| tx.delete(&NOTES, "b/1")).await.unwrap());
        assert_eq!(store.read(|view| view.get(&NOTES, "b/1")).unwrap(), None);
    }

    #[tokio::test]
    async fn a_record_of_an_older_version_is_still_read() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        store.write(|tx| tx.put(&OLD_NOTES, "k", &"old".to_owned())).await.unwrap();
        assert_eq!(store.read(|view| view.get(&NOTES, "k")).unwrap(), Some(note("old")));
    }

    #[test]
    fn the_end_of_a_prefix_is_the_next_key_of_its_length_or_less() {
        assert_eq!(end_of(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(end_of(b"a\xff"), Some(b"b".to_vec()));
        assert_eq!(end_of(b"\xff"), None);
        assert_eq!(end_of(b""), None);
    }
}
