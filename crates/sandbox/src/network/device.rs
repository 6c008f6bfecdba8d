//! A sandbox's device as the TCP implementation wants it.

use nix::unistd::write;
use smoltcp::phy::{self, Checksum, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use std::os::fd::OwnedFd;

/// The longest packet, in bytes.
pub(super) const LONGEST: usize = u16::MAX as usize;

/// The device for one moment: a packet that has come, if any, and a place to write others in.
pub(super) struct Port<'a> {
    pub(super) device: &'a OwnedFd,
    pub(super) packet: Option<&'a [u8]>,
    pub(super) room: &'a mut Vec<u8>,
}

impl Port<'_> {
    /// Sends a packet of `length` bytes that `fill` writes.
    pub(super) fn send<R>(&mut self, length: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        if self.room.len() < length {
            self.room.resize(length, 0);
        }
        let result = fill(&mut self.room[..length]);
        // A device takes a packet or loses it, as networks do. If it is gone, so is the sandbox.
        let _ = write(self.device, &self.room[..length]);
        result
    }
}

impl phy::Device for Port<'_> {
    type RxToken<'a>
        = Arrived<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Leaving<'a>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Arrived<'_>, Leaving<'_>)> {
        let packet = self.packet.take()?;
        Some((Arrived(packet), Leaving(Port { device: self.device, packet: None, room: self.room })))
    }

    fn transmit(&mut self, _: Instant) -> Option<Leaving<'_>> {
        Some(Leaving(Port { device: self.device, packet: None, room: self.room }))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = LONGEST;
        // What comes has been in this machine's memory only.
        capabilities.checksum.tcp = Checksum::Tx;
        capabilities
    }
}

/// A packet that has come.
pub(super) struct Arrived<'a>(&'a [u8]);

impl phy::RxToken for Arrived<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

/// A packet to send.
pub(super) struct Leaving<'a>(Port<'a>);

impl phy::TxToken for Leaving<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, length: usize, fill: F) -> R {
        self.0.send(length, fill)
    }
}
