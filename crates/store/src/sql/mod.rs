//! The users' own SQL databases, each an SQLite file of its own.
//!
//! - [`Databases::execute`] runs one statement, alone or in a transaction; what it wrote is on disk when it
//!   returns, or when the transaction's commit does.
//! - Readers wait for nobody. Writers of one database wait for one another, in order, up to the time limit.
//! - A database that nobody uses has no open file. Connections, transactions, databases, time, results and
//!   memory have bounds: the SQL comes from functions and is not trusted.
//!
//! One call, from the outside in: `transaction` keeps what lasts over calls, `pool` hands out connections and
//! turns to write, `session` is one connection, `guard` says what SQL may do, `statement` binds and reads.

mod error;
mod guard;
mod name;
mod pool;
mod session;
mod statement;
#[cfg(test)]
mod tests;
mod transaction;

pub use error::SqlError;
pub use name::{Cluster, DatabaseName};
pub use rusqlite::types::Value;
pub use statement::{Column, Effect, Parameters, Statement};
pub use transaction::End;

use crate::engine::make_private_dir;
use model::limits;
use pool::Pool;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use transaction::Transactions;

/// All databases. Clones share them.
#[derive(Clone, Debug)]
pub struct Databases(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pool: Arc<Pool>,
    transactions: Transactions,
    limits: Limits,
    sweeping: AtomicBool,
}

/// Where a statement runs.
#[derive(Clone, Debug)]
pub struct Target {
    /// The cluster.
    pub cluster: Cluster,
    /// The database of the cluster; that of the transaction, or else `main`, if none is named.
    pub database: Option<String>,
    /// The transaction it is part of.
    pub transaction: Option<String>,
}

/// The bounds, which tests narrow.
#[derive(Clone, Copy, Debug)]
struct Limits {
    call: Duration,
    transaction_idle: Duration,
    transaction: Duration,
    transactions: usize,
    connections: usize,
    connections_idle: usize,
    connection_idle: Duration,
    databases: usize,
    database_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            call: limits::SQL_CALL,
            transaction_idle: limits::SQL_TRANSACTION_IDLE,
            transaction: limits::SQL_TRANSACTION,
            transactions: limits::SQL_TRANSACTIONS,
            connections: limits::SQL_CONNECTIONS,
            connections_idle: limits::SQL_CONNECTIONS_IDLE,
            connection_idle: limits::SQL_CONNECTION_IDLE,
            databases: limits::SQL_DATABASES,
            database_bytes: limits::SQL_DATABASE,
        }
    }
}

impl Databases {
    pub(crate) fn open(dir: &Path) -> crate::Result<Self> {
        Databases::with_limits(dir, Limits::default())
    }

    fn with_limits(dir: &Path, limits: Limits) -> crate::Result<Self> {
        make_private_dir(dir)?;
        keep_temporary_files_in(&dir.join("tmp"))?;
        Ok(Databases(Arc::new(Shared {
            pool: Arc::new(Pool::new(dir, limits)),
            transactions: Transactions::default(),
            limits,
            sweeping: AtomicBool::new(false),
        })))
    }

    /// Runs `statement` once for each of its sets of parameters. Either all of it is done or nothing: in a
    /// transaction of its own if `target` names none. It is carried through even if the caller goes away.
    ///
    /// # Errors
    /// See [`SqlError`].
    pub async fn execute(&self, target: Target, statement: Statement) -> Result<Vec<Effect>, SqlError> {
        let deadline = Instant::now() + self.0.limits.call;
        let (shared, statement) = (self.0.clone(), Arc::new(statement));
        let result = carried_through(async move {
            let Shared { pool, transactions, .. } = &*shared;
            if let Some(id) = &target.transaction {
                let transaction = transactions.get(id, &target.cluster)?;
                let named = target.database.map(|name| DatabaseName::new(target.cluster, Some(&name)));
                transaction.check(named.transpose()?.as_ref())?;
                return transaction.execute(pool, statement, deadline).await;
            }
            let file = pool.file(&DatabaseName::new(target.cluster, target.database.as_deref())?);
            match pool.read(&file, &statement, deadline).await? {
                Some(effects) => Ok(effects),
                None => pool.write(&file, statement, deadline).await,
            }
        });
        let result = result.await;
        self.sweep_later();
        result
    }

    /// Begins a transaction; its id.
    ///
    /// # Errors
    /// [`SqlError::Full`] when too many are open.
    pub fn begin(&self, database: DatabaseName) -> Result<String, SqlError> {
        let id = self.0.transactions.begin(&self.0.pool, database, self.0.limits.transactions)?;
        self.sweep_later();
        Ok(id)
    }

    /// Ends the transaction `id` of `cluster`.
    ///
    /// # Errors
    /// [`SqlError::NoTransaction`] when it is not open, [`SqlError::Running`] when a call uses it, or why it
    /// could not be committed: nothing of it is kept then.
    pub async fn end(&self, cluster: &Cluster, id: &str, how: End) -> Result<(), SqlError> {
        let transaction = self.0.transactions.get(id, cluster)?;
        let shared = self.0.clone();
        carried_through(async move {
            let result = transaction.end(how).await;
            if !matches!(result, Err(SqlError::Running)) {
                shared.transactions.forget(&transaction);
            }
            result
        })
        .await
    }

    /// Starts the sweeper unless it is at work. It ends when nothing is left to close.
    fn sweep_later(&self) {
        if self.0.sweeping.swap(true, Ordering::SeqCst) {
            return;
        }
        let shared = Arc::downgrade(&self.0);
        let limits = &self.0.limits;
        let pause = limits.connection_idle.min(limits.transaction_idle) / 4;
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                let Some(shared) = shared.upgrade() else { return };
                // Who opens something from here on starts another sweeper; what was opened before is seen.
                shared.sweeping.store(false, Ordering::SeqCst);
                let transactions = shared.transactions.end_overdue(&shared.limits).await;
                let connections = shared.pool.close_idle().await;
                if !(transactions || connections) || shared.sweeping.swap(true, Ordering::SeqCst) {
                    return;
                }
            }
        });
    }
}

/// Runs `work` to its end even if nobody waits for it any more: what it holds must be handed back.
async fn carried_through<T: Send + 'static>(
    work: impl Future<Output = Result<T, SqlError>> + Send + 'static,
) -> Result<T, SqlError> {
    tokio::spawn(work).await.map_err(|_| SqlError::Broken)?
}

/// Large sorts spill into files: into `dir`, which has the room that databases have, and not into memory.
fn keep_temporary_files_in(dir: &Path) -> crate::Result<()> {
    make_private_dir(dir)?;
    let connection = rusqlite::Connection::open_in_memory()?;
    let path = dir.to_string_lossy().replace('\'', "''");
    connection.execute_batch(&format!("PRAGMA temp_store_directory = '{path}'"))?;
    Ok(())
}
