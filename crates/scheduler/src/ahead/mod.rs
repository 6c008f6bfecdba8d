//! Processes that wait ahead of events, so that an event need not wait for one.
//!
//! [`Ahead`] is the door: an event asks it for a process, and says when it has ended. What is to be made is decided in
//! [`decide`], how much of it in [`staffing`] by the rate that [`rate`] measures, and what goes when memory is short in
//! [`budget`]; these are pure. [`pool`] holds what waits for one function; [`make`] makes it, [`sweep`] lets it go.

mod budget;
mod decide;
mod make;
mod pool;
mod rate;
mod staffing;
mod state;
mod sweep;
mod watched;

use crate::dispatch::Inside;
use crate::runner::{Process, Runner};
use decide::{Stage, Way};
use model::{FunctionArn, FunctionSpec};
use pool::{Held, Pool};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::Store;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use watched::Watched;

pub use state::State;

/// How long an event that has just begun has the processors to itself, as far as what waits suffices.
const YIELD: Duration = Duration::from_millis(20);

/// How much may wait ahead of events, all functions together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The memory of templates and waiting processes, in bytes.
    pub memory: u64,
    /// How long after a function's last event its template and its waiting processes go.
    pub idle: Duration,
    /// How many processes of one function wait at the most, unless its owner asks for more.
    pub most: usize,
    /// How many processes are made at the same time.
    pub making: usize,
}

/// The door to what waits ahead of events. Clones share it.
#[derive(Clone)]
pub(crate) struct Ahead(Arc<Shared>);

struct Shared {
    store: Store,
    runner: Arc<dyn Runner>,
    /// Whether copies can be made here, or why not.
    templates: Result<(), String>,
    bounds: Bounds,
    environment: Arc<BTreeMap<String, String>>,
    inside: Inside,
    table: Mutex<Table>,
    /// There is something to sweep again.
    begun: Notify,
}

#[derive(Default)]
struct Table {
    pools: HashMap<FunctionArn, Pool>,
    /// Functions that something may have to be made for.
    hungry: VecDeque<FunctionArn>,
    /// How many processes are being made.
    making: usize,
    pools_so_far: u64,
    tasks: JoinSet<()>,
    closed: bool,
}

/// What an event that asks for a process gets.
pub(crate) enum Asked {
    /// A process.
    Here(Box<dyn Process>),
    /// One is made for it. If the sender is dropped, that failed.
    Coming(oneshot::Receiver<Box<dyn Process>>),
    /// Perhaps one that another event leaves, or that is made meanwhile: whoever may start one for itself does so.
    Perhaps(oneshot::Receiver<Box<dyn Process>>),
}

impl Ahead {
    pub(crate) fn new(
        store: Store,
        runner: Arc<dyn Runner>,
        bounds: Bounds,
        environment: Arc<BTreeMap<String, String>>,
        inside: Inside,
    ) -> Ahead {
        let (templates, table, begun) = (runner.templates(), Mutex::default(), Notify::new());
        Ahead(Arc::new(Shared { store, runner, templates, bounds, environment, inside, table, begun }))
    }

    /// An event of this function has arrived.
    pub(crate) fn arrived(&self, spec: &Arc<FunctionSpec>) {
        let now = Instant::now();
        self.with(spec, now, |pool| pool.arrival(now));
    }

    /// Whether a process waits for an event of this function.
    pub(crate) fn has(&self, spec: &Arc<FunctionSpec>) -> bool {
        self.with(spec, Instant::now(), |pool| !pool.held.is_empty())
    }

    /// Asks for a process for an event that counts as running from here until [`Ahead::ended`].
    pub(crate) fn ask(&self, spec: &Arc<FunctionSpec>) -> Asked {
        let mut table = self.table();
        let now = Instant::now();
        let pool = self.pool(&mut table, spec, now);
        pool.running += 1;
        let asked = match pool.take() {
            Some(process) => Asked::Here(process),
            None => {
                let (sender, receiver) = oneshot::channel();
                pool.asking.push_back(sender);
                match pool.way == Way::Copies && pool.stage() == Stage::Captured {
                    true => Asked::Coming(receiver),
                    false => Asked::Perhaps(receiver),
                }
            }
        };
        let enough = pool.has_enough_for(YIELD, now);
        if !matches!(asked, Asked::Perhaps(_)) {
            match enough {
                true => self.feed_later(&mut table, &spec.arn),
                false => self.feed(&mut table, &spec.arn, now),
            }
        }
        asked
    }

    /// An event has ended; `kept` is the process that can serve another one.
    pub(crate) fn ended(&self, spec: &Arc<FunctionSpec>, kept: Option<Box<dyn Process>>) {
        let mut table = self.table();
        let now = Instant::now();
        let Some(pool) = table.pools.get_mut(&spec.arn).filter(|pool| is_same(&pool.spec, spec)) else {
            return;
        };
        pool.running = pool.running.saturating_sub(1);
        pool.used = Some(now);
        if let Some(process) = kept.and_then(|process| pool.offer(process)) {
            self.hold(&mut table, &spec.arn, process, now);
        }
    }

    /// A process that was started for an event is initialised: a good moment to make ready for the next one, but that
    /// event comes first.
    pub(crate) fn initialised(&self, spec: &Arc<FunctionSpec>) {
        self.feed_later(&mut self.table(), &spec.arn);
    }

    /// Makes ready for the next event when the one that has just begun has had its time.
    fn feed_later(&self, table: &mut Table, arn: &FunctionArn) {
        let Some(pool) = table.pools.get_mut(arn).filter(|pool| !pool.fed_later && !table.closed) else {
            return;
        };
        pool.fed_later = true;
        let (ahead, arn, id) = (self.clone(), arn.clone(), pool.id);
        reap(&mut table.tasks);
        table.tasks.spawn(async move {
            tokio::time::sleep(YIELD).await;
            let mut table = ahead.table();
            let Some(pool) = table.pools.get_mut(&arn).filter(|pool| pool.id == id) else { return };
            pool.fed_later = false;
            ahead.feed(&mut table, &arn, Instant::now());
        });
    }

    /// Lets everything go, for ever.
    pub(crate) fn close(&self) {
        let mut table = self.table();
        table.closed = true;
        let gone = (std::mem::take(&mut table.pools), std::mem::take(&mut table.tasks));
        drop(table);
        drop(gone);
    }

    /// Lets a process wait.
    fn hold(&self, table: &mut Table, arn: &FunctionArn, process: Box<dyn Process>, now: Instant) {
        let Some(pool) = table.pools.get_mut(arn).filter(|_| !table.closed) else { return };
        let (ahead, id, memory) = (self.clone(), pool.id, pool.memory_of(process.memory()));
        let lost = {
            let arn = arn.clone();
            move |reason| ahead.lost(&arn, id, reason)
        };
        reap(&mut table.tasks);
        let process = Watched::new(process, |process, cx| process.poll_wait(cx), &mut table.tasks, lost);
        pool.held.push_back(Held { process, memory, since: now });
    }

    /// A process that waited is of no use any more.
    fn lost(&self, arn: &FunctionArn, id: u64, reason: String) {
        tracing::debug!(function = %arn, reason, "a process that waited for an event is replaced");
        let mut table = self.table();
        let now = Instant::now();
        if let Some(pool) = table.pools.get_mut(arn).filter(|pool| pool.id == id) {
            pool.held.retain(|held| held.process.is_there());
            pool.failed(now, reason);
        }
    }

    fn with<T>(&self, spec: &Arc<FunctionSpec>, now: Instant, work: impl FnOnce(&mut Pool) -> T) -> T {
        work(self.pool(&mut self.table(), spec, now))
    }

    /// The pool of this very code and configuration: what waits for another one goes.
    fn pool<'a>(&self, table: &'a mut Table, spec: &Arc<FunctionSpec>, now: Instant) -> &'a mut Pool {
        if table.pools.is_empty() {
            self.0.begun.notify_one();
        }
        table.pools_so_far += 1;
        let id = table.pools_so_far;
        let new = || Pool::new(id, spec, self.0.templates.as_ref().copied().map_err(String::as_str), now);
        let pool = table.pools.entry(spec.arn.clone()).or_insert_with(new);
        if !is_same(&pool.spec, spec) {
            *pool = new();
        }
        pool
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_same(one: &Arc<FunctionSpec>, other: &Arc<FunctionSpec>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

/// Forgets tasks that have ended.
fn reap(tasks: &mut JoinSet<()>) {
    while tasks.try_join_next().is_some() {}
}
