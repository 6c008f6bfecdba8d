//! The sitter: a process that waits in fresh control groups until an event needs it.
//!
//! Moving a process into a control group takes milliseconds, and joining at birth exists in version 2 only. So the
//! launcher forks sitters ahead of time; each moves itself and waits. A sandbox's first process is made by a sitter
//! and is thereby born into its groups. A sitter serves one event.

use super::group::Group;
use super::init;
use super::limits::Fallback;
use super::namespace::Identity;
use super::network;
use super::root;
use super::seccomp::Filters;
use crate::control::{self, MESSAGE, Notice, Order, Start};
use crate::sys::mounts::{self, NO_DEV, NO_SUID, READ_ONLY};
use crate::sys::{process, socket};
use model::NetworkPolicy;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::socket::MsgFlags;
use nix::sys::stat::{Mode, fchmod};
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

/// A sitter's whole life. `orders` leads to the launcher: the order comes from there, and the sandbox's first process
/// goes back there.
pub(super) fn sit(ground: &Ground, group: &Group, slot: u32, orders: &OwnedFd) {
    let alone = process::close_all_except(&[orders.as_raw_fd(), 2]);
    let ready = alone
        .and_then(|()| Ok(set_pdeathsig(Signal::SIGKILL)?))
        .step("leave the launcher")
        .and_then(|()| group.enter().step("enter a control group"));
    let mut buffer = vec![0; MESSAGE];
    let Ok((length, descriptors)) = socket::receive(orders, &mut buffer, MsgFlags::empty()) else {
        return;
    };
    let mut descriptors = descriptors.into_iter();
    let (Some(supervision), Some(log)) = (descriptors.next(), descriptors.next()) else { return };
    let channel = descriptors.next();
    let Some(Order::Start(start)) = control::decode(&buffer[..length]) else { return };
    // The runtime's fixed descriptors must not fall on this one, which speaks of their failures.
    let Ok(supervision) = process::lift(&supervision) else { return };
    // The function may open what it prints to once more, as `/dev/stderr`, though the pipe is the server's.
    let _ = fchmod(&log, Mode::S_IWUSR | Mode::S_IWGRP | Mode::S_IWOTH);
    let made = ready.and_then(|()| {
        group.limit(start.memory, ground.cpu_cap).step("set the limits")?;
        let ends =
            init::Ends { supervision: &supervision, channel: channel.as_ref(), log: &log, launcher: orders };
        bear(ground, group, slot, &start, ends)
    });
    if let Err(failure) = made {
        let _ = socket::send(&supervision, &control::encode(&failure.notice()), &[], MsgFlags::empty());
    }
}

/// Makes the sandbox's first process and hands it to the launcher.
fn bear(
    ground: &Ground,
    group: &Group,
    slot: u32,
    start: &Start,
    ends: init::Ends<'_>,
) -> Result<(), Failure> {
    // Both are made here because the sandbox itself may not be able to reach these paths.
    let root =
        root::c_path(&root::path(&ground.run_dir, start.root)).and_then(|path| mounts::copy(&path, true));
    let root = root.step("copy the root directory")?;
    let code = package(&start.code_dir).step("open the package")?;
    let watch = group.memory_v1().map(watch_memory).transpose().step("watch the memory limit")?;
    let (go, gate) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).step("make a pipe")?;

    let fallback = Fallback {
        memory: ground.memory_fallback.then_some(start.memory),
        processes: ground.processes_fallback,
    };
    let namespaces = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWNET
        | if group.version_2() { libc::CLONE_NEWCGROUP } else { 0 };
    let birth = init::Birth {
        start,
        ends: &ends,
        root: &root,
        code: &code,
        fallback,
        proc: ground.proc,
        landlock: ground.landlock,
    };
    let (pid, pidfd) = process::clone_into(namespaces, || {
        // The gate opens when the uids are mapped; if the sitter dies before, it closes, as this end is not held.
        let mut byte = [0];
        let _ = nix::unistd::close(gate.as_raw_fd());
        if nix::unistd::read(&go, &mut byte) == Ok(1) {
            init::live(&birth, ground.filters.as_ref());
        }
    })
    .step("create namespaces")?;
    let mapped = ground.identity.map(pid, slot).step("map the uid");

    let mut handed = vec![pidfd.as_raw_fd()];
    handed.extend(watch.iter().map(|watch| watch.as_fd().as_raw_fd()));
    socket::send(ends.launcher, &pid.as_raw().to_le_bytes(), &handed, MsgFlags::empty())
        .step("report to the launcher")?;
    mapped?;
    if start.network == NetworkPolicy::Internet {
        let device = network::device(&pidfd).step("make the network device")?;
        let notice = control::encode(&Notice::Network);
        socket::send(ends.supervision, &notice, &[device.as_raw_fd()], MsgFlags::empty())
            .step("report to the server")?;
    }
    nix::unistd::write(&gate, b"g").step("let the sandbox begin")?;
    Ok(())
}

/// The package as a mount, read-only.
fn package(dir: &Path) -> io::Result<OwnedFd> {
    let mount = mounts::copy(&root::c_path(dir)?, false)?;
    mounts::restrict(&mount, READ_ONLY | NO_SUID | NO_DEV, false)?;
    Ok(mount)
}

/// A descriptor that becomes readable when a version 1 memory group reaches its limit and cannot reclaim.
pub(super) fn watch_memory(dir: &Path) -> io::Result<EventFd> {
    let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
    let control = File::open(dir.join("memory.oom_control"))?;
    let line = format!("{} {}", event.as_fd().as_raw_fd(), control.as_raw_fd());
    std::fs::write(dir.join("cgroup.event_control"), line)?;
    Ok(event)
}
