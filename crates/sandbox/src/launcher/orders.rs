//! What the keeper does with orders: a sandbox that waits gets the job.

use super::keeper::{Keeper, Kind};
use super::network;
use super::root;
use super::sitter::{Failure, Step};
use super::slot::{Part, Slot, Template};
use crate::control::{self, Notice, Order, Start};
use crate::sys::{process, socket};
use model::NetworkPolicy;
use nix::fcntl::OFlag;
use nix::sys::socket::MsgFlags;
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::pipe2;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

impl Keeper {
    /// Takes one message off the control socket and gives the job to a sandbox. False when the server is gone.
    pub(super) fn order(&mut self, control: &OwnedFd, buffer: &mut [u8]) -> io::Result<bool> {
        let (length, mut descriptors) = match socket::receive(control, buffer, MsgFlags::MSG_DONTWAIT) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
            other => other?,
        };
        if length == 0 {
            return Ok(false);
        }
        if descriptors.is_empty() {
            return Ok(true);
        }
        if let Err(failure) = self.begin(&buffer[..length], &descriptors) {
            let notice = control::encode(&failure.notice());
            let _ = socket::send(descriptors.remove(0), &notice, &[], MsgFlags::MSG_DONTWAIT);
        }
        Ok(true)
    }

    fn begin(&mut self, message: &[u8], descriptors: &[OwnedFd]) -> Result<(), Failure> {
        const STEP: &str = "give the job to a sandbox";
        // The function may open what it prints to once more, as `/dev/stderr`, though the pipe is the server's.
        let open =
            |log: Option<&OwnedFd>| log.map(|log| fchmod(log, Mode::S_IWUSR | Mode::S_IWGRP | Mode::S_IWOTH));
        let _ = open(descriptors.get(1));
        let start: Start = match control::decode(message).ok_or(io::ErrorKind::InvalidData).step(STEP)? {
            Order::Start(start) => start,
            Order::Clone { template } => return self.copy(template, descriptors).step("copy the template"),
        };
        if !start.extensions.is_empty() {
            let _ = open(descriptors.last());
        }
        let index = start.root;
        self.build_root(index).step("build the root directory")?;
        let code = root::package(&start.code_dir).step("open the package")?;
        let layers = start.layers_dir.as_deref().map(root::package).transpose().step("open the layers")?;
        self.likely_root = Some(index);
        let suits = |number: &u64| self.slots.get(number).is_some_and(|slot| slot.root() == Some(index));
        let best = self.standby.iter().position(suits).unwrap_or(0);
        let number = match self.standby.remove(best) {
            Some(slot) => slot,
            None => self.seat(Some(index)).step("make a sandbox")?,
        };
        self.hand_over(number, message, descriptors, start, [Some(code), layers])
            .inspect_err(|_| self.abandon(number))
            .step(STEP)
    }

    /// Builds the root number `index` if that has not been done.
    fn build_root(&mut self, index: usize) -> io::Result<()> {
        let root = self.roots.get(index).ok_or(io::ErrorKind::NotFound)?;
        if !self.built.contains(&index) {
            root::build(&self.ground.run_dir, index, root)?;
            self.built.insert(index);
        }
        Ok(())
    }

    fn hand_over(
        &mut self,
        number: u64,
        message: &[u8],
        descriptors: &[OwnedFd],
        start: Start,
        mounts: [Option<OwnedFd>; 2],
    ) -> io::Result<()> {
        let made_in = self.slots.get(&number).and_then(Slot::root);
        let mut raw: Vec<_> =
            descriptors.iter().chain(mounts.iter().flatten()).map(AsRawFd::as_raw_fd).collect();
        let device =
            (start.network == NetworkPolicy::Internet).then(|| pipe2(OFlag::O_CLOEXEC)).transpose()?;
        let (wait, gate) = device.unzip();
        raw.extend(wait.iter().map(AsRawFd::as_raw_fd));
        let fitting = made_in == Some(start.root);
        let root = (!fitting).then(|| root::copy(&self.ground.run_dir, start.root)).transpose()?;
        raw.extend(root.iter().map(AsRawFd::as_raw_fd));
        let supervision = descriptors.first().ok_or(io::ErrorKind::NotFound)?.try_clone()?;
        self.watch(&supervision, Kind::Supervision, number)?;
        let slot = self.slots.get_mut(&number).ok_or(io::ErrorKind::NotFound)?;
        slot.supervision = Some(supervision);
        slot.gate = gate;
        if let (Some(template), Part::Sitter(sitter)) = (start.template, &mut slot.part) {
            self.templates.insert(template, number);
            sitter.template = Some(Box::new(Template::new(template, start)));
        }
        socket::send(&slot.orders, message, &raw, MsgFlags::MSG_DONTWAIT)?;
        if slot.pid1.is_some() { self.begun(number) } else { Ok(()) }
    }

    /// A sandbox has both its pid 1 and a job.
    pub(super) fn begun(&mut self, number: u64) -> io::Result<()> {
        let Some(slot) = self.slots.get_mut(&number) else { return Ok(()) };
        slot.give_gauges();
        if let (Some((_, pidfd)), Some(gate), Some(supervision)) =
            (&slot.pid1, slot.gate.take(), &slot.supervision)
        {
            // Whoever makes the device stays in that network namespace, so that it cannot be the launcher.
            let maker = process::fork(|| {
                let notice = match network::device(pidfd).step("make the network device") {
                    Ok(device) => return tell(supervision, &Notice::Network, &[device.as_raw_fd()]),
                    Err(failure) => failure.notice(),
                };
                tell(supervision, &notice, &[]);
            });
            drop(gate);
            self.leaving.push(maker?);
        }
        let is_template = slot.template().is_some();
        match self.slots.get(&number) {
            Some(slot) if is_template => self.watch(&slot.orders, Kind::Template, number),
            _ => Ok(()),
        }
    }
}

/// Tells the server something.
fn tell(supervision: &OwnedFd, notice: &Notice, descriptors: &[i32]) {
    let _ = socket::send(supervision, &control::encode(notice), descriptors, MsgFlags::empty());
}
