//! The life of an event: claim, place, run, settle.

use crate::Settings;
use crate::ahead::{Ahead, Asked};
use crate::destination::Wishes;
use crate::journal::Journal;
use crate::latency::Latencies;
use crate::ledger::Ledger;
use crate::runner::{Process, Runner};
use crate::settle::{self, Ran, Settlement};
use crate::turns::{Entry, Facts, Turns};
use model::{
    Event, FunctionArn, FunctionError, FunctionSpec, Metering, Outcome, Part, Run, RunStatus, StartKind,
    StartMode, Timestamp, limits,
};
use sandbox::{Exit, Hooks, Job, Report};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::Store;
use store::queue::{Answer, Lease, Throttled, Waiting};
use store::rules::EventRules;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

/// How many log lines wait between the process and its journal.
const LINES_WAITING: usize = 4_096;

/// How many events that became too old are given up at a time.
const OLD_AT_ONCE: usize = 32;

/// How long to wait before looking at the durable lane again after the store failed.
pub(crate) const STORE_PAUSE: Duration = Duration::from_secs(1);

/// What every step needs.
pub(crate) struct Flow {
    pub(crate) store: Store,
    pub(crate) runner: Arc<dyn Runner>,
    pub(crate) ahead: Ahead,
    pub(crate) settings: Settings,
    pub(crate) turns: Mutex<Turns<Called, Lease>>,
    /// Something has ended, so that there may be room.
    pub(crate) freed: Notify,
    pub(crate) latencies: Latencies,
    pub(crate) ledger: Ledger,
    /// One permit for each process that may be initialising for its event.
    pub(crate) starting: Arc<Semaphore>,
}

/// An event that was taken from its lane, with what its lane wants back.
pub(crate) enum Work {
    Called(Waiting),
    /// A call whose caller has the answer already.
    Answered(Event),
    Durable(Lease),
}

impl Work {
    fn event(&self) -> &Event {
        match self {
            Work::Called(waiting) => &waiting.event,
            Work::Answered(event) => event,
            Work::Durable(lease) => &lease.event,
        }
    }

    /// Gives the caller the answer that is there before the end of the run, unless they want what is only there then.
    fn answered(self, outcome: Outcome, spec: &FunctionSpec) -> Work {
        match self {
            Work::Called(waiting) if !waiting.whole_log => {
                let event = waiting.event.clone();
                waiting.reply(Answer {
                    outcome,
                    metering: Metering::default(),
                    log_tail: String::new(),
                    version: spec.version.clone(),
                });
                Work::Answered(event)
            }
            other => other,
        }
    }

    /// What takes the answer as it is written, if somebody reads along.
    fn stream(&self) -> Option<mpsc::Sender<Part>> {
        let Work::Called(Waiting { stream, .. }) = self else { return None };
        stream.clone()
    }
}

/// What serves an event.
enum By {
    /// A process that waits for one.
    Waiting(Box<dyn Process>),
    /// One that is started for it, which this permits.
    Started(Option<OwnedSemaphorePermit>),
}

/// What is to be done with a durable event.
enum Found {
    /// It runs.
    Runs(Arc<FunctionSpec>),
    /// It does not.
    GivenUp(Box<Settlement>),
}

/// A call and the function it is for.
pub(crate) type Called = (Waiting, Arc<FunctionSpec>);

impl Flow {
    /// Whose turn it is. Held for moments only.
    pub(crate) fn turns(&self) -> MutexGuard<'_, Turns<Called, Lease>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a call wait for its turn; or answers it, if it cannot.
    pub(crate) async fn take_in(&self, waiting: Waiting) {
        let function = waiting.event.function.clone();
        let known = self.store.spec(&function);
        match known.and_then(|spec| Ok((spec, self.is_loop(&waiting.event)?))) {
            Ok((Some(_), true)) => {
                let error = settle::of_a_loop(&waiting.event);
                self.refuse(Work::Called(waiting), &error.error_type, error.error_message).await;
            }
            Ok((Some(spec), false)) => {
                // A reservation that was changed before the call came holds for it.
                self.follow_reservations();
                self.ahead.arrived(&spec);
                let memory_mb = spec.memory_mb;
                let taken = self.turns().call(&function, memory_mb, (waiting, spec), Instant::now());
                if let Err(((waiting, _), why)) = taken {
                    self.throttle(waiting, why);
                }
            }
            Ok((None, _)) => self.refuse_gone(Work::Called(waiting)).await,
            Err(error) => {
                tracing::error!(id = %waiting.event.id, %error, "cannot read the function of an event")
            }
        }
    }

    /// Tells a caller that there is no room.
    pub(crate) fn throttle(&self, waiting: Waiting, why: Throttled) {
        tracing::debug!(id = %waiting.event.id, function = %waiting.event.function, reason = why.reason(), "no room for a call");
        waiting.refuse(why);
    }

    /// What the order of turns has to know of `function`.
    pub(crate) fn facts(&self, function: &FunctionArn) -> Option<Facts> {
        let spec = self.store.spec(function).ok().flatten()?;
        // The events of a function that is off are only settled, if somebody is to hear of them.
        let off = self.is_off(function).ok()? && {
            let rules = self.store.event_rules(function).ok()?;
            wishes(&rules, &spec).hears_of_failures()
        };
        (!off).then(|| Facts { memory_mb: spec.memory_mb, start: !self.ahead.has(&spec) })
    }

    /// Runs a call that has its turn, unless its caller has gone away.
    pub(crate) async fn run_called(self: Arc<Self>, (mut waiting, spec): Called, entry: Entry) {
        let waited = waiting.since.elapsed();
        let counted = self.count_in(entry, &spec, waited);
        if waiting.is_abandoned() {
            return;
        }
        waiting.begin();
        self.run(Work::Called(waiting), spec, counted).await;
    }

    /// Runs a durable event that has its turn; settles one that cannot run any more.
    pub(crate) async fn run_durable(self: Arc<Self>, lease: Lease, entry: Entry) {
        match self.found(&lease.event) {
            Ok(Found::Runs(spec)) => {
                self.ahead.arrived(&spec);
                // It may have been accepted before this start of the program, so the wall clock has to do.
                let waited = self.store.now().since(lease.event.accepted);
                let counted = self.count_in(entry, &spec, waited);
                self.run(Work::Durable(lease), spec, counted).await;
            }
            Ok(Found::GivenUp(settlement)) => {
                let _counted = Left { flow: &self, entry };
                self.commit(lease, *settlement, Vec::new(), None).await;
            }
            Err(error) => {
                let _counted = Left { flow: &self, entry };
                tracing::error!(id = %lease.event.id, %error, "cannot read the function of an event");
                tokio::time::sleep(STORE_PAUSE).await;
            }
        }
    }

    /// Gives up those of the durable events of `function` that became too old while there was no room for them.
    pub(crate) async fn give_up_old(&self, function: &FunctionArn) -> store::Result<()> {
        loop {
            let (now, age) = (self.store.now(), self.store.event_rules(function)?.max_age());
            // None is due before it is accepted.
            let old = Timestamp(now.0.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)) - 1);
            let claimed = self.store.claim_due(function, old, OLD_AT_ONCE)?.leases;
            let last = claimed.len() < OLD_AT_ONCE;
            for lease in claimed {
                if let Found::GivenUp(settlement) = self.found(&lease.event)? {
                    self.commit(lease, *settlement, Vec::new(), None).await;
                }
            }
            if last {
                return Ok(());
            }
        }
    }

    /// What is to be done with a durable event.
    fn found(&self, event: &Event) -> store::Result<Found> {
        let (spec, rules) = (self.store.spec(&event.function)?, self.store.event_rules(&event.function)?);
        let now = self.store.now();
        let Some(spec) = spec else {
            let message = format!("RequestId: {} Error: the function does not exist any more", event.id);
            let error = FunctionError::of("Event.FunctionNotFound", message);
            return Ok(Found::GivenUp(Box::new(Settlement::GivenUp {
                error,
                runs: event.attempt,
                follows: Vec::new(),
            })));
        };
        let loops = self.is_loop(event)?;
        Ok(match settle::refusal(event, wishes(&rules, &spec), self.is_off(&event.function)?, loops, now) {
            Some((condition, error)) => {
                Found::GivenUp(Box::new(settle::give_up(event, condition, error, wishes(&rules, &spec), now)))
            }
            None => Found::Runs(spec),
        })
    }

    /// Whether an event is one of a loop that is to end.
    fn is_loop(&self, event: &Event) -> store::Result<bool> {
        Ok(event.lineage.count(&event.function) >= limits::RECURSION
            && !self.store.may_loop(&event.function)?)
    }

    fn is_off(&self, function: &FunctionArn) -> store::Result<bool> {
        Ok(self.store.reservations()?.get(&function.unqualified()) == Some(0))
    }

    async fn refuse_gone(&self, work: Work) {
        let message = format!("RequestId: {} Error: the function does not exist any more", work.event().id);
        self.refuse(work, "Event.FunctionNotFound", message).await;
    }

    /// The guard of an event that was counted in: it counts it out, however it ends.
    fn count_in(self: &Arc<Self>, entry: Entry, spec: &Arc<FunctionSpec>, waited: Duration) -> Counted {
        Counted {
            flow: self.clone(),
            spec: spec.clone(),
            entry,
            starting: true,
            asked: false,
            placed: Instant::now(),
            waited,
            kept: None,
        }
    }

    fn ended(&self, entry: &Entry) {
        self.turns().ended(entry, Instant::now());
        self.freed.notify_one();
    }

    /// Runs `work` in a process that waits ahead of it, or in one that is started for it, and settles it.
    async fn run(self: Arc<Self>, mut work: Work, spec: Arc<FunctionSpec>, mut counted: Counted) {
        counted.asked = true;
        let by = self.process(&spec).await;
        let (waited, decided) = (counted.waited + counted.placed.elapsed(), Instant::now());
        let called = matches!(work, Work::Called(_));
        let mut journal = Journal::begin(&self.store, &spec, work.event().id);
        if let Some(stream) = work.stream() {
            // It is the first part, so there is room.
            let _ = stream.try_send(Part::Started(spec.version.clone()));
        }
        let mut before_start = decided.elapsed();
        let mut ran;
        (work, ran) = self.attempt(work, by, &mut counted, &mut journal).await;
        if matches!(ran, Err(sandbox::Error::EventLeft)) {
            tracing::debug!(id = %work.event().id, "the process for an event ended before; another one is started");
            let by = By::Started(self.permit().await);
            before_start = decided.elapsed();
            (work, ran) = self.attempt(work, by, &mut counted, &mut journal).await;
        }
        let report = ran.map(|(mut report, kept)| {
            counted.kept = kept;
            let metering = &mut report.metering;
            self.latencies.note(&work.event().function, called, waited, waited + decided.elapsed());
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

    /// Runs `work` in this process, once, and gives it back with what came of it.
    async fn attempt(
        &self,
        mut work: Work,
        by: By,
        counted: &mut Counted,
        journal: &mut Journal,
    ) -> (Work, Result<(Report, Option<Box<dyn Process>>), sandbox::Error>) {
        let spec = counted.spec.clone();
        let event = work.event();
        let (lines, mut printed) = mpsc::channel(LINES_WAITING);
        let (initialised, mut init_ended) = oneshot::channel();
        let (answered, mut outcome) = oneshot::channel();
        let mut early = true;
        let job = Job {
            request_id: event.id,
            function: self.ahead.function(&spec),
            invoked: event.function.clone(),
            lineage: event.lineage.through(&event.function),
            payload: event.payload.clone(),
            client_context: event.client_context.clone(),
            stream: work.stream(),
            keep: spec.start == StartMode::Warm,
        };
        let mut run = match by {
            By::Waiting(process) => {
                counted.started();
                process.run(job, lines, answered)
            }
            By::Started(permit) => {
                // The receiver lives as long as the run; a run that is cut off needs no message.
                let initialised = Box::new(move || drop(initialised.send(permit)));
                let hooks = Hooks { lines, platform: self.ahead.platform(&spec), initialised, answered };
                self.runner.run(job, hooks)
            }
        };
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
                outcome = &mut outcome, if early => {
                    early = false;
                    if let Ok(outcome) = outcome {
                        work = work.answered(outcome, &spec);
                    }
                }
            }
        };
        while let Ok(line) = printed.try_recv() {
            journal.line(line);
        }
        drop(run);
        (work, ran)
    }

    /// The permit to start a process; the semaphore is never closed.
    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        self.starting.clone().acquire_owned().await.ok()
    }

    /// A process that is initialised; or the permit to start one.
    async fn process(&self, spec: &Arc<FunctionSpec>) -> By {
        match self.ahead.ask(spec) {
            Asked::Here(process) => By::Waiting(process),
            Asked::Coming(process) => match process.await {
                Ok(process) => By::Waiting(process),
                Err(_) => By::Started(self.permit().await),
            },
            Asked::Perhaps(process) => tokio::select! {
                biased;
                Ok(process) = process => By::Waiting(process),
                permit = self.permit() => By::Started(permit),
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
                journal.write_rest(&self.ledger, None).await;
                return self.refuse(work, "Runtime.InvalidRuntime", error.to_string()).await;
            }
            Err(error @ sandbox::Error::NoNetwork { .. }) => {
                journal.note(error.to_string());
                journal.write_rest(&self.ledger, None).await;
                return self.refuse(work, "Runtime.NoNetwork", error.to_string()).await;
            }
            Err(error) => {
                tracing::error!(id = %work.event().id, error = &error as &dyn std::error::Error, "a run failed");
                journal.note("The platform failed to run this event; the server's log has the cause.".into());
                journal.write_rest(&self.ledger, None).await;
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
                journal.write_rest(&self.ledger, Some(run)).await;
            }
            Work::Answered(_) => journal.write_rest(&self.ledger, Some(run)).await,
            Work::Durable(lease) => {
                let log = journal.into_rest().await;
                let (now, delay) = (self.store.now(), self.settings.retry_delay);
                // Without the rules nothing can be decided: the event runs again.
                match self.store.event_rules(&lease.event.function) {
                    Ok(rules) => {
                        let ran = Ran { outcome: &report.outcome, version: &spec.version };
                        let settlement = settle::decide(&lease.event, ran, wishes(&rules, spec), now, delay);
                        self.commit(lease, settlement, log, Some(run)).await;
                    }
                    Err(error) => {
                        tracing::error!(id = %lease.event.id, %error, "an event could not be settled; it runs again");
                        tokio::time::sleep(STORE_PAUSE).await;
                    }
                }
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
            Work::Answered(_) => {}
            Work::Durable(lease) => {
                let runs = lease.event.attempt + 1;
                let settlement = Settlement::GivenUp { error, runs, follows: Vec::new() };
                self.commit(lease, settlement, Vec::new(), None).await;
            }
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

/// What the owner of `spec` wants to follow from its events.
fn wishes<'a>(rules: &'a EventRules, spec: &'a FunctionSpec) -> Wishes<'a> {
    Wishes { rules, dead_letter: spec.dead_letter.as_deref() }
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

/// An event that had its turn and is not run.
struct Left<'a> {
    flow: &'a Flow,
    entry: Entry,
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.flow.turns().started();
        self.flow.ended(&self.entry);
    }
}

/// A run that is counted in the load.
struct Counted {
    flow: Arc<Flow>,
    spec: Arc<FunctionSpec>,
    entry: Entry,
    starting: bool,
    /// It has asked for a process.
    asked: bool,
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
            self.flow.turns().started();
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
        if self.asked {
            self.flow.ahead.ended(&self.spec, self.kept.take());
        }
        self.flow.ended(&self.entry);
    }
}
