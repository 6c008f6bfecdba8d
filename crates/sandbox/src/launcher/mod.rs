//! The launcher: the only process that creates sandboxes.
//!
//! It is a separate process with one thread, because creating namespaces means forking, and a forked child of a
//! threaded process can do next to nothing safely. When the control socket closes, however the server died, it kills
//! every sandbox, removes their control groups and ends.

mod cgroup;
mod copies;
mod dials;
mod exempt;
mod family;
mod group;
mod init;
mod janitor;
mod job;
mod keeper;
mod landlock;
mod limits;
mod namespace;
mod network;
mod observe;
mod orders;
mod place;
mod probe;
mod root;
mod seccomp;
mod serve;
mod shell;
mod sitter;
mod slot;
mod sockets;
mod template;

use crate::Error;
use crate::sys::socket;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};

pub use serve::main;

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
    pub(crate) control: OwnedFd,
    process_id: u32,
}

impl Launcher {
    /// Starts the launcher. Call it before the server has more than one thread.
    ///
    /// # Errors
    /// [`Error::Spawn`] if the program cannot be run.
    pub fn spawn(config: LauncherConfig) -> Result<Launcher, Error> {
        let fail = |source| Error::Spawn { program: config.program.clone(), source };
        let (control, theirs) = socket::pair().map_err(fail)?;
        // It gets no environment: its memory is copied into the first process of every sandbox, and the server's
        // secrets have no business there. It outlives this handle only to clean up, and nobody waits for it: it ends when `control` does.
        let process = Command::new(&config.program)
            .args(&config.arguments)
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .map_err(fail)?;
        Ok(Launcher { control, process_id: process.id() })
    }

    /// The pid of the started program.
    pub fn process_id(&self) -> u32 {
        self.process_id
    }
}
