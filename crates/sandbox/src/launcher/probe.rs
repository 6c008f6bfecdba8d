//! Tries out, before the first event, what the machine permits.

use crate::sys::{mounts, process};
use nix::sys::wait::{WaitStatus, waitpid};
use std::io;
use std::path::Path;

/// The exit status of a probe that could make namespaces but not mount `/proc`.
const NO_PROC: i32 = 3;

/// Makes a set of namespaces as for a sandbox and drops it again; returns whether `/proc` can be mounted in them,
/// which a container's own masked `/proc` prevents.
pub(super) fn namespaces() -> io::Result<bool> {
    let prober = process::fork(|| {
        let namespaces = libc::CLONE_NEWUSER
            | libc::CLONE_NEWNS
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUTS
            | libc::CLONE_NEWNET;
        let made = process::clone_into(namespaces, || {
            let proc = mounts::filesystem(c"proc", &[(c"hidepid", c"invisible")], mounts::READ_ONLY);
            process::exit(if proc.is_ok() { 0 } else { NO_PROC });
        });
        process::exit(made.err().and_then(|error| error.raw_os_error()).unwrap_or(0));
    })?;
    // The prober's child is a child of this process. The two may end in either order.
    let (mut made, mut proc) = (false, None);
    loop {
        match waitpid(None, None)? {
            WaitStatus::Exited(pid, 0) if pid == prober => made = true,
            WaitStatus::Exited(pid, error) if pid == prober => {
                return Err(io::Error::from_raw_os_error(error));
            }
            WaitStatus::Signaled(pid, ..) if pid == prober => return Err(io::ErrorKind::Interrupted.into()),
            WaitStatus::Exited(_, status) => proc = Some(status != NO_PROC),
            WaitStatus::Signaled(..) => proc = Some(false),
            _ => {}
        }
        if made && let Some(proc) = proc {
            return Ok(proc);
        }
    }
}

/// Whether system calls can be filtered.
pub(super) fn seccomp() -> bool {
    Path::new("/proc/sys/kernel/seccomp/actions_avail").exists()
}
