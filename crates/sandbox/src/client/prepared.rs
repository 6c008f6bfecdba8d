//! Processes that are initialised and wait for an event.

use super::Sandbox;
use super::extensions::{Reason, shut_down};
use super::launch;
use super::process::Process;
use super::run::{Run, initialise};
use super::verdict::End;
use crate::control::Usage;
use crate::environment::Purpose;
use crate::{Error, Function, Job, Line, Platform, Report};
use model::limits::INIT_AHEAD;
use model::{FunctionError, FunctionSpec, Outcome, StartKind};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// An initialised process that waits for an event. Dropping it ends the process.
///
/// While it is held, [`Prepared::poll_wait`] must be called: the process may print, ask for the platform, or die.
pub struct Prepared {
    /// None once it has an event.
    process: Option<Process>,
    spec: Arc<FunctionSpec>,
    kind: StartKind,
    warning: Option<String>,
    /// What it had used when it began to wait.
    used: Usage,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let function = &self.spec.arn;
        f.debug_struct("Prepared")
            .field("function", function)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Starts a process of `function` and waits until it is ready for an event.
pub(super) async fn prepare(
    sandbox: &Sandbox,
    function: &Function,
    platform: Platform,
) -> Result<Result<Prepared, String>, Error> {
    let deadline = deadline(&function.spec);
    let (mut process, warning) = launch::start(sandbox, function, Purpose::Wait, platform, None).await?;
    Ok(match initialise(&mut process, deadline).await? {
        Some(end) => {
            shut_down(&mut process, Reason::Failure).await;
            Err(reason(&end))
        }
        None => Ok(Prepared::new(process, function, StartKind::Ready, warning)),
    })
}

/// When initialisation ahead of events has to have ended that begins now.
pub(super) fn deadline(spec: &FunctionSpec) -> Instant {
    Instant::now() + INIT_AHEAD.max(spec.timeout())
}

/// Why a process is not there, in words for the function's owner.
pub(super) fn reason(end: &End) -> String {
    match end {
        End::Raised(document) => match FunctionError::read(document) {
            Some(error) => {
                format!("its initialisation failed: {}: {}", error.error_type, error.error_message)
            }
            None => "its initialisation failed".to_owned(),
        },
        End::TimedOut => "its initialisation took too long".to_owned(),
        End::NotStarted(..) => "its program could not be started".to_owned(),
        End::Extension(kind, reason) => format!("an extension of it failed: {kind}: {reason}"),
        End::Ended(_) => "its process ended while it was initialised".to_owned(),
        End::Answered(_) | End::TooLarge | End::Garbage => "it broke the protocol".to_owned(),
    }
}

impl Drop for Prepared {
    /// Its extensions hear of its end, and have their time; whatever is there after that is killed.
    fn drop(&mut self) {
        if let (Some(mut process), Ok(runtime)) = (self.process.take(), Handle::try_current())
            && process.extended.as_ref().is_some_and(|extended| extended.roster().counts().0)
        {
            let reason = if process.lives() { Reason::Spindown } else { Reason::Failure };
            runtime.spawn(async move { shut_down(&mut process, reason).await });
        }
    }
}

impl Prepared {
    /// An initialised process of `function`.
    pub(super) fn new(
        process: Process,
        function: &Function,
        kind: StartKind,
        warning: Option<String>,
    ) -> Prepared {
        let used = process.used().unwrap_or_default();
        Prepared { process: Some(process), spec: Arc::clone(&function.spec), kind, warning, used }
    }

    /// A process that has served an event.
    pub(super) fn warm(
        process: Process,
        function: &Function,
        warning: Option<String>,
        used: Usage,
    ) -> Prepared {
        let spec = Arc::clone(&function.spec);
        Prepared { process: Some(process), spec, kind: StartKind::Warm, warning, used }
    }

    /// How it came to be.
    pub fn kind(&self) -> StartKind {
        self.kind
    }

    /// The most memory that it has held, in bytes; none where that cannot be known before its end.
    pub fn memory(&self) -> Option<u64> {
        Some(self.used.peak_memory).filter(|peak| *peak > 0)
    }

    /// Looks after the process; ready, with the reason, when it can serve no event.
    pub fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<String> {
        match &mut self.process {
            Some(process) => process.poll_wait(cx),
            None => Poll::Ready("it has an event".to_owned()),
        }
    }

    /// Whether it can be given an event at this moment.
    pub fn is_sound(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_sound)
    }

    /// Hands `job` to the process and reports its outcome; gives the process back if the job wants it kept and it can
    /// serve another event. If the future is dropped, the process is killed and everything of it removed.
    ///
    /// # Errors
    /// The platform's own faults only; what the function does is in the report. [`Error::EventLeft`]: the event can be
    /// given to another process.
    pub async fn run(
        mut self,
        mut job: Job,
        lines: mpsc::Sender<Line>,
        answered: oneshot::Sender<Outcome>,
    ) -> Result<(Report, Option<Prepared>), Error> {
        let (kind, warning, used) = (self.kind, self.warning.take(), self.used);
        let Some(mut process) = self.process.take() else {
            return Err(Error::LauncherGone(io::ErrorKind::NotFound.into()));
        };
        let started = Instant::now();
        process.begin_lines(lines, warning.as_deref());
        let stream = job.stream.take();
        // What a process used that was made for one event, that event has used.
        let used_before = if kind == StartKind::Warm { used.cpu_us } else { 0 };
        let used_before = Duration::from_micros(used_before);
        let mut run = Run::of(&job, kind, started, used_before, (stream, answered));
        let end = match run.serve(&mut process, started + job.function.spec.timeout()).await {
            Err(error @ Error::EventLeft) => {
                // Its extensions are still to hear of its end.
                self.process = Some(process);
                return Err(error);
            }
            served => served?,
        };
        run.conclude(process, end, warning).await
    }
}
