//! One place for a sandbox: what the launcher holds of it from the sitter's birth to the last process's end.

use super::group::Group;
use super::observe;
use super::template::Order;
use crate::control::{self, Ending, Notice, Start, Usage};
use crate::sys::{process, socket};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::MsgFlags;
use nix::unistd::Pid;
use std::collections::{HashSet, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// What a sandbox came from.
#[derive(Debug)]
pub(super) enum Part {
    /// A sitter, which started the runtime from its program.
    Sitter(Sitter),
    /// A template: its pid 1 makes the nest, its seat the process.
    Copy(Copy),
}

/// A process that makes a sandbox.
#[derive(Debug)]
pub(super) struct Sitter {
    /// None once it has done so: it then ends.
    pub(super) pid: Option<Pid>,
    /// The root in which the sandbox is made.
    pub(super) root: Option<usize>,
    /// Which of the host uids its sandbox has.
    pub(super) uid: u32,
    /// It may become a template, or is one.
    pub(super) template: Option<Box<Template>>,
}

/// What the launcher knows of a template.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) number: u64,
    pub(super) start: Start,
    pub(super) captured: bool,
    /// No more copies are wanted: it goes with the last one.
    pub(super) retired: bool,
    /// The slots of its copies.
    pub(super) copies: HashSet<u64>,
    /// Seats whose copy has ended.
    pub(super) seats: Vec<Seat>,
    /// Processes that have ended before it was known which copies they are.
    pub(super) endings: VecDeque<(i32, Ending)>,
    /// The copies that its pid 1 and its seats are making.
    pub(super) making: HashSet<u64>,
    /// Orders for later, with what is handed over.
    pub(super) orders: VecDeque<(Order, Vec<OwnedFd>)>,
}

/// A process that makes one copy after the other, in control groups that it never leaves.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) name: String,
    pub(super) group: Group,
    pub(super) socket: OwnedFd,
    /// Becomes readable when the memory group is at its limit.
    pub(super) memory: Option<OwnedFd>,
    /// The network namespace of its copies.
    pub(super) network: Option<OwnedFd>,
}

/// A copy of a template.
#[derive(Debug)]
pub(super) struct Copy {
    /// The template's slot.
    pub(super) of: u64,
    /// Its process id in the template's pid namespace, once it is there.
    pub(super) process: Option<i32>,
    /// Its network namespace, which its seat keeps.
    pub(super) network: Option<OwnedFd>,
    /// It could not be made: its seat is not used again.
    pub(super) spoilt: bool,
}

/// One sandbox, or a sitter that may become one.
#[derive(Debug)]
pub(super) struct Slot {
    /// What it is beside a sandbox.
    pub(super) part: Part,
    /// The name of its control groups.
    pub(super) name: String,
    pub(super) group: Group,
    /// Leads to its sitter and its pid 1; of a copy, to its seat.
    pub(super) orders: OwnedFd,
    /// The job it has, if any.
    pub(super) supervision: Option<OwnedFd>,
    pub(super) pid1: Option<(Pid, OwnedFd)>,
    pub(super) memory: Option<OwnedFd>,
    pub(super) out_of_memory: bool,
    /// What its processes had used when they were killed, where no control group knows.
    pub(super) observed: Usage,
    /// The server wants it ended.
    pub(super) unwanted: bool,
    /// The server has been told what it cost.
    pub(super) accounted: bool,
    /// What held its processes back was lifted, so that they end sooner.
    pub(super) hastened: bool,
    /// Closed when its network device is there, if it is to have one.
    pub(super) gate: Option<OwnedFd>,
}

impl Slot {
    /// A slot whose first process is about to be.
    pub(super) fn new(part: Part, name: String, group: Group, orders: OwnedFd) -> Slot {
        Slot {
            part,
            name,
            group,
            orders,
            supervision: None,
            pid1: None,
            memory: None,
            out_of_memory: false,
            observed: Usage::default(),
            unwanted: false,
            accounted: false,
            hastened: false,
            gate: None,
        }
    }

    /// Ends the job: accounts for what it has used so far if that is to be `now` and can be known, and kills.
    pub(super) fn end(&mut self, now: bool) {
        self.unwanted = true;
        if let (Some((pid, _)), false) = (&self.pid1, self.group.meters()) {
            self.observed = observe::tree(*pid);
        } else if now && self.pid1.is_some() {
            // What the sandbox has used by now is what the job has used: the server need not wait for the end.
            let usage = self.group.usage();
            self.account(usage);
        }
        self.kill();
        if !now {
            self.group.hasten();
            self.hastened = true;
        }
    }

    /// Ends the job, whose account nobody asks for.
    pub(super) fn forget(&mut self) {
        self.unwanted = true;
        self.accounted = true;
        self.kill();
    }

    /// Reaps pid 1, which has ended, and accounts for the whole job.
    pub(super) fn reap(&mut self) {
        let Some((pid, _)) = self.pid1.take() else { return };
        // Pid 1 of a copy is the child of its template's.
        let spent = match self.part {
            Part::Sitter(_) => process::reap(pid),
            Part::Copy(_) => Err(io::ErrorKind::NotFound.into()),
        };
        let mut usage = self.group.usage();
        if let (Ok(spent), false) = (spent, self.group.meters()) {
            let known = [usage.peak_memory, self.observed.peak_memory, spent.peak_memory];
            usage.peak_memory = known.into_iter().max().unwrap_or(0);
            let cpu = u64::try_from(spent.cpu.as_micros()).unwrap_or(u64::MAX);
            usage.cpu_us = usage.cpu_us.max(self.observed.cpu_us).max(cpu);
        }
        usage.out_of_memory |= self.out_of_memory;
        self.account(usage);
    }

    /// The root in which it was made.
    pub(super) fn root(&self) -> Option<usize> {
        match &self.part {
            Part::Sitter(sitter) => sitter.root,
            Part::Copy(_) => None,
        }
    }

    /// The template that it is or may become.
    pub(super) fn template(&mut self) -> Option<&mut Template> {
        match &mut self.part {
            Part::Sitter(sitter) => sitter.template.as_deref_mut(),
            Part::Copy(_) => None,
        }
    }

    /// Kills pid 1, and the kernel everything else with it.
    pub(super) fn kill(&self) {
        if let Some((_, pidfd)) = &self.pid1 {
            let _ = process::signal(pidfd, Signal::SIGKILL);
        }
    }

    /// Kills its sitter, if that has not done its part.
    pub(super) fn kill_sitter(&self) {
        if let Part::Sitter(Sitter { pid: Some(pid), .. }) = &self.part {
            let _ = kill(*pid, Signal::SIGKILL);
        }
    }

    /// Tells the server, once, what the job has cost.
    pub(super) fn account(&mut self, usage: Usage) {
        if !std::mem::replace(&mut self.accounted, true) {
            self.tell(&Notice::Spent(usage));
        }
    }

    /// Gives the server the files that tell what the sandbox uses, if there are such.
    pub(super) fn give_gauges(&self) {
        let (Some(supervision), Ok((gauges, cpu_before_us))) = (&self.supervision, self.group.gauges())
        else {
            return;
        };
        let raw = gauges.each_ref().map(AsRawFd::as_raw_fd);
        let notice = control::encode(&Notice::Gauges { cpu_before_us });
        let _ = socket::send(supervision, &notice, &raw, MsgFlags::MSG_DONTWAIT);
    }

    /// Tells the server something, if it listens.
    pub(super) fn tell(&self, notice: &Notice) {
        if let Some(supervision) = &self.supervision {
            let _ = socket::send(supervision, &control::encode(notice), &[], MsgFlags::MSG_DONTWAIT);
        }
    }
}
