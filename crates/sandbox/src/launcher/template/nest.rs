//! The nest of one copy: namespaces, mounts, a network and a pid 1 of its own.
//!
//! It is made ahead of the copy, and from the outside of the template's memory: its pid 1 is a fork of the template's
//! pid 1, which has never run code of a function.

use super::capture::Captured;
use super::layout::Request;
use super::start::{self, raw};
use crate::control;
use crate::launcher::init::{self, Birth, Sockets};
use crate::launcher::landlock;
use crate::launcher::sitter::{Failure, Step};
use crate::sys::process::Parent;
use crate::sys::{process, socket};
use model::NetworkPolicy;
use nix::sys::signal::Signal;
use nix::sys::socket::MsgFlags;
use nix::sys::uio::pwrite;
use nix::unistd::{Pid, chdir, pause, read};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

/// The descriptors that come with the order.
struct Ends<'a> {
    supervision: &'a OwnedFd,
    seat: &'a OwnedFd,
    log: &'a OwnedFd,
    channel: Option<&'a OwnedFd>,
    /// Ends when the nest's device is there.
    device: Option<&'a OwnedFd>,
}

/// Makes a nest; its pid 1 then has the seat make the copy.
pub(super) fn make(
    birth: &Birth<'_>,
    captured: &Captured,
    last_pid: Option<&OwnedFd>,
    descriptors: &[OwnedFd],
) -> Result<(Pid, OwnedFd), Failure> {
    let mut rest = descriptors.iter();
    let mut next = || rest.next().ok_or(io::ErrorKind::InvalidData).step("read an order");
    let (supervision, seat, log) = (next()?, next()?, next()?);
    let channel = if birth.start.runtime_api { None } else { Some(next()?) };
    let device = if birth.start.network == NetworkPolicy::Internet { Some(next()?) } else { None };
    let ends = Ends { supervision, seat, log, channel, device };
    let namespaces =
        libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWNET;
    process::clone_into(namespaces, Parent::This, || {
        if let Err(failure) = settle(birth, captured, last_pid, &ends) {
            let notice = control::encode(&failure.notice());
            let _ = socket::send(ends.supervision, &notice, &[], MsgFlags::empty());
            process::exit(1);
        }
        let _ = process::close_all_except(&[]);
        loop {
            pause();
        }
    })
    .step("create namespaces")
}

/// What pid 1 of a nest does before it waits to be killed.
fn settle(
    birth: &Birth<'_>,
    captured: &Captured,
    last_pid: Option<&OwnedFd>,
    ends: &Ends<'_>,
) -> Result<(), Failure> {
    // The kernel reaps orphans then.
    process::ignore_signals(&[Signal::SIGCHLD]);
    chdir("/").step("enter the root")?;
    init::mount_storage(birth.start, nix::fcntl::AT_FDCWD)?;
    if birth.proc {
        init::mount_masked_proc(nix::fcntl::AT_FDCWD)?;
    }
    if let Some(device) = ends.device {
        let _ = read(device, &mut [0]).step("wait for the device")?;
    }
    Sockets::open(birth.start)?.hand_over(ends.supervision)?;
    let rules = birth.landlock.map(landlock::rules).transpose().step("write the rules of files")?;
    let rules: Option<OwnedFd> = rules.map(Into::into);
    let spaces =
        start::namespaces(&File::open("/proc").step("open /proc")?.into()).step("open the namespaces")?;
    let last_pid = match last_pid {
        Some(last_pid) => {
            // The copy's own id differs from the template's, which it has noted: whoever compares them, as OpenSSL does,
            // sees that this is another process, and takes fresh random numbers.
            let before = (captured.own_id - 1).to_string();
            pwrite(last_pid, before.as_bytes(), 0).step("choose the process id")?;
            last_pid.try_clone().step("copy a descriptor")?
        }
        None => File::open("/dev/null").step("open /dev/null")?.into(),
    };
    process::drop_capabilities().step("drop capabilities")?;
    let mut handed: Vec<_> = spaces.iter().map(raw).collect();
    handed.extend(rules.iter().map(raw));
    handed.extend([raw(&last_pid), raw(ends.log)]);
    handed.extend(ends.channel.map(raw));
    let request = Request::Copy { rules: rules.is_some(), channel: ends.channel.is_some() };
    socket::send(ends.seat, &request.bytes(), &handed, MsgFlags::empty()).step("order the copy")
}
