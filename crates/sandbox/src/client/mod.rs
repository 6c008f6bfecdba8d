//! The server's half: carries jobs from start to outcome.

use crate::{Error, Features, Hooks, Interpreters, Job, Launcher, Report};
use model::Clock;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// How sandboxes are made on this node.
#[derive(Clone)]
pub struct Config {
    /// The data directory: it names the installation, so that leftovers of an earlier run are recognised.
    pub data_dir: PathBuf,
    /// An existing directory of this installation's own where the launcher may mount; its content is never
    /// looked at.
    pub run_dir: PathBuf,
    /// The interpreters to offer.
    pub interpreters: Interpreters,
    /// Cap processor time in proportion to memory (1,769 MB are one CPU). Off, the proportion holds only while
    /// the machine is busy, so that a small function starts at full speed on an idle one.
    pub cpu_proportional: bool,
    /// How many processes wait prepared in fresh control groups for the next event; each costs about 1 MB.
    pub standby: usize,
    /// Where the time of log lines comes from.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("data_dir", &self.data_dir)
            .field("run_dir", &self.run_dir)
            .finish_non_exhaustive()
    }
}

/// The door to isolated processes.
#[derive(Debug)]
pub struct Sandbox {
    features: Features,
}

impl Sandbox {
    /// Prepares the launcher: removes what an earlier run left, builds the root directories, compiles the filter.
    /// Must be called inside the server's tokio runtime.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the machine does not permit sandboxes, [`Error::LauncherGone`].
    pub async fn connect(launcher: Launcher, config: Config) -> Result<Sandbox, Error> {
        let _ = (launcher, config);
        Err(Error::Unsupported("not built yet".to_owned()))
    }

    /// What isolates functions here.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// Runs one job in a fresh process and reports its outcome. If the future is dropped, the process is killed and
    /// everything of it removed.
    ///
    /// # Errors
    /// The platform's own faults only; what the function does is in the report.
    pub async fn run(&self, job: Job, hooks: Hooks) -> Result<Report, Error> {
        let _ = (job, hooks);
        Err(Error::Unsupported("not built yet".to_owned()))
    }
}
