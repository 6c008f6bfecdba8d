//! The open connections: how many there are, who may write, and when they close.

use super::name::{DatabaseName, EXTENSION};
use super::session::Session;
use super::statement::{Effect, Statement};
use super::{Limits, SqlError};
use crate::Error;
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

/// What the connections to one database share.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    /// Held by the one that writes. Writers wait here, in order, and never inside SQLite.
    writer: Arc<AsyncMutex<()>>,
    /// Held while a connection opens: the first one changes the file's mode.
    opening: Mutex<()>,
}

/// The turn to write to one database.
pub(super) type Turn = OwnedMutexGuard<()>;

/// All open connections.
#[derive(Debug)]
pub(super) struct Pool {
    dir: PathBuf,
    limits: Limits,
    files: Mutex<HashMap<DatabaseName, Weak<File>>>,
    idle: Mutex<VecDeque<Idle>>,
    places: Arc<Semaphore>,
}

#[derive(Debug)]
struct Idle {
    file: Arc<File>,
    session: Session,
    since: Instant,
}

/// A connection on loan: it goes back to the pool when dropped, or closes if a transaction is open in it.
#[derive(Debug)]
pub(super) struct Lease {
    pool: Arc<Pool>,
    file: Arc<File>,
    session: Option<Session>,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(dir: &Path, limits: Limits) -> Self {
        Pool {
            dir: dir.to_owned(),
            limits,
            files: Mutex::default(),
            idle: Mutex::default(),
            places: Arc::new(Semaphore::new(limits.connections)),
        }
    }

    /// The database called `name`; its file need not exist yet.
    pub(super) fn file(&self, name: &DatabaseName) -> Arc<File> {
        let mut files = locked(&self.files);
        if let Some(file) = files.get(name).and_then(Weak::upgrade) {
            return file;
        }
        files.retain(|_, file| file.strong_count() > 0);
        let path = self.dir.join(name.file_name());
        let file = Arc::new(File { path, writer: Arc::default(), opening: Mutex::default() });
        files.insert(name.clone(), Arc::downgrade(&file));
        file
    }

    /// Waits for the turn to write to `file`.
    pub(super) async fn turn(&self, file: &File, deadline: Instant) -> Result<Turn, SqlError> {
        let turn = file.writer.clone().lock_owned();
        in_time(deadline, turn, "The statement timed out waiting for other writers of the database.").await
    }

    /// Waits for a connection to `file`.
    pub(super) async fn lease(
        self: &Arc<Self>,
        file: &Arc<File>,
        deadline: Instant,
    ) -> Result<Lease, SqlError> {
        let place = self.places.clone().acquire_owned();
        let place = in_time(deadline, place, "The statement timed out waiting for a connection.").await?;
        let place = place.map_err(|_| Error::Closed)?;
        let session = match self.take_idle(file) {
            Some(session) => session,
            None => {
                let (pool, file) = (self.clone(), file.clone());
                blocking(move || pool.open(&file)).await??
            }
        };
        Ok(Lease { pool: self.clone(), file: file.clone(), session: Some(session), _place: place })
    }

    /// Runs a statement that only reads; `None`, with nothing done, if it would write.
    pub(super) async fn read(
        self: &Arc<Self>,
        file: &Arc<File>,
        statement: &Arc<Statement>,
        deadline: Instant,
    ) -> Result<Option<Vec<Effect>>, SqlError> {
        if statement.seems_to_write() {
            return Ok(None);
        }
        let (lease, statement) = (self.lease(file, deadline).await?, statement.clone());
        lease.run(move |session| session.read(&statement, deadline)).await?.1
    }

    /// Runs a statement in a transaction of its own.
    pub(super) async fn write(
        self: &Arc<Self>,
        file: &Arc<File>,
        statement: Arc<Statement>,
        deadline: Instant,
    ) -> Result<Vec<Effect>, SqlError> {
        // The turn comes first: who waits for it must not hold a connection that others could use.
        let _turn = self.turn(file, deadline).await?;
        let lease = self.lease(file, deadline).await?;
        lease.run(move |session| session.write(&statement, deadline)).await?.1
    }

    fn take_idle(&self, file: &Arc<File>) -> Option<Session> {
        let mut idle = locked(&self.idle);
        let newest = idle.iter().rposition(|idle| Arc::ptr_eq(&idle.file, file))?;
        idle.remove(newest).map(|idle| idle.session)
    }

    fn open(&self, file: &File) -> Result<Session, SqlError> {
        let _alone = locked(&file.opening);
        if !file.path.exists() && self.count()? >= self.limits.databases {
            return Err(SqlError::Full("There are too many databases; remove the files of some."));
        }
        Ok(Session::open(&file.path, self.limits.database_bytes)?)
    }

    fn count(&self) -> crate::Result<usize> {
        let entries = std::fs::read_dir(&self.dir).map_err(|error| Error::file("read", &self.dir, error))?;
        let databases =
            entries.flatten().filter(|entry| entry.path().extension().is_some_and(|end| end == EXTENSION));
        Ok(databases.count())
    }

    /// Keeps a connection for the next call, and closes the one that was unused for longest if there are many.
    fn keep(&self, file: Arc<File>, session: Session) {
        let mut idle = locked(&self.idle);
        idle.push_back(Idle { file, session, since: Instant::now() });
        let surplus = if idle.len() > self.limits.connections_idle { idle.pop_front() } else { None };
        drop(idle);
        if let (Some(surplus), Ok(runtime)) = (surplus, tokio::runtime::Handle::try_current()) {
            // The last connection to a database writes its log back when it closes.
            runtime.spawn_blocking(move || drop(surplus));
        }
    }

    /// Closes the connections that were unused for long; whether any is left.
    pub(super) async fn close_idle(&self) -> bool {
        let (old, left) = {
            let mut idle = locked(&self.idle);
            let fresh = idle.iter().take_while(|idle| idle.since.elapsed() >= self.limits.connection_idle);
            let count = fresh.count();
            (idle.drain(..count).collect::<Vec<_>>(), !idle.is_empty())
        };
        if !old.is_empty() {
            // Nobody waits for the result: a panic in a destructor was reported where it happened.
            let _ = blocking(move || drop(old)).await;
        }
        left
    }

    #[cfg(test)]
    pub(super) fn idle_connections(&self) -> usize {
        locked(&self.idle).len()
    }
}

impl Lease {
    /// Runs `work` on the connection, on a thread that may block. A panic in it closes the connection.
    pub(super) async fn run<T, F>(mut self, work: F) -> Result<(Self, T), SqlError>
    where
        F: FnOnce(&Session) -> T + Send + 'static,
        T: Send + 'static,
    {
        let session = self.session.take().ok_or(SqlError::Broken)?;
        let (session, result) = blocking(move || {
            let result = work(&session);
            (session, result)
        })
        .await?;
        self.session = Some(session);
        Ok((self, result))
    }

    /// Whether no transaction is open in the connection.
    pub(super) fn is_at_rest(&self) -> bool {
        self.session.as_ref().is_none_or(Session::is_at_rest)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(session) = self.session.take()
            && session.is_at_rest()
        {
            self.pool.keep(self.file.clone(), session);
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, SqlError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| SqlError::Broken)
}

async fn in_time<T>(
    deadline: Instant,
    wait: impl Future<Output = T>,
    late: &'static str,
) -> Result<T, SqlError> {
    timeout_at(deadline.into(), wait).await.map_err(|_| SqlError::Timeout(late))
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
