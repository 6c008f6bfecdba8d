//! An event in a process that is initialised, from handing it over to the report.

use super::Sandbox;
use super::extensions::{Goal, Reason, shut_down};
use super::frames::{Frame, Invocation};
use super::launch;
use super::prepared::Prepared;
use super::process::{Happening, Process};
use super::streamed::Streamed;
use super::telemetry::{metrics_of, milliseconds, tracing};
use super::verdict::{End, judge};
use crate::control::{Tell, Usage};
use crate::environment::Purpose;
use crate::{Error, Exit, Hooks, Job, Report};
use model::limits::INIT;
use model::{Metering, Outcome, Part, StartKind};
use serde_json::json;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Starts a process for `job` and runs it; gives the process back if the job wants it kept and it can serve another event.
pub(super) async fn run(
    sandbox: &Sandbox,
    job: &Job,
    stream: Option<mpsc::Sender<Part>>,
    hooks: Hooks,
) -> Result<(Report, Option<Prepared>), Error> {
    let started = Instant::now();
    let Hooks { lines, platform, initialised, answered } = hooks;
    let purpose = Purpose::Event(job.request_id);
    let (mut process, warning) = launch::start(sandbox, &job.function, purpose, platform, None).await?;
    process.begin_lines(lines, warning.as_deref());
    // Initialisation that takes longer than its own limit runs on the function's time.
    let deadline = started + INIT + job.function.spec.timeout();
    let mut run = Run::of(job, StartKind::Cold, started, Duration::ZERO, (stream, answered));
    let end = match initialise(&mut process, deadline).await? {
        Some(end) => end,
        None => {
            initialised();
            let own_time = (started.elapsed() <= INIT).then(|| Instant::now() + job.function.spec.timeout());
            run.serve(&mut process, own_time.unwrap_or(deadline)).await?
        }
    };
    run.conclude(process, end, warning).await
}

/// Waits until the code of `process` is ready for an event, and its extensions are; if it does not come to that, how it
/// ended.
pub(super) async fn initialise(process: &mut Process, deadline: Instant) -> Result<Option<End>, Error> {
    let began = Instant::now();
    if let Some(end) = process.until(Goal::Registered, deadline).await? {
        process.initialised(Some(&end), began);
        return Ok(Some(end));
    }
    process.tell(Tell::Begin);
    let end = match process.next(deadline).await? {
        Happening::Said(Frame::Ready) => None,
        Happening::Said(Frame::InitError(document)) => Some(End::Raised(document)),
        Happening::Ended(end) => Some(end),
        _ => Some(End::Garbage),
    };
    if let Some(extended) = &process.extended {
        extended.roster().close();
        extended.runtime_done(end.as_ref().map(End::kind).as_deref());
    }
    let end = match end {
        None => process.until(Goal::Idle, deadline).await?,
        end => end,
    };
    process.initialised(end.as_ref(), began);
    Ok(end)
}

/// A job in the process that serves it.
pub(super) struct Run<'a> {
    job: &'a Job,
    kind: StartKind,
    /// When it was decided that this process serves it.
    started: Instant,
    /// When the event was handed over.
    invoked: Option<Instant>,
    /// The processor time that the process had used before it was this job's.
    used_before: Duration,
    /// Takes the answer as it is written, for a caller that reads along.
    stream: Option<mpsc::Sender<Part>>,
    /// The bytes of the answer that went to whoever reads along.
    streamed: u64,
    /// Takes the outcome, if the process has more to do after it.
    answered: Option<oneshot::Sender<Outcome>>,
    /// The outcome, if it was told.
    told: Option<(Outcome, Exit)>,
    /// How long extensions went on after the runtime, and since when.
    overhead: Option<(String, Duration)>,
}

impl<'a> Run<'a> {
    /// A job that begins in a process of this kind, decided on at `started`, that had `used_before` of processor time.
    pub(super) fn of(
        job: &'a Job,
        kind: StartKind,
        started: Instant,
        used_before: Duration,
        (stream, answered): (Option<mpsc::Sender<Part>>, oneshot::Sender<Outcome>),
    ) -> Run<'a> {
        Run {
            job,
            kind,
            started,
            invoked: None,
            used_before,
            stream,
            streamed: 0,
            answered: Some(answered),
            told: None,
            overhead: None,
        }
    }

    /// Hands the event over, from where the handler's time runs, and waits for the answer or another end.
    ///
    /// # Errors
    /// The platform's own faults, and [`Error::EventLeft`] of a process that was not started for this event.
    pub(super) async fn serve(&mut self, process: &mut Process, deadline: Instant) -> Result<End, Error> {
        let (job, now) = (self.job, Instant::now());
        self.invoked = Some(now);
        let invocation = Invocation {
            request_id: job.request_id.to_string(),
            deadline_ms: process.lines.now().after(deadline.saturating_duration_since(now)).0,
            client_context: job.client_context.as_deref(),
            function_arn: job.invoked.as_str(),
            trace_id: job.request_id.trace_header(job.function.spec.tracing, &job.lineage),
        };
        process.invoke(&invocation, &job.function.spec.version);
        process.runtime.hand_over(&invocation, &job.payload)?;
        let stream = self.stream.take();
        let mut streamed = Streamed::new(stream.as_ref());
        let mut silent = true;
        let end = loop {
            let happening = process.next(deadline).await?;
            silent &= !matches!(happening, Happening::Said(_));
            let more = match happening {
                // Pieces that were sent before time was up are read as long as there are any: for ever, perhaps.
                Happening::Said(Frame::Head(_) | Frame::Data(_)) if Instant::now() > deadline => {
                    Err(End::TimedOut)
                }
                Happening::Said(Frame::Head(content_type)) => streamed.begin(&content_type, deadline).await,
                Happening::Said(Frame::Data(piece)) => streamed.add(piece, deadline).await,
                Happening::Said(Frame::Result(answer)) => Err(End::Answered(streamed.answer(answer))),
                Happening::Said(Frame::Error(document)) => Err(End::Raised(document)),
                Happening::Ended(end) => Err(end),
                _ => Err(End::Garbage),
            };
            if let Err(end) = more {
                break end;
            }
        };
        self.streamed = streamed.passed();
        // Whoever has said something may have been read along.
        let left = silent && matches!(end, End::Ended(_)) && process.runtime.left_event();
        if left && self.kind != StartKind::Cold {
            process.drain();
            process.finish_lines().await;
            return Err(Error::EventLeft);
        }
        // Whoever reads along hears that this was all.
        drop(stream);
        if process.extended.is_some() {
            self.go_on(process, &end, &invocation.trace_id, deadline).await?;
        }
        if process.is_late() && !matches!(end, End::TimedOut) {
            let note = format!("{} went on after its answer until its time was up", job.request_id);
            process.lines.note(note);
        }
        Ok(end)
    }

    /// The runtime has come to an `end`: whoever waits for the answer has it now, and extensions go on with the event.
    async fn go_on(
        &mut self,
        process: &mut Process,
        end: &End,
        trace_id: &str,
        deadline: Instant,
    ) -> Result<(), Error> {
        if !process.extended.as_ref().is_some_and(|extended| extended.roster().counts().0) {
            return Ok(());
        }
        // What was printed before the answer is told before it.
        process.drain();
        process.lines.flush_partial();
        let Some(extended) = &process.extended else { return Ok(()) };
        let (id, done) = (self.job.request_id.to_string(), Instant::now());
        let began = self.invoked.unwrap_or(done);
        let answered = matches!(end, End::Answered(_) | End::Raised(_) | End::TooLarge);
        let produced = match end {
            End::Answered(answer) => answer.len() as u64 + self.streamed,
            End::Raised(document) => document.len() as u64,
            _ => 0,
        };
        extended.hub().tell("platform.runtimeDone", || {
            let duration = milliseconds(done.duration_since(began));
            let mut record = json!({
                "requestId": id,
                "status": end.status(),
                "metrics": {"durationMs": duration, "producedBytes": produced},
                "tracing": tracing(trace_id),
            });
            if end.status() != "success" {
                record["errorType"] = json!(end.kind());
            }
            record
        });
        if !answered {
            return Ok(());
        }
        let told = judge(self.job, end.clone(), false, &mut process.lines);
        if let Some(answered) = self.answered.take() {
            let _ = answered.send(told.0.clone());
        }
        self.told = Some(told);
        let since = process.lines.now().iso_z();
        let failed = process.until(Goal::Idle, deadline).await?;
        self.overhead = Some((since, done.elapsed()));
        match failed {
            None => {}
            Some(End::TimedOut) => {
                process.lines.note(format!("{id} Extensions went on until the time was up"))
            }
            Some(End::Extension(kind, reason)) => {
                process.lines.note(format!("RequestId: {id} Error: {reason}\n{kind}"));
            }
            // The runtime may end when it has answered.
            Some(_) => {}
        }
        Ok(())
    }

    /// Keeps the process or ends it, collects the rest of the log and the account, and judges.
    pub(super) async fn conclude(
        self,
        mut process: Process,
        end: End,
        warning: Option<String>,
    ) -> Result<(Report, Option<Prepared>), Error> {
        let ended = Instant::now();
        let answered = matches!(end, End::Answered(_) | End::Raised(_) | End::TooLarge);
        let heard = matches!(end, End::Answered(_) | End::Raised(_)) && self.invoked.is_some();
        let kept = heard && self.job.keep && process.lives();
        self.report(&process, &end, ended);
        let extended = process.extended.as_ref().is_some_and(|extended| extended.roster().counts().0);
        let usage = if kept {
            process.drain();
            process.used().unwrap_or_default()
        } else if extended {
            let reason = match &end {
                _ if process.is_late() => Reason::Timeout,
                _ if answered && process.lives() => Reason::Spindown,
                _ => Reason::Failure,
            };
            shut_down(&mut process, reason).await;
            // Nothing of it is left when the report comes.
            process.end(false).await?
        } else {
            process.end(answered).await?
        };
        let died = matches!(end, End::Ended(_));
        let judged = self.told.clone();
        let (outcome, exit) =
            judged.unwrap_or_else(|| judge(self.job, end, died && usage.out_of_memory, &mut process.lines));
        process.finish_lines().await;
        let report = Report {
            outcome,
            exit,
            metering: self.metering(usage, ended),
            streamed: self.streamed,
            warning: warning.clone(),
        };
        let function = &self.job.function;
        let kept = kept.then(|| Prepared::warm(process, function, warning, usage));
        Ok((report, kept))
    }

    /// What the run has cost, as far as it is known here: the rest is known to whoever took the event in.
    fn metering(&self, usage: Usage, ended: Instant) -> Metering {
        let invoked = self.invoked.unwrap_or(ended);
        let cold = self.kind == StartKind::Cold;
        Metering {
            start: self.kind,
            init: if cold { invoked.duration_since(self.started) } else { Duration::ZERO },
            duration: ended.duration_since(invoked),
            peak_memory: usage.peak_memory,
            cpu: Duration::from_micros(usage.cpu_us).saturating_sub(self.used_before),
            ..Metering::default()
        }
    }

    /// Tells extensions what the event has cost.
    fn report(&self, process: &Process, end: &End, ended: Instant) {
        let Some(extended) = &process.extended else { return };
        extended.hub().tell("platform.report", || {
            let mut metering = self.metering(process.used().unwrap_or_default(), ended);
            metering.memory_mb = self.job.function.spec.memory_mb;
            let id = self.job.request_id.to_string();
            let mut record =
                json!({"requestId": id, "status": end.status(), "metrics": metrics_of(&metering)});
            if end.status() != "success" {
                record["errorType"] = json!(end.kind());
            }
            if let Some((start, time)) = &self.overhead {
                let span =
                    json!({"name": "extensionOverhead", "start": start, "durationMs": milliseconds(*time)});
                record["spans"] = json!([span]);
            }
            record
        });
    }
}
