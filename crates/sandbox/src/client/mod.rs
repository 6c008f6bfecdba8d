//! The server's half: carries jobs from start to outcome.

mod extensions;
mod frames;
mod gauges;
mod launch;
mod lines;
mod prepared;
mod process;
mod run;
mod runtime;
mod runtime_api;
mod setup;
mod streamed;
mod supervision;
mod telemetry;
mod template;
mod verdict;

pub use prepared::Prepared;
pub use template::{Captured, Original, Template};

use crate::network::Outside;
use crate::{Error, Features, Function, Hooks, Interpreters, Job, Launcher, Network, Platform, Report};
use model::{Clock, FunctionSpec, NetworkPolicy};
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::unix::AsyncFd;
use tokio::sync::OnceCell;

/// How sandboxes are made on this node.
#[derive(Clone)]
pub struct Config {
    /// The data directory: it names the installation, so that leftovers of an earlier run are recognised.
    pub data_dir: PathBuf,
    /// A directory of this installation's own; it is made if need be. The launcher mounts below it in its own mount
    /// namespace, so that nobody else sees that.
    pub run_dir: PathBuf,
    /// The interpreters to offer.
    pub interpreters: Interpreters,
    /// Cap processor time in proportion to memory (1,769 MB are one CPU), also while the runtime starts. Off, the
    /// proportion holds only while the machine is busy, so that a small function starts at full speed on an idle
    /// one.
    pub cpu_proportional: bool,
    /// What functions can reach.
    pub network: Network,
    /// How many processes wait prepared in fresh control groups for the next event; each costs about 1 MB.
    pub standby: usize,
    /// Where the time of log lines comes from.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Config { data_dir, run_dir, .. } = self;
        f.debug_struct("Config").field("data_dir", data_dir).field("run_dir", run_dir).finish_non_exhaustive()
    }
}

/// The door to isolated processes.
#[derive(Debug)]
pub struct Sandbox {
    control: AsyncFd<OwnedFd>,
    features: Features,
    config: Config,
    /// For each interpreter, whether its runtime is prepared.
    prepared: Vec<Arc<OnceCell<()>>>,
    outside: Arc<Outside>,
}

impl Sandbox {
    /// Prepares the launcher: removes what an earlier run left and compiles the filter of system calls. Must be called inside the server's tokio runtime. Blocks the calling thread for up to
    /// some tenths of a second.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the machine does not permit sandboxes, [`Error::LauncherGone`].
    pub async fn connect(launcher: Launcher, config: Config) -> Result<Sandbox, Error> {
        setup::connect(launcher, config)
    }

    /// What isolates functions here.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// The interpreters on offer.
    pub fn interpreters(&self) -> &Interpreters {
        &self.config.interpreters
    }

    /// What a function can reach: what it asks for, if the node gives it. Never less or more than that.
    fn network_of(&self, spec: &FunctionSpec) -> Result<NetworkPolicy, Error> {
        let Network { default, most, .. } = self.config.network;
        let policy = spec.network.unwrap_or(default);
        let refuse = |reason| Err(Error::NoNetwork { policy, reason });
        match &self.features.internet {
            _ if policy > most => refuse(format!("this node allows {most} at the most")),
            Err(reason) if policy == NetworkPolicy::Internet => refuse(reason.clone()),
            _ => Ok(policy),
        }
    }

    /// Returns when the launcher is gone: no job can be run any more, and a new server has to be started.
    pub async fn launcher_gone(&self) {
        // The launcher says nothing on this socket after the start, so the only thing to read is its end. An
        // error means the same.
        let _ = self.control.readable().await;
    }

    /// Runs one job in a fresh process and reports its outcome; gives the process back if the job wants it kept and it
    /// can serve another event. If the future is dropped, the process is killed and everything of it removed. A process
    /// may outlive its report by the few milliseconds that its removal takes; at a time limit, it has gone when the
    /// report comes.
    ///
    /// # Errors
    /// The platform's own faults only; what the function does is in the report.
    pub async fn run(&self, mut job: Job, hooks: Hooks) -> Result<(Report, Option<Prepared>), Error> {
        let stream = job.stream.take();
        run::run(self, &job, stream, hooks).await
    }

    /// Starts a process of `function` and lets it initialise, ahead of an event; or says, in words for the function's
    /// owner, why it did not come to that.
    ///
    /// # Errors
    /// The platform's own faults only.
    pub async fn prepare(
        &self,
        function: &Function,
        platform: Platform,
    ) -> Result<Result<Prepared, String>, Error> {
        prepared::prepare(self, function, platform).await
    }

    /// Starts a process of `function`, lets it initialise, and makes it a template if it can be copied safely.
    ///
    /// # Errors
    /// The platform's own faults only; that it cannot be copied is none.
    pub async fn template(&self, function: &Function, platform: Platform) -> Result<Captured, Error> {
        template::make(self, function, platform).await
    }

    /// Copies a template into a sandbox of its own; or says why the copy is not ready for an event.
    ///
    /// # Errors
    /// The platform's own faults, and that the template is gone.
    pub async fn clone_of(
        &self,
        original: &Original,
        platform: Platform,
    ) -> Result<Result<Prepared, String>, Error> {
        template::copy(self, original, platform).await
    }
}
