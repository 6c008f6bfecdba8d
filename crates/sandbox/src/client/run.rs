//! One job, from start to outcome.

use super::Sandbox;
use super::frames::{Breach, Frame, Invocation};
use super::lines::Lines;
use super::runtime::{Channel, Runtime};
use super::runtime_api::RuntimeApi;
use super::setup;
use super::supervision::{Supervision, submit};
use super::verdict::{End, error_text, judge};
use crate::control::{self, Ending, Notice, Order, Start, Usage, Wish};
use crate::network::{Link, Outside};
use crate::runtimes::Kind;
use crate::{Error, Hooks, Interpreter, Job, Report, environment};
use model::limits::{INIT, MB};
use model::{Clock, Metering, StartKind};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep_until, timeout};

/// How much of a function's output is read at a time, in bytes.
const CHUNK: usize = 16 * 1024;

/// How long the launcher may take to end a sandbox and account for it: a thousand processes on a machine that is busy
/// with others take seconds.
const FAREWELL: Duration = Duration::from_secs(60);

/// How long what a process has sent may be on its way after its end.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Where a custom runtime's program may lie.
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html>
pub(super) const BOOTSTRAPS: [&str; 2] = ["/var/task/bootstrap", "/opt/bootstrap"];

/// A job that is running.
struct Run<'a> {
    job: &'a Job,
    clock: &'a Arc<dyn Clock>,
    supervision: Supervision,
    runtime: Runtime,
    printed: pipe::Receiver,
    lines: Lines,
    platform: Option<Box<dyn FnOnce(TcpListener) + Send>>,
    outside: &'a Arc<Outside>,
    /// Serves the function's packets, if it may send any; ends with the run.
    link: Option<Link>,
    initialised: Option<Box<dyn FnOnce() + Send>>,
    started: Instant,
    /// When the event was handed over.
    invoked: Option<Instant>,
    deadline: Instant,
    /// The runtime has closed its channel: only its end can be waited for.
    silent: bool,
    /// The log pipe is closed.
    mute: bool,
    /// What the job has used, once the launcher has said so.
    spent: Option<Usage>,
}

/// What is started, and in which root.
struct Launch {
    root: usize,
    programs: Vec<String>,
    arguments: Vec<String>,
    environment: Vec<String>,
}

/// How `job` is started by its interpreter, or as a custom runtime if it has none.
async fn launch(
    sandbox: &Sandbox,
    job: &Job,
    interpreter: Option<(usize, &Interpreter)>,
) -> Result<Launch, Error> {
    let config = &sandbox.config;
    let now = config.clock.now();
    let Some((root, interpreter)) = interpreter else {
        return Ok(Launch {
            root: config.interpreters.iter().count(),
            programs: BOOTSTRAPS.map(str::to_owned).to_vec(),
            arguments: Vec::new(),
            environment: environment::variables(job, &[], now),
        });
    };
    sandbox.prepare(root, interpreter).await?;
    let kind = Kind::of(interpreter.installed.language);
    let mut variables = (kind.environment)(interpreter);
    variables.push(("PATH", environment::path(interpreter)));
    let mut command = (kind.command)(interpreter, &setup::runtime_dir(config, root), &job.spec).into_iter();
    Ok(Launch {
        root,
        programs: command.by_ref().take(1).collect(),
        arguments: command.collect(),
        environment: environment::variables(job, &variables, now),
    })
}

pub(super) async fn run(sandbox: &Sandbox, job: &Job, hooks: Hooks) -> Result<Report, Error> {
    let started = Instant::now();
    let config = &sandbox.config;
    let choice = config.interpreters.choose(&job.spec.runtime)?;
    let network = sandbox.network_of(job)?;
    let launch = launch(sandbox, job, choice.interpreter).await?;
    let mut lines = Lines::new(hooks.lines, Arc::clone(&config.clock));
    if let Some(warning) = &choice.warning {
        lines.announce(format!("[WARNING] {warning}"));
    }
    let start = Start {
        root: launch.root,
        code_dir: job.code_dir.clone(),
        programs: launch.programs,
        arguments: launch.arguments,
        runtime_api: choice.interpreter.is_none(),
        environment: launch.environment,
        memory: u64::from(job.spec.memory_mb) * MB as u64,
        ephemeral_storage: u64::from(job.spec.ephemeral_storage_mb) * MB as u64,
        network,
        template: None,
    };
    let runtime_api = start.runtime_api;

    let (supervision, their_supervision) = Supervision::pair()?;
    let (their_log, printed) = pipe::pipe()?;
    let mut theirs = vec![their_supervision, their_log.into_blocking_fd()?];
    let runtime = if runtime_api {
        Runtime::Api(RuntimeApi::new(job.request_id.to_string()))
    } else {
        let (channel, their_channel) = Channel::pair()?;
        theirs.push(their_channel);
        Runtime::Channel(channel)
    };
    submit(&sandbox.control, &control::encode(&Order::Start(start)), &theirs).await?;
    drop(theirs);

    let mut run = Run {
        job,
        clock: &config.clock,
        supervision,
        runtime,
        printed,
        lines,
        platform: Some(hooks.platform),
        outside: &sandbox.outside,
        link: None,
        initialised: Some(hooks.initialised),
        started,
        invoked: None,
        // Initialisation that takes longer than its own limit runs on the function's time.
        deadline: started + INIT + job.spec.timeout(),
        silent: false,
        mute: false,
        spent: None,
    };
    let end = run.until_end().await?;
    let mut report = run.conclude(end).await?;
    report.warning = choice.warning;
    Ok(report)
}

impl Run<'_> {
    /// Runs until there is an answer, an end, or no time left.
    async fn until_end(&mut self) -> Result<End, Error> {
        let mut chunk = [0; CHUNK];
        loop {
            tokio::select! {
                // In this order: neither endless output nor endless frames put the deadline off.
                biased;
                () = sleep_until(self.deadline) => return self.last_words(End::TimedOut).await,
                notice = self.supervision.next() => {
                    if let Some(end) = self.heard(notice?).await? {
                        return Ok(end);
                    }
                }
                said = self.runtime.next(), if !self.silent => {
                    if let Some(end) = self.said(said)? {
                        return Ok(end);
                    }
                }
                read = tokio::io::AsyncReadExt::read(&mut self.printed, &mut chunk), if !self.mute => match read {
                    Ok(length) if length > 0 => self.lines.print(&chunk[..length]),
                    _ => self.mute = true,
                },
            }
        }
    }

    /// Takes in what the launcher or pid 1 says.
    async fn heard(&mut self, (notice, descriptor): (Notice, Option<OwnedFd>)) -> Result<Option<End>, Error> {
        match notice {
            Notice::Network => {
                if let Some(device) = descriptor {
                    self.link = Some(Link::serve(device, Arc::clone(self.outside))?);
                }
                Ok(None)
            }
            Notice::RuntimeApi => {
                if let Some(listener) = descriptor {
                    self.runtime.listen(TcpListener::from(listener))?;
                }
                Ok(None)
            }
            Notice::Ready => {
                if let (Some(listener), Some(platform)) = (descriptor, self.platform.take()) {
                    platform(TcpListener::from(listener));
                }
                Ok(None)
            }
            Notice::Captured | Notice::NotCaptured { .. } => Ok(None), // nobody has asked
            Notice::Failed { step, reason } => Err(Error::Setup { step, reason }),
            Notice::NotStarted { program, errno } if self.runtime.is_custom() => {
                Ok(Some(End::NotStarted(program, errno)))
            }
            Notice::NotStarted { errno, .. } => {
                Err(Error::Setup { step: "start the runtime".to_owned(), reason: error_text(errno) })
            }
            Notice::Ended(ending) => Ok(Some(self.last_words(End::Ended(ending)).await?)),
            Notice::Spent(usage) => {
                // Pid 1 was killed before it could say how the runtime ended.
                self.spent = Some(usage);
                Ok(Some(self.last_words(End::Ended(Ending::Signal(libc::SIGKILL))).await?))
            }
        }
    }

    /// A process may answer and end at once, or answer and go on until its time is up: what it said before counts.
    async fn last_words(&mut self, end: End) -> Result<End, Error> {
        let ended = matches!(end, End::Ended(_));
        while let Some(said) = self.runtime.rest(ended.then_some(LAST_WORDS)).await {
            if let Some(answer) = self.said(said)? {
                if matches!(end, End::TimedOut) {
                    self.lines.note(format!(
                        "{} went on after its answer until its time was up",
                        self.job.request_id
                    ));
                }
                return Ok(answer);
            }
        }
        Ok(end)
    }

    /// Takes in what the runtime says.
    fn said(&mut self, said: Result<Frame, Breach>) -> Result<Option<End>, Error> {
        Ok(match (said, self.invoked) {
            (Ok(Frame::Ready), None) => {
                self.hand_over()?;
                None
            }
            (Ok(Frame::InitError(document)), None) | (Ok(Frame::Error(document)), Some(_)) => {
                Some(End::Raised(document))
            }
            (Ok(Frame::Result(answer)), Some(_)) => Some(End::Answered(answer)),
            (Ok(_), _) => Some(End::Garbage),
            (Err(breach), _) => {
                let end = End::of(&breach);
                self.silent |= end.is_none();
                end
            }
        })
    }

    /// Hands the event over: from here the handler's time runs.
    fn hand_over(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        let own_time = now + self.job.spec.timeout();
        self.deadline = if now.duration_since(self.started) <= INIT { own_time } else { self.deadline };
        self.invoked = Some(now);
        if let Some(initialised) = self.initialised.take() {
            initialised();
        }
        let invocation = Invocation {
            request_id: self.job.request_id.to_string(),
            deadline_ms: self.clock.now().after(self.deadline.duration_since(now)).0,
            client_context: self.job.client_context.as_deref(),
            function_arn: self.job.spec.arn.as_str(),
            trace_id: environment::trace_id(self.job),
        };
        Ok(self.runtime.hand_over(&invocation, &self.job.payload)?)
    }

    /// Ends the sandbox, collects the rest of the log and the account, and judges.
    async fn conclude(mut self, end: End) -> Result<Report, Error> {
        let ended = Instant::now();
        let answered = matches!(end, End::Answered(_) | End::Raised(_) | End::TooLarge);
        self.supervision.wish(if answered { Wish::EndNow } else { Wish::End });
        self.drain();
        let usage = match self.spent {
            Some(usage) => usage,
            None => timeout(FAREWELL, self.account())
                .await
                .map_err(|_| Error::LauncherGone(std::io::ErrorKind::TimedOut.into()))??,
        };
        let died = matches!(end, End::Ended(_));
        let (outcome, exit) = judge(self.job, end, died && usage.out_of_memory, &mut self.lines);
        self.lines.finish().await;
        let invoked = self.invoked.unwrap_or(ended);
        Ok(Report {
            outcome,
            exit,
            metering: Metering {
                start: StartKind::Cold,
                init: invoked.duration_since(self.started),
                duration: ended.duration_since(invoked),
                peak_memory: usage.peak_memory,
                cpu: Duration::from_micros(usage.cpu_us),
                // The rest is known to whoever took the event in.
                ..Metering::default()
            },
            warning: None,
        })
    }

    /// Reads what was printed before the end; at most what a pipe holds, for a process may still be printing.
    fn drain(&mut self) {
        let mut chunk = [0; CHUNK];
        for _ in 0..(64 * 1024 / CHUNK) + 1 {
            match self.printed.try_read(&mut chunk) {
                Ok(length) if length > 0 => self.lines.print(&chunk[..length]),
                _ => break,
            }
        }
    }

    async fn account(&mut self) -> Result<Usage, Error> {
        loop {
            match self.supervision.next().await? {
                (Notice::Spent(usage), _) => return Ok(usage),
                (Notice::Failed { step, reason }, _) => return Err(Error::Setup { step, reason }),
                _ => {}
            }
        }
    }
}
