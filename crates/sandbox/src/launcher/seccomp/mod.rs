//! The system calls that a function may make.
//!
//! An allow-list: a part of what Docker's default profile permits, without what that permits on condition of a
//! capability. What is not listed fails with EPERM; calls for which programs try a fallback fail with ENOSYS, so that
//! they do. A call by the numbers of 32-bit programs ends the process.
//!
//! What Docker permits and this list does not: `ptrace`, `process_vm_readv` and `process_vm_writev` (other processes'
//! memory), `io_*` (asynchronous I/O, whose number is limited for the whole machine), `sync` and `syncfs` (flush the
//! host's file systems), `mq_*` (queues in a file system that Landlock does not show), `name_to_handle_at` and
//! `fanotify_mark` (the halves of calls that take a capability), `listmount` and `statmount` (the table of mounts),
//! `modify_ldt`, `memfd_secret`, `process_mrelease`, and most kinds of sockets.
//!
//! `prctl` is open: what it sets concerns the process itself, and the rest takes capabilities. So does `setns`, with
//! which a copy of a template moves into namespaces of its own: it takes CAP_SYS_ADMIN, which no function has, and the
//! kernel refuses it to a function with EPERM, or EINVAL for the user namespace that it is in already.
//!
//! [`policy`] says what is permitted, [`compiler`] makes one program of it. Loading it is a part of every
//! start: its 144 instructions take 48 us, where what `seccompiler` makes of the same policy takes 1,100.

mod calls;
mod compiler;
mod policy;
#[cfg(test)]
mod tests;

use crate::sys::seccomp::{self, Instruction};
use std::io;

/// The compiled filter.
#[derive(Debug)]
pub(super) struct Filters(Vec<Instruction>);

impl Filters {
    /// Compiles the filter for this machine.
    pub(super) fn compile() -> io::Result<Filters> {
        let architecture = architecture().ok_or(io::ErrorKind::Unsupported)?;
        Ok(Filters(compiler::compile(architecture, &policy::verdicts())))
    }

    /// Applies the filter to this process and all that come from it, for good.
    pub(super) fn apply(&self) -> io::Result<()> {
        seccomp::filter(&self.0)
    }
}

/// The kernel's number for this architecture, little-endian.
fn architecture() -> Option<u32> {
    const WIDE: u32 = 0xc000_0000;
    match std::env::consts::ARCH {
        "x86_64" => Some(WIDE | 62),
        "aarch64" => Some(WIDE | 183),
        "riscv64" => Some(WIDE | 243),
        _ => None,
    }
}
