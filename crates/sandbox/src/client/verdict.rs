//! How an end becomes an outcome, in Lambda's words.

use super::frames::Breach;
use super::launch::BOOTSTRAPS;
use super::lines::Lines;
use crate::control::Ending;
use crate::{Exit, Job};
use bytes::Bytes;
use model::limits::SYNC_PAYLOAD;
use model::{FunctionError, Outcome};

/// How a run came to its end.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// The handler returned.
    Answered(Bytes),
    /// The runtime sent an error document: the handler raised, or loading failed.
    Raised(Bytes),
    /// The answer was too large.
    TooLarge,
    /// The process sent what no runtime sends.
    Garbage,
    /// Time was up.
    TimedOut,
    /// The process ended without an answer.
    Ended(Ending),
    /// An extension is at fault: the type of the error, and the reason.
    Extension(&'static str, String),
    /// The program of a custom runtime could not be started, or is not there, for a reason of the system's.
    NotStarted(Option<String>, i32),
}

impl End {
    /// The end that a breach brings; none if the process may still say more.
    pub(super) fn of(breach: &Breach) -> Option<End> {
        match breach {
            Breach::TooLarge => Some(End::TooLarge),
            Breach::Garbage => Some(End::Garbage),
            Breach::Closed | Breach::Unread => None,
        }
    }
}

impl End {
    /// How telemetry calls it.
    pub(super) fn status(&self) -> &'static str {
        match self {
            End::Answered(_) => "success",
            End::Raised(_) | End::TooLarge => "error",
            End::TimedOut => "timeout",
            End::Garbage | End::Ended(_) | End::Extension(..) | End::NotStarted(..) => "failure",
        }
    }

    /// The type of the error; that of a document is its own.
    pub(super) fn kind(&self) -> String {
        match self {
            End::Answered(_) => String::new(),
            End::Raised(document) => FunctionError::read(document)
                .map_or_else(|| "Runtime.ExitError".to_owned(), |error| error.error_type),
            End::TooLarge => "Function.ResponseSizeTooLarge".to_owned(),
            End::TimedOut => "Sandbox.Timedout".to_owned(),
            End::NotStarted(..) => "Runtime.InvalidEntrypoint".to_owned(),
            End::Extension(kind, _) => (*kind).to_owned(),
            End::Garbage | End::Ended(_) => "Runtime.ExitError".to_owned(),
        }
    }
}

/// The outcome of a run that came to this end, and what the log says of it.
pub(super) fn judge(job: &Job, end: End, out_of_memory: bool, lines: &mut Lines) -> (Outcome, Exit) {
    let id = job.request_id;
    let failed = |lines: &mut Lines, kind: &str, reason: String| {
        let message = format!("RequestId: {id} Error: {reason}");
        lines.note(format!("{message}\n{kind}"));
        Outcome::Failed(FunctionError::of(kind, message))
    };
    let died = |lines: &mut Lines, reason: String| {
        let exit = if out_of_memory { Exit::OutOfMemory } else { Exit::Died };
        (failed(lines, "Runtime.ExitError", reason), exit)
    };
    match end {
        End::Answered(answer) => (Outcome::Succeeded(answer), Exit::Answered),
        End::Raised(document) => match FunctionError::read(&document) {
            Some(error) => (Outcome::Failed(error), Exit::Answered),
            None => died(lines, "Runtime sent an error that cannot be read".to_owned()),
        },
        End::TooLarge => {
            let message = format!(
                "Response payload size exceeded maximum allowed payload size ({} bytes).",
                SYNC_PAYLOAD + 100
            );
            lines.note(format!("RequestId: {id} Error: {message}"));
            (Outcome::Failed(FunctionError::of("Function.ResponseSizeTooLarge", message)), Exit::Answered)
        }
        End::TimedOut => {
            let spent =
                format!("Task timed out after {:.2} seconds", job.function.spec.timeout().as_secs_f64());
            lines.note(format!("{} {id} {spent}", lines.now().iso_z()));
            let message = format!("RequestId: {id} Error: {spent}");
            (Outcome::Failed(FunctionError::of("Sandbox.Timedout", message)), Exit::TimedOut)
        }
        End::NotStarted(program, errno) => {
            let reason = match program {
                Some(program) => format!("fork/exec {program}: {}", error_text(errno)),
                None => format!("Couldn't find valid bootstrap(s): [{}]", BOOTSTRAPS.join(" ")),
            };
            (failed(lines, "Runtime.InvalidEntrypoint", reason), Exit::NotStarted)
        }
        End::Extension(kind, reason) => (failed(lines, kind, reason), Exit::Extension(kind)),
        End::Garbage => died(lines, "Runtime broke the protocol".to_owned()),
        End::Ended(_) if out_of_memory => died(lines, "Runtime exited with error: signal: killed".to_owned()),
        End::Ended(Ending::Status(0)) => died(lines, "Runtime exited without providing a reason".to_owned()),
        End::Ended(Ending::Status(status)) => {
            died(lines, format!("Runtime exited with error: exit status {status}"))
        }
        End::Ended(Ending::Signal(signal)) => {
            died(lines, format!("Runtime exited with error: signal: {}", signal_name(signal)))
        }
    }
}

/// What the system says of an error, as Lambda's messages have it: `permission denied`.
pub(super) fn error_text(errno: i32) -> String {
    let text = nix::errno::Errno::from_raw(errno).desc();
    let (first, rest) = text.split_at(1);
    first.to_ascii_lowercase() + rest
}

/// A signal's name as Lambda's messages have it.
pub(super) fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGHUP => "hangup",
        libc::SIGINT => "interrupt",
        libc::SIGQUIT => "quit",
        libc::SIGILL => "illegal instruction",
        libc::SIGTRAP => "trace/breakpoint trap",
        libc::SIGABRT => "aborted",
        libc::SIGBUS => "bus error",
        libc::SIGFPE => "floating point exception",
        libc::SIGKILL => "killed",
        libc::SIGUSR1 => "user defined signal 1",
        libc::SIGSEGV => "segmentation fault",
        libc::SIGUSR2 => "user defined signal 2",
        libc::SIGPIPE => "broken pipe",
        libc::SIGALRM => "alarm clock",
        libc::SIGTERM => "terminated",
        libc::SIGSYS => "bad system call",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}
