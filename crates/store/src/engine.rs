//! The embedded engine: SQLite with one writer thread.
//!
//! Writes that wait while a commit is under way are committed together with one fsync (group commit), each in
//! a savepoint of its own, so that one caller's error leaves the others' work whole.

use crate::blob::{Blobs, Pinned};
use crate::key::InstallationKey;
use crate::lock::DirLock;
use crate::message::{self, Arrivals};
use crate::package::Packages;
use crate::queue::{Leases, SyncLane};
use crate::rules::KeptRules;
use crate::specs::Kept;
use crate::sql::Databases;
use crate::starts::Starts;
use crate::{Error, Result};
use model::{Clock, FunctionArn, Timestamp};
use rusqlite::{Connection, OpenFlags};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{Notify, mpsc, oneshot, watch};

/// The newest layout of the database that this program knows: so many of [`LAYOUTS`] have been applied.
const FORMAT: i64 = LAYOUTS.len() as i64;

/// The most writes that share one commit.
const GROUP: usize = 256;

/// The most writes that wait for the writer before callers are held back.
const WRITES_WAITING: usize = 1_024;

/// Read connections kept open between reads.
const READERS_KEPT: usize = 4;

/// The first layout under which objects are encrypted with the installation's key.
const KEYED: i64 = 4;

/// What each format adds to the one before it.
const LAYOUTS: [&str; 6] = [FIRST, RUNS, message::LAYOUT, SMALL, EVENTS, LOG];

const FIRST: &str = "
CREATE TABLE kv (space TEXT, key BLOB, value BLOB, PRIMARY KEY (space, key)) WITHOUT ROWID;
CREATE TABLE blob_ref (id BLOB PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE event (id BLOB PRIMARY KEY, function TEXT NOT NULL, due INTEGER NOT NULL, attempt INTEGER NOT NULL,
    head TEXT NOT NULL, payload BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX event_due ON event (due, id);
CREATE TABLE failed_event (id BLOB PRIMARY KEY, function TEXT NOT NULL, failed INTEGER NOT NULL,
    attempts INTEGER NOT NULL, head TEXT NOT NULL, payload BLOB NOT NULL, error TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX failed_event_time ON failed_event (failed);
CREATE TABLE log (seq INTEGER PRIMARY KEY AUTOINCREMENT, function TEXT NOT NULL, time INTEGER NOT NULL,
    request TEXT NOT NULL, message TEXT NOT NULL);
CREATE INDEX log_function ON log (function, seq);
CREATE INDEX log_time ON log (time);
";

// Times are in microseconds; rows are added in the order in which runs end.
const RUNS: &str = "
CREATE TABLE run (seq INTEGER PRIMARY KEY AUTOINCREMENT, function TEXT NOT NULL, version TEXT NOT NULL,
    request BLOB NOT NULL, attempt INTEGER NOT NULL, ended INTEGER NOT NULL, status TEXT NOT NULL, error TEXT,
    start TEXT NOT NULL, queue INTEGER NOT NULL, init INTEGER NOT NULL, duration INTEGER NOT NULL,
    billed_ms INTEGER NOT NULL, memory_mb INTEGER NOT NULL, peak_memory INTEGER NOT NULL, cpu INTEGER NOT NULL,
    bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL);
CREATE INDEX run_function ON run (function, ended);
";

// Bytes that are too few for a file of their own.
const SMALL: &str = "
CREATE TABLE small (id INTEGER PRIMARY KEY AUTOINCREMENT, bytes BLOB NOT NULL);
";

// Events are taken function by function; what a function has is found without a look at the others'.
const EVENTS: &str = "
DROP INDEX event_due;
CREATE INDEX event_function ON event (function, due, id);
";

// Log records are added in the order of time, near enough to forget the oldest by that.
const LOG: &str = "
DROP INDEX log_time;
";

/// All durable state of an installation. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    /// Closing the channel ends the writer; `None` only while the store is dropped.
    writes: Option<mpsc::Sender<Write>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    readers: Mutex<Vec<Connection>>,
    database: std::path::PathBuf,
    blobs: Blobs,
    packages: Packages,
    databases: Databases,
    sync_lane: SyncLane,
    leases: Leases,
    starts: Starts,
    specs: Kept,
    key: InstallationKey,
    rules: KeptRules,
    small_limit: OnceLock<usize>,
    wakes: Arc<Wakes>,
    clock: Arc<dyn Clock>,
    _lock: DirLock,
}

/// What the writer announces after a commit.
#[derive(Debug)]
pub(crate) struct Wakes {
    /// Events were submitted, became due at another time or came back.
    pub(crate) events: Notify,
    /// Those functions whose events did so, with the earliest time, until somebody asks.
    pub(crate) due: Mutex<HashMap<FunctionArn, Timestamp>>,
    /// How often reservations were changed since the start.
    pub(crate) reserved: watch::Sender<u64>,
    /// The highest sequence number in the log.
    pub(crate) log: watch::Sender<i64>,
    /// How often functions were written or removed since the start.
    pub(crate) specs: watch::Sender<u64>,
    /// How often event source mappings were written or removed since the start.
    pub(crate) mappings: watch::Sender<u64>,
    /// Who waits for messages.
    pub(crate) arrivals: Arrivals,
}

impl Wakes {
    /// Tells that functions have events that are due from these times on.
    pub(crate) fn note_due(&self, due: impl IntoIterator<Item = (FunctionArn, Timestamp)>) {
        let mut known = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let mut any = false;
        for (function, at) in due {
            known.entry(function).and_modify(|known| *known = at.min(*known)).or_insert(at);
            any = true;
        }
        drop(known);
        if any {
            self.events.notify_one();
        }
    }
}

type Done = Box<dyn FnOnce(Result<()>) + Send>;
type Write = Box<dyn FnOnce(Result<&Tx<'_>>) -> Done + Send>;

impl Store {
    /// Opens the data directory `dir`, making it if it is missing, and takes its lock.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process holds it, [`Error::TooNew`], and faults of the disk.
    pub fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        make_private_dir(dir)?;
        let lock = DirLock::take(dir)?;
        let database = dir.join("mayfly.sqlite");
        let connection = open_writer(&database)?;
        // Before the layout, so that a key can be missed: an installation that never had one gets it here.
        let key = InstallationKey::open(dir, layout(&connection)? < KEYED)?;
        bring_up_to_date(&connection)?;
        let last_log: i64 =
            connection.query_row("SELECT coalesce(max(seq), 0) FROM log", [], |row| row.get(0))?;
        let wakes = Arc::new(Wakes {
            events: Notify::new(),
            due: Mutex::default(),
            reserved: watch::Sender::new(0),
            log: watch::Sender::new(last_log),
            specs: watch::Sender::new(0),
            mappings: watch::Sender::new(0),
            arrivals: Arrivals::default(),
        });
        let last_message: i64 =
            connection.query_row("SELECT coalesce(max(seq), 0) FROM message", [], |row| row.get(0))?;
        wakes.arrivals.begin_after(last_message);
        let (writes, queue) = mpsc::channel(WRITES_WAITING);
        let writer = {
            let (wakes, clock) = (wakes.clone(), clock.clone());
            std::thread::Builder::new()
                .name("store-writer".into())
                .spawn(move || run_writer(&connection, queue, &wakes, &*clock))
                .map_err(|error| Error::file("start the writer of", &database, error))?
        };
        let store = Store(Arc::new(Shared {
            writes: Some(writes),
            writer: Mutex::new(Some(writer)),
            readers: Mutex::new(Vec::new()),
            database,
            blobs: Blobs::open(&dir.join("blobs"))?,
            packages: Packages::open(&dir.join("packages"))?,
            databases: Databases::open(&dir.join("sql"))?,
            sync_lane: SyncLane::new(),
            leases: Leases::new(wakes.clone()),
            starts: Starts::default(),
            specs: Kept::default(),
            key,
            rules: KeptRules::default(),
            small_limit: OnceLock::new(),
            wakes,
            clock,
            _lock: lock,
        }));
        store.sweep_blobs()?;
        Ok(store)
    }

    /// Runs `work` on what the data directory `dir` holds, and changes nothing in it. Nobody else uses it meanwhile.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process uses it, [`Error::TooNew`], what `work` returns, and faults of the disk.
    pub fn look<T>(
        dir: &Path,
        clock: Arc<dyn Clock>,
        work: impl FnOnce(&View<'_>) -> Result<T>,
    ) -> Result<T> {
        let _lock = DirLock::take(dir)?;
        let connection = open_reader(&dir.join("mayfly.sqlite"))?;
        let found = layout(&connection)?;
        if found > FORMAT {
            return Err(Error::TooNew { found, known: FORMAT });
        }
        work(&View { connection: &connection, clock: &*clock })
    }

    /// Runs `work` in a transaction and returns once its changes are on disk. If `work` returns an error,
    /// nothing of it is kept.
    ///
    /// # Errors
    /// What `work` returns, or a fault of the store.
    pub async fn write<T, E, F>(&self, work: F) -> std::result::Result<T, E>
    where
        F: FnOnce(&Tx<'_>) -> std::result::Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: std::convert::From<Error> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let write: Write = Box::new(move |tx| {
            let result = tx.map_err(E::from).and_then(|tx| tx.attempt(work));
            Box::new(move |committed| {
                let result = committed.map_err(E::from).and(result);
                // The caller may have gone away: the write stands all the same.
                let _ = answer.send(result);
            })
        });
        let writes = self.0.writes.as_ref().ok_or(Error::Closed)?;
        writes.send(write).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Closed)?
    }

    /// Runs `work` on one snapshot of the state. It blocks: keep it to short look-ups, or call it from a
    /// blocking thread.
    ///
    /// # Errors
    /// What `work` returns, or a fault of the store.
    pub fn read<T, E>(
        &self,
        work: impl FnOnce(&View<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E>
    where
        E: std::convert::From<Error>,
    {
        let kept = self.readers().pop();
        let connection = match kept {
            Some(connection) => connection,
            None => open_reader(&self.0.database)?,
        };
        execute(&connection, "BEGIN")?;
        let result = work(&View { connection: &connection, clock: &*self.0.clock });
        execute(&connection, "ROLLBACK")?;
        let mut readers = self.readers();
        if readers.len() < READERS_KEPT {
            readers.push(connection);
        }
        result
    }

    /// The bytes that rest in files.
    pub fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    /// The unpacked deployment packages.
    pub fn packages(&self) -> &Packages {
        &self.0.packages
    }

    /// The users' own SQL databases.
    pub fn databases(&self) -> &Databases {
        &self.0.databases
    }

    /// The lane of events that somebody waits for.
    pub fn sync_lane(&self) -> &SyncLane {
        &self.0.sync_lane
    }

    /// The secret of this installation, from which what is encrypted at rest gets its keys.
    pub fn key(&self) -> &InstallationKey {
        &self.0.key
    }

    pub(crate) fn kept_specs(&self) -> &Kept {
        &self.0.specs
    }

    pub(crate) fn kept_rules(&self) -> &KeptRules {
        &self.0.rules
    }

    pub(crate) fn small_limit_cell(&self) -> &OnceLock<usize> {
        &self.0.small_limit
    }

    pub(crate) fn known_starts(&self) -> &Starts {
        &self.0.starts
    }

    pub(crate) fn leases(&self) -> &Leases {
        &self.0.leases
    }

    pub(crate) fn wakes(&self) -> &Wakes {
        &self.0.wakes
    }

    pub(crate) fn arrivals(&self) -> &Arrivals {
        &self.0.wakes.arrivals
    }

    /// The present time by the store's clock.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn readers(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.0.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn open_for_test(dir: &Path) -> Self {
        Store::open(dir, Arc::new(model::SystemClock)).unwrap()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.writes = None;
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer
            && writer.thread().id() != std::thread::current().id()
        {
            // A panic in the writer was reported when it happened.
            let _ = writer.join();
        }
    }
}

/// A snapshot of the state, to read from.
pub struct View<'a> {
    connection: &'a Connection,
    clock: &'a dyn Clock,
}

impl<'a> View<'a> {
    pub(crate) fn of(connection: &'a Connection, clock: &'a dyn Clock) -> Self {
        View { connection, clock }
    }
}

impl View<'_> {
    pub(crate) fn connection(&self) -> &Connection {
        self.connection
    }

    /// The present time by the store's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// A transaction: what it reads includes what it wrote.
pub struct Tx<'a> {
    view: View<'a>,
    /// Functions whose events are due at other times, and from when on.
    pub(crate) due: RefCell<Vec<(FunctionArn, Timestamp)>>,
    pub(crate) reserved_changed: Cell<bool>,
    pub(crate) last_log: Cell<i64>,
    pub(crate) specs_changed: Cell<bool>,
    pub(crate) mappings_changed: Cell<bool>,
    /// Messages that can be received: of which bin, from when on, how many.
    pub(crate) arrived: RefCell<Vec<(i64, Timestamp, usize)>>,
    /// There are messages to remove or to move.
    pub(crate) chores: Cell<bool>,
    arrivals: &'a Arrivals,
    /// Blobs that get their link here, held until it is committed.
    pub(crate) linked: RefCell<Vec<Pinned>>,
}

impl<'a> Deref for Tx<'a> {
    type Target = View<'a>;

    fn deref(&self) -> &View<'a> {
        &self.view
    }
}

impl Tx<'_> {
    pub(crate) fn arrivals(&self) -> &Arrivals {
        self.arrivals
    }

    /// Runs `work` in a savepoint, so that its failure undoes its own changes only.
    fn attempt<T, E: std::convert::From<Error>>(
        &self,
        work: impl FnOnce(&Self) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let run = |sql: &str| execute(self.connection(), sql);
        if self.connection().is_autocommit() {
            // A full disk makes SQLite end the whole transaction: what follows must not run outside of one.
            return Err(Error::RolledBack.into());
        }
        run("SAVEPOINT work")?;
        let result =
            catch_unwind(AssertUnwindSafe(|| work(self))).unwrap_or_else(|_| Err(Error::Closed.into()));
        match &result {
            Ok(_) => run("RELEASE work")?,
            Err(_) => {
                run("ROLLBACK TO work")?;
                run("RELEASE work")?;
            }
        }
        result
    }
}

/// Executes a statement that is needed over and over, and has neither parameters nor rows.
fn execute(connection: &Connection, sql: &str) -> Result<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

fn run_writer(connection: &Connection, mut queue: mpsc::Receiver<Write>, wakes: &Wakes, clock: &dyn Clock) {
    let mut waiting = Vec::with_capacity(GROUP);
    while queue.blocking_recv_many(&mut waiting, GROUP) > 0 {
        let tx = Tx {
            view: View { connection, clock },
            due: RefCell::default(),
            reserved_changed: Cell::new(false),
            last_log: Cell::new(0),
            specs_changed: Cell::new(false),
            mappings_changed: Cell::new(false),
            arrived: RefCell::default(),
            chores: Cell::new(false),
            arrivals: &wakes.arrivals,
            linked: RefCell::default(),
        };
        let begun = execute(connection, "BEGIN IMMEDIATE");
        let tx_or_error = || begun.as_ref().map(|()| &tx).map_err(Error::clone);
        let done: Vec<Done> = waiting.drain(..).map(|write| write(tx_or_error())).collect();
        let committed = begun.clone().and_then(|()| execute(connection, "COMMIT"));
        if committed.is_err() && !connection.is_autocommit() {
            // Its own failure changes nothing: the next transaction fails to begin, and says so.
            let _ = execute(connection, "ROLLBACK");
        }
        if tx.reserved_changed.get() {
            wakes.reserved.send_modify(|changes| *changes += 1);
        }
        if tx.specs_changed.get() {
            // Before the writers hear of it: what they ask for next must meet the new state.
            wakes.specs.send_modify(|changes| *changes += 1);
        }
        for done in done {
            done(committed.clone());
        }
        if committed.is_ok() {
            wakes.note_due(tx.due.take());
            if tx.last_log.get() > 0 {
                wakes.log.send_replace(tx.last_log.get());
            }
            if tx.mappings_changed.get() {
                wakes.mappings.send_modify(|changes| *changes += 1);
            }
            wakes.arrivals.tell(&tx.arrived.borrow(), clock.now());
            if tx.chores.get() {
                wakes.arrivals.begin_chores();
            }
        }
    }
}

fn open_writer(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;
         PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864;",
    )?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// How many of [`LAYOUTS`] the database has.
fn layout(connection: &Connection) -> Result<i64> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// Gives the database the layouts that it lacks.
fn bring_up_to_date(connection: &Connection) -> Result<()> {
    let found = layout(connection)?;
    let missing = usize::try_from(found).ok().and_then(|found| LAYOUTS.get(found..));
    let missing = missing.ok_or(Error::TooNew { found, known: FORMAT })?.concat();
    if !missing.is_empty() {
        connection.execute_batch(&format!("BEGIN; {missing} PRAGMA user_version = {FORMAT}; COMMIT;"))?;
    }
    Ok(())
}

pub(crate) fn open_reader(path: &Path) -> Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Makes `dir` for this user's eyes only; one that exists is left as it is.
pub(crate) fn make_private_dir(dir: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| Error::file("create", dir, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::{Stored, Table};

    const NUMBERS: Table<Number> = Table::new("test.number");

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Number(u64);

    impl Stored for Number {}

    #[tokio::test]
    async fn many_writes_at_once_are_all_kept_and_survive_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        let writes: Vec<_> = (0..500_u64)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move {
                    store.write(move |tx| tx.put(&NUMBERS, n.to_be_bytes(), &Number(n))).await
                })
            })
            .collect();
        for write in writes {
            write.await.unwrap().unwrap();
        }
        drop(store);
        let store = Store::open_for_test(dir.path());
        for n in 0..500_u64 {
            assert_eq!(store.read(|view| view.get(&NUMBERS, n.to_be_bytes())).unwrap(), Some(Number(n)));
        }
    }

    #[tokio::test]
    async fn a_failed_or_panicking_write_leaves_nothing_and_harms_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        let failed = store.write(|tx| {
            tx.put(&NUMBERS, "a", &Number(1))?;
            Err::<(), _>(Error::Closed)
        });
        assert!(failed.await.is_err());
        let panicked = store.write(|tx| -> Result<()> {
            tx.put(&NUMBERS, "a", &Number(1))?;
            panic!("expected by the test");
        });
        assert!(panicked.await.is_err());
        store.write(|tx| tx.put(&NUMBERS, "b", &Number(2))).await.unwrap();
        assert_eq!(store.read(|view| view.get(&NUMBERS, "a")).unwrap(), None);
        assert_eq!(store.read(|view| view.get(&NUMBERS, "b")).unwrap(), Some(Number(2)));
    }

    #[tokio::test]
    async fn a_database_of_an_earlier_format_is_brought_up_to_date_and_a_newer_one_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("mayfly.sqlite");
        let connection = Connection::open(&database).unwrap();
        let old = "INSERT INTO log (function, time, request, message) VALUES ('f', 1, 'r', 'old');";
        connection.execute_batch(&format!("{FIRST} {old} PRAGMA user_version = 1;")).unwrap();
        drop(connection);
        let store = Store::open_for_test(dir.path());
        assert_eq!(store.read(|view| view.log("f", 0, 10)).unwrap()[0].message, "old");
        assert!(store.read(|view| view.runs(None, 10)).unwrap().is_empty());
        drop(store);
        Connection::open(&database).unwrap().execute_batch("PRAGMA user_version = 1000").unwrap();
        let newer = Store::open(dir.path(), Arc::new(model::SystemClock));
        assert!(matches!(newer, Err(Error::TooNew { found: 1000, .. })));
    }

    #[tokio::test]
    async fn a_data_directory_belongs_to_one_store() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_for_test(dir.path());
        let second = Store::open(dir.path(), Arc::new(model::SystemClock));
        assert!(matches!(second, Err(Error::Locked { .. })));
        let clock = Arc::new(model::SystemClock);
        assert!(matches!(Store::look(dir.path(), clock.clone(), |_| Ok(())), Err(Error::Locked { .. })));
        drop(store);
        assert!(Store::look(dir.path(), clock, |view| view.runs(None, 1)).unwrap().is_empty());
        Store::open_for_test(dir.path());
    }
}
