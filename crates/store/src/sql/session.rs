//! One guarded connection to a database, and the ways to run a statement on it.

use super::statement::{Effect, Statement};
use super::{SqlError, guard};
use model::limits;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::hooks::{Action, Authorization};
use rusqlite::{Batch, CachedStatement, Connection};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// How many steps of SQLite's machine run between two looks at the clock: some tens of microseconds.
const STEPS: i32 = 2_000;

/// What SQLite's callbacks and the session tell one another.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The platform's own statements pass the guard.
    ours: AtomicBool,
    refusal: Mutex<Option<&'static str>>,
    deadline: Mutex<Option<Instant>>,
    inserted: AtomicBool,
}

impl Watch {
    /// Why the guard refused the statement, if it did; told once.
    pub(super) fn take_refusal(&self) -> Option<&'static str> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set_deadline(&self, deadline: Option<Instant>) {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
    }

    fn is_over(&self) -> bool {
        let deadline = *self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// An open database: at rest outside a transaction, or inside the one that it is kept for.
#[derive(Debug)]
pub(super) struct Session {
    connection: Connection,
    watch: Arc<Watch>,
}

impl Session {
    /// Opens the file at `path`, making it if it is missing.
    pub(super) fn open(path: &Path, database_bytes: u64) -> crate::Result<Self> {
        let mut connection = Connection::open(path)?;
        guard::configure(&connection, database_bytes)?;
        let watch = Arc::new(Watch::default());
        let seen = watch.clone();
        connection.authorizer(Some(move |context: rusqlite::hooks::AuthContext<'_>| {
            match guard::judge(&context) {
                Err(reason) if !seen.ours.load(Ordering::Relaxed) => {
                    *seen.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
                    Authorization::Deny
                }
                _ => Authorization::Allow,
            }
        }))?;
        let seen = watch.clone();
        connection.progress_handler(STEPS, Some(move || seen.is_over()))?;
        let seen = watch.clone();
        connection.update_hook(Some(move |action, _: &str, _: &str, _| {
            if action == Action::SQLITE_INSERT {
                seen.inserted.store(true, Ordering::Relaxed);
            }
        }))?;
        Ok(Session { connection, watch })
    }

    /// Runs a statement that only reads; `None`, with nothing done, if it would write.
    pub(super) fn read(
        &self,
        statement: &Statement,
        deadline: Instant,
    ) -> Result<Option<Vec<Effect>>, SqlError> {
        self.until(deadline, || statement.run(self, false))
    }

    /// Runs a statement in a transaction of its own. The caller holds the database's turn to write.
    pub(super) fn write(&self, statement: &Statement, deadline: Instant) -> Result<Vec<Effect>, SqlError> {
        self.begin()?;
        let result = self.until(deadline, || statement.run(self, true));
        match result {
            Ok(effects) => self.commit().map(|()| effects.unwrap_or_default()),
            Err(error) => {
                self.roll_back()?;
                Err(error)
            }
        }
    }

    /// Runs a statement in the transaction that is open; if it fails, nothing of it stays.
    pub(super) fn within(&self, statement: &Statement, deadline: Instant) -> Result<Vec<Effect>, SqlError> {
        self.control("SAVEPOINT call")?;
        let result = self.until(deadline, || statement.run(self, true));
        // Some errors, a full disk or an interrupted write among them, undo the whole transaction.
        if !self.is_at_rest() {
            let end = if result.is_ok() { "RELEASE call" } else { "ROLLBACK TO call; RELEASE call" };
            self.control(end)?;
        }
        result.map(Option::unwrap_or_default)
    }

    pub(super) fn begin(&self) -> Result<(), SqlError> {
        self.control("BEGIN IMMEDIATE")
    }

    /// Commits; on an error, such as a foreign key that is still open, nothing is kept.
    pub(super) fn commit(&self) -> Result<(), SqlError> {
        let committed = self.control("COMMIT");
        if committed.is_err() {
            self.roll_back()?;
        }
        committed
    }

    pub(super) fn roll_back(&self) -> Result<(), SqlError> {
        if self.is_at_rest() { Ok(()) } else { self.control("ROLLBACK") }
    }

    /// Whether no transaction is open.
    pub(super) fn is_at_rest(&self) -> bool {
        self.connection.is_autocommit()
    }

    pub(super) fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, SqlError> {
        if sql.len() > limits::SQL_TEXT {
            return Err(SqlError::TextTooLong(limits::SQL_TEXT));
        }
        let sql = sql.trim_end_matches(|c: char| c == ';' || c.is_whitespace());
        // A cached statement looks for others behind it by recursion, whose depth the text would decide.
        if sql.contains(';') {
            let mut statements = Batch::new(&self.connection, sql);
            statements.next().map_err(|error| self.fault(error))?;
            if !matches!(statements.next(), Ok(None)) {
                self.watch.take_refusal();
                return Err(SqlError::Multiple);
            }
        }
        let prepared = self.connection.prepare_cached(sql).map_err(|error| self.fault(error))?;
        // Only comments and space: there is no statement behind the handle.
        if prepared.column_count() == 0 && prepared.readonly() && prepared.expanded_sql().is_none() {
            return Err(SqlError::Empty);
        }
        Ok(prepared)
    }

    pub(super) fn fault(&self, error: rusqlite::Error) -> SqlError {
        SqlError::of(error, &self.watch)
    }

    /// A mark to count changes from.
    pub(super) fn count(&self) -> u64 {
        self.watch.inserted.store(false, Ordering::Relaxed);
        self.connection.total_changes()
    }

    /// How many rows the statement since `mark` changed, and the last row id that it made.
    pub(super) fn counted_since(&self, mark: u64) -> (u64, Option<i64>) {
        // A statement that changes no rows, such as CREATE, leaves the count of the one before it.
        let changed = self.connection.total_changes() > mark;
        let inserted = self.watch.inserted.load(Ordering::Relaxed);
        (
            if changed { self.connection.changes() } else { 0 },
            inserted.then(|| self.connection.last_insert_rowid()),
        )
    }

    /// Whether a column is NOT NULL, and whether it is AUTOINCREMENT; `None` for one of a view.
    pub(super) fn column_facts(&self, schema: Option<&str>, table: &str, name: &str) -> Option<(bool, bool)> {
        let (_, _, not_null, _, auto) = self.connection.column_metadata(schema, table, name).ok()?;
        Some((not_null, auto))
    }

    fn until<T>(&self, deadline: Instant, work: impl FnOnce() -> T) -> T {
        self.watch.set_deadline(Some(deadline));
        let result = work();
        // A commit or rollback that follows is not interrupted.
        self.watch.set_deadline(None);
        self.watch.take_refusal();
        result
    }

    /// Runs a statement of the platform's own.
    fn control(&self, sql: &str) -> Result<(), SqlError> {
        self.watch.ours.store(true, Ordering::Relaxed);
        let result = self.connection.execute_batch(sql).map_err(|error| self.fault(error));
        self.watch.ours.store(false, Ordering::Relaxed);
        result
    }
}
