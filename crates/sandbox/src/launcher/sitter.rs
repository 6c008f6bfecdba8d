//! The sitter: makes a sandbox ahead of the event that needs it, in fresh control groups.
//!
//! Moving a process into a control group takes milliseconds, and joining at birth exists in version 2 only. So the
//! launcher forks sitters ahead of time; each moves itself, and makes the sandbox's first process, which is thereby born
//! into the groups. That process waits for the job; the sitter ends.

use super::group::Group;
use super::init;
use super::job::Job;
use super::namespace::Identity;
use super::root;
use super::seccomp::Filters;
use crate::control::Notice;
use crate::sys::{process, socket};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::socket::MsgFlags;
use nix::unistd::pipe2;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What every sitter knows from birth.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) identity: Identity,
    pub(super) run_dir: PathBuf,
    pub(super) cpu_cap: bool,
    pub(super) memory_fallback: bool,
    pub(super) processes_fallback: bool,
    pub(super) proc: bool,
    pub(super) landlock: Option<u32>,
    pub(super) filters: Option<Filters>,
    /// Processes can become templates, or why they cannot.
    pub(super) templates: Result<(), String>,
    /// Templates are exempt from the kernel's out-of-memory killer; their copies are not.
    pub(super) exempt: bool,
}

/// A step that failed, and why.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) step: &'static str,
    pub(super) source: io::Error,
}

impl Failure {
    /// The same as a notice for the server.
    pub(super) fn notice(&self) -> Notice {
        Notice::Failed { step: self.step.to_owned(), reason: self.source.to_string() }
    }
}

/// Names the step that a result belongs to.
pub(super) trait Step<T> {
    fn step(self, step: &'static str) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: &'static str) -> Result<T, Failure> {
        self.map_err(|error| Failure { step, source: error.into() })
    }
}

/// A sitter's whole life. `orders` leads to the launcher: the sandbox's first process goes there, and its job comes from
/// there. `slot` says which uid it gets, `root` in which root it is made.
pub(super) fn sit(ground: &Ground, group: &Group, slot: u32, root: Option<usize>, orders: &OwnedFd) {
    let made = process::close_all_except(&[orders.as_raw_fd(), 2])
        .and_then(|()| Ok(set_pdeathsig(Signal::SIGKILL)?))
        .step("leave the launcher")
        .and_then(|()| bear(ground, group, slot, root, orders));
    if let Err(failure) = made {
        confess(&failure, orders);
    }
}

/// Tells the server what has failed, once there is a job for which it matters.
fn confess(failure: &Failure, orders: &OwnedFd) {
    if let Some(job) = Job::receive(orders) {
        job.tell(&failure.notice());
    }
}

/// Makes the sandbox's first process and hands it to the launcher.
fn bear(
    ground: &Ground,
    group: &Group,
    slot: u32,
    root: Option<usize>,
    orders: &OwnedFd,
) -> Result<(), Failure> {
    group.enter().step("enter a control group")?;
    let dials = group.dials(ground.cpu_cap).step("set the limits")?;
    let watch = group.memory_v1().map(watch_memory).transpose().step("watch the memory limit")?;
    // The sandbox itself may not be able to reach this path.
    let root = root.map(|root| root::copy(&ground.run_dir, root)).transpose();
    let root = root.step("copy the root directory")?;
    let (go, gate) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).step("make a pipe")?;
    let namespaces = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWNET
        | if group.version_2() { libc::CLONE_NEWCGROUP } else { 0 };
    let (pid, pidfd) = process::clone_into(namespaces, || {
        // The gate opens when the uids are mapped; if the sitter dies before, it closes, as this end is not held.
        let mut byte = [0];
        let _ = nix::unistd::close(gate.as_raw_fd());
        if nix::unistd::read(&go, &mut byte) == Ok(1) {
            init::live(ground, dials, root.as_ref(), orders);
        }
    })
    .step("create namespaces")?;

    let mapped = ground.identity.map(pid, slot).step("map the uid");
    let mut handed = vec![pidfd.as_raw_fd()];
    handed.extend(watch.iter().map(|watch| watch.as_fd().as_raw_fd()));
    let report = || socket::send(orders, &pid.as_raw().to_le_bytes(), &handed, MsgFlags::empty());
    if let Err(failure) = mapped {
        // That pid 1 ends at once. The launcher hears of it last, for it then forgets the job.
        drop(gate);
        confess(&failure, orders);
        return report().step("report to the launcher");
    }
    report().step("report to the launcher")?;
    nix::unistd::write(&gate, b"g").step("let the sandbox begin")?;
    Ok(())
}

/// A descriptor that becomes readable when a version 1 memory group reaches its limit and cannot reclaim.
pub(super) fn watch_memory(dir: &Path) -> io::Result<EventFd> {
    let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
    let control = File::open(dir.join("memory.oom_control"))?;
    let line = format!("{} {}", event.as_fd().as_raw_fd(), control.as_raw_fd());
    std::fs::write(dir.join("cgroup.event_control"), line)?;
    Ok(event)
}
