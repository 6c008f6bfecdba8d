//! One place for a sandbox: what the launcher holds of it from the sitter's birth to the last process's end.

use super::group::Group;
use super::observe;
use crate::control::{self, Notice, Usage};
use crate::sys::{process, socket};
use nix::sys::signal::Signal;
use nix::sys::socket::MsgFlags;
use nix::unistd::Pid;
use std::os::fd::{AsRawFd, OwnedFd};

/// One sandbox, or a sitter that may become one.
#[derive(Debug)]
pub(super) struct Slot {
    /// Which of the host uids it has.
    pub(super) uid: u32,
    /// The name of its control groups.
    pub(super) name: String,
    pub(super) group: Group,
    pub(super) sitter: Pid,
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
}

impl Slot {
    /// A slot whose sitter has just been forked.
    pub(super) fn new(uid: u32, name: String, group: Group, sitter: Pid, orders: OwnedFd) -> Slot {
        Slot {
            uid,
            name,
            group,
            sitter,
            orders,
            supervision: None,
            pid1: None,
            memory: None,
            out_of_memory: false,
            observed: Usage::default(),
            unwanted: false,
            accounted: false,
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
        }
    }

    /// Reaps pid 1, which has ended, and accounts for the whole job.
    pub(super) fn reap(&mut self) {
        let Some((pid, _)) = self.pid1.take() else { return };
        let spent = process::reap(pid);
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

    /// Kills pid 1, and the kernel everything else with it.
    pub(super) fn kill(&self) {
        if let Some((_, pidfd)) = &self.pid1 {
            let _ = process::signal(pidfd, Signal::SIGKILL);
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
        let (Some(supervision), Ok(gauges)) = (&self.supervision, self.group.gauges()) else { return };
        let raw = gauges.each_ref().map(AsRawFd::as_raw_fd);
        let _ = socket::send(supervision, &control::encode(&Notice::Gauges), &raw, MsgFlags::MSG_DONTWAIT);
    }

    /// Tells the server something, if it listens.
    pub(super) fn tell(&self, notice: &Notice) {
        if let Some(supervision) = &self.supervision {
            let _ = socket::send(supervision, &control::encode(notice), &[], MsgFlags::MSG_DONTWAIT);
        }
    }
}
