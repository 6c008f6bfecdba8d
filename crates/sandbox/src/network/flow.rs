//! A UDP flow: the datagrams between one port of a sandbox and one destination.

use super::device::Port;
use super::packet::{self, Key};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::task::Context;
use tokio::net::UdpSocket;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// How many datagrams a flow brings in before others have their turn.
const TURN: usize = 32;

/// A flow and the host's socket for it. That is connected: only the destination's own datagrams come in.
#[derive(Debug)]
pub(super) struct Flow {
    key: Key,
    socket: UdpSocket,
    /// When the last datagram passed.
    pub(super) last: Instant,
    _place: OwnedSemaphorePermit,
}

impl Flow {
    pub(super) fn open(key: Key, place: OwnedSemaphorePermit) -> io::Result<Flow> {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_nonblocking(true)?;
        socket.connect(key.destination)?;
        Ok(Flow { key, socket: UdpSocket::from_std(socket)?, last: Instant::now(), _place: place })
    }

    /// Passes a datagram on, or loses it, as networks do. False if the destination has refused one before.
    pub(super) fn send(&mut self, payload: &[u8]) -> bool {
        self.last = Instant::now();
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        send(self.socket.as_raw_fd(), payload, flags) != Err(Errno::ECONNREFUSED)
    }

    /// Brings in what has come.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, port: &mut Port<'_>, room: &mut [u8]) {
        for _ in 0..TURN {
            if self.socket.poll_recv_ready(cx).is_pending() {
                return;
            }
            // Otherwise readiness was stale, and is asked for again; or the destination cannot be reached for now.
            if let Ok(length) = self.socket.try_recv(room) {
                self.last = Instant::now();
                packet::answer(port, self.key, &room[..length]);
            }
        }
        cx.waker().wake_by_ref();
    }
}
