//! Exempts templates from the kernel's out-of-memory killer.
//!
//! A seat is in the control groups of its copies and has the template's memory. With version 2 the kernel kills when a group
//! is at its limit, and whatever shares the memory of what it kills. It passes over processes whose `oom_score_adj` is the
//! least (`proc(5)`), also when it kills a group as a whole (`memory.oom.group`). The copy, which is born with its seat's
//! value, takes the usual one before any code of the function runs (`zygote.c`); it could not lower it again, for its
//! `/proc` is read-only.

use crate::sys::process;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs;
use std::io;

/// The value of a process that is never killed for memory.
const NEVER: &str = "-1000";

/// Exempts the children of a process, and whatever shares their memory.
pub(super) fn children(of: Pid) -> io::Result<()> {
    let children = fs::read_to_string(format!("/proc/{of}/task/{of}/children"))?;
    for child in children.split_whitespace() {
        fs::write(format!("/proc/{child}/oom_score_adj"), NEVER)?;
    }
    Ok(())
}

/// Tries it out.
pub(super) fn probe() -> io::Result<()> {
    fs::read_to_string("/proc/thread-self/children")?;
    let prober = process::fork(|| {
        let tried = fs::write("/proc/self/oom_score_adj", NEVER);
        process::exit(tried.err().and_then(|error| error.raw_os_error()).unwrap_or(0));
    })?;
    match waitpid(prober, None)? {
        WaitStatus::Exited(_, 0) => Ok(()),
        WaitStatus::Exited(_, error) => Err(io::Error::from_raw_os_error(error)),
        _ => Err(io::ErrorKind::Interrupted.into()),
    }
}
