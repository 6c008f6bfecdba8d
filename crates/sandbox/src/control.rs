//! What passes between the server and the launcher.
//!
//! The control socket carries [`Setup`], answered by [`SetupAnswer`], and then one [`Order`] per process, never answered
//! there: each process has a supervision socket of its own, on which the launcher, and at first the sandbox itself, send
//! [`Notice`]s, and on which the server sends its [`Wish`]es. Its closing ends the process.
//!
//! # Templates
//! A process that was started with [`Start::template`] may be asked to become a template, [`Wish::Capture`], when its
//! runtime waits for an event. The answer is [`Notice::Captured`] or [`Notice::NotCaptured`]. From then on
//! [`Order::Clone`] makes copies of it, each with sockets and a log of its own, as if it had been started afresh and had
//! come that far. A template that was captured runs no more itself; one that was not may still serve one event. When its
//! supervision socket asks for its end, or closes, no more clones are made, and it goes when the last one has.

use crate::Features;
use model::NetworkPolicy;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The longest message, in bytes: arguments and environment of a job fit many times.
pub(crate) const MESSAGE: usize = 128 * 1024;

/// The descriptor under which a runtime finds its event channel.
pub(crate) const CHANNEL: i32 = 3;

/// Where the files of a language's runtime lie inside a sandbox.
pub(crate) const BOOTSTRAP_DIR: &str = "/var/runtime";

/// Prepares the launcher; the first message on the control socket.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// Names the installation in the names of control groups.
    pub(crate) installation: String,
    /// Where the launcher may mount.
    pub(crate) run_dir: PathBuf,
    /// The root directories that jobs may ask for.
    pub(crate) roots: Vec<Root>,
    /// How many processes wait prepared.
    pub(crate) standby: usize,
    /// Whether processor time is capped.
    pub(crate) cpu_proportional: bool,
}

/// A root directory: what it has beside what every root has.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Root {
    /// Files and directories of the host that appear at the same places.
    pub(crate) shown: Vec<PathBuf>,
    /// Directories within those that appear empty.
    pub(crate) hidden: Vec<PathBuf>,
    /// The directory whose files are copied to [`BOOTSTRAP_DIR`] when the root is built, at its first event.
    pub(crate) runtime: PathBuf,
}

/// The answer to [`Setup`]: what isolates functions, or why there can be no sandboxes.
pub(crate) type SetupAnswer = Result<Features, String>;

/// Makes one process. Its descriptors are, in this order: supervision socket, log pipe; event channel, unless the runtime
/// has an API instead; for one that is started and may not become a template, the pipe of [`Tell`]s; the log pipe of
/// extensions, if there are any.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Starts it from its program.
    Start(Start),
    /// Copies a template.
    Clone {
        /// The [`Start::template`] that it was started with.
        template: u64,
    },
}

/// How a process starts from its program.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    /// Which of [`Setup::roots`].
    pub(crate) root: usize,
    /// The package.
    pub(crate) code_dir: PathBuf,
    /// The files of the layers.
    pub(crate) layers_dir: Option<PathBuf>,
    /// Where the runtime's program may lie, as seen inside: the first of these that is a file is started.
    pub(crate) programs: Vec<String>,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// It hears of its event through the Runtime API, not through an event channel.
    pub(crate) runtime_api: bool,
    /// The programs of extensions, as seen inside. They are started before the runtime, which waits for
    /// [`Tell::Begin`].
    pub(crate) extensions: Vec<String>,
    /// Its whole environment, `NAME=value`.
    pub(crate) environment: Vec<String>,
    /// The memory limit of the whole tree, in bytes.
    pub(crate) memory: u64,
    /// The size of `/tmp`, in bytes.
    pub(crate) ephemeral_storage: u64,
    /// What it can reach.
    pub(crate) network: NetworkPolicy,
    /// It may become a template, under this number, which is never used again.
    pub(crate) template: Option<u64>,
}

/// What the server hears of one job.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Notice {
    /// The sandbox has a device that leads outside. The descriptor that comes along is its other end.
    Network,
    /// The descriptors that come along are files of control groups that tell what the whole process tree has used: the
    /// most memory, and processor time. Without them the account at the end is all there is.
    Gauges {
        /// What the latter told before the job began, in microseconds.
        cpu_before_us: u64,
    },
    /// The descriptor that comes along listens at [`crate::RUNTIME_API_ADDRESS`].
    RuntimeApi,
    /// The sandbox stands. The descriptor that comes along listens at [`crate::PLATFORM_ADDRESS`]; there is none
    /// where the function may not reach the platform.
    Ready,
    /// The runtime's program could not be started.
    NotStarted {
        /// Which one; none if there is no such file.
        program: Option<String>,
        /// The system's number for the reason.
        errno: i32,
    },
    /// The runtime's process has ended on its own, or a signal ended it.
    Ended(Ending),
    /// The process of the extension with this number has ended.
    ExtensionEnded(usize, Ending),
    /// The program of the extension with this number could not be started, for this reason of the system's.
    ExtensionNotStarted(usize, i32),
    /// The descriptor that comes along is a TCP socket of the sandbox, not connected.
    Socket,
    /// The process is a template now.
    Captured,
    /// The process cannot be a template; it goes on as it was.
    NotCaptured {
        /// Why not, in words for the function's owner: `it has a connection to 10.0.0.7:5432`.
        reason: String,
    },
    /// What the template wanted to see of this copy it has seen.
    Learned,
    /// The sandbox could not be made.
    Failed {
        /// What was being done.
        step: String,
        /// What the system said.
        reason: String,
    },
    /// The job is over and this is what it cost; the last notice.
    Spent(Usage),
}

/// What the server sends on the supervision socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Wish {
    /// Become a template.
    Capture,
    /// This copy has served an event: its template is to see which memory that took.
    Learn,
    /// End; nobody asks what it has used.
    Forget,
    /// End, and account at once: what it has used by now counts.
    EndNow,
    /// End, and account when the last process is gone.
    End,
}

/// What the server tells the pid 1 of a sandbox, over a pipe: one byte each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Tell {
    /// The extensions have registered: start the runtime.
    Begin = b'B',
    /// Ask the runtime to end.
    Terminate = b'T',
    /// Kill the runtime.
    Kill = b'K',
    /// Make a socket, [`Notice::Socket`].
    Socket = b'S',
}

impl Tell {
    /// What a byte means.
    pub(crate) fn read(byte: u8) -> Option<Tell> {
        [Tell::Begin, Tell::Terminate, Tell::Kill, Tell::Socket].into_iter().find(|tell| *tell as u8 == byte)
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ending {
    /// With an exit status.
    Status(i32),
    /// By a signal.
    Signal(i32),
}

/// What a whole process tree used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// The most memory it held at one time, in bytes.
    pub(crate) peak_memory: u64,
    /// Processor time, in microseconds.
    pub(crate) cpu_us: u64,
    /// The kernel refused it memory and killed a process.
    pub(crate) out_of_memory: bool,
}

/// The bytes of a message.
pub(crate) fn encode(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).unwrap_or_default()
}

/// A message from its bytes; none if they are not one.
pub(crate) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}
