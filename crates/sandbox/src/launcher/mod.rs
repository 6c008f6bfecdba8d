//! The launcher: the only process that creates sandboxes.

use crate::Error;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// How the launcher is started.
#[derive(Clone, Debug)]
pub struct LauncherConfig {
    /// The program whose `main` calls [`main`] for this role.
    pub program: PathBuf,
    /// The arguments that select the role.
    pub arguments: Vec<String>,
}

impl Default for LauncherConfig {
    /// This very program in the role `sandbox-launcher`.
    fn default() -> Self {
        LauncherConfig { program: "/proc/self/exe".into(), arguments: vec!["sandbox-launcher".into()] }
    }
}

/// A started launcher, to be handed to [`crate::Sandbox::connect`]. Dropping it ends the launcher and everything
/// it made.
#[derive(Debug)]
pub struct Launcher {
    #[expect(dead_code, reason = "read once the client speaks to it")]
    control: OwnedFd,
}

impl Launcher {
    /// Starts the launcher. Call it before the server has more than one thread.
    ///
    /// # Errors
    /// [`Error::Spawn`] if the program cannot be run.
    pub fn spawn(config: LauncherConfig) -> Result<Launcher, Error> {
        let _ = config;
        Err(Error::Unsupported("not built yet".to_owned()))
    }
}

/// The launcher's whole life; the control socket is its standard input. The program calls it before any thread
/// exists, when its first argument names the role.
pub fn main() -> ! {
    std::process::exit(1)
}
