//! The platform's own faults. What a function does wrong is never one of them: that is data in a report.

use model::NetworkPolicy;
use std::io;
use std::path::PathBuf;

/// Why the platform could not run a job.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The launcher program could not be started.
    #[error("cannot start the launcher {}", program.display())]
    Spawn {
        /// The program that was to be run.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The launcher is gone or does not answer: no sandbox can be made any more.
    #[error("the launcher is gone")]
    LauncherGone(#[source] io::Error),
    /// This machine does not permit what every sandbox needs.
    #[error("cannot make sandboxes on this machine: {0}")]
    Unsupported(String),
    /// One sandbox could not be made.
    #[error("cannot make a sandbox: {step}: {reason}")]
    Setup {
        /// What was being done.
        step: String,
        /// What the system said.
        reason: String,
    },
    /// A process that waited for an event ended before it had taken the whole of it. None of the function's code has
    /// seen the event, which another process can serve.
    #[error("the process ended before it had taken the event")]
    EventLeft,
    /// No interpreter for this runtime is on the machine.
    #[error("{0} Install it, or name its program under functions.interpreters, and start the server again.")]
    NoInterpreter(model::NotAvailable),
    /// This node does not give functions the network that this one asks for.
    #[error("the network policy {policy} is not available here: {reason}")]
    NoNetwork {
        /// What the function asks for.
        policy: NetworkPolicy,
        /// Why it cannot be had.
        reason: String,
    },
    /// A descriptor or a thread could not be had.
    #[error("the system refused a descriptor")]
    Io(#[from] io::Error),
}
