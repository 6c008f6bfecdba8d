//! The life of an event: claim, place, run, settle.

use crate::Settings;
use crate::ahead::{Ahead, Asked};
use crate::journal::Journal;
use crate::place::Load;
use crate::runner::{Process, Runner};
use crate::settle::{self, Settlement};
use model::{
    Event, FunctionError, FunctionSpec, Metering, Outcome, Part, Run, RunStatus, StartKind, StartMode,
    Timestamp,
};
use sandbox::{Exit, Hooks, Job, Report};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use store::queue::{Answer, Lease, Waiting};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;

/// How many durable events are claimed at a time.
const CLAIMED: usize = 32;

/// How many log lines wait between the process and its journal.
const LINES_WAITING: usize = 4_096;

/// How long to wait before looking at the durable lane again after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// What every step needs.
pub(crate) struct Flow {
    pub(crate) store: Store,
    pub(crate) runner: Arc<dyn Runner>,
    pub(crate) ahead: Ahead,
    pub(crate) settings: Settings,
    pub(crate) load: watch::Sender<Load>,
    /// One permit for each process that may be initialising for its event.
    pub(crate) starting: Arc<Semaphore>,
}

/// An event that was taken from its lane, with what its lane wants back.
pub(crate) enum Work {
    Called(Waiting),
    Durable(Lease),
}

impl Work {
    fn event(&self) -> &Event {
        match self {
            Work::Called(waiting) => &waiting.event,
            Work::Durable(lease) => &lease.event,
        }
    }

    /// What takes the answer as it is written, if somebody reads along; they are told that it begins.
    fn stream(&self, spec: &FunctionSpec) -> Option<mpsc::Sender<Part>> {
        let Work::Called(Waiting { stream: Some(stream), .. }) = self else { return None };
        // It is the first part, so there is room.
        let _ = stream.try_send(Part::Started(spec.version.clone()));
        Some(stream.clone())
    }

    /// How long ago its event was accepted, as of `now`.
    fn waited(&self, now: Timestamp) -> Duration {
        match self {
            Work::Called(waiting) => waiting.since.elapsed(),
            // It may have been accepted before this start of the program, so the wall clock has to do.
            Work::Durable(lease) => now.since(lease.event.accepted),
        }
    }
}

/// An event and the function it is for.
pub(crate) type Prepared = (Work, Arc<FunctionSpec>);

impl Flow {
    /// Claims what is due, and says when to look again.
    pub(crate) fn claim(&self) -> (VecDeque<Lease>, Option<Instant>) {
        let claimed = self.store.claim(CLAIMED).and_then(|leases| {
            // While there was something, there may be more.
            let due = if leases.is_empty() { self.store.next_due()? } else { Some(Timestamp(0)) };
            let at = due.map(|due| Instant::now() + due.since(self.store.now()));
            Ok((leases.into(), at))
        });
        claimed.unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read the queue of events");
            (VecDeque::new(), Some(Instant::now() + STORE_PAUSE))
        })
    }

    /// Finds the function of `work`; settles work that has none any more, or that is too old to run.
    pub(crate) async fn prepare(&self, work: Work) -> Option<Prepared> {
        let event = work.event();
        let refusal = match self.store.spec(&event.function) {
            Ok(Some(spec)) if settle::may_still_run(event, self.store.now()) => {
                self.ahead.arrived(&spec);
                return Some((work, spec));
            }
            Ok(Some(_)) => ("Event.MaximumAgeExceeded", "the event became too old to run"),
            Ok(None) => ("Event.FunctionNotFound", "the function does not exist any more"),
            Err(error) => {
                tracing::error!(id = %event.id, %error, "cannot read the function of an event");
                tokio::time::sleep(STORE_PAUSE).await;
                return None;
            }
        };
        let message = format!("RequestId: {} Error: {}", event.id, refusal.1);
        self.refuse(work, refusal.0, message).await;
        None
    }

    /// Takes the head of a lane if there is room for it.
    pub(crate) fn place(&self, head: &mut Option<Prepared>) -> Option<Prepared> {
        let load = *self.load.borrow();
        head.take_if(|(work, spec)| {
            let start = matches!(work, Work::Durable(_)) && !self.ahead.has(spec);
            self.settings.capacity.fits(&load, spec.memory_mb, start)
        })
    }

    /// Decides that `work` has its turn now and counts it in; the guard counts it out, however it ends.
    pub(crate) fn count_in(self: &Arc<Self>, work: &Work, spec: &Arc<FunctionSpec>) -> Counted {
        self.load.send_modify(|load| load.enter(spec.memory_mb));
        let waited = work.waited(self.store.now());
        Counted {
            flow: self.clone(),
            spec: spec.clone(),
            starting: true,
            placed: Instant::now(),
            waited,
            kept: None,
        }
    }

    /// Runs `work` in a process that waits ahead of it, or in one that is started for it, and settles it.
    pub(crate) async fn run(self: Arc<Self>, work: Work, spec: Arc<FunctionSpec>, mut counted: Counted) {
        let (process, permit) = self.process(&spec).await;
        let (waited, decided) = (counted.waited + counted.placed.elapsed(), Instant::now());
        let event = work.event();
        let mut journal = Journal::begin(&self.store, &spec, event.id);
        let (lines, mut printed) = mpsc::channel(LINES_WAITING);
        let (initialised, mut init_ended) = oneshot::channel();
        let job = Job {
            request_id: event.id,
            function: self.ahead.function(&spec),
            invoked: event.function.clone(),
            payload: event.payload.clone(),
            client_context: event.client_context.clone(),
            stream: work.stream(&spec),
            keep: spec.start == StartMode::Warm,
        };
        let mut run = match process {
            Some(process) => {
                counted.started();
                process.run(job, lines)
            }
            None => {
                // The receiver lives as long as the run; a run that is cut off needs no message.
                let initialised = Box::new(move || drop(initialised.send(permit)));
                let hooks = Hooks { lines, platform: self.ahead.platform(&spec), initialised };
                self.runner.run(job, hooks)
            }
        };
        let before_start = decided.elapsed();
        let ran = loop {
            tokio::select! {
                ran = &mut run => break ran,
                Some(line) = printed.recv() => {
                    journal.line(line);
                    while let Ok(line) = printed.try_recv() {
                        journal.line(line);
                    }
                }
                () = journal.keep_writing() => {}
                Ok(_) = &mut init_ended, if counted.starting => counted.started_cold(),
            }
        };
        while let Ok(line) = printed.try_recv() {
            journal.line(line);
        }
        drop(run);
        let report = ran.map(|(mut report, kept)| {
            counted.kept = kept;
            let metering = &mut report.metering;
            metering.queue = whole_micros(waited);
            if metering.start == StartKind::Cold {
                metering.init = whole_micros(metering.init + before_start);
            }
            metering.duration = whole_micros(metering.duration);
            metering.memory_mb = spec.memory_mb;
            metering.bytes_in = work.event().payload.len() as u64;
            metering.bytes_out = report.streamed + report.outcome.payload().len() as u64;
            report
        });
        drop(counted);
        self.settle(work, &spec, report, journal).await;
    }

    /// A process that is initialised; or none, and the permit to start one.
    async fn process(
        &self,
        spec: &Arc<FunctionSpec>,
    ) -> (Option<Box<dyn Process>>, Option<OwnedSemaphorePermit>) {
        // The semaphore is never closed.
        let permit = || async { self.starting.clone().acquire_owned().await.ok() };
        match self.ahead.ask(spec) {
            Asked::Here(process) => (Some(process), None),
            Asked::Coming(process) => match process.await {
                Ok(process) => (Some(process), None),
                Err(_) => (None, permit().await),
            },
            Asked::Perhaps(process) => tokio::select! {
                biased;
                Ok(process) = process => (Some(process), None),
                permit = permit() => (None, permit),
            },
        }
    }

    /// Turns the report of a run into what follows from it.
    async fn settle(
        &self,
        work: Work,
        spec: &FunctionSpec,
        report: Result<Report, sandbox::Error>,
        mut journal: Journal,
    ) {
        let report = match report {
            Ok(report) => report,
            Err(error @ sandbox::Error::NoInterpreter(_)) => {
                journal.note(error.to_string());
                journal.write_rest(None).await;
                return self.refuse(work, "Runtime.InvalidRuntime", error.to_string()).await;
            }
            Err(error @ sandbox::Error::NoNetwork { .. }) => {
                journal.note(error.to_string());
                journal.write_rest(None).await;
                return self.refuse(work, "Runtime.NoNetwork", error.to_string()).await;
            }
            Err(error) => {
                tracing::error!(id = %work.event().id, error = &error as &dyn std::error::Error, "a run failed");
                journal.note("The platform failed to run this event; the server's log has the cause.".into());
                journal.write_rest(None).await;
                return self.hand_back(work).await;
            }
        };
        let run = run_of(work.event(), spec, &report, self.store.now());
        journal.end(&run, report.exit.status());
        match work {
            Work::Called(waiting) => {
                waiting.reply(Answer {
                    outcome: report.outcome,
                    metering: report.metering,
                    log_tail: journal.tail(),
                    version: spec.version.clone(),
                });
                journal.write_rest(Some(run)).await;
            }
            Work::Durable(lease) => {
                let log = journal.into_rest().await;
                let delay = self.settings.retry_delay;
                let settlement = settle::decide(&lease.event, &report.outcome, self.store.now(), delay);
                self.commit(lease, settlement, log, Some(run)).await;
            }
        }
    }

    /// Ends an event that cannot be run at all.
    async fn refuse(&self, work: Work, error_type: &str, message: String) {
        let error = FunctionError::of(error_type, message);
        match work {
            Work::Called(waiting) => waiting.reply(Answer {
                outcome: Outcome::Failed(error),
                metering: Metering::default(),
                log_tail: String::new(),
                version: String::new(),
            }),
            Work::Durable(lease) => self.commit(lease, Settlement::GivenUp(error), Vec::new(), None).await,
        }
    }

    /// After a fault of the platform: a caller learns of it, a durable event waits and is run again as if this
    /// attempt had not been.
    async fn hand_back(&self, work: Work) {
        if let Work::Durable(lease) = work {
            let due = self.store.now().after(self.settings.retry_delay);
            let attempt = lease.event.attempt;
            self.commit(lease, Settlement::Retry { attempt, due }, Vec::new(), None).await;
        }
    }

    async fn commit(
        &self,
        lease: Lease,
        settlement: Settlement,
        log: Vec<store::log::Record>,
        run: Option<Run>,
    ) {
        let id = lease.event.id;
        if let Err(error) = settle::commit(&self.store, lease, settlement, log, run).await {
            tracing::error!(%id, %error, "an event could not be settled; it runs again");
            // The lease is free again already: without a pause this event would spin.
            tokio::time::sleep(STORE_PAUSE).await;
        }
    }
}

/// What the bill says of a run.
fn run_of(event: &Event, spec: &FunctionSpec, report: &Report, now: Timestamp) -> Run {
    let status = match (&report.outcome, report.exit) {
        (Outcome::Succeeded(_), _) => RunStatus::Success,
        (Outcome::Failed(_), Exit::TimedOut) => RunStatus::Timeout,
        (Outcome::Failed(_), _) => RunStatus::Error,
    };
    let error_type = match (&report.outcome, report.exit) {
        (Outcome::Succeeded(_), _) => None,
        (Outcome::Failed(_), Exit::OutOfMemory) => Some("Runtime.OutOfMemory".to_owned()),
        (Outcome::Failed(error), _) => Some(error.error_type.clone()),
    };
    Run {
        function: spec.arn.log_name(),
        version: spec.version.clone(),
        request_id: event.id,
        attempt: event.attempt,
        ended: now,
        status,
        error_type,
        metering: report.metering.clone(),
    }
}

/// Cut to whole microseconds, as the store keeps times: so every place states the same figures.
fn whole_micros(time: Duration) -> Duration {
    Duration::from_micros(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

/// A run that is counted in the load.
pub(crate) struct Counted {
    flow: Arc<Flow>,
    spec: Arc<FunctionSpec>,
    starting: bool,
    /// When it had its turn.
    placed: Instant,
    /// How long its event had waited by then.
    waited: Duration,
    /// The process, if it can serve another event.
    kept: Option<Box<dyn Process>>,
}

impl Counted {
    /// It has an initialised process.
    fn started(&mut self) {
        if std::mem::take(&mut self.starting) {
            self.flow.load.send_modify(Load::started);
        }
    }

    /// It has one that was started for it.
    fn started_cold(&mut self) {
        self.started();
        self.flow.ahead.initialised(&self.spec);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.started();
        self.flow.ahead.ended(&self.spec, self.kept.take());
        self.flow.load.send_modify(|load| load.leave(self.spec.memory_mb));
    }
}
