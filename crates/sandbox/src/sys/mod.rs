//! System calls that have no safe wrapper elsewhere. All unsafe code of this crate is here.

pub(crate) mod landlock;
pub(crate) mod mounts;
pub(crate) mod network;
pub(crate) mod process;
#[cfg(target_arch = "x86_64")]
pub(crate) mod ptrace;
pub(crate) mod seccomp;
pub(crate) mod socket;

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// Turns the result of a system call into the usual kind.
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Takes over a descriptor that a system call has just returned.
fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    let fd = check(result)?;
    let fd = i32::try_from(fd).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
