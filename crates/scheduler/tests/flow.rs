//! The flow of events with a stand-in for the sandbox: what is run, settled, retried and handed back.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use async_trait::async_trait;
use bytes::Bytes;
use model::{
    Event, FunctionArn, FunctionError, FunctionSpec, Metering, Outcome, RunStatus, Source, SystemClock,
};
use sandbox::{Exit, Function, Hooks, Job, Line, Platform, Report};
use scheduler::runner::{Captured, Process};
use scheduler::{Bounds, Capacity, Runner, Scheduler, Settings};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::Store;
use store::kv::SPECS;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

const DEADLINE: Duration = Duration::from_secs(20);

/// Runs a job by its payload: `"ok"`, `"fail"`, `"platform"` (our own fault) or `"wait"` (until a permit).
#[derive(Default)]
struct Script {
    ran: Mutex<Vec<String>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    permits: Option<Semaphore>,
}

#[async_trait]
impl Runner for Script {
    fn templates(&self) -> Result<(), String> {
        Err("a stand-in has none".into())
    }

    async fn prepare(
        &self,
        _: &Function,
        _: Platform,
    ) -> Result<Result<Box<dyn Process>, String>, sandbox::Error> {
        Ok(Err("a stand-in prepares nothing".into()))
    }

    async fn template(self: Arc<Self>, _: &Function, _: Platform) -> Result<Captured, sandbox::Error> {
        Err(sandbox::Error::Unsupported("a stand-in has no templates".into()))
    }

    async fn run(
        &self,
        job: Job,
        hooks: Hooks,
    ) -> Result<(Report, Option<Box<dyn Process>>), sandbox::Error> {
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        (hooks.initialised)();
        let text = String::from_utf8(job.payload.to_vec()).unwrap();
        self.ran.lock().unwrap().push(text.clone());
        let line = Line { time: model::Timestamp(1), text: format!("printed {text}"), platform: false };
        hooks.lines.send(line).await.unwrap();
        if text == "wait" {
            self.permits.as_ref().unwrap().acquire().await.unwrap().forget();
        }
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        let outcome = match text.as_str() {
            "platform" => return Err(sandbox::Error::Unsupported("expected by the test".into())),
            "fail" => Outcome::Failed(FunctionError::of("E", "failed".into())),
            _ => Outcome::Succeeded(Bytes::from(format!("answer to {text}"))),
        };
        let metering = Metering { duration: Duration::from_millis(1), ..Metering::default() };
        Ok((Report { outcome, metering, exit: Exit::Answered, streamed: 0, warning: None }, None))
    }
}

struct Setup {
    store: Store,
    script: Arc<Script>,
    stop: watch::Sender<bool>,
    scheduler: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

async fn setup(script: Script, capacity: Capacity) -> Setup {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Arc::new(SystemClock)).unwrap();
    let code = model::CodeId("0".into());
    let spec = FunctionSpec::new(FunctionArn::of("f"), "python3.11", "app.handler", code);
    store.write(move |tx| tx.put(&SPECS, spec.arn.as_str(), &spec)).await.unwrap();
    let settings = Settings {
        capacity,
        ahead: Bounds { memory: 1 << 30, idle: DEADLINE, most: 0, making: 2 },
        patience: DEADLINE,
        look_for_old: Duration::from_millis(50),
        processors: Arc::new(|| None),
        retry_delay: Duration::from_millis(20),
        grace: Duration::from_millis(200),
        environment: BTreeMap::new(),
        inside: Arc::new(|_, _| watch::Sender::new(false)),
    };
    let script = Arc::new(script);
    let scheduler = Scheduler::new(store.clone(), script.clone(), settings).unwrap();
    let stop = watch::Sender::new(false);
    let scheduler = tokio::spawn(scheduler.run(stop.subscribe()));
    Setup { store, script, stop, scheduler, _dir: dir }
}

const WIDE: Capacity = Capacity { memory_mb: 10_000, running: 100, starting: 100, background: 100 };

fn event(store: &Store, payload: &'static str) -> Event {
    Event::new(FunctionArn::of("f"), Source::InvokeAsync, store.now(), Bytes::from(payload))
}

async fn submit(store: &Store, payload: &'static str) {
    let event = event(store, payload);
    store.write(move |tx| tx.submit(&event)).await.unwrap();
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting)
        .await
        .unwrap_or_else(|_| panic!("not within the deadline: {what}"));
}

impl Setup {
    fn ran(&self) -> Vec<String> {
        self.script.ran.lock().unwrap().clone()
    }

    fn durable(&self) -> u64 {
        self.store.read(|view| view.durable_events()).unwrap()
    }

    async fn stop(self) -> Store {
        self.stop.send_replace(true);
        tokio::time::timeout(DEADLINE, self.scheduler).await.unwrap().unwrap();
        self.store
    }
}

#[tokio::test]
async fn a_call_is_answered_with_its_log() {
    let setup = setup(Script::default(), WIDE).await;
    let ticket = setup.store.sync_lane().submit(event(&setup.store, "ok")).unwrap();
    let id = ticket.id;
    let answer = ticket.answer().await.unwrap();
    assert_eq!(answer.outcome, Outcome::Succeeded("answer to ok".into()));
    let lines: Vec<&str> = answer.log_tail.lines().collect();
    assert_eq!(
        lines[..3],
        [
            format!("START RequestId: {id} Version: $LATEST"),
            "printed ok".to_owned(),
            format!("END RequestId: {id}")
        ]
    );
    assert!(lines[3].starts_with(&format!("REPORT RequestId: {id}\t")));
    let store = setup.store.clone();
    eventually("the log is kept", || store.read(|view| view.log("f", 0, 10)).unwrap().len() == 4).await;
}

#[tokio::test]
async fn durable_events_run_and_are_forgotten_or_retried_and_kept_as_failed() {
    let setup = setup(Script::default(), WIDE).await;
    submit(&setup.store, "ok").await;
    submit(&setup.store, "fail").await;
    eventually("all events are settled", || setup.durable() == 0).await;
    let mut ran = setup.ran();
    ran.sort();
    assert_eq!(ran, ["fail", "fail", "fail", "ok"]);
    let failed = setup.store.read(|view| view.failed_events(10)).unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].attempts, failed[0].error.error_type.as_str()), (3, "E"));
}

#[tokio::test]
async fn every_run_is_in_the_bill_with_what_it_cost() {
    let setup = setup(Script::default(), WIDE).await;
    let called = event(&setup.store, "ok");
    let id = called.id;
    let answer = setup.store.sync_lane().submit(called).unwrap().answer().await.unwrap();
    submit(&setup.store, "fail").await;
    eventually("the event is given up", || setup.durable() == 0).await;
    let runs = || setup.store.read(|view| view.runs(Some("f"), 10)).unwrap();
    eventually("all runs are kept", || runs().len() == 4).await;
    let (failed, succeeded): (Vec<_>, Vec<_>) =
        runs().into_iter().partition(|run| run.status == RunStatus::Error);
    assert_eq!(failed.iter().map(|run| run.attempt).collect::<Vec<_>>(), [2, 1, 0]);
    assert!(failed.iter().all(|run| run.error_type.as_deref() == Some("E")));
    // A retry's wait counts from the acceptance of its event: it holds the delays before it.
    assert!(failed[0].metering.queue >= Duration::from_millis(60));
    assert_eq!((succeeded[0].request_id, &succeeded[0].error_type), (id, &None));
    let metering = &succeeded[0].metering;
    assert_eq!(*metering, answer.metering);
    assert_eq!((metering.bytes_in, metering.bytes_out, metering.memory_mb), (2, 12, 128));
    assert_eq!(metering.duration, Duration::from_millis(1));
    assert!(metering.init < DEADLINE && metering.queue < DEADLINE);
}

#[tokio::test]
async fn a_retry_comes_in_its_time_while_calls_keep_coming() {
    let setup = setup(Script::default(), WIDE).await;
    submit(&setup.store, "fail").await;
    let store = setup.store.clone();
    let calling = tokio::spawn(async move {
        loop {
            store.sync_lane().submit(event(&store, "ok")).unwrap().answer().await.unwrap();
        }
    });
    eventually("the event is given up", || setup.durable() == 0).await;
    calling.abort();
    assert_eq!(setup.ran().iter().filter(|ran| *ran == "fail").count(), 3);
}

#[tokio::test]
async fn a_fault_of_the_platform_costs_no_attempt_and_tells_the_caller() {
    let setup = setup(Script::default(), WIDE).await;
    let ticket = setup.store.sync_lane().submit(event(&setup.store, "platform")).unwrap();
    assert!(ticket.answer().await.is_err());
    submit(&setup.store, "platform").await;
    eventually("it is tried more often than a failing function", || setup.ran().len() > 5).await;
    assert_eq!(setup.durable(), 1);
    assert!(setup.store.read(|view| view.failed_events(10)).unwrap().is_empty());
}

#[tokio::test]
async fn no_more_run_at_once_than_there_is_room_for() {
    let setup =
        setup(Script::default(), Capacity { memory_mb: 300, running: 100, starting: 100, background: 100 })
            .await;
    let tickets: Vec<_> =
        (0..50).map(|_| setup.store.sync_lane().submit(event(&setup.store, "ok")).unwrap()).collect();
    for _ in 0..20 {
        submit(&setup.store, "ok").await;
    }
    for ticket in tickets {
        assert!(ticket.answer().await.is_ok());
    }
    eventually("all events are settled", || setup.durable() == 0).await;
    assert_eq!(setup.ran().len(), 70);
    assert!(setup.script.most_at_once.load(Ordering::SeqCst) <= 2);
}

#[tokio::test]
async fn stopping_hands_back_what_does_not_finish() {
    let script = Script { permits: Some(Semaphore::new(1)), ..Script::default() };
    let setup = setup(script, WIDE).await;
    submit(&setup.store, "wait").await;
    submit(&setup.store, "wait").await;
    let ticket = setup.store.sync_lane().submit(event(&setup.store, "wait")).unwrap();
    eventually("all have begun", || setup.ran().len() == 3).await;
    let store = setup.stop().await;
    let answered = u64::from(ticket.answer().await.is_ok());
    // One of the three got the permit; the durable ones that did not are waiting again.
    assert_eq!(store.read(|view| view.durable_events()).unwrap(), 1 + answered);
    assert!(store.sync_lane().submit(event(&store, "ok")).is_err());
}

#[tokio::test]
async fn an_event_without_a_function_is_kept_as_failed() {
    let setup = setup(Script::default(), WIDE).await;
    let lost = Event { function: FunctionArn::of("gone"), ..event(&setup.store, "ok") };
    let copy = lost.clone();
    setup.store.write(move |tx| tx.submit(&copy)).await.unwrap();
    eventually("it is settled", || setup.durable() == 0).await;
    let failed = setup.store.read(|view| view.failed_events(10)).unwrap();
    assert_eq!((failed[0].id, failed[0].error.error_type.as_str()), (lost.id, "Event.FunctionNotFound"));
    assert!(setup.ran().is_empty());
}
