//! Transactions that last over several calls.
//!
//! Until its first write a transaction holds nothing: each statement sees what is committed at that time, as in
//! PostgreSQL's READ COMMITTED. Its first write takes the database's turn to write and a connection, and keeps
//! both to the end. So a write never meets a snapshot that has become stale, and many transactions that write
//! the same database wait for one another instead of failing.

use super::name::DatabaseName;
use super::pool::{File, Lease, Pool, Turn, locked};
use super::session::Session;
use super::statement::{Effect, Statement};
use super::{Cluster, Limits, SqlError};
use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use uuid::Uuid;

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// What it wrote stays, on disk when the call returns.
    Commit,
    /// Nothing of it stays.
    Rollback,
}

/// The open transactions, by id.
#[derive(Debug, Default)]
pub(super) struct Transactions(Mutex<HashMap<String, Arc<Transaction>>>);

#[derive(Debug)]
pub(super) struct Transaction {
    id: String,
    database: DatabaseName,
    file: Arc<File>,
    begun: Instant,
    used: Mutex<Instant>,
    state: Arc<AsyncMutex<State>>,
}

#[derive(Debug)]
enum State {
    /// Nothing is written yet.
    Reading,
    /// The connection is declared, and so closed, before the turn passes on.
    Writing { lease: Lease, turn: Turn },
    /// Nothing can follow.
    Ended,
}

impl Transactions {
    pub(super) fn begin(&self, pool: &Pool, database: DatabaseName, most: usize) -> Result<String, SqlError> {
        let now = Instant::now();
        let transaction = Transaction {
            id: Uuid::new_v4().simple().to_string(),
            file: pool.file(&database),
            database,
            begun: now,
            used: Mutex::new(now),
            state: Arc::new(AsyncMutex::new(State::Reading)),
        };
        let id = transaction.id.clone();
        let mut open = locked(&self.0);
        if open.len() >= most {
            return Err(SqlError::Full("Too many transactions are open; try again when some have ended."));
        }
        open.insert(id.clone(), Arc::new(transaction));
        Ok(id)
    }

    /// The open transaction `id`, if it belongs to `cluster`.
    pub(super) fn get(&self, id: &str, cluster: &Cluster) -> Result<Arc<Transaction>, SqlError> {
        let found = locked(&self.0).get(id).cloned();
        // Whoever asks for another cluster does not learn that the id exists.
        found
            .filter(|transaction| transaction.database.is_in(cluster))
            .ok_or_else(|| SqlError::NoTransaction(id.to_owned()))
    }

    pub(super) fn forget(&self, transaction: &Transaction) {
        locked(&self.0).remove(&transaction.id);
    }

    /// Rolls back the transactions that rested or lasted for too long; whether any is left.
    pub(super) async fn end_overdue(&self, limits: &Limits) -> bool {
        let overdue: Vec<_> =
            locked(&self.0).values().filter(|transaction| transaction.is_overdue(limits)).cloned().collect();
        for transaction in overdue {
            // One that is in use is looked at again later.
            let Ok(state) = transaction.lock() else { continue };
            if !transaction.is_overdue(limits) {
                continue;
            }
            self.forget(&transaction);
            if let Err(error) = transaction.finish(state, End::Rollback).await {
                tracing::warn!(database = %transaction.database, %error, "an overdue transaction was closed");
            }
        }
        !locked(&self.0).is_empty()
    }
}

impl Transaction {
    /// Refuses a call that names another database than the transaction's own.
    pub(super) fn check(&self, named: Option<&DatabaseName>) -> Result<(), SqlError> {
        if named.is_none_or(|named| *named == self.database) { Ok(()) } else { Err(SqlError::OtherDatabase) }
    }

    /// Runs a statement in it; if it fails, nothing of the statement stays.
    pub(super) async fn execute(
        &self,
        pool: &Arc<Pool>,
        statement: Arc<Statement>,
        deadline: Instant,
    ) -> Result<Vec<Effect>, SqlError> {
        let mut state = self.lock()?;
        self.touch();
        let result = self.advance(&mut state, pool, statement, deadline).await;
        self.touch();
        result
    }

    async fn advance(
        &self,
        state: &mut State,
        pool: &Arc<Pool>,
        statement: Arc<Statement>,
        deadline: Instant,
    ) -> Result<Vec<Effect>, SqlError> {
        let first = matches!(state, State::Reading);
        if first {
            if let Some(effects) = pool.read(&self.file, &statement, deadline).await? {
                return Ok(effects);
            }
            let turn = pool.turn(&self.file, deadline).await?;
            let lease = pool.lease(&self.file, deadline).await?;
            let (lease, begun) = lease.run(Session::begin).await?;
            begun?;
            *state = State::Writing { lease, turn };
        }
        let State::Writing { lease, turn } = mem::replace(state, State::Ended) else {
            return Err(SqlError::NoTransaction(self.id.clone()));
        };
        let work = move |session: &Session| {
            let result = session.within(&statement, deadline);
            // A first write that failed left nothing to keep: others need not wait for this transaction.
            let undone = if first && result.is_err() { session.roll_back() } else { Ok(()) };
            undone.and(result)
        };
        let (lease, result) = lease.run(work).await?;
        if !lease.is_at_rest() {
            *state = State::Writing { lease, turn };
        } else if first {
            *state = State::Reading;
        }
        result
    }

    /// Ends it: nobody can use it any more, whatever this returns.
    pub(super) async fn end(&self, how: End) -> Result<(), SqlError> {
        self.finish(self.lock()?, how).await
    }

    async fn finish(&self, mut state: OwnedMutexGuard<State>, how: End) -> Result<(), SqlError> {
        match mem::replace(&mut *state, State::Ended) {
            State::Reading => Ok(()),
            State::Writing { lease, turn } => {
                let (lease, result) = lease
                    .run(move |session| match how {
                        End::Commit => session.commit(),
                        End::Rollback => session.roll_back(),
                    })
                    .await?;
                drop(lease);
                drop(turn);
                result
            }
            State::Ended => Err(SqlError::NoTransaction(self.id.clone())),
        }
    }

    fn lock(&self) -> Result<OwnedMutexGuard<State>, SqlError> {
        self.state.clone().try_lock_owned().map_err(|_| SqlError::Running)
    }

    fn touch(&self) {
        *locked(&self.used) = Instant::now();
    }

    fn is_overdue(&self, limits: &Limits) -> bool {
        locked(&self.used).elapsed() >= limits.transaction_idle || self.begun.elapsed() >= limits.transaction
    }
}
