//! Pid 1 of a process that may become a template.
//!
//! It starts the runtime as any other pid 1 does, and waits. When the launcher wishes it, it stops the runtime
//! ([`capture`]): the runtime never runs again, and its memory becomes what copies are made of. From then on it makes a
//! **nest** for each copy ([`nest`]), namespaces with a pid 1 of their own, in which a **seat** then makes the copy. How
//! that is done stands in `zygote/zygote.c`; why, and what it costs, in `docs/starts.md`.
//!
//! Everything that looks at the runtime's memory, threads and descriptors is here, inside the template's own sandbox: if
//! a hostile function misled it, nothing would be gained but this sandbox.

mod capture;
mod descriptors;
mod layout;
mod local;
mod memory;
mod nest;
mod sockets;
mod start;
mod threads;
mod tracee;
mod working_set;

use super::init::{self, Birth};
use super::seccomp::Filters;
use super::sitter::{Failure, Step};
use crate::control::{self, Ending, MESSAGE, Notice};
use crate::sys::mounts::{self, NO_DEV, NO_EXEC, NO_SUID};
use crate::sys::process::Stack;
use crate::sys::{process, socket};
use layout::Request;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::MsgFlags;
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use start::{Started, raw};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// What the launcher tells pid 1 of a template.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Capture the runtime.
    Capture,
    /// Make a seat. With the seat's end of its socket, and the files by which it enters its control groups.
    Seat,
    /// Make a nest and have a copy made in it. With the copy's supervision socket, its seat's socket, its log, its event
    /// channel if the runtime has one, if the nest is to have a device, a pipe whose end tells that it is there, and the
    /// seat's network namespace if it has one.
    Nest {
        /// The launcher's name for the copy.
        number: u64,
    },
    /// See which memory an event has used.
    Learn {
        /// The launcher's name for its copy.
        number: u64,
        /// The copy's process id in the template's pid namespace.
        process: i32,
    },
}

impl Order {
    /// The copy that it is for, if it is for one.
    pub(super) fn copy(&self) -> Option<u64> {
        match self {
            Order::Nest { number } => Some(*number),
            Order::Capture | Order::Seat | Order::Learn { .. } => None,
        }
    }
}

/// What the launcher hears from pid 1 of a template.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Word {
    /// The runtime is a template now.
    Captured,
    /// It cannot be one.
    NotCaptured { reason: String },
    /// This nest has begun; the descriptor is its pid 1.
    Nest { number: u64, pid: i32 },
    /// The descriptor is this nest's network namespace.
    Network { number: u64 },
    /// A nest could not be made.
    NoNest { number: u64, step: String, reason: String },
    /// What could be seen of a copy has been.
    Learned { number: u64 },
    /// The template itself has ended: no more copies can be made.
    Lost(Ending),
    /// This process has ended: a copy, or a seat. Its id is that in the template's pid namespace.
    Ended { pid: i32, ending: Ending },
}

/// What a seat says, as the zygote's code writes it: two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeatWord {
    /// The copy is made; its process id in the template's pid namespace.
    Copied(i32),
    /// It is not.
    Failed {
        /// What was being done: a step of the plan of descriptors, or one that the zygote names by a negative number.
        step: i64,
        /// The system's number for the reason.
        errno: i32,
    },
}

impl SeatWord {
    /// Reads it; none if the seat is gone.
    pub(super) fn read(bytes: &[u8]) -> Option<SeatWord> {
        let (result, step) = bytes.split_at_checked(8)?;
        let number = |bytes: &[u8]| Some(i64::from_le_bytes(bytes.try_into().ok()?));
        let (result, step) = (number(result)?, number(step)?);
        let small = i32::try_from(result).ok()?;
        Some(if small > 0 { SeatWord::Copied(small) } else { SeatWord::Failed { step, errno: -small } })
    }
}

/// The whole life of pid 1, once its sandbox stands.
pub(super) fn live(birth: &Birth<'_>, filters: Option<&Filters>) -> Result<(), Failure> {
    // The runtime's own /proc is read-only. This one is nowhere to be seen.
    let proc = mounts::filesystem(c"proc", &[], NO_SUID | NO_DEV | NO_EXEC).step("make /proc")?;
    let started = match start::start(birth, &proc, filters)? {
        Ok(started) => started,
        Err(ended) => {
            init::tell(
                birth,
                &Notice::Ended(ending(ended).unwrap_or(Ending::Signal(Signal::SIGKILL as i32))),
            );
            return Ok(());
        }
    };
    let identity = capture::Identity::of(birth).step("look at descriptors")?;
    let write = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let last_pid = openat(&proc, "sys/kernel/ns_last_pid", write, Mode::empty()).ok();
    let ends = birth.ends;
    let mut kept = vec![raw(ends.launcher), raw(ends.supervision), raw(&started.control), raw(&proc)];
    kept.extend(last_pid.iter().map(raw));
    process::close_all_except(&kept).step("close descriptors")?;
    let Started { runtime, zygote, control } = started;
    let mut template = Template {
        birth,
        proc,
        identity,
        runtime,
        zygote: Some(zygote),
        control,
        last_pid,
        captured: None,
        stacks: HashMap::new(),
        free_stacks: Vec::new(),
    };
    template.serve().step("serve as pid 1 of a template")
}

/// A runtime that may become, or is, a template.
struct Template<'a> {
    birth: &'a Birth<'a>,
    /// The processes here, as files that can be written to.
    proc: OwnedFd,
    identity: capture::Identity,
    runtime: Pid,
    zygote: Option<Pid>,
    /// Leads to the zygote.
    control: OwnedFd,
    /// Sets the next process id of a pid namespace, where the kernel has that.
    last_pid: Option<OwnedFd>,
    captured: Option<capture::Captured>,
    /// The stacks of the nests' first processes.
    stacks: HashMap<Pid, Stack>,
    /// Those whose processes have ended.
    free_stacks: Vec<Stack>,
}

impl Template<'_> {
    /// Does what the launcher orders, and hears the ends of processes, until pid 1 is killed or the runtime ends.
    fn serve(&mut self) -> io::Result<()> {
        let mut children = SigSet::empty();
        children.add(Signal::SIGCHLD);
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&children), None)?;
        let ends = SignalFd::with_flags(&children, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let mut buffer = vec![0; MESSAGE];
        loop {
            if self.reap() {
                return Ok(());
            }
            let mut polled = [
                PollFd::new(self.birth.ends.launcher.as_fd(), PollFlags::POLLIN),
                PollFd::new(ends.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.control.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut polled, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            let [launcher, _, control] = polled.map(|fd| fd.any().unwrap_or(false));
            while let Ok(Some(_)) = ends.read_signal() {}
            if control {
                // What the zygote says of seats: if one could not be made, its socket is closed, which the launcher sees.
                let _ = socket::receive(&self.control, &mut buffer, MsgFlags::MSG_DONTWAIT);
            }
            if launcher {
                let (length, descriptors) =
                    socket::receive(self.birth.ends.launcher, &mut buffer, MsgFlags::MSG_DONTWAIT)?;
                let Some(order) = control::decode::<Order>(&buffer[..length]) else { return Ok(()) };
                self.obey(order, &descriptors);
            }
        }
    }

    fn obey(&mut self, order: Order, descriptors: &[OwnedFd]) {
        match order {
            Order::Capture => {
                let word = match self.capture() {
                    Ok(()) => Word::Captured,
                    Err(reason) => Word::NotCaptured { reason: reason.0 },
                };
                self.say(&word, &[]);
            }
            Order::Seat => {
                let raw: Vec<_> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
                // Waits if the zygote is behind. If it is gone, the launcher sees the end of the seat's socket.
                let _ = socket::send(&self.control, &Request::Seat.bytes(), &raw, MsgFlags::empty());
            }
            Order::Learn { number, process } => {
                let path = format!("{process}/pagemap");
                let pagemap =
                    openat(&self.proc, path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
                if let (Some(captured), Ok(pagemap)) = (&mut self.captured, pagemap) {
                    // If the template has ended, nobody needs it.
                    let _ = captured.working_set.learn(&pagemap.into());
                }
                self.say(&Word::Learned { number }, &[]);
            }
            Order::Nest { number } => {
                let made = self.nest(number, descriptors);
                match made {
                    Ok((pid, pidfd)) => {
                        self.say(&Word::Nest { number, pid: pid.as_raw() }, &[pidfd.as_raw_fd()]);
                    }
                    Err(Failure { step, source }) => {
                        let (step, reason) = (step.to_owned(), source.to_string());
                        self.say(&Word::NoNest { number, step, reason }, &[]);
                    }
                }
            }
        }
    }

    fn say(&self, word: &Word, descriptors: &[i32]) {
        // If the launcher is gone, so is this process, at once.
        let _ =
            socket::send(self.birth.ends.launcher, &control::encode(word), descriptors, MsgFlags::empty());
    }

    fn capture(&mut self) -> Result<(), capture::Refusal> {
        let Some(zygote) = self.zygote.take() else {
            return Err(capture::Refusal("the attempt before failed".to_owned()));
        };
        let captured = capture::capture(self.birth, &self.proc, &self.identity, self.runtime, zygote);
        match captured {
            Ok(captured) if captured.threads > 1 && self.last_pid.is_none() => {
                Err(capture::Refusal("this kernel does not let process ids be chosen".to_owned()))
            }
            Ok(captured) => {
                self.captured = Some(captured);
                Ok(())
            }
            Err(refusal) => {
                start::end(zygote);
                Err(refusal)
            }
        }
    }

    fn nest(&mut self, number: u64, descriptors: &[OwnedFd]) -> Result<(Pid, OwnedFd), Failure> {
        let stack = self.free_stacks.pop().unwrap_or_else(Stack::new);
        let captured = self.captured.as_ref().ok_or(io::ErrorKind::NotFound).step("find the template")?;
        let last_pid = self.last_pid.as_ref();
        let (pid, pidfd, stack) =
            nest::make(self.birth, captured, &self.proc, last_pid, number, descriptors, stack)?;
        self.stacks.insert(pid, stack);
        Ok((pid, pidfd))
    }

    /// Reaps what has ended, and tells of it. Whether the runtime has ended, and with it this process's task.
    fn reap(&mut self) -> bool {
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL)) {
            let Some(pid) = status.pid() else { break };
            let Some(ending) = ending(status) else { continue };
            if pid == self.runtime && self.captured.is_some() {
                // Its copies go on: they have memory of their own.
                self.say(&Word::Lost(ending), &[]);
                continue;
            }
            if pid == self.runtime {
                let notice = control::encode(&Notice::Ended(ending));
                let _ = socket::send(self.birth.ends.supervision, &notice, &[], MsgFlags::empty());
                return true;
            }
            if let Some(stack) = self.stacks.remove(&pid) {
                self.free_stacks.push(stack);
            } else if self.captured.is_some() {
                self.say(&Word::Ended { pid: pid.as_raw(), ending }, &[]);
            }
        }
        false
    }
}

/// How a process ended, if it has.
fn ending(status: WaitStatus) -> Option<Ending> {
    match status {
        WaitStatus::Exited(_, status) => Some(Ending::Status(status)),
        WaitStatus::Signaled(_, signal, _) => Some(Ending::Signal(signal as i32)),
        _ => None,
    }
}
