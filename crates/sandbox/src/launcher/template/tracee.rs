//! A process that is stopped by `ptrace`: its memory, and system calls in its name.

use nix::fcntl::{OFlag, openat};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

/// Numbers from here on, as a system call's result, are errors.
const ERRORS: u64 = -4_096_i64 as u64;

/// A traced process. Whoever holds this is its tracer.
#[derive(Debug)]
pub(super) struct Tracee {
    pub(super) pid: Pid,
    memory: File,
    /// The address of a `syscall` instruction.
    gate: u64,
}

impl Tracee {
    /// The process `pid`, which is stopped, as `proc` shows it, which can be written to. A gate is looked for in the code
    /// that the kernel gives to every process.
    pub(super) fn of(pid: Pid, proc: impl AsFd) -> io::Result<Tracee> {
        let memory = Tracee::memory(pid, proc)?;
        let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
        let vdso = maps.lines().find(|line| line.ends_with("[vdso]"));
        let bounds = vdso.and_then(|line| line.split(' ').next()?.split_once('-'));
        let address = |text: &str| u64::from_str_radix(text, 16).ok();
        let (start, end) = bounds
            .and_then(|(start, end)| Some((address(start)?, address(end)?)))
            .ok_or_else(|| io::Error::other("the process has no vdso"))?;
        let mut code = vec![0; (end - start) as usize];
        memory.read_exact_at(&mut code, start)?;
        let at = code.windows(2).position(|bytes| bytes == [0x0f, 0x05]);
        let at = at.ok_or_else(|| io::Error::other("there is no system call in the vdso"))?;
        Ok(Tracee { pid, memory, gate: start + at as u64 })
    }

    /// The memory of a process that `proc` shows, to read and to write.
    pub(super) fn memory(pid: Pid, proc: impl AsFd) -> io::Result<File> {
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
        Ok(openat(proc, format!("{pid}/mem").as_str(), flags, Mode::empty())?.into())
    }

    /// Whether `other`, which is stopped too, has the same memory; writes to 16 bytes at `scratch`.
    pub(super) fn shares_memory_with(&self, other: Pid, proc: impl AsFd, scratch: u64) -> io::Result<bool> {
        let (word, mut heard) = (*b"is this the same", [0; 16]);
        self.write(scratch, &word)?;
        let memory = Tracee::memory(other, proc)?;
        Ok(memory.read_exact_at(&mut heard, scratch).is_ok() && heard == word)
    }

    /// Reads memory of the process.
    pub(super) fn read(&self, address: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.memory.read_exact_at(buffer, address)
    }

    /// Reads eight bytes.
    pub(super) fn read_word(&self, address: u64) -> io::Result<u64> {
        let mut word = [0; 8];
        self.read(address, &mut word)?;
        Ok(u64::from_le_bytes(word))
    }

    /// Writes memory of the process, also where it may not write itself.
    pub(super) fn write(&self, address: u64, bytes: &[u8]) -> io::Result<()> {
        self.memory.write_all_at(bytes, address)
    }

    /// Has the process's main thread make a system call.
    pub(super) fn call(&self, number: i64, arguments: &[u64]) -> io::Result<u64> {
        self.call_by(self.pid, number, arguments)
    }

    /// Has the stopped `thread` make a system call; it is as it was afterwards.
    pub(super) fn call_by(&self, thread: Pid, number: i64, arguments: &[u64]) -> io::Result<u64> {
        let before = ptrace::getregs(thread)?;
        let argument = |index: usize| arguments.get(index).copied().unwrap_or(0);
        let mut registers = before;
        registers.rip = self.gate;
        registers.rax = number as u64;
        registers.orig_rax = u64::MAX; // it is not in a system call that could be restarted
        (registers.rdi, registers.rsi, registers.rdx) = (argument(0), argument(1), argument(2));
        (registers.r10, registers.r8, registers.r9) = (argument(3), argument(4), argument(5));
        ptrace::setregs(thread, registers)?;
        loop {
            ptrace::step(thread, None)?;
            match waitpid(thread, Some(WaitPidFlag::__WALL))? {
                WaitStatus::Stopped(_, Signal::SIGTRAP) => break,
                // A new process was made, or a signal came: it is lost with the process that it was for.
                WaitStatus::PtraceEvent(..) => {}
                other => return Err(io::Error::other(format!("it does not stop: {other:?}"))),
            }
        }
        let result = ptrace::getregs(thread)?.rax;
        ptrace::setregs(thread, before)?;
        if result >= ERRORS {
            return Err(io::Error::from_raw_os_error(-(result as i64) as i32));
        }
        Ok(result)
    }
}
