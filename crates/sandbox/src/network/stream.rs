//! A TCP connection of a sandbox: the sandbox's end is served here, the destination's by a socket of the host.
//!
//! The sandbox's wish to connect is held until the destination has answered, so that the function sees what the
//! host sees: a connection, or a refusal. From then on bytes pass in both directions until both ends have finished.

use super::device::Port;
use super::packet::Key;
use model::limits::{NETWORK_BUFFER, NETWORK_CONNECT, NETWORK_STREAM_IDLE};
use nix::sys::socket::{Shutdown, setsockopt, shutdown, sockopt};
use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant as Moment;
use smoltcp::wire::{HardwareAddress, IpAddress};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

/// How many times a connection moves bytes before others have their turn.
const TURN: usize = 16;

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// The destination's end.
enum Host {
    Connecting(Connecting),
    Open(TcpStream),
    /// Refused, reset, or finished with.
    Gone,
}

/// One connection.
pub(super) struct Stream {
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    host: Host,
    /// The destination has finished.
    received_all: bool,
    /// The destination knows that the sandbox has finished.
    sent_all: bool,
    /// When bytes passed last.
    last: Instant,
    _place: OwnedSemaphorePermit,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("state", &self.socket().state()).finish_non_exhaustive()
    }
}

/// An end that takes whatever address a packet is for. Connections have one each, so that none has to look through
/// the others.
pub(super) fn interface(port: &mut Port<'_>, now: Moment) -> Interface {
    let mut config = Config::new(HardwareAddress::Ip);
    // Connections shall begin with different numbers; nobody but the sandbox itself could gain by guessing them.
    config.random_seed = now.total_micros() as u64;
    let mut interface = Interface::new(config, port, now);
    interface.set_any_ip(true);
    interface
}

/// Connects to the first of `destinations` that accepts.
pub(super) async fn connect(destinations: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::ConnectionRefused);
    for destination in destinations {
        match timeout(NETWORK_CONNECT, TcpStream::connect(destination)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

impl Stream {
    /// A connection that begins with the packet in `port`. None if the packet begins none after all.
    pub(super) fn open(
        key: Key,
        connecting: impl Future<Output = io::Result<TcpStream>> + Send + 'static,
        place: OwnedSemaphorePermit,
        port: &mut Port<'_>,
        now: Moment,
    ) -> Option<Stream> {
        let buffer = || SocketBuffer::new(vec![0; NETWORK_BUFFER]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.set_ack_delay(None);
        socket.set_nagle_enabled(false);
        socket.pause_synack(true);
        socket.listen((IpAddress::Ipv4(*key.destination.ip()), key.destination.port())).ok()?;
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let handle = sockets.add(socket);
        let mut stream = Stream {
            interface: interface(port, now),
            sockets,
            handle,
            host: Host::Connecting(Box::pin(connecting)),
            received_all: false,
            sent_all: false,
            last: Instant::now(),
            _place: place,
        };
        stream.arrive(port, now);
        (stream.socket().state() == State::SynReceived).then_some(stream)
    }

    fn socket(&self) -> &Socket<'static> {
        self.sockets.get(self.handle)
    }

    /// Takes in the packet in `port`.
    pub(super) fn arrive(&mut self, port: &mut Port<'_>, now: Moment) {
        self.interface.poll_ingress_single(now, port, &mut self.sockets);
    }

    /// Moves what can be moved. Ready when the connection is over; else it says whether there may be more at once.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, port: &mut Port<'_>, now: Moment) -> Poll<()> {
        if let Host::Connecting(connecting) = &mut self.host {
            let socket = self.sockets.get_mut::<Socket>(self.handle);
            match connecting.as_mut().poll(cx) {
                Poll::Pending if socket.is_open() => return Poll::Pending,
                Poll::Pending => return Poll::Ready(()), // given up inside
                Poll::Ready(Ok(stream)) => {
                    socket.pause_synack(false);
                    self.host = Host::Open(stream);
                    self.last = Instant::now();
                }
                Poll::Ready(Err(_)) => self.abort(),
            }
        }
        let mut turns = 0;
        while self.carry(cx) {
            self.send_off(port, now);
            self.last = Instant::now();
            turns += 1;
            if turns == TURN {
                cx.waker().wake_by_ref();
                break;
            }
        }
        self.send_off(port, now);
        match self.socket().state() {
            State::Closed => {
                if let (Host::Open(host), false) = (&self.host, self.sent_all && self.received_all) {
                    // The function has reset the connection, and its destination shall not take that for an end.
                    let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
                    let _ = setsockopt(host, sockopt::Linger, &at_once);
                }
                Poll::Ready(())
            }
            // The sandbox's end would wait here for packets that come late; on this wire none does.
            State::TimeWait => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }

    /// When it must be polled again though nothing comes.
    pub(super) fn due(&mut self, now: Moment) -> Instant {
        let idle = self.last + NETWORK_STREAM_IDLE;
        match self.host {
            Host::Connecting(_) => idle,
            _ => match self.interface.poll_delay(now, &self.sockets) {
                Some(delay) => idle.min(Instant::now() + delay.into()),
                None => idle,
            },
        }
    }

    /// Ends a connection that has rested too long.
    pub(super) fn expire(&mut self, at: Instant) {
        if at >= self.last + NETWORK_STREAM_IDLE {
            self.abort();
        }
    }

    /// Resets the sandbox's end; the packet that says so leaves at the next poll.
    fn abort(&mut self) {
        self.sockets.get_mut::<Socket>(self.handle).abort();
        self.host = Host::Gone;
    }

    /// Sends the packets that are due.
    fn send_off(&mut self, port: &mut Port<'_>, now: Moment) {
        while self.interface.poll_egress(now, port, &mut self.sockets) == PollResult::SocketStateChanged {}
    }

    /// Passes bytes on in both directions; whether any passed.
    fn carry(&mut self, cx: &mut Context<'_>) -> bool {
        match self.carry_out(cx).and_then(|out| Ok(self.carry_in(cx)? || out)) {
            Ok(moved) => moved,
            Err(_) => {
                self.abort();
                false
            }
        }
    }

    /// From the sandbox to the destination.
    fn carry_out(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let socket = self.sockets.get_mut::<Socket>(self.handle);
        let Host::Open(host) = &self.host else { return Ok(false) };
        let mut moved = false;
        while socket.can_recv() && host.poll_write_ready(cx)?.is_ready() {
            let passed = socket.recv(|bytes| counted(host.try_write(bytes))).map_err(io::Error::other)??;
            moved |= passed.is_some();
        }
        let begun = !matches!(socket.state(), State::Listen | State::SynReceived | State::Closed);
        if begun && !socket.may_recv() && !self.sent_all {
            let _ = shutdown(host.as_raw_fd(), Shutdown::Write);
            (self.sent_all, moved) = (true, true);
        }
        Ok(moved)
    }

    /// From the destination to the sandbox.
    fn carry_in(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let socket = self.sockets.get_mut::<Socket>(self.handle);
        let Host::Open(host) = &self.host else { return Ok(false) };
        let mut moved = false;
        while !self.received_all && socket.can_send() && host.poll_read_ready(cx)?.is_ready() {
            match socket.send(|room| counted(host.try_read(room))).map_err(io::Error::other)?? {
                Some(0) => {
                    socket.close();
                    (self.received_all, moved) = (true, true);
                }
                passed => moved |= passed.is_some(),
            }
        }
        Ok(moved)
    }
}

/// How many bytes an attempt passed, for the buffer, and what came of it: nothing if it has to wait.
fn counted(attempt: io::Result<usize>) -> (usize, io::Result<Option<usize>>) {
    match attempt {
        Ok(length) => (length, Ok(Some(length))),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => (0, Ok(None)),
        Err(error) => (0, Err(error)),
    }
}
