//! A job, what the server wants to hear while it runs, and the report at its end.

use bytes::Bytes;
use model::{FunctionArn, FunctionSpec, Lineage, Metering, Outcome, Part, RequestId, Timestamp};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A function, as far as its processes need it before they have an event.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its code and configuration.
    pub spec: Arc<FunctionSpec>,
    /// The unpacked package; it appears at `/var/task`, read-only. Its files must be readable by everyone, as in
    /// Lambda.
    pub code_dir: PathBuf,
    /// The unpacked layers, laid over each other; they appear at `/opt`, read-only.
    pub layers_dir: Option<PathBuf>,
    /// Variables that the platform adds to those of Lambda, for instance `AWS_ENDPOINT_URL`. They win over the
    /// user's.
    pub environment: Arc<BTreeMap<String, String>>,
}

/// One event for one function: all that a sandbox needs to know.
#[derive(Clone, Debug)]
pub struct Job {
    /// The event's name.
    pub request_id: RequestId,
    /// The function.
    pub function: Function,
    /// The function as whoever caused the event named it: with the version or the alias.
    pub invoked: FunctionArn,
    /// The functions whose events led to whatever this one leads to, itself among them.
    pub lineage: Lineage,
    /// The event document: JSON.
    pub payload: Bytes,
    /// The caller's `ClientContext`: JSON.
    pub client_context: Option<String>,
    /// Takes the answer as the function writes it, for a caller that reads along; the function waits for it.
    pub stream: Option<mpsc::Sender<Part>>,
    /// The process is kept for another event if it can serve one.
    pub keep: bool,
}

/// Serves the platform to a process: called once, inside the runtime of the server, with the socket that listens at
/// [`crate::PLATFORM_ADDRESS`] inside the sandbox (non-blocking, ready for `tokio::net::TcpListener::from_std`). What it
/// returns is dropped with the process.
pub type Platform = Box<dyn FnOnce(TcpListener) -> Box<dyn Send> + Send>;

/// What the server wants to hear while a process is started for a job and runs it.
pub struct Hooks {
    /// Takes each line that the function prints. When it is full, lines are dropped and counted; the function
    /// never waits for it.
    pub lines: mpsc::Sender<Line>,
    /// Serves the platform.
    pub platform: Platform,
    /// Called once when the function's code is ready for the event.
    pub initialised: Box<dyn FnOnce() + Send>,
}

/// One line that a function printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it arrived.
    pub time: Timestamp,
    /// The text without its newline, at most [`model::limits::LOG_LINE`] bytes; bytes that are not UTF-8 are
    /// replaced. A record of several lines (a stack trace) is one `Line` with newlines in it.
    pub text: String,
    /// The platform has written it, for instance how the process ended.
    pub platform: bool,
}

/// How a job ended and what it cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The answer or the function's error.
    pub outcome: Outcome,
    /// What it cost.
    pub metering: Metering,
    /// The bytes of the answer that went to whoever reads along.
    pub streamed: u64,
    /// How the process came to its end.
    pub exit: Exit,
    /// What the user should know about this run, for instance that another version of the interpreter ran it. It
    /// is also the first line of the log.
    pub warning: Option<String>,
}

/// How the process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It answered, with a result or with an error of its own, and was ended.
    Answered,
    /// It ran out of time and was killed.
    TimedOut,
    /// It ran out of memory and was killed.
    OutOfMemory,
    /// It ended without an answer, or broke the protocol.
    Died,
    /// The package has no program that can be started.
    NotStarted,
}

impl Exit {
    /// What the REPORT line says in addition, as Lambda prints it; nothing after an answer.
    pub fn status(self) -> Option<&'static str> {
        match self {
            Exit::Answered => None,
            Exit::TimedOut => Some("Status: timeout"),
            Exit::OutOfMemory => Some("Status: error\tError Type: Runtime.OutOfMemory"),
            Exit::Died => Some("Status: error\tError Type: Runtime.ExitError"),
            Exit::NotStarted => Some("Status: error\tError Type: Runtime.InvalidEntrypoint"),
        }
    }
}
