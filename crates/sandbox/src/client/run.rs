//! An event in a process that is initialised, from handing it over to the report.

use super::Sandbox;
use super::frames::{Frame, Invocation};
use super::launch;
use super::prepared::Prepared;
use super::process::{Happening, Process};
use super::streamed::Streamed;
use super::verdict::{End, judge};
use crate::environment::Purpose;
use crate::{Error, Hooks, Job, Report};
use model::limits::INIT;
use model::{Metering, StartKind};
use std::time::Duration;
use tokio::time::Instant;

/// Starts a process for `job` and runs it; gives the process back if the job wants it kept and it can serve another event.
pub(super) async fn run(
    sandbox: &Sandbox,
    job: &Job,
    hooks: Hooks,
) -> Result<(Report, Option<Prepared>), Error> {
    let started = Instant::now();
    let Hooks { lines, platform, initialised } = hooks;
    let purpose = Purpose::Event(job.request_id);
    let (mut process, warning) = launch::start(sandbox, &job.function, purpose, platform, None).await?;
    process.lines.begin(lines, warning.as_deref());
    // Initialisation that takes longer than its own limit runs on the function's time.
    let deadline = started + INIT + job.function.spec.timeout();
    let mut run =
        Run { job, kind: StartKind::Cold, started, invoked: None, used_before: Duration::ZERO, streamed: 0 };
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

/// Waits until the code of `process` is ready for an event; if it does not come to that, how it ended.
pub(super) async fn initialise(process: &mut Process, deadline: Instant) -> Result<Option<End>, Error> {
    Ok(match process.next(deadline).await? {
        Happening::Said(Frame::Ready) => None,
        Happening::Said(Frame::InitError(document)) => Some(End::Raised(document)),
        Happening::Ended(end) => Some(end),
        _ => Some(End::Garbage),
    })
}

/// A job in the process that serves it.
pub(super) struct Run<'a> {
    pub(super) job: &'a Job,
    pub(super) kind: StartKind,
    /// When it was decided that this process serves it.
    pub(super) started: Instant,
    /// When the event was handed over.
    pub(super) invoked: Option<Instant>,
    /// The processor time that the process had used before it was this job's.
    pub(super) used_before: Duration,
    /// The bytes of the answer that went to whoever reads along.
    pub(super) streamed: u64,
}

impl Run<'_> {
    /// Hands the event over, from where the handler's time runs, and waits for the answer or another end.
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
        process.runtime.hand_over(&invocation, &job.payload)?;
        let mut streamed = Streamed::new(job.stream.as_ref());
        let end = loop {
            let more = match process.next(deadline).await? {
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
        if process.is_late() && !matches!(end, End::TimedOut) {
            let note = format!("{} went on after its answer until its time was up", job.request_id);
            process.lines.note(note);
        }
        Ok(end)
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
        let usage = if kept {
            process.drain();
            process.used().unwrap_or_default()
        } else {
            process.end(answered).await?
        };
        let died = matches!(end, End::Ended(_));
        let (outcome, exit) = judge(self.job, end, died && usage.out_of_memory, &mut process.lines);
        process.lines.finish().await;
        let invoked = self.invoked.unwrap_or(ended);
        let cpu = Duration::from_micros(usage.cpu_us);
        let report = Report {
            outcome,
            exit,
            metering: Metering {
                start: self.kind,
                init: if self.kind == StartKind::Cold {
                    invoked.duration_since(self.started)
                } else {
                    Duration::ZERO
                },
                duration: ended.duration_since(invoked),
                peak_memory: usage.peak_memory,
                cpu: cpu.saturating_sub(self.used_before),
                // The rest is known to whoever took the event in.
                ..Metering::default()
            },
            streamed: self.streamed,
            warning: warning.clone(),
        };
        let function = &self.job.function;
        let kept = kept.then(|| Prepared::warm(process, function, warning, usage));
        Ok((report, kept))
    }
}
