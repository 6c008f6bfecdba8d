//! What waits ahead of events, with a stand-in for the sandbox whose processes are numbers: which one serves what, when
//! one is made, and when it goes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use async_trait::async_trait;
use bytes::Bytes;
use model::{
    CodeId, Event, FunctionArn, FunctionSpec, Metering, Outcome, Source, StartKind, StartMode, SystemClock,
};
use sandbox::{Error, Exit, Function, Hooks, Job, Line, Platform, Report};
use scheduler::runner::{Captured, Copier, Process, Template};
use scheduler::{Bounds, Capacity, Runner, Scheduler, Settings};
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use store::Store;
use store::kv::{FLOORS, Floor, SPECS};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

const DEADLINE: Duration = Duration::from_secs(20);
const MB: u64 = 1 << 20;

/// What the stand-in does and has done.
#[derive(Default)]
struct World {
    /// No template can be had, because of this, but the process that was started for it can be used.
    refuses: Option<&'static str>,
    /// This machine makes no copies.
    impossible: bool,
    /// The next so many templates, copies and processes fail.
    failures: AtomicUsize,
    next: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Processes and templates that exist.
    alive: HashSet<usize>,
    /// Those that have died where they waited, and whom to tell.
    dead: HashSet<usize>,
    /// Those that will die before they have taken their event.
    doomed: HashSet<usize>,
    wakers: Vec<Waker>,
    templates: Vec<usize>,
    cold: usize,
}

impl World {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn fails(&self) -> bool {
        self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }

    fn alive(&self) -> usize {
        self.state().alive.len()
    }

    fn kill(&self, number: usize) {
        let mut state = self.state();
        state.dead.insert(number);
        state.wakers.drain(..).for_each(Waker::wake);
    }
}

/// A process or a template.
struct Thing {
    world: Arc<World>,
    number: usize,
    kind: StartKind,
    memory: u64,
    served: usize,
}

impl Thing {
    fn new(world: &Arc<World>, kind: StartKind, memory: u64) -> Thing {
        let number = world.next.fetch_add(1, Ordering::SeqCst);
        world.state().alive.insert(number);
        Thing { world: world.clone(), number, kind, memory, served: 0 }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<String> {
        let mut state = self.world.state();
        if state.dead.contains(&self.number) {
            return Poll::Ready("it was killed by the test".into());
        }
        state.wakers.push(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        self.world.state().alive.remove(&self.number);
    }
}

/// The answer tells which process has served how many events before, and its configuration.
fn report(job: &Job, kind: StartKind, number: usize, served: usize) -> Report {
    let answer = format!("{number} {served} {}", job.function.spec.timeout_s);
    let metering = Metering { start: kind, ..Metering::default() };
    Report {
        outcome: Outcome::Succeeded(answer.into()),
        metering,
        exit: Exit::Answered,
        streamed: 0,
        warning: None,
    }
}

#[async_trait]
impl Process for Thing {
    fn kind(&self) -> StartKind {
        self.kind
    }

    fn memory(&self) -> Option<u64> {
        Some(self.memory)
    }

    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<String> {
        self.poll(cx)
    }

    fn is_sound(&mut self) -> bool {
        !self.world.state().dead.contains(&self.number)
    }

    async fn run(
        mut self: Box<Self>,
        job: Job,
        _: mpsc::Sender<Line>,
        _: oneshot::Sender<Outcome>,
    ) -> Result<(Report, Option<Box<dyn Process>>), Error> {
        if self.world.state().doomed.contains(&self.number) {
            return Err(Error::EventLeft);
        }
        let report = report(&job, self.kind, self.number, self.served);
        self.served += 1;
        self.kind = StartKind::Warm;
        Ok((report, if job.keep { Some(self) } else { None }))
    }
}

impl Template for Thing {
    fn memory(&self) -> Option<u64> {
        Some(self.memory)
    }

    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<String> {
        self.poll(cx)
    }

    fn printed(&mut self) -> Vec<Line> {
        vec![Line { time: model::Timestamp(1), text: "hello from init".into(), platform: false }]
    }

    fn copier(&self) -> Arc<dyn Copier> {
        Arc::new(Copies(self.world.clone()))
    }
}

struct Copies(Arc<World>);

#[async_trait]
impl Copier for Copies {
    async fn copy(&self, _: Platform) -> Result<Result<Box<dyn Process>, String>, Error> {
        tokio::task::yield_now().await;
        if self.0.fails() {
            return Ok(Err("as the test wants it".into()));
        }
        Ok(Ok(Box::new(Thing::new(&self.0, StartKind::Clone, 2 * MB))))
    }
}

/// The stand-in for the sandbox.
struct Stand(Arc<World>);

#[async_trait]
impl Runner for Stand {
    fn templates(&self) -> Result<(), String> {
        if self.0.impossible { Err("no ptrace".into()) } else { Ok(()) }
    }

    async fn run(&self, job: Job, hooks: Hooks) -> Result<(Report, Option<Box<dyn Process>>), Error> {
        (hooks.initialised)();
        self.0.state().cold += 1;
        let mut thing = Thing::new(&self.0, StartKind::Cold, 10 * MB);
        let report = report(&job, StartKind::Cold, thing.number, 0);
        (thing.served, thing.kind) = (1, StartKind::Warm);
        Ok((report, if job.keep { Some(Box::new(thing)) } else { None }))
    }

    async fn prepare(&self, _: &Function, _: Platform) -> Result<Result<Box<dyn Process>, String>, Error> {
        if self.0.fails() {
            return Ok(Err("as the test wants it".into()));
        }
        Ok(Ok(Box::new(Thing::new(&self.0, StartKind::Ready, 10 * MB))))
    }

    async fn template(self: Arc<Self>, _: &Function, _: Platform) -> Result<Captured, Error> {
        if self.0.fails() {
            return Ok(Captured::Refused { reason: "as the test wants it".into(), process: None });
        }
        if let Some(reason) = self.0.refuses {
            let process = Box::new(Thing::new(&self.0, StartKind::Ready, 10 * MB));
            return Ok(Captured::Refused { reason: reason.into(), process: Some(process) });
        }
        let thing = Thing::new(&self.0, StartKind::Clone, 20 * MB);
        self.0.state().templates.push(thing.number);
        Ok(Captured::Template(Box::new(thing)))
    }
}

struct Setup {
    store: Store,
    world: Arc<World>,
    stop: watch::Sender<bool>,
    scheduler: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

const BOUNDS: Bounds = Bounds { memory: 1 << 40, idle: Duration::from_secs(600), most: 50, making: 4 };

async fn setup(world: World, bounds: Bounds) -> Setup {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Arc::new(SystemClock)).unwrap();
    let settings = Settings {
        capacity: Capacity { memory_mb: 1_000_000, running: 1_000, starting: 4, background: 1_000 },
        ahead: bounds,
        patience: DEADLINE,
        look_for_old: Duration::from_millis(50),
        processors: Arc::new(|| None),
        retry_delay: Duration::from_millis(20),
        grace: Duration::from_secs(5),
        environment: BTreeMap::new(),
        inside: Arc::new(|_, _| watch::Sender::new(false)),
    };
    let world = Arc::new(world);
    let scheduler = Scheduler::new(store.clone(), Arc::new(Stand(world.clone())), settings).unwrap();
    let stop = watch::Sender::new(false);
    let scheduler = tokio::spawn(scheduler.run(stop.subscribe()));
    Setup { store, world, stop, scheduler, _dir: dir }
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, waiting).await;
    waited.unwrap_or_else(|_| panic!("not within the deadline: {what}"));
}

/// What an event was served by.
#[derive(Debug, PartialEq)]
struct Served {
    kind: StartKind,
    process: usize,
    before: usize,
    timeout_s: usize,
}

impl Setup {
    async fn put(&self, name: &str, change: impl FnOnce(&mut FunctionSpec)) {
        let mut spec =
            FunctionSpec::new(FunctionArn::of(name), "python3.11", "app.handler", CodeId("0".into()));
        change(&mut spec);
        let write = self.store.write(move |tx| {
            let key = spec.arn.as_str().to_owned();
            if spec.ahead > 0 {
                tx.put(&FLOORS, &key, &Floor { function: spec.arn.clone() })?;
            }
            tx.put(&SPECS, key, &spec)
        });
        write.await.unwrap();
    }

    async fn call(&self, name: &str) -> Served {
        let event = Event::new(FunctionArn::of(name), Source::Invoke, self.store.now(), Bytes::from("1"));
        let answer = self.store.sync_lane().submit(event).unwrap().answer();
        let answer = tokio::time::timeout(DEADLINE, answer).await.expect("an answer in time").unwrap();
        let text = String::from_utf8(answer.outcome.payload().to_vec()).unwrap();
        let numbers: Vec<usize> = text.split(' ').map(|number| number.parse().unwrap()).collect();
        Served { kind: answer.metering.start, process: numbers[0], before: numbers[1], timeout_s: numbers[2] }
    }

    /// Calls until an event is served in this way.
    async fn call_until(&self, name: &str, kind: StartKind) -> Served {
        let calling = async {
            loop {
                let served = self.call(name).await;
                if served.kind == kind {
                    return served;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let called = tokio::time::timeout(DEADLINE, calling).await;
        called.unwrap_or_else(|_| panic!("no event was served by a process that is {kind}"))
    }

    fn log(&self, name: &str) -> Vec<String> {
        let records = self.store.read(|view| view.log(name, 0, 10_000)).unwrap();
        records.into_iter().map(|record| record.message).collect()
    }

    async fn nothing_left(&self) {
        eventually("nothing waits", || self.world.alive() == 0).await;
    }
}

#[tokio::test]
async fn the_first_event_starts_a_template_and_later_ones_are_copies_each_used_once() {
    let setup = setup(World::default(), BOUNDS).await;
    setup.put("f", |_| {}).await;
    assert_eq!(setup.call("f").await.kind, StartKind::Cold);
    eventually("a copy waits", || setup.world.alive() >= 2).await;
    let mut processes = HashSet::new();
    for _ in 0..100 {
        let served = setup.call("f").await;
        assert_eq!((served.kind, served.before), (StartKind::Clone, 0));
        assert!(processes.insert(served.process));
    }
    assert_eq!(setup.world.state().cold, 1);
    assert_eq!(setup.world.state().templates.len(), 1);
    eventually("what was printed is in the log", || {
        setup.log("f").iter().any(|line| line == "hello from init")
    })
    .await;
    setup.stop.send_replace(true);
    setup.scheduler.await.unwrap();
    assert_eq!(setup.world.alive(), 0);
}

#[tokio::test]
async fn a_burst_on_an_idle_function_is_served_whole() {
    let setup = Arc::new(setup(World::default(), BOUNDS).await);
    setup.put("f", |_| {}).await;
    let calls: Vec<_> = (0..600)
        .map(|_| {
            let setup = setup.clone();
            tokio::spawn(async move { setup.call("f").await })
        })
        .collect();
    let mut processes = HashSet::new();
    for call in calls {
        assert!(processes.insert(call.await.unwrap().process));
    }
    assert_eq!(processes.len(), 600);
}

#[tokio::test]
async fn a_function_that_cannot_be_copied_has_ready_processes_and_its_log_says_why_once() {
    let world = World { refuses: Some("it has a connection"), ..World::default() };
    let setup = setup(world, BOUNDS).await;
    setup.put("f", |_| {}).await;
    setup.call("f").await;
    let first = setup.call_until("f", StartKind::Ready).await;
    let second = setup.call_until("f", StartKind::Ready).await;
    assert_ne!(first.process, second.process);
    let why = "This function is not cloned: it has a connection";
    eventually("the log says why", || setup.log("f").iter().filter(|line| *line == why).count() == 1).await;
}

#[tokio::test]
async fn owners_and_machines_decide_how_processes_come_to_be() {
    let setup = setup(World::default(), BOUNDS).await;
    setup.put("ready", |spec| spec.start = StartMode::Ready).await;
    setup.put("custom", |spec| spec.runtime = "provided.al2023".into()).await;
    setup
        .put("vouched", |spec| {
            (spec.runtime, spec.start) = ("provided.al2023".into(), StartMode::Clone);
        })
        .await;
    setup.put("cold", |spec| spec.start = StartMode::Cold).await;
    for name in ["ready", "custom"] {
        setup.call(name).await;
        setup.call_until(name, StartKind::Ready).await;
    }
    setup.call_until("vouched", StartKind::Clone).await;
    for _ in 0..20 {
        assert_eq!(setup.call("cold").await.kind, StartKind::Cold);
    }
    let poor = self::setup(World { impossible: true, ..World::default() }, BOUNDS).await;
    poor.put("f", |_| {}).await;
    poor.call_until("f", StartKind::Ready).await;
    assert!(poor.world.state().templates.is_empty());
}

#[tokio::test]
async fn a_kept_process_serves_one_event_after_another() {
    let setup = Arc::new(setup(World::default(), BOUNDS).await);
    setup.put("f", |spec| spec.start = StartMode::Warm).await;
    let first = setup.call("f").await;
    assert_eq!((first.kind, first.before), (StartKind::Cold, 0));
    for before in 1..10 {
        let expected = Served { kind: StartKind::Warm, before, ..first };
        assert_eq!(setup.call("f").await, Served { timeout_s: first.timeout_s, ..expected });
    }
    setup.world.kill(first.process);
    let next = setup.call("f").await;
    assert_eq!((next.kind, next.before), (StartKind::Cold, 0));
}

#[tokio::test]
async fn what_dies_while_it_waits_is_replaced_and_no_event_meets_it() {
    let setup = setup(World::default(), BOUNDS).await;
    setup.put("f", |spec| spec.start = StartMode::Ready).await;
    let mut last = setup.call_until("f", StartKind::Ready).await.process;
    for _ in 0..3 {
        eventually("one waits", || setup.world.alive() > 0).await;
        let waiting: Vec<usize> = setup.world.state().alive.iter().copied().collect();
        waiting.iter().for_each(|number| setup.world.kill(*number));
        let next = setup.call("f").await.process;
        assert!(next != last && !waiting.contains(&next));
        last = next;
    }
    setup.call_until("f", StartKind::Ready).await;
}

#[tokio::test]
async fn an_event_that_its_process_left_is_served_by_another_one() {
    let setup = setup(World::default(), BOUNDS).await;
    setup.put("f", |spec| spec.start = StartMode::Ready).await;
    setup.call_until("f", StartKind::Ready).await;
    eventually("one waits", || setup.world.alive() > 0).await;
    {
        let mut state = setup.world.state();
        state.doomed = state.alive.clone();
    }
    let cold = setup.world.state().cold;
    assert_eq!(setup.call("f").await.kind, StartKind::Cold);
    assert_eq!(setup.world.state().cold, cold + 1);
    setup.call_until("f", StartKind::Ready).await;
}

#[tokio::test]
async fn a_template_that_dies_is_replaced() {
    let setup = setup(World::default(), BOUNDS).await;
    setup.put("f", |_| {}).await;
    setup.call_until("f", StartKind::Clone).await;
    let template = setup.world.state().templates[0];
    setup.world.kill(template);
    eventually("it is gone", || !setup.world.state().alive.contains(&template)).await;
    setup.call("f").await;
    eventually("there is another one", || setup.world.state().templates.len() == 2).await;
    setup.call_until("f", StartKind::Clone).await;
}

#[tokio::test]
async fn events_do_not_wait_for_what_fails_to_be_made() {
    let world = World { failures: AtomicUsize::new(2), ..World::default() };
    let setup = setup(world, BOUNDS).await;
    setup.put("f", |_| {}).await;
    assert_eq!(setup.call("f").await.kind, StartKind::Cold);
    // The template fails twice, with rests between; then there are copies.
    setup.call_until("f", StartKind::Clone).await;
    setup.world.failures.store(1_000, Ordering::SeqCst);
    // Copies fail: what waits is used up, then events start for themselves.
    setup.call_until("f", StartKind::Cold).await;
}

#[tokio::test]
async fn a_change_retires_what_waits_and_a_deletion_too() {
    let setup = setup(World::default(), BOUNDS).await;
    setup.put("f", |_| {}).await;
    let old = setup.call_until("f", StartKind::Clone).await;
    setup.put("f", |spec| spec.timeout_s = 77).await;
    let new = setup.call("f").await;
    assert_eq!((new.kind, new.timeout_s), (StartKind::Cold, 77));
    assert_ne!(old.timeout_s, 77);
    let new = setup.call_until("f", StartKind::Clone).await;
    assert_eq!(new.timeout_s, 77);
    assert_eq!(setup.world.state().templates.len(), 2);
    let delete = setup.store.write(|tx| tx.delete(&SPECS, FunctionArn::of("f").as_str()));
    assert!(delete.await.unwrap());
    setup.nothing_left().await;
}

#[tokio::test]
async fn after_the_idle_period_nothing_is_left_but_what_an_owner_asks_for() {
    let setup = setup(World::default(), Bounds { idle: Duration::from_millis(200), ..BOUNDS }).await;
    setup.put("f", |_| {}).await;
    setup.put("warm", |spec| spec.start = StartMode::Warm).await;
    setup.call("f").await;
    setup.call("warm").await;
    setup.nothing_left().await;
    setup.put("floor", |spec| (spec.start, spec.ahead) = (StartMode::Ready, 3)).await;
    eventually("three wait without any event", || setup.world.alive() == 3).await;
    assert_eq!(setup.call("floor").await.kind, StartKind::Ready);
    eventually("three wait again", || setup.world.alive() == 3).await;
    setup.put("floor", |spec| spec.start = StartMode::Cold).await;
    setup.nothing_left().await;
}

#[tokio::test]
async fn the_least_recently_used_goes_when_memory_is_short() {
    // A template takes 20 MB, and each copy 2.
    let setup = setup(World::default(), Bounds { memory: 50 * MB, most: 2, ..BOUNDS }).await;
    for name in ["a", "b", "c"] {
        setup.put(name, |_| {}).await;
        setup.call_until(name, StartKind::Clone).await;
    }
    eventually("one has gone", || {
        let state = setup.world.state();
        state.templates.iter().filter(|number| state.alive.contains(number)).count() == 2
    })
    .await;
}
