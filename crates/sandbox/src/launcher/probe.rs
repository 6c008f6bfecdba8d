//! Tries out, before the first event, what the machine permits.

use super::cgroup::Trees;
use super::exempt;
use super::group::Controller;
use super::network;
use super::sitter::Step;
use crate::control;
use crate::features::Enforcement;
use crate::sys::{mounts, process, socket};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::MsgFlags;
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

/// Makes a device that leads outside, as for a sandbox, in a network namespace of its own, and drops both again.
pub(super) fn internet() -> Result<(), String> {
    let told = socket::pair().map_err(|error| error.to_string())?;
    let prober = process::fork(|| {
        let made = unshare(CloneFlags::CLONE_NEWNET).step("make a network namespace");
        let failure = made.and_then(|()| network::make().step("make a network device")).err();
        let text = failure.map(|failure| format!("{}: {}", failure.step, failure.source)).unwrap_or_default();
        let _ = socket::send(&told.1, &control::encode(&text), &[], MsgFlags::empty());
    });
    let prober = prober.map_err(|error| error.to_string())?;
    drop(told.1);
    let mut buffer = [0; 1024];
    let (length, _) = socket::receive(&told.0, &mut buffer, MsgFlags::empty()).unwrap_or_default();
    let _ = waitpid(prober, None);
    match control::decode::<String>(&buffer[..length]) {
        Some(failure) if failure.is_empty() => Ok(()),
        Some(failure) => Err(failure),
        None => Err("the attempt to make a network device was cut off".to_owned()),
    }
}

/// Whether system calls can be filtered.
pub(super) fn seccomp() -> bool {
    Path::new("/proc/sys/kernel/seccomp/actions_avail").exists()
}

/// Whether initialised processes can be copied here. What else it takes, a kernel that permits `ptrace` for instance, is
/// found out at the first attempt.
pub(super) fn templates(trees: &Trees) -> Result<(), String> {
    if !cfg!(target_arch = "x86_64") {
        return Err("it is made for x86-64 processors only".to_owned());
    }
    match trees.enforcement(Controller::Memory).min(trees.enforcement(Controller::Cpuacct)) {
        Enforcement::CgroupV1 => Ok(()),
        Enforcement::CgroupV2 => exempt::probe().map_err(|error| {
            format!("with control groups of version 2 it takes the right to change oom_score_adj: {error}")
        }),
        _ => Err("it takes control groups for memory and processor time".to_owned()),
    }
}
