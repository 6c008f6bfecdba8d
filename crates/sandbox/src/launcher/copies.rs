//! What the keeper does with templates and their copies.
//!
//! A copy takes a seat, of those whose copies have ended or a new one, and asks the template's pid 1 for a nest. Seats are
//! used again, because making control groups and moving a process into them takes the kernel longer than all the rest.

use super::exempt;
use super::group::Group;
use super::keeper::{Keeper, Kind};
use super::network;
use super::sitter::watch_memory;
use super::slot::{Copy, Part, Seat, Sitter, Slot, Template};
use super::template::{Order, SeatWord, Word};
use crate::control::{self, Ending, Notice, Start};
use crate::sys::{process, socket};
use model::NetworkPolicy;
use nix::sys::socket::MsgFlags;
use nix::unistd::{Pid, pipe2};
use std::collections::{HashSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// How many ends of processes are kept until it is known whose they are.
const ENDINGS: usize = 64;

/// How many copies of one template are in the making at a time. Each has some ten descriptors on the way, which the kernel
/// counts by user, and orders for many more would not fit into a socket.
const MAKING: usize = 64;

/// A seat whose control group still holds so much memory when its copy is gone is not used again, in bytes.
const LEFT: u64 = 8 << 20;

impl Template {
    /// A process that may become the template `number`.
    pub(super) fn new(number: u64, start: Start) -> Template {
        Template {
            number,
            start,
            captured: false,
            retired: false,
            copies: HashSet::new(),
            seats: Vec::new(),
            endings: VecDeque::new(),
            orders: VecDeque::new(),
            making: HashSet::new(),
        }
    }
}

impl Keeper {
    /// The server wishes a process to become a template.
    pub(super) fn capture(&mut self, number: u64) {
        let Some(slot) = self.slots.get_mut(&number) else { return };
        let possible = self.ground.templates.clone().and_then(|()| match slot.template() {
            Some(_) => Ok(()),
            None => Err("it was not started as a template".to_owned()),
        });
        let asked = possible.and_then(|()| {
            let order = control::encode(&Order::Capture);
            socket::send(&slot.orders, &order, &[], MsgFlags::MSG_DONTWAIT).map_err(|error| error.to_string())
        });
        if let Err(reason) = asked {
            slot.tell(&Notice::NotCaptured { reason });
        }
    }

    /// The server wishes a template to learn from one of its copies.
    pub(super) fn learn(&mut self, number: u64) {
        let Some(slot) = self.slots.get(&number) else { return };
        if let Part::Copy(Copy { of, process: Some(process), .. }) = &slot.part
            && let Some(template) = self.slots.get(of)
        {
            let order = control::encode(&Order::Learn { number, process: *process });
            if socket::send(&template.orders, &order, &[], MsgFlags::MSG_DONTWAIT).is_ok() {
                return;
            }
        }
        slot.tell(&Notice::Learned);
    }

    /// If the slot is that of a template with copies, it goes with the last one; whether it is.
    pub(super) fn retire(&mut self, number: u64) -> bool {
        let Some(template) = self.slots.get_mut(&number).and_then(Slot::template) else { return false };
        template.retired = true;
        for seat in template.seats.drain(..) {
            self.janitor.remove(&seat.name);
        }
        !template.copies.is_empty()
    }

    /// Begins a copy of a template. The descriptors are those that come with the server's order.
    pub(super) fn copy(&mut self, template: u64, descriptors: &[OwnedFd]) -> io::Result<()> {
        let of = *self.templates.get(&template).ok_or(io::ErrorKind::NotFound)?;
        let seat = self.take_seat(of)?;
        let (number, _) = self.next_name();
        self.order_copy(of, number, seat, descriptors).inspect_err(|_| self.done_making(of, number))
    }

    fn order_copy(&mut self, of: u64, number: u64, seat: Seat, descriptors: &[OwnedFd]) -> io::Result<()> {
        let slot = self.slots.get_mut(&of).ok_or(io::ErrorKind::NotFound)?;
        let internet = slot.template().is_some_and(|t| t.start.network == NetworkPolicy::Internet);
        let gate = internet.then(|| pipe2(nix::fcntl::OFlag::O_CLOEXEC)).transpose()?;
        let [supervision, rest @ ..] = descriptors else { return Err(io::ErrorKind::InvalidData.into()) };
        let mut handed = vec![supervision.as_fd(), seat.socket.as_fd()];
        handed.extend(rest.iter().map(AsFd::as_fd));
        handed.extend(gate.iter().map(|(wait, _)| wait.as_fd()));
        handed.extend(seat.network.iter().map(AsFd::as_fd));
        self.tell_template(of, Order::Nest { number }, &handed)?;
        let slot = self.slots.get_mut(&of).ok_or(io::ErrorKind::NotFound)?;

        let Seat { name, group, socket, memory, network } = seat;
        let mut copy =
            Slot::new(Part::Copy(Copy { of, process: None, network, spoilt: false }), name, group, socket);
        copy.memory = memory;
        copy.supervision = Some(supervision.try_clone()?);
        copy.gate = gate.map(|(_, open)| open);
        if let Some(template) = slot.template() {
            template.copies.insert(number);
        }
        self.watch(&copy.orders, Kind::Seat, number)?;
        if let Some(supervision) = &copy.supervision {
            self.watch(supervision, Kind::Supervision, number)?;
        }
        self.slots.insert(number, copy);
        Ok(())
    }

    /// A seat of the template in the slot `of`.
    fn take_seat(&mut self, of: u64) -> io::Result<Seat> {
        let cap = self.ground.cpu_cap;
        let slot = self.slots.get_mut(&of).ok_or(io::ErrorKind::NotFound)?;
        let memory = match slot.template() {
            Some(template) if template.captured && !template.retired => {
                if let Some(seat) = template.seats.pop() {
                    return Ok(seat);
                }
                template.start.memory
            }
            _ => return Err(io::Error::other("it is not a template, or not any more")),
        };
        let (_, name) = self.next_name();
        let group = self.trees.group(&name);
        let made = self.make_seat(of, &group, memory, cap);
        match made {
            Ok((socket, memory)) => Ok(Seat { name, group, socket, memory, network: None }),
            Err(error) => {
                self.janitor.remove(&name);
                Err(error)
            }
        }
    }

    fn make_seat(
        &mut self,
        of: u64,
        group: &Group,
        memory: u64,
        cap: bool,
    ) -> io::Result<(OwnedFd, Option<OwnedFd>)> {
        let entrances = group.entrances()?;
        group.limit(memory, cap)?;
        group.hold_at_limit()?;
        let watch = group.memory_v1().map(watch_memory).transpose()?.map(Into::into);
        let (ours, theirs) = socket::pair()?;
        let mut handed = vec![theirs.as_fd()];
        handed.extend(entrances.iter().map(AsFd::as_fd));
        self.tell_template(of, Order::Seat, &handed)?;
        Ok((ours, watch))
    }

    /// Gives the pid 1 of a template an order, or keeps it while many copies are in the making. In order, for a seat comes
    /// before its copy.
    fn tell_template(&mut self, of: u64, order: Order, handed: &[BorrowedFd<'_>]) -> io::Result<()> {
        let slot = self.slots.get_mut(&of).ok_or(io::ErrorKind::NotFound)?;
        let Some(template) = slot.template() else { return Err(io::ErrorKind::NotFound.into()) };
        if template.orders.is_empty() && template.making.len() < MAKING {
            template.making.extend(order.copy());
            let raw: Vec<_> = handed.iter().map(AsRawFd::as_raw_fd).collect();
            return socket::send(&slot.orders, &control::encode(&order), &raw, MsgFlags::MSG_DONTWAIT);
        }
        let kept = handed.iter().map(BorrowedFd::try_clone_to_owned).collect::<io::Result<_>>()?;
        template.orders.push_back((order, kept));
        Ok(())
    }

    /// A copy of a template is no longer in the making: it is made, or never will be. Others may follow.
    fn done_making(&mut self, of: u64, number: u64) {
        let Some(slot) = self.slots.get_mut(&of) else { return };
        let Part::Sitter(Sitter { template: Some(template), .. }) = &mut slot.part else { return };
        template.making.remove(&number);
        template.orders.retain(|(order, _)| order.copy() != Some(number));
        let mut failed = Vec::new();
        while template.making.len() < MAKING
            && let Some((order, handed)) = template.orders.pop_front()
        {
            let raw: Vec<_> = handed.iter().map(AsRawFd::as_raw_fd).collect();
            match socket::send(&slot.orders, &control::encode(&order), &raw, MsgFlags::MSG_DONTWAIT) {
                Ok(()) => template.making.extend(order.copy()),
                // A seat's socket ends with its order, and its copy is told of that.
                Err(error) => failed.extend(order.copy().map(|number| (number, error.to_string()))),
            }
        }
        for (number, reason) in failed {
            self.copy_failed(number, "copy the template".to_owned(), reason);
        }
    }

    /// Takes in what the pid 1 of a template says.
    pub(super) fn template_says(&mut self, number: u64, buffer: &mut [u8]) {
        let Some(slot) = self.slots.get_mut(&number) else { return };
        let received = socket::receive(&slot.orders, buffer, MsgFlags::MSG_DONTWAIT);
        let (length, descriptors) = received.unwrap_or_default();
        match control::decode::<Word>(&buffer[..length]) {
            Some(Word::Captured) => {
                if let Err(error) = slot.group.lift() {
                    eprintln!("sandbox launcher: cannot lift the limits of a template: {error}");
                }
                let exempted = match &slot.pid1 {
                    Some((pid1, _)) if self.ground.exempt => exempt::children(*pid1),
                    _ => Ok(()),
                };
                if let Err(error) = exempted {
                    let reason = format!("cannot exempt it from the out-of-memory killer: {error}");
                    slot.tell(&Notice::NotCaptured { reason });
                    return slot.kill();
                }
                if let Some(template) = slot.template() {
                    template.captured = true;
                }
                slot.tell(&Notice::Captured);
            }
            Some(Word::NotCaptured { reason }) => slot.tell(&Notice::NotCaptured { reason }),
            Some(Word::Nest { number, pid }) => {
                if let Some(pidfd) = descriptors.into_iter().next() {
                    self.nest_stands(number, Pid::from_raw(pid), pidfd);
                }
            }
            Some(Word::Network { number }) => {
                if let Some(Part::Copy(copy)) = self.slots.get_mut(&number).map(|slot| &mut slot.part) {
                    copy.network = descriptors.into_iter().next();
                }
            }
            Some(Word::Learned { number }) => {
                if let Some(copy) = self.slots.get(&number) {
                    copy.tell(&Notice::Learned);
                }
            }
            Some(Word::NoNest { number, step, reason }) => self.copy_failed(number, step, reason),
            Some(Word::Lost(ending)) => {
                slot.tell(&Notice::Ended(ending));
                if !self.retire(number)
                    && let Some(slot) = self.slots.get_mut(&number)
                {
                    slot.kill();
                }
            }
            Some(Word::Ended { pid, ending }) => self.process_ended(number, pid, ending),
            None => {
                // Pid 1 is gone; that it has ended clears the slot.
                let _ = self.epoll.delete(&slot.orders);
            }
        }
    }

    fn nest_stands(&mut self, number: u64, pid: Pid, pidfd: OwnedFd) {
        let Some(slot) = self.slots.get_mut(&number) else {
            let _ = process::signal(&pidfd, nix::sys::signal::Signal::SIGKILL);
            return;
        };
        if let (Some(gate), Some(supervision)) = (slot.gate.take(), &slot.supervision) {
            // Whoever makes the device stays in the nest's network namespace, so that it cannot be the launcher.
            let made = process::fork(|| {
                if let Ok(device) = network::device(&pidfd) {
                    let notice = control::encode(&Notice::Network);
                    let _ = socket::send(supervision, &notice, &[device.as_raw_fd()], MsgFlags::empty());
                }
            });
            drop(gate);
            if let Ok(maker) = made {
                let _ = nix::sys::wait::waitpid(maker, None);
            }
        }
        slot.pid1 = Some((pid, pidfd));
        if slot.unwanted {
            slot.kill();
        }
        slot.give_gauges();
        let Some(slot) = self.slots.get(&number) else { return };
        if let Err(error) = self.watch_first(slot, number) {
            eprintln!("sandbox launcher: cannot watch a copy: {error}");
            self.abandon(number);
        }
    }

    /// A copy could not be made.
    fn copy_failed(&mut self, number: u64, step: String, reason: String) {
        let Some(slot) = self.slots.get_mut(&number) else { return };
        slot.tell(&Notice::Failed { step, reason });
        if let Part::Copy(copy) = &mut slot.part {
            copy.spoilt = true;
        }
        let without_nest = slot.pid1.is_none();
        self.abandon(number);
        if without_nest {
            self.clear(number);
        }
    }

    /// A child of a template's pid 1 has ended: a copy, a seat, or the pid 1 of a nest.
    fn process_ended(&mut self, of: u64, pid: i32, ending: Ending) {
        let is_it = |slot: &Slot| matches!(&slot.part, Part::Copy(copy) if copy.of == of && copy.process == Some(pid));
        if let Some(slot) = self.slots.values().find(|slot| is_it(slot)) {
            slot.tell(&Notice::Ended(ending));
        } else if let Some(template) = self.slots.get_mut(&of).and_then(Slot::template) {
            template.endings.push_back((pid, ending));
            if template.endings.len() > ENDINGS {
                template.endings.pop_front();
            }
        }
    }

    /// Takes in what a seat says.
    pub(super) fn seat_says(&mut self, number: u64, buffer: &mut [u8]) {
        let Some(slot) = self.slots.get_mut(&number) else { return };
        let received = socket::receive(&slot.orders, buffer, MsgFlags::MSG_DONTWAIT);
        let length = received.map_or(0, |(length, _)| length);
        match SeatWord::read(&buffer[..length]) {
            Some(SeatWord::Copied(pid)) => {
                let Part::Copy(copy) = &mut slot.part else { return };
                copy.process = Some(pid);
                let of = copy.of;
                let endings = self.slots.get_mut(&of).and_then(Slot::template).map(|t| &mut t.endings);
                let ended = endings.and_then(|endings| {
                    let at = endings.iter().position(|(ended, _)| *ended == pid)?;
                    endings.remove(at)
                });
                self.done_making(of, number);
                if let Some((_, ending)) = ended {
                    self.process_ended(of, pid, ending);
                }
            }
            Some(SeatWord::Failed { step, errno }) => {
                let step = format!("copy the template (step {step})");
                self.copy_failed(number, step, io::Error::from_raw_os_error(errno).to_string());
            }
            None if matches!(&slot.part, Part::Copy(copy) if copy.process.is_some()) => {
                // The copy needs it no more.
                let _ = self.epoll.delete(&slot.orders);
                if let Part::Copy(copy) = &mut slot.part {
                    copy.spoilt = true;
                }
            }
            None => {
                let _ = self.epoll.delete(&slot.orders);
                let reason = "its seat is gone".to_owned();
                self.copy_failed(number, "copy the template".to_owned(), reason);
            }
        }
    }

    /// Frees what a copy had: its seat goes back to the template, or ends.
    pub(super) fn clear_copy(&mut self, number: u64, slot: Slot) {
        let Part::Copy(Copy { of, process, network, spoilt }) = slot.part else { return };
        self.done_making(of, number);
        self.unwatch(&slot.orders);
        if let Some(memory) = &slot.memory {
            self.unwatch(memory);
        }
        let Slot { name, mut group, orders, memory, out_of_memory, hastened, .. } = slot;
        let cap = self.ground.cpu_cap;
        let template = self.slots.get_mut(&of).and_then(Slot::template);
        let mut last = false;
        let mut kept = false;
        if let Some(template) = template {
            template.copies.remove(&number);
            last = template.retired && template.copies.is_empty();
            let as_new = |group: &mut Group| {
                group.reset()?;
                if hastened { group.limit(template.start.memory, cap) } else { Ok(()) }
            };
            // One that has not answered yet would answer the next copy.
            let usable = process.is_some() && !spoilt && !out_of_memory;
            if usable && !template.retired && group.held() < LEFT && as_new(&mut group).is_ok() {
                template.seats.push(Seat { name: name.clone(), group, socket: orders, memory, network });
                kept = true;
            }
        }
        if !kept {
            self.janitor.remove(&name);
        }
        if last && let Some(slot) = self.slots.get_mut(&of) {
            slot.end(true);
        }
    }

    /// Frees what a template had, which has ended, and all its copies with it.
    pub(super) fn clear_template(&mut self, slot: &mut Slot) {
        let Some(template) = slot.template() else { return };
        self.templates.remove(&template.number);
        for seat in template.seats.drain(..) {
            self.janitor.remove(&seat.name);
        }
    }
}
