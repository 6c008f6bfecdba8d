//! The one loop that takes events from both lanes and starts them as there is room.

use crate::ahead::{Ahead, Bounds, State};
use crate::flow::{Flow, Prepared, Work};
use crate::place::{Capacity, Load};
use crate::runner::Runner;
use crate::specs::Specs;
use model::FunctionArn;
use std::collections::{BTreeMap, VecDeque};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use store::queue::Waiting;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Serves the platform's APIs to a function through the socket in its sandbox, until the sender is dropped.
pub type Inside = Arc<dyn Fn(&FunctionArn, TcpListener) -> watch::Sender<bool> + Send + Sync>;

/// What the scheduler is told at start.
#[derive(Clone)]
pub struct Settings {
    /// The room of this machine.
    pub capacity: Capacity,
    /// How much waits ahead of events.
    pub ahead: Bounds,
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
        let specs = Arc::new(Specs::new(&store));
        let environment = Arc::new(settings.environment.clone());
        let inside = settings.inside.clone();
        let ahead =
            Ahead::new(store.clone(), specs.clone(), runner.clone(), settings.ahead, environment, inside);
        let starting = Arc::new(Semaphore::new(settings.capacity.starting));
        let load = watch::Sender::new(Load::default());
        Some(Scheduler {
            flow: Arc::new(Flow { store, specs, runner, ahead, settings, load, starting }),
            waiting,
        })
    }

    /// Tells what waits ahead of events, for as long as it is asked.
    pub fn states(&self) -> impl Fn() -> Vec<State> + Send + Sync + 'static {
        let ahead = self.flow.ahead.clone();
        move || ahead.states()
    }

    /// Runs until `stop` becomes true; then gives running events the grace period and hands the rest back.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let flow = self.flow;
        let mut load = flow.load.subscribe();
        let mut running = JoinSet::new();
        let (ahead, until) = (flow.ahead.clone(), stop.clone());
        running.spawn(async move { ahead.sweep_until(until).await });
        let mut called: Option<Prepared> = None;
        let mut durable: Option<Prepared> = None;
        let mut claimed = VecDeque::new();
        // When to look at the durable lane: it may hold events from before this start.
        let mut look = Some(Instant::now());
        loop {
            load.mark_unchanged();
            if called.is_none()
                && let Ok(waiting) = self.waiting.try_recv()
            {
                called = flow.prepare(Work::Called(waiting)).await;
            }
            let due = look.is_some_and(|at| at <= Instant::now());
            if durable.is_none() && claimed.is_empty() && due {
                (claimed, look) = flow.claim();
            }
            if durable.is_none()
                && let Some(lease) = claimed.pop_front()
            {
                durable = flow.prepare(Work::Durable(lease)).await;
            }
            // Somebody waits for a synchronous call, so it is placed first.
            if let Some((work, spec)) = flow.place(&mut called).or_else(|| flow.place(&mut durable)) {
                let counted = flow.count_in(&work, &spec);
                running.spawn(flow.clone().run(work, spec, counted));
                continue;
            }
            if durable.is_none() && !claimed.is_empty() {
                continue;
            }
            tokio::select! {
                Some(waiting) = self.waiting.recv(), if called.is_none() => {
                    called = flow.prepare(Work::Called(waiting)).await;
                }
                () = flow.store.events_changed() => look = Some(Instant::now()),
                () = sleep_until(look), if durable.is_none() => {}
                _ = load.changed() => {}
                Some(ended) = running.join_next() => told_of_panic(ended),
                () = stopped(&mut stop) => break,
            }
        }
        self.waiting.close();
        drop((self.waiting, called, durable, claimed));
        let finished = async { while running.join_next().await.is_some() {} };
        if tokio::time::timeout(flow.settings.grace, finished).await.is_err() {
            tracing::info!("events still running after the grace period go back to their queue");
            running.shutdown().await;
        }
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
