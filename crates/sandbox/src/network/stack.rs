//! The other end of a sandbox's device: one task that reads its packets and serves its connections and flows.

use super::Outside;
use super::device::{LONGEST, Port};
use super::flow::Flow;
use super::packet::{self, Key, Packet};
use super::resolve;
use super::stream::{self, Stream};
use crate::RESOLVER_ADDRESS;
use crate::sys::socket;
use model::limits::{NETWORK_FLOW_IDLE, NETWORK_FLOWS, NETWORK_QUESTIONS, NETWORK_STREAMS};
use nix::unistd::read;
use smoltcp::iface::{Interface, SocketSet};
use smoltcp::time::Instant as Moment;
use std::collections::HashMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep};

/// How many packets are read before connections and flows have their turn.
const TURN: usize = 32;

/// How many turns there are at most when the sandbox is ended, so that what it has sent last is not lost.
const LAST_TURNS: usize = 16;

/// Where name servers listen.
const DNS: u16 = 53;

type Question = Pin<Box<dyn Future<Output = Option<(Key, Vec<u8>)>> + Send>>;

/// One sandbox's network.
pub(super) struct Stack {
    device: AsyncFd<OwnedFd>,
    outside: Arc<Outside>,
    stopped: oneshot::Receiver<()>,
    turns_left: usize,
    began: Instant,
    /// The packet that has come, or a datagram of the outside.
    inbound: Box<[u8]>,
    /// The packet that is written.
    outbound: Vec<u8>,
    /// Answers packets that belong to no connection: with a reset.
    stranger: (Interface, SocketSet<'static>),
    streams: HashMap<Key, Stream>,
    flows: HashMap<Key, Flow>,
    questions: Vec<Question>,
    timer: Pin<Box<Sleep>>,
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack")
            .field("streams", &self.streams)
            .field("flows", &self.flows)
            .finish_non_exhaustive()
    }
}

impl Stack {
    pub(super) fn new(
        device: OwnedFd,
        outside: Arc<Outside>,
        stopped: oneshot::Receiver<()>,
    ) -> io::Result<Stack> {
        let mut outbound = Vec::new();
        let mut port = Port { device: &device, packet: None, room: &mut outbound };
        let stranger = (stream::interface(&mut port, Moment::ZERO), SocketSet::new(Vec::new()));
        Ok(Stack {
            device: socket::watched(device)?,
            outside,
            stopped,
            turns_left: LAST_TURNS,
            began: Instant::now(),
            inbound: vec![0; LONGEST].into(),
            outbound,
            stranger,
            streams: HashMap::new(),
            flows: HashMap::new(),
            questions: Vec::new(),
            timer: Box::pin(sleep(NETWORK_FLOW_IDLE)),
        })
    }

    /// Serves until the sandbox is ended or its device is gone.
    pub(super) async fn run(mut self) {
        poll_fn(|cx| self.poll(cx)).await;
        // The device goes with its descriptor, and the kernel takes its time for that.
        let device = self.device.into_inner();
        tokio::task::spawn_blocking(move || drop(device));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let ending = self.turns_left < LAST_TURNS || Pin::new(&mut self.stopped).poll(cx).is_ready();
        let more = match if ending { self.take_last_packets() } else { self.take_packets(cx) } {
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(_)) => return Poll::Ready(()),
            Poll::Pending => false,
        };
        self.serve_streams(cx);
        self.serve_flows(cx);
        self.take_answers(cx);
        if ending {
            self.turns_left -= 1;
            if !more || self.turns_left == 0 {
                return Poll::Ready(());
            }
        }
        if more {
            cx.waker().wake_by_ref();
        }
        self.wait(cx);
        Poll::Pending
    }

    fn now(&self) -> Moment {
        Moment::from_micros(i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX))
    }

    /// Reads the packets that there are. Ready while there may be more, or when the device is gone.
    fn take_packets(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..TURN {
            let mut guard = ready!(self.device.poll_read_ready(cx))?;
            let got = guard.try_io(|device| Ok(read(device, &mut self.inbound)?));
            match got {
                Ok(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(length) => self.take_packet(length?),
                Err(_) => {}
            }
        }
        Poll::Ready(Ok(()))
    }

    /// The same at the end: what has been sent by now may not have been noticed yet, so the device itself is asked.
    fn take_last_packets(&mut self) -> Poll<io::Result<()>> {
        for _ in 0..TURN {
            match read(self.device.get_ref(), &mut self.inbound) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(length) => self.take_packet(length),
                Err(nix::errno::Errno::EAGAIN) => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn take_packet(&mut self, length: usize) {
        // The packet leaves its place while others are looked at; no copy.
        let inbound = std::mem::take(&mut self.inbound);
        let bytes = &inbound[..length];
        match packet::read(bytes) {
            Some(Packet::Tcp { key, opens }) => self.take_segment(key, opens, bytes),
            Some(Packet::Udp { key, payload }) => self.take_datagram(key, payload),
            None => {}
        }
        self.inbound = inbound;
    }

    fn take_segment(&mut self, key: Key, opens: bool, bytes: &[u8]) {
        let now = self.now();
        let mut port = Port { device: self.device.get_ref(), packet: Some(bytes), room: &mut self.outbound };
        if let Some(stream) = self.streams.get_mut(&key) {
            return stream.arrive(&mut port, now);
        }
        let destinations = if opens { self.outside.destinations(key.destination) } else { Vec::new() };
        let place = if self.streams.len() < NETWORK_STREAMS { self.outside.enter() } else { None };
        match place {
            Some(place) if !destinations.is_empty() => {
                let connecting = stream::connect(destinations);
                if let Some(stream) = Stream::open(key, connecting, place, &mut port, now) {
                    self.streams.insert(key, stream);
                }
            }
            _ => {
                let (interface, none) = &mut self.stranger;
                interface.poll_ingress_single(now, &mut port, none);
            }
        }
    }

    fn take_datagram(&mut self, key: Key, payload: &[u8]) {
        let resolver = SocketAddrV4::new(RESOLVER_ADDRESS, DNS);
        let taken = if key.destination == resolver && !self.outside.resolvers.is_empty() {
            self.take_question(key, payload);
            true
        } else {
            if !self.flows.contains_key(&key)
                && let Some(flow) = self.open_flow(key)
            {
                self.flows.insert(key, flow);
            }
            self.flows.get_mut(&key).is_some_and(|flow| flow.send(payload))
        };
        if !taken {
            let mut port = Port { device: self.device.get_ref(), packet: None, room: &mut self.outbound };
            packet::refuse(&mut port, key, payload);
        }
    }

    fn open_flow(&mut self, key: Key) -> Option<Flow> {
        if !self.outside.permits(key.destination) {
            return None;
        }
        if self.flows.len() >= NETWORK_FLOWS {
            let oldest = self.flows.iter().min_by_key(|(_, flow)| flow.last).map(|(key, _)| *key)?;
            self.flows.remove(&oldest);
        }
        Flow::open(key, self.outside.enter()?).ok()
    }

    fn take_question(&mut self, key: Key, question: &[u8]) {
        let place = if self.questions.len() < NETWORK_QUESTIONS { self.outside.enter() } else { None };
        if let Some(place) = place {
            let servers = self.outside.resolvers.clone();
            self.questions.push(Box::pin(resolve::ask(key, question.to_vec(), servers, place)));
        }
    }

    fn serve_streams(&mut self, cx: &mut Context<'_>) {
        let now = self.now();
        let mut port = Port { device: self.device.get_ref(), packet: None, room: &mut self.outbound };
        self.streams.retain(|_, stream| stream.poll(cx, &mut port, now).is_pending());
    }

    fn serve_flows(&mut self, cx: &mut Context<'_>) {
        let mut port = Port { device: self.device.get_ref(), packet: None, room: &mut self.outbound };
        for flow in self.flows.values_mut() {
            flow.poll(cx, &mut port, &mut self.inbound);
        }
    }

    fn take_answers(&mut self, cx: &mut Context<'_>) {
        let mut port = Port { device: self.device.get_ref(), packet: None, room: &mut self.outbound };
        self.questions.retain_mut(|question| match question.as_mut().poll(cx) {
            Poll::Pending => true,
            Poll::Ready(answer) => {
                if let Some((key, answer)) = answer {
                    packet::answer(&mut port, key, &answer);
                }
                false
            }
        });
    }

    /// Ends what has rested too long, and sees to it that this task wakes in time for the next.
    fn wait(&mut self, cx: &mut Context<'_>) {
        loop {
            let (at, now) = (Instant::now(), self.now());
            self.flows.retain(|_, flow| at < flow.last + NETWORK_FLOW_IDLE);
            let flows = self.flows.values().map(|flow| flow.last + NETWORK_FLOW_IDLE);
            let streams = self.streams.values_mut().map(|stream| stream.due(now));
            let Some(due) = streams.chain(flows).min() else { return };
            self.timer.as_mut().reset(due);
            if self.timer.as_mut().poll(cx).is_pending() {
                return;
            }
            self.streams.values_mut().for_each(|stream| stream.expire(at));
            self.serve_streams(cx);
        }
    }
}

impl Outside {
    /// The addresses that stand for `destination`: itself if a function may reach it, the host's name servers if it
    /// is the one inside.
    fn destinations(&self, destination: SocketAddrV4) -> Vec<SocketAddr> {
        if destination == SocketAddrV4::new(RESOLVER_ADDRESS, DNS) {
            return self.resolvers.clone();
        }
        if self.permits(destination) { vec![destination.into()] } else { Vec::new() }
    }
}
