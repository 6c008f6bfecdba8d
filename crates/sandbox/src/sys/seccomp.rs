//! Filters of system calls: programs for the kernel's classic packet filter machine.

use super::check;
use std::io;

/// One instruction: the kernel's `sock_filter`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    /// What is done.
    pub(crate) code: u16,
    /// How many instructions are skipped if a comparison holds.
    pub(crate) yes: u8,
    /// How many are skipped if it does not.
    pub(crate) no: u8,
    /// The number that it is done with.
    pub(crate) operand: u32,
}

/// The kernel's `sock_fprog`.
#[repr(C)]
struct Program {
    length: libc::c_ushort,
    instructions: *const Instruction,
}

/// Puts this thread, and all that comes from it, under a program, for good. It must have forbidden itself new privileges.
pub(crate) fn filter(instructions: &[Instruction]) -> io::Result<()> {
    let length = libc::c_ushort::try_from(instructions.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = Program { length, instructions: instructions.as_ptr() };
    // SAFETY: the kernel copies `length` instructions, which the slice has, and checks them; both outlive the call.
    check(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &program) })?;
    Ok(())
}
