//! Keeps every sandbox from birth to its last descriptor: one loop over one epoll, nothing in it waits.

use super::cgroup::Trees;
use super::janitor::Janitor;
use super::namespace::SLOTS;
use super::sitter::{self, Ground};
use super::slot::{Part, Sitter, Slot};
use crate::control::{self, Root, Wish};
use crate::sys::{process, socket};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::MsgFlags;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// How many events one look at the epoll takes.
const BATCH: usize = 64;

/// What a descriptor in the epoll is. The number that comes along names its slot; numbers are never used twice, so
/// that a late event cannot hit another slot.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Control,
    /// A sitter's socket: it delivers pid 1, or hangs up.
    Sitter,
    /// Pid 1 has ended.
    Pid1,
    /// The server wants the job ended, or is gone.
    Supervision,
    /// A version 1 memory group is at its limit.
    Memory,
    /// Pid 1 of a template has something to say.
    Template,
    /// A seat has made a copy, or not.
    Seat,
}

impl Kind {
    const ALL: [Kind; 7] = [
        Kind::Control,
        Kind::Sitter,
        Kind::Pid1,
        Kind::Supervision,
        Kind::Memory,
        Kind::Template,
        Kind::Seat,
    ];

    fn pack(self, number: u64) -> u64 {
        number * 8 + self as u64
    }

    fn unpack(data: u64) -> (Kind, u64) {
        (Kind::ALL[(data % 8) as usize % Kind::ALL.len()], data / 8)
    }
}

/// Every sandbox and sitter, and what is needed to make more.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) ground: Ground,
    pub(super) trees: Trees,
    pub(super) janitor: Janitor,
    pub(super) epoll: Epoll,
    mine: String,
    counter: u64,
    pub(super) slots: HashMap<u64, Slot>,
    /// The slots of templates, by the numbers that the server gave them.
    pub(super) templates: HashMap<u64, u64>,
    pub(super) standby: VecDeque<u64>,
    /// The root that the last job asked for: the next one is likely to.
    pub(super) likely_root: Option<usize>,
    /// Processes that have done their part and are about to end.
    pub(super) leaving: Vec<Pid>,
    /// The last attempt to fork a sitter failed.
    starved: bool,
    free_uids: Vec<u32>,
    wanted_standby: usize,
    pub(super) roots: Vec<Root>,
    pub(super) built: HashSet<usize>,
}

impl Keeper {
    pub(super) fn new(
        ground: Ground,
        trees: Trees,
        janitor: Janitor,
        mine: String,
        roots: Vec<Root>,
        wanted_standby: usize,
    ) -> io::Result<Keeper> {
        Ok(Keeper {
            ground,
            trees,
            janitor,
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            mine,
            counter: 0,
            slots: HashMap::new(),
            templates: HashMap::new(),
            standby: VecDeque::new(),
            likely_root: None,
            leaving: Vec::new(),
            starved: false,
            free_uids: (0..SLOTS).rev().collect(),
            wanted_standby: wanted_standby.min(SLOTS as usize / 4),
            roots,
            built: HashSet::new(),
        })
    }

    /// Serves until the server is gone, then ends everything.
    pub(super) fn run(&mut self, control: &OwnedFd, buffer: &mut [u8]) -> io::Result<()> {
        self.watch(control, Kind::Control, 0)?;
        let mut events = [EpollEvent::empty(); BATCH];
        loop {
            let count = match self.epoll.wait(&mut events, self.patience()) {
                Err(nix::errno::Errno::EINTR) => continue,
                other => other?,
            };
            if count == 0 && self.standby.len() < self.wanted_standby {
                self.prepare_one();
            }
            let ends = |pid: &Pid| waitpid(*pid, Some(WaitPidFlag::WNOHANG)) != Ok(WaitStatus::StillAlive);
            self.leaving.retain(|pid| !ends(pid));
            for event in &events[..count] {
                match Kind::unpack(event.data()) {
                    (Kind::Control, _) => {
                        if !self.order(control, buffer)? {
                            self.end_all();
                            return Ok(());
                        }
                    }
                    (Kind::Sitter, slot) => {
                        if let Err(error) = self.born(slot, buffer) {
                            eprintln!("sandbox launcher: cannot watch a sandbox: {error}");
                            self.abandon(slot);
                        }
                    }
                    (Kind::Pid1, slot) => self.dead(slot),
                    (Kind::Supervision, slot) => self.unwanted(slot, buffer),
                    (Kind::Memory, slot) => self.out_of_memory(slot),
                    (Kind::Template, slot) => self.template_says(slot, buffer),
                    (Kind::Seat, slot) => self.seat_says(slot, buffer),
                }
            }
        }
    }

    /// How long to wait before there is something to do without being asked.
    fn patience(&self) -> EpollTimeout {
        // Sandboxes are made when there is nothing else to do, so that no event waits for one it does not need.
        match self.standby.len() {
            enough if enough >= self.wanted_standby && self.leaving.is_empty() => EpollTimeout::NONE,
            _ if self.starved && self.leaving.is_empty() => EpollTimeout::from(250u8),
            0 if self.wanted_standby > 0 && !self.starved => EpollTimeout::ZERO,
            // An event that has just begun needs the processors more.
            _ => EpollTimeout::from(20u8),
        }
    }

    pub(super) fn watch(&self, fd: impl AsFd, kind: Kind, number: u64) -> io::Result<()> {
        Ok(self.epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, kind.pack(number)))?)
    }

    /// Has a sandbox made for an event to come. If the machine has no process to spare, events may still find one later.
    fn prepare_one(&mut self) {
        let seated = self.seat(self.likely_root);
        self.starved = seated.is_err();
        match seated {
            Ok(slot) => self.standby.push_back(slot),
            Err(error) => eprintln!("sandbox launcher: cannot prepare a process: {error}"),
        }
    }

    /// Stops watching a descriptor that is still open.
    pub(super) fn unwatch(&self, fd: impl AsFd) {
        let _ = self.epoll.delete(fd); // it may not have been watched
    }

    /// Ends a slot that cannot be used; its sitter's hanging up, or the end of its pid 1, clears it.
    pub(super) fn abandon(&mut self, number: u64) {
        if let Some(slot) = self.slots.get_mut(&number) {
            slot.supervision = None;
            slot.unwanted = true;
            slot.kill();
            slot.kill_sitter();
        }
    }

    /// A number for a slot that no slot ever had, and a name for its control groups.
    pub(super) fn next_name(&mut self) -> (u64, String) {
        self.counter += 1;
        (self.counter, format!("{}{}", self.mine, self.counter))
    }

    /// Forks a sitter into a new slot; it makes a sandbox, in this root if there is one.
    pub(super) fn seat(&mut self, root: Option<usize>) -> io::Result<u64> {
        let (orders, theirs) = socket::pair()?;
        let uid = self.free_uids.pop().ok_or_else(|| io::Error::other("too many sandboxes at one time"))?;
        let (number, name) = self.next_name();
        let group = self.trees.group(&name);
        let ground = &self.ground;
        let pid = process::fork(|| sitter::sit(ground, &group, uid, root, &theirs))
            .inspect_err(|_| self.free_uids.push(uid))?;
        self.watch(&orders, Kind::Sitter, number)?;
        let slot = Slot::new(
            Part::Sitter(Sitter { pid: Some(pid), root, uid, template: None }),
            name,
            group,
            orders,
        );
        self.slots.insert(number, slot);
        Ok(number)
    }

    /// A sitter has delivered pid 1, or has gone without.
    fn born(&mut self, number: u64, buffer: &mut [u8]) -> io::Result<()> {
        let Some(slot) = self.slots.get_mut(&number) else { return Ok(()) };
        let (length, descriptors) =
            socket::receive(&slot.orders, buffer, MsgFlags::MSG_DONTWAIT).unwrap_or_default();
        let mut descriptors = descriptors.into_iter();
        let pid = buffer[..length].try_into().map(i32::from_le_bytes);
        let (Ok(pid), Some(pidfd)) = (pid, descriptors.next()) else {
            // It hung up. Without pid 1 there is no sandbox; with it, this is the end that is expected.
            let _ = self.epoll.delete(&slot.orders);
            if slot.pid1.is_none() {
                self.clear(number);
            }
            return Ok(());
        };
        slot.pid1 = Some((Pid::from_raw(pid), pidfd));
        slot.memory = descriptors.next();
        if slot.unwanted {
            slot.kill();
        }
        if let Part::Sitter(sitter) = &mut slot.part {
            self.leaving.extend(sitter.pid.take());
        }
        // The socket stays open: pid 1 looks at it to see whether the launcher lives.
        let _ = self.epoll.delete(&slot.orders);
        let begun = slot.supervision.is_some();
        let Some(slot) = self.slots.get(&number) else { return Ok(()) };
        self.watch_first(slot, number)?;
        if begun { self.begun(number) } else { Ok(()) }
    }

    /// Watches for the end of pid 1, and for memory that runs out.
    pub(super) fn watch_first(&self, slot: &Slot, number: u64) -> io::Result<()> {
        if let Some((_, pidfd)) = &slot.pid1 {
            self.watch(pidfd, Kind::Pid1, number)?;
        }
        if let Some(memory) = &slot.memory {
            self.watch(memory, Kind::Memory, number)?;
        }
        Ok(())
    }

    /// The server wishes something, or is gone.
    fn unwanted(&mut self, number: u64, buffer: &mut [u8]) {
        let Some(slot) = self.slots.get(&number) else { return };
        let Some(supervision) = &slot.supervision else { return };
        let length =
            socket::receive(supervision, buffer, MsgFlags::MSG_DONTWAIT).map_or(0, |(length, _)| length);
        let wish = control::decode(&buffer[..length]);
        match wish {
            Some(Wish::Capture) => return self.capture(number),
            Some(Wish::Learn) => return self.learn(number),
            _ => {}
        }
        // It has what it wanted, or does not want it any more: account, then kill.
        self.unwatch(supervision);
        if self.retire(number) {
            return;
        }
        if let Some(slot) = self.slots.get_mut(&number) {
            match wish {
                Some(Wish::Forget) => slot.forget(),
                wish => slot.end(wish == Some(Wish::EndNow)),
            }
        }
    }

    /// A version 1 group has reached its limit. The kernel kills one process of it; the others must go too.
    fn out_of_memory(&mut self, number: u64) {
        let Some(slot) = self.slots.get_mut(&number) else { return };
        if let Some(memory) = slot.memory.take() {
            let _ = self.epoll.delete(&memory);
        }
        slot.out_of_memory = true;
        slot.kill();
        slot.group.hasten();
    }

    /// Pid 1 has ended, and all else in the sandbox with it.
    fn dead(&mut self, number: u64) {
        let Some(slot) = self.slots.get_mut(&number) else { return };
        if let Some((_, pidfd)) = &slot.pid1 {
            let _ = self.epoll.delete(pidfd);
        }
        slot.reap();
        self.clear(number);
    }

    /// Frees a slot; its processes are gone.
    pub(super) fn clear(&mut self, number: u64) {
        self.standby.retain(|waiting| *waiting != number);
        let Some(mut slot) = self.slots.remove(&number) else { return };
        if matches!(slot.part, Part::Copy(_)) {
            return self.clear_copy(number, slot);
        }
        self.clear_template(&mut slot);
        let Part::Sitter(sitter) = slot.part else { return };
        drop(slot.orders);
        if let Some(pid) = sitter.pid {
            let _ = waitpid(pid, None);
        }
        self.free_uids.push(sitter.uid);
        self.janitor.remove(&slot.name);
    }

    /// Kills everything and waits until it is gone; the janitor then removes the groups.
    fn end_all(&mut self) {
        for slot in self.slots.values() {
            slot.kill();
            slot.kill_sitter();
        }
        for slot in self.slots.values() {
            // Copies end with their templates.
            let Part::Sitter(sitter) = &slot.part else { continue };
            for pid in slot.pid1.iter().map(|(pid, _)| *pid).chain(sitter.pid) {
                let _ = waitpid(pid, None);
            }
        }
    }
}
