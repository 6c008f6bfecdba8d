//! The nest of one copy: namespaces, mounts, a network and a pid 1 of its own.
//!
//! A network namespace takes the kernel longer to make and to remove than all else of a nest together. It stays with the
//! seat, and the seat's next copy gets it: another process of the same function, when all processes of the one before are
//! gone, and with them their sockets. Nothing in it can be changed by a function, for none has the right to. Nor does it
//! remember connections that were closed, as others do for a minute: their ports would be taken.
//!
//! A nest is made ahead of the copy, and from the outside of the template's memory: its pid 1 shares the memory of the
//! template's pid 1, which has never run code of a function. It runs while that one waits, and then never again.

use super::Word;
use super::capture::Captured;
use super::layout::{NETWORK, Request};
use super::start::{self, raw};
use crate::control;
use crate::launcher::init::Birth;
use crate::launcher::landlock;
use crate::launcher::place;
use crate::launcher::sitter::{Failure, Step};
use crate::launcher::sockets::Sockets;
use crate::sys::process::Stack;
use crate::sys::{process, socket};
use model::NetworkPolicy;
use nix::fcntl::{OFlag, openat};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::Signal;
use nix::sys::socket::MsgFlags;
use nix::sys::stat::Mode;
use nix::sys::uio::pwrite;
use nix::unistd::{Pid, chdir, read, write};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

/// The descriptors that come with the order.
struct Ends<'a> {
    supervision: &'a OwnedFd,
    seat: &'a OwnedFd,
    log: &'a OwnedFd,
    channel: Option<&'a OwnedFd>,
    /// Ends when the nest's device is there.
    device: Option<&'a OwnedFd>,
    /// The network namespace of the seat's copy before this one.
    network: Option<&'a OwnedFd>,
}

/// Makes a nest; its pid 1 then has the seat make the copy.
pub(super) fn make(
    birth: &Birth<'_>,
    captured: &Captured,
    proc: &OwnedFd,
    last_pid: Option<&OwnedFd>,
    number: u64,
    descriptors: &[OwnedFd],
    stack: Stack,
) -> Result<(Pid, OwnedFd, Stack), Failure> {
    let mut rest = descriptors.iter();
    let mut next = || rest.next().ok_or(io::ErrorKind::InvalidData).step("read an order");
    let (supervision, seat, log) = (next()?, next()?, next()?);
    let channel = if birth.start.runtime_api { None } else { Some(next()?) };
    let device = if birth.start.network == NetworkPolicy::Internet { Some(next()?) } else { None };
    let network = rest.next();
    let ends = Ends { supervision, seat, log, channel, device, network };
    let new_network = if network.is_none() { libc::CLONE_NEWNET } else { 0 };
    let namespaces =
        libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | new_network;
    process::share_into(namespaces, stack, || {
        if let Err(failure) = settle(birth, captured, proc, last_pid, &ends, number) {
            let notice = control::encode(&failure.notice());
            let _ = socket::send(ends.supervision, &notice, &[], MsgFlags::empty());
            process::exit(1);
        }
    })
    .step("create namespaces")
}

/// What pid 1 of a nest does before it waits to be killed.
fn settle(
    birth: &Birth<'_>,
    captured: &Captured,
    proc: &OwnedFd,
    last_pid: Option<&OwnedFd>,
    ends: &Ends<'_>,
    number: u64,
) -> Result<(), Failure> {
    // The kernel reaps orphans then.
    process::ignore_signals(&[Signal::SIGCHLD]);
    chdir("/").step("enter the root")?;
    place::mount_storage(birth.start, nix::fcntl::AT_FDCWD)?;
    if birth.proc {
        place::mount_masked_proc(nix::fcntl::AT_FDCWD)?;
    }
    let (sockets, new_network) = network(birth, proc, ends)?;
    sockets.hand_over(ends.supervision)?;
    let spaces =
        start::namespaces(&File::open("/proc").step("open /proc")?.into()).step("open the namespaces")?;
    if new_network && ends.device.is_none() && forgets_connections(proc).is_ok() {
        // For the next copy in this seat.
        let word = control::encode(&Word::Network { number });
        let network = raw(&spaces[NETWORK]);
        socket::send(birth.ends.launcher, &word, &[network], MsgFlags::empty())
            .step("report to the launcher")?;
    }
    let rules = birth.landlock.map(landlock::rules).transpose().step("write the rules of files")?;
    let rules: Option<OwnedFd> = rules.map(Into::into);
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
    handed.extend(birth.exempt.then(|| raw(proc)));
    handed.extend([raw(&last_pid), raw(ends.log)]);
    handed.extend(ends.channel.map(raw));
    let request =
        Request::Copy { rules: rules.is_some(), channel: ends.channel.is_some(), exempt: birth.exempt };
    socket::send(ends.seat, &request.bytes(), &handed, MsgFlags::empty()).step("order the copy")
}

/// Enters the seat's network, or makes a new one; the sockets in it, and whether it is new.
fn network(birth: &Birth<'_>, proc: &OwnedFd, ends: &Ends<'_>) -> Result<(Sockets, bool), Failure> {
    if let Some(network) = ends.network {
        setns(network, CloneFlags::CLONE_NEWNET).step("enter the seat's network")?;
        if is_empty(proc).unwrap_or(false)
            && let Ok(sockets) = Sockets::open(birth.start)
        {
            return Ok((sockets, false));
        }
        // The server has not let go of the socket of the copy before, or the kernel has not collected local sockets
        // that hold on to one another.
        unshare(CloneFlags::CLONE_NEWNET).step("make a network namespace")?;
    }
    crate::sys::network::raise("lo").step("raise the loopback device")?;
    if let Some(device) = ends.device {
        let _ = read(device, &mut [0]).step("wait for the device")?;
    }
    Ok((Sockets::open(birth.start)?, true))
}

/// Has the present network remember no connection that was closed.
fn forgets_connections(proc: &OwnedFd) -> io::Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let setting = openat(proc, "sys/net/ipv4/tcp_max_tw_buckets", flags, Mode::empty())?;
    write(&setting, b"0")?;
    Ok(())
}

/// Whether there is no local socket in the present network.
fn is_empty(proc: &OwnedFd) -> io::Result<bool> {
    let table = openat(proc, "self/net/unix", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut text = String::new();
    File::from(table).read_to_string(&mut text)?;
    Ok(text.lines().count() <= 1)
}
