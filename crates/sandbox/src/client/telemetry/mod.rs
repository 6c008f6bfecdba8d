//! Telemetry for extensions: what the platform does and what is printed, gathered for each subscriber and delivered to it.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-api.html>

mod buffer;
mod deliver;
mod record;
mod subscription;

use crate::control::Tell;
use buffer::Buffer;
use bytes::Bytes;
use deliver::{Delivery, Sockets};
use model::Clock;
use model::limits::TELEMETRY_EARLY;
pub(super) use record::{Record, metrics_of, milliseconds, tracing};
use serde_json::json;
use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
pub(super) use subscription::{Api, Category, Subscription};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// How many sockets may have come that nobody has taken.
const SOCKETS: usize = 16;

/// The pipe to the pid 1 of a sandbox.
#[derive(Debug)]
pub(super) struct Tells(Option<OwnedFd>);

impl Tells {
    /// Speaks to pid 1 over this, if it listens.
    pub(super) fn new(pipe: Option<OwnedFd>) -> Arc<Tells> {
        Arc::new(Tells(pipe))
    }

    /// Says one thing; false if nobody listens.
    pub(super) fn say(&self, tell: Tell) -> bool {
        self.0.as_ref().is_some_and(|pipe| nix::unistd::write(pipe, &[tell as u8]).is_ok())
    }
}

/// The telemetry of one process.
pub(super) struct Hub {
    clock: Arc<dyn Clock>,
    /// The function logs JSON.
    structured: bool,
    state: Mutex<State>,
    sockets: Arc<Sockets>,
    came: mpsc::Sender<OwnedFd>,
}

struct State {
    subscribers: Vec<Subscriber>,
    /// What subscribers to come will get, while there may be any: the records, and their bytes.
    early: Option<(Vec<Record>, usize)>,
}

struct Subscriber {
    name: String,
    subscription: Subscription,
    buffer: Arc<Mutex<Buffer>>,
    changed: Arc<Notify>,
    delivered: Arc<Notify>,
    _delivery: JoinSet<()>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl Hub {
    /// Of a process that listens to `tells`; if `early`, what happens before somebody subscribes is kept for them.
    pub(super) fn new(clock: Arc<dyn Clock>, structured: bool, tells: &Arc<Tells>, early: bool) -> Hub {
        let (came, sockets) = mpsc::channel(SOCKETS);
        let sockets = Arc::new(Sockets { tells: Arc::clone(tells), came: tokio::sync::Mutex::new(sockets) });
        let state = State { subscribers: Vec::new(), early: early.then(Default::default) };
        Hub { clock, structured, state: Mutex::new(state), sockets, came }
    }

    /// A socket of the sandbox has come.
    pub(super) fn socket_came(&self, socket: OwnedFd) {
        let _ = self.came.try_send(socket);
    }

    /// Somebody may be told something.
    pub(super) fn is_wanted(&self) -> bool {
        let state = self.state();
        state.early.is_some() || !state.subscribers.is_empty()
    }

    /// The extension `name` subscribes; says whether it is new, and tells of it.
    pub(super) fn subscribe(&self, name: &str, api: Api, subscription: Subscription) -> bool {
        let mut state = self.state();
        let types: Vec<_> = subscription.categories.iter().map(|category| category.name()).collect();
        let new = !state.subscribers.iter().any(|subscriber| subscriber.name == name);
        if new {
            let buffer = Arc::new(Mutex::new(Buffer::new(subscription.buffering)));
            let (changed, delivered) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let mut task = JoinSet::new();
            task.spawn(
                Delivery {
                    destination: subscription.destination.clone(),
                    buffer: Arc::clone(&buffer),
                    changed: Arc::clone(&changed),
                    delivered: Arc::clone(&delivered),
                    sockets: Arc::clone(&self.sockets),
                }
                .run(),
            );
            let name = name.to_owned();
            let subscriber = Subscriber { name, subscription, buffer, changed, delivered, _delivery: task };
            for record in state.early.iter().flat_map(|(records, _)| records) {
                subscriber.add(record);
            }
            state.subscribers.push(subscriber);
        }
        drop(state);
        let word = if new { "Subscribed" } else { "Already subscribed" };
        let kind = match api {
            Api::Telemetry => "platform.telemetrySubscription",
            Api::Logs => "platform.logsSubscription",
        };
        self.tell(kind, || json!({"name": name, "state": word, "types": types}));
        new
    }

    /// Nobody more will subscribe.
    pub(super) fn close(&self) {
        self.state().early = None;
    }

    /// Tells of something that the platform does.
    pub(super) fn tell(&self, kind: &'static str, record: impl FnOnce() -> serde_json::Value) {
        if self.is_wanted() {
            self.pass(Record::of_platform(kind, self.clock.now(), record()));
        }
    }

    /// A record as a log in JSON has it.
    pub(super) fn log(&self, kind: &'static str, record: serde_json::Value) -> String {
        json!({"time": self.clock.now().iso_z(), "type": kind, "record": record}).to_string()
    }

    /// Tells of a line that was printed.
    pub(super) fn line(&self, category: Category, text: &str) {
        if self.is_wanted() {
            self.pass(Record::line(category, self.clock.now(), text, self.structured));
        }
    }

    fn pass(&self, record: Record) {
        let mut state = self.state();
        for subscriber in &state.subscribers {
            subscriber.add(&record);
            let dropped = subscriber.buffer().take_dropped();
            if let Some((records, bytes)) = dropped {
                let reason = "Some of the telemetry could not be delivered in time";
                let lost = json!({"reason": reason, "droppedRecords": records, "droppedBytes": bytes});
                subscriber.add(&Record::of_platform("platform.logsDropped", self.clock.now(), lost));
            }
        }
        if let Some((early, size)) = &mut state.early
            && early.len() < TELEMETRY_EARLY.0
            && *size + record.size() <= TELEMETRY_EARLY.1
        {
            *size += record.size();
            early.push(record);
        }
    }

    /// Sends what there is, and returns when it has been delivered or `until` is over.
    pub(super) async fn flush(&self, until: Instant) {
        let waiting: Vec<_> = {
            let state = self.state();
            let parts =
                |s: &Subscriber| (Arc::clone(&s.buffer), Arc::clone(&s.changed), Arc::clone(&s.delivered));
            state.subscribers.iter().map(parts).collect()
        };
        for (buffer, changed, delivered) in waiting {
            let emptied = async {
                loop {
                    let delivered = delivered.notified();
                    {
                        let mut buffer = buffer.lock().unwrap_or_else(PoisonError::into_inner);
                        if buffer.is_empty() {
                            return;
                        }
                        buffer.hurry();
                    }
                    changed.notify_one();
                    delivered.await;
                }
            };
            if timeout_at(until, emptied).await.is_err() {
                return;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber {
    /// Takes a record in, if it is about what this one wants.
    fn add(&self, record: &Record) {
        if !self.subscription.categories.contains(&record.category) {
            return;
        }
        for text in record.render(self.subscription.schema) {
            self.buffer().add(Bytes::from(text), Instant::now());
        }
        self.changed.notify_one();
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
