//! Starts the runtime of a process that may become a template, and beside it the zygote.
//!
//! The zygote shares the runtime's memory and nothing else. It is born when the runtime's program is loaded and has not
//! run a single instruction, and is held by `ptrace` until the capture: what the function's code does to the memory in
//! the meantime, the zygote's own code is not there yet. It keeps the rights that making copies takes; the runtime loses
//! them, and is put under the rules of files, before it runs.

use super::layout::{CONTROL, HOME, NAMESPACES};
use super::tracee::Tracee;
use crate::control::Notice;
use crate::launcher::init::{self, Birth};
use crate::launcher::seccomp::Filters;
use crate::launcher::sitter::{Failure, Step};
use crate::sys::{process, ptrace as more};
use nix::fcntl::{OFlag, openat};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// The descriptor of the rules of files, until the runtime is put under them; below those of the zygote.
const RULES: i32 = HOME - NAMESPACES.len() as i32;

/// The capabilities that making copies takes: to forget them, to enter mount and other namespaces, to choose a process
/// id. They are over the sandbox's own user namespace only.
const CAPABILITIES: [u8; 4] = [CAP_SETPCAP, CAP_SYS_CHROOT, CAP_SYS_ADMIN, CAP_CHECKPOINT_RESTORE];
const CAP_SETPCAP: u8 = 8;
const CAP_SYS_CHROOT: u8 = 18;
const CAP_SYS_ADMIN: u8 = 21;
const CAP_CHECKPOINT_RESTORE: u8 = 40;

/// How the zygote is made: as the runtime's sibling, in its memory and with its signal handlers.
const ZYGOTE: i32 = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_PARENT | libc::SIGCHLD;

/// A runtime that runs, and the zygote that waits for it.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) runtime: Pid,
    pub(super) zygote: Pid,
    /// Leads to the zygote.
    pub(super) control: OwnedFd,
}

/// Starts the runtime; an end instead if its program cannot be run, which it has told the server itself.
pub(super) fn start(
    birth: &Birth<'_>,
    proc: &OwnedFd,
    filters: Option<&Filters>,
) -> Result<Result<Started, WaitStatus>, Failure> {
    let (control, theirs) = crate::sys::socket::pair().step("make a socket for the zygote")?;
    let home = namespaces(proc).step("open the namespaces")?;
    let rules =
        birth.landlock.map(crate::launcher::landlock::rules).transpose().step("write the rules of files")?;
    let ends = Inherited { control: theirs, home, rules: rules.map(Into::into) };
    let runtime = process::fork(|| {
        let become_traced = || -> Result<Notice, Failure> {
            process::ordinary_priority().step("give up the priority")?;
            process::keep_capabilities(&CAPABILITIES).step("keep capabilities")?;
            ptrace::traceme().step("be traced")?;
            if let Some(filters) = filters {
                filters.apply().step("filter system calls")?;
            }
            init::become_runtime(birth, &ends.numbered())
        };
        let notice = become_traced().unwrap_or_else(|failure| failure.notice());
        init::tell(birth, &notice);
    })
    .step("fork")?;
    match wait(runtime).step("wait for the runtime's program")? {
        WaitStatus::Stopped(_, Signal::SIGTRAP) => {}
        ended => return Ok(Err(ended)),
    }
    let flags = birth.landlock.map(crate::launcher::landlock::flags);
    let zygote = divide(runtime, proc, flags).step("make the zygote")?;
    Ok(Ok(Started { runtime, zygote, control }))
}

/// The descriptors that the zygote needs, and that the runtime must not keep.
struct Inherited {
    control: OwnedFd,
    home: Vec<OwnedFd>,
    rules: Option<OwnedFd>,
}

impl Inherited {
    fn numbered(&self) -> Vec<(&OwnedFd, i32)> {
        let mut all = vec![(&self.control, CONTROL)];
        all.extend(self.home.iter().zip((RULES + 1..=HOME).rev()));
        all.extend(self.rules.iter().map(|rules| (rules, RULES)));
        all
    }
}

/// The namespaces of this process, in the zygote's order.
pub(super) fn namespaces(proc: &OwnedFd) -> io::Result<Vec<OwnedFd>> {
    let open = |name| {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        Ok(openat(proc, format!("self/ns/{name}").as_str(), flags, Mode::empty())?)
    };
    NAMESPACES.into_iter().map(open).collect()
}

/// Waits for the next thing that happens to a traced process.
pub(super) fn wait(pid: Pid) -> io::Result<WaitStatus> {
    Ok(waitpid(pid, Some(WaitPidFlag::__WALL))?)
}

/// Makes the zygote beside the runtime, which stands before its first instruction, takes the runtime's rights, and lets
/// it run.
fn divide(runtime: Pid, proc: &OwnedFd, landlock: Option<u32>) -> io::Result<Pid> {
    let options = Options::PTRACE_O_EXITKILL | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_TRACEFORK;
    ptrace::setoptions(runtime, options)?;
    let tracee = Tracee::of(runtime, proc)?;
    let zygote = tracee.call(libc::SYS_clone, &[ZYGOTE as u64, 0, 0, 0, 0])?;
    let zygote = Pid::from_raw(i32::try_from(zygote).map_err(io::Error::other)?);
    match wait(zygote)? {
        WaitStatus::Stopped(..) | WaitStatus::PtraceEvent(..) => {}
        other => return Err(io::Error::other(format!("it does not stop: {other:?}"))),
    }
    more::block_signals(zygote)?;

    for capability in CAPABILITIES.iter().rev() {
        tracee.call(libc::SYS_prctl, &[libc::PR_CAPBSET_DROP as u64, (*capability).into()])?;
    }
    tracee.call(libc::SYS_prctl, &[libc::PR_CAP_AMBIENT as u64, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64])?;
    // Below what the program was given, where it has written nothing yet: the header, and no capabilities.
    let free = (ptrace::getregs(runtime)?.rsp - 1_024) & !15;
    tracee.write(free, &process::NO_CAPABILITIES)?;
    tracee.call(libc::SYS_capset, &[free, free + 8])?;
    if let Some(flags) = landlock {
        tracee.call(libc::SYS_landlock_restrict_self, &[RULES as u64, flags.into()])?;
    }
    tracee.call(libc::SYS_close_range, &[RULES as u64, u32::MAX.into(), 0])?;
    ptrace::detach(runtime, None)?;
    Ok(zygote)
}

/// Ends a process that is traced, and reaps it.
pub(super) fn end(pid: Pid) {
    let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
    while let Ok(status) = wait(pid) {
        if matches!(status, WaitStatus::Exited(..) | WaitStatus::Signaled(..)) {
            return;
        }
    }
}

/// A descriptor as a number that other processes may know it by.
pub(super) fn raw(fd: impl AsFd) -> i32 {
    use std::os::fd::AsRawFd;
    fd.as_fd().as_raw_fd()
}
