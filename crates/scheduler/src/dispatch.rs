//! The one loop that takes events from both lanes and starts them as there is room.

use crate::ahead::{Ahead, Bounds, State};
use crate::flow::{Flow, STORE_PAUSE};
use crate::latency::Latency;
use crate::ledger::Ledger;
use crate::place::{Capacity, Load};
use crate::runner::Runner;
use crate::turns::pace::{self, Ticks};
use crate::turns::{Turn, Turns};
use model::{FunctionArn, Timestamp};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::Store;
use store::queue::Waiting;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Serves the platform's APIs to a function through the socket in its sandbox, until the sender is dropped.
pub type Inside = Arc<dyn Fn(&FunctionArn, TcpListener) -> watch::Sender<bool> + Send + Sync>;

/// Tells how busy the processors of the machine have been, if that is known.
pub type Processors = Arc<dyn Fn() -> Option<Ticks> + Send + Sync>;

/// The longest sleep while timers run: they go by the wall clock, which may be moved meanwhile.
const NAP: Duration = Duration::from_secs(1);

/// A wall clock that shows so much less than it should was set back.
const SET_BACK: Duration = Duration::from_secs(2);

/// What the scheduler is told at start.
#[derive(Clone)]
pub struct Settings {
    /// The room of this machine.
    pub capacity: Capacity,
    /// How much waits ahead of events.
    pub ahead: Bounds,
    /// How long a call waits for room at the most.
    pub patience: Duration,
    /// How often events are looked for that became too old while there was no room for them.
    pub look_for_old: Duration,
    /// Tells how busy the processors are.
    pub processors: Processors,
    /// How long after its first failure an asynchronous event is tried again; twice that after the second.
    pub retry_delay: Duration,
    /// How long running events may take to finish when the server stops.
    pub grace: Duration,
    /// Variables that every function gets, such as the endpoint of the platform.
    pub environment: BTreeMap<String, String>,
    /// Serves the platform to functions.
    pub inside: Inside,
}

/// Moves events from the lanes to processes and settles what comes of them.
pub struct Scheduler {
    flow: Arc<Flow>,
    waiting: mpsc::Receiver<Waiting>,
}

impl Scheduler {
    /// A scheduler for the events of `store`; `None` if the store has one already.
    pub fn new(store: Store, runner: Arc<dyn Runner>, settings: Settings) -> Option<Self> {
        let waiting = store.sync_lane().take_receiver()?;
        let environment = Arc::new(settings.environment.clone());
        let inside = settings.inside.clone();
        let ahead = Ahead::new(store.clone(), runner.clone(), settings.ahead, environment, inside);
        let starting = Arc::new(Semaphore::new(settings.capacity.starting));
        let turns = Mutex::new(Turns::new(settings.capacity, settings.patience));
        let freed = Notify::new();
        let ledger = Ledger::new(store.clone());
        Some(Scheduler {
            flow: Arc::new(Flow {
                store,
                runner,
                ahead,
                settings,
                turns,
                freed,
                latencies: Default::default(),
                ledger,
                starting,
            }),
            waiting,
        })
    }

    /// Tells what functions' events have achieved, for as long as it is asked.
    pub fn latencies(&self) -> impl Fn() -> Vec<Latency> + Send + Sync + 'static {
        let flow = self.flow.clone();
        move || flow.latencies.all()
    }

    /// Tells what runs, and how many calls wait, for as long as it is asked.
    pub fn load(&self) -> impl Fn() -> (Load, usize) + Send + Sync + 'static {
        let flow = self.flow.clone();
        move || {
            let turns = flow.turns();
            (turns.load(), turns.waiting())
        }
    }

    /// Tells what waits ahead of events, for as long as it is asked.
    pub fn states(&self) -> impl Fn() -> Vec<State> + Send + Sync + 'static {
        let ahead = self.flow.ahead.clone();
        move || ahead.states()
    }

    /// Runs until `stop` becomes true; then gives running events the grace period and hands the rest back.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let flow = self.flow;
        let mut running = JoinSet::new();
        let (ahead, until) = (flow.ahead.clone(), stop.clone());
        running.spawn(async move { ahead.sweep_until(until).await });
        let (giving_up, until) = (flow.clone(), stop.clone());
        running.spawn(async move { giving_up.give_up_old_until(until).await });
        let (writing, until) = (flow.clone(), stop.clone());
        running.spawn(async move { writing.ledger.write_until(until).await });
        let mut wall = Wall::new(&flow.store);
        // The durable lane may hold events from before this start.
        let mut look_at_all = Some(Instant::now());
        loop {
            if look_at_all.is_some_and(|at| at <= Instant::now()) {
                look_at_all = flow.look_at_all();
            }
            for (function, due) in flow.store.take_due() {
                flow.turns().due(&function, due);
            }
            flow.follow_reservations();
            while let Ok(waiting) = self.waiting.try_recv() {
                flow.take_in(waiting).await;
            }
            let expired = flow.turns().expired(Instant::now());
            for ((waiting, _), why) in expired {
                flow.throttle(waiting, why);
            }
            if flow.turns().holds_back() {
                let ticks = (flow.settings.processors)();
                flow.turns().adjust(Instant::now(), ticks);
            }
            while let Some(turn) = flow.next() {
                match turn {
                    Turn::Call(call, entry) => drop(running.spawn(flow.clone().run_called(call, entry))),
                    Turn::Event(lease, entry) => drop(running.spawn(flow.clone().run_durable(lease, entry))),
                    Turn::Claim(function, most) => {
                        if let Some(again) = flow.claim(&function, most) {
                            look_at_all = Some(again);
                        }
                    }
                }
            }
            let nap = flow.nap().into_iter().chain(look_at_all).min();
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                Some(waiting) = self.waiting.recv() => flow.take_in(waiting).await,
                () = flow.store.events_changed() => {}
                () = flow.freed.notified() => {}
                Some(ended) = running.join_next() => told_of_panic(ended),
                () = sleep_until(nap) => {}
            }
            if let Some(by) = wall.set_back_by(&flow.store) {
                tracing::warn!(
                    seconds = by.as_secs(),
                    "the clock was set back; what waits for a time is moved with it"
                );
                let from = flow.store.now();
                if let Err(error) = flow.store.write(move |tx| tx.set_back(from, by)).await {
                    tracing::error!(%error, "cannot move the times of waiting events");
                }
                flow.turns().forget_due();
                look_at_all = Some(Instant::now());
            }
        }
        self.waiting.close();
        // Whoever waits is told by the end of the ticket; durable events go back to their queue.
        let (calls, claimed) = {
            let mut turns = flow.turns();
            (turns.drain(), turns.take_claimed())
        };
        drop((self.waiting, calls, claimed));
        let finished = async { while running.join_next().await.is_some() {} };
        if tokio::time::timeout(flow.settings.grace, finished).await.is_err() {
            tracing::info!("events still running after the grace period go back to their queue");
            running.shutdown().await;
        }
        flow.ledger.write_rest().await;
    }
}

impl Flow {
    /// Notes every function that has something in the durable lane; says when to try again if that failed.
    fn look_at_all(&self) -> Option<Instant> {
        match self.store.backlog() {
            Ok(backlog) => {
                let mut turns = self.turns();
                backlog.iter().for_each(|(function, due)| turns.due(function, *due));
                None
            }
            Err(error) => {
                tracing::error!(%error, "cannot read the queue of events");
                Some(Instant::now() + STORE_PAUSE)
            }
        }
    }

    /// Takes durable events of `function` from the store; says when to look at all of them again if that failed.
    fn claim(&self, function: &FunctionArn, most: usize) -> Option<Instant> {
        match self.store.claim(function, most) {
            Ok(claimed) => {
                self.turns().claimed(function, claimed.leases, claimed.next, Instant::now());
                None
            }
            Err(error) => {
                tracing::error!(%error, "cannot read the queue of events");
                self.turns().claimed(function, Vec::new(), None, Instant::now());
                Some(Instant::now() + STORE_PAUSE)
            }
        }
    }

    fn next(&self) -> Option<Turn<crate::flow::Called, store::queue::Lease>> {
        self.turns().next(Instant::now(), self.store.now(), |function| self.facts(function))
    }

    pub(crate) fn follow_reservations(&self) {
        match self.store.reservations() {
            Ok(reserved) => self.turns().reserve(reserved),
            Err(error) => tracing::error!(%error, "cannot read how much is reserved for functions"),
        }
    }

    /// Gives up what becomes too old while there is no room for it, until `stop` becomes true.
    async fn give_up_old_until(&self, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = stopped(&mut stop) => return,
                () = tokio::time::sleep(self.settings.look_for_old) => {}
            }
            let backlogged = self.turns().backlogged();
            for function in backlogged {
                if let Err(error) = self.give_up_old(&function).await {
                    tracing::error!(%function, %error, "cannot give up events that are too old");
                }
            }
        }
    }

    /// When to look again though nothing happens.
    fn nap(&self) -> Option<Instant> {
        let turns = self.turns();
        let (deadline, due) = turns.wake();
        let now = Instant::now();
        let due = due.map(|due| now + Timestamp::since(due, self.store.now()).min(NAP));
        let paced = turns.holds_back().then(|| now + pace::EVERY);
        [deadline, due, paced].into_iter().flatten().min()
    }
}

/// The wall clock, watched for being set back.
struct Wall {
    seen: (Instant, Timestamp),
}

impl Wall {
    fn new(store: &Store) -> Self {
        Wall { seen: (Instant::now(), store.now()) }
    }

    /// By how much the clock was set back since the last look, if it was.
    fn set_back_by(&mut self, store: &Store) -> Option<Duration> {
        let (at, showed) = self.seen;
        self.seen = (Instant::now(), store.now());
        let expected = showed.after(self.seen.0.duration_since(at));
        Some(expected.since(self.seen.1)).filter(|by| *by >= SET_BACK)
    }
}

/// A run settles its event itself, unless it panics: then a caller is told by the dropped ticket, and a durable
/// event runs again.
fn told_of_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "the run of an event broke off");
    }
}

/// Returns when `stop` becomes true, or when nobody is left to say so.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
