//! The device of a sandbox that leads outside.
//!
//! It is made from outside the sandbox, by a process that may open `/dev/net/tun`, and its other end goes to the
//! server. Nothing inside has the right to change it, its address or its routes.

use crate::FUNCTION_ADDRESS;
use crate::sys::network;
use nix::sched::{CloneFlags, setns};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// The device's name inside.
const NAME: &str = "tun0";

/// The longest packet, in bytes: the longest there can be, since packets never leave the machine as they are.
const LONGEST: u16 = u16::MAX;

/// Makes the device in the network namespace of `process`, and returns its other end. This process stays in that
/// namespace.
pub(super) fn device(process: impl AsFd) -> io::Result<OwnedFd> {
    setns(process, CloneFlags::CLONE_NEWNET)?;
    make()
}

/// Makes the device in the present network namespace.
pub(super) fn make() -> io::Result<OwnedFd> {
    // There is no way out for IPv6, so there shall be no address either. Where the kernel has none, so much the better.
    let _ = fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    let device = network::tunnel(NAME)?;
    network::equip(NAME, FUNCTION_ADDRESS, LONGEST)?;
    Ok(device)
}
