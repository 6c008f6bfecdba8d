//! Feeds the other end of a device with what no kernel sends: random packets, and such that were nearly right.

use super::{Link, Network, Outside};
use crate::sys::socket;
use crate::{FUNCTION_ADDRESS, RESOLVER_ADDRESS};
use model::limits::{NETWORK_FLOWS, NETWORK_QUESTIONS, NETWORK_STREAMS};
use nix::errno::Errno;
use nix::unistd::{read, write};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    IpProtocol, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber, UdpPacket, UdpRepr,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::timeout;

/// Packets of one run.
const PACKETS: usize = 3_000;

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len() as u64) as usize]
    }
}

/// What the sandbox's end knows of the connection from one port.
#[derive(Clone, Copy, Default)]
struct Known {
    sent: i32,
    received: i32,
}

/// A sandbox that means no good.
struct Sandbox {
    device: OwnedFd,
    dice: Dice,
    known: [Known; 16],
    answers: usize,
}

impl Sandbox {
    /// Some packet, right, nearly right, or nothing of the kind.
    fn packet(&mut self) -> Vec<u8> {
        let mut packet = match self.dice.roll(8) {
            0 => (0..self.dice.roll(200)).map(|_| self.dice.roll(256) as u8).collect(),
            1 => self.udp(),
            _ => self.tcp(),
        };
        match self.dice.roll(6) {
            0 => {
                for _ in 0..=self.dice.roll(4) {
                    let place = self.dice.roll(packet.len() as u64 + 1) as usize;
                    let value = self.dice.roll(256) as u8;
                    packet.get_mut(place).into_iter().for_each(|byte| *byte = value);
                }
            }
            1 => packet.truncate(self.dice.roll(packet.len() as u64 + 1) as usize),
            2 => packet.extend((0..self.dice.roll(60)).map(|byte| byte as u8)),
            _ => {}
        }
        packet
    }

    fn destination(&mut self) -> (Ipv4Addr, u16) {
        let address =
            self.dice.one(&[RESOLVER_ADDRESS, RESOLVER_ADDRESS, Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST]);
        (address, self.dice.one(&[53, 53, 53, 53, 0, 80]))
    }

    fn ip(&mut self, to: Ipv4Addr, next_header: IpProtocol, length: usize) -> (Ipv4Repr, Vec<u8>) {
        let from =
            self.dice.one(&[FUNCTION_ADDRESS, FUNCTION_ADDRESS, FUNCTION_ADDRESS, Ipv4Addr::UNSPECIFIED, to]);
        let ip = Ipv4Repr { src_addr: from, dst_addr: to, next_header, payload_len: length, hop_limit: 64 };
        let mut bytes = vec![0; 20 + length];
        ip.emit(&mut Ipv4Packet::new_unchecked(&mut bytes), &ChecksumCapabilities::default());
        (ip, bytes)
    }

    fn tcp(&mut self) -> Vec<u8> {
        let (to, port) = self.destination();
        let mine = self.dice.roll(16) as usize;
        // Numbers are right, a little off, or anything.
        let near = |dice: &mut Dice, right: i32| {
            let off = match dice.roll(4) {
                0 => dice.roll(1 << 32) as i32,
                1 => dice.roll(70_000) as i32 - 35_000,
                _ => 0,
            };
            TcpSeqNumber(right.wrapping_add(off))
        };
        let Known { sent, received } = self.known[mine];
        let payload = vec![7; self.dice.one(&[0, 0, 1, 100, 9_000, 60_000])];
        let control = self.dice.one(&[
            TcpControl::None,
            TcpControl::None,
            TcpControl::Psh,
            TcpControl::Syn,
            TcpControl::Fin,
            TcpControl::Rst,
        ]);
        let acknowledged = near(&mut self.dice, received);
        let repr = TcpRepr {
            src_port: 1_000 + mine as u16,
            dst_port: port,
            control,
            seq_number: near(&mut self.dice, sent),
            ack_number: (self.dice.roll(4) > 0 && control != TcpControl::Syn).then_some(acknowledged),
            window_len: self.dice.one(&[0, 1, 1_000, 65_535]),
            window_scale: (self.dice.roll(2) == 0).then_some(self.dice.one(&[0, 7, 14, 255])),
            max_seg_size: (self.dice.roll(2) == 0).then_some(self.dice.one(&[0, 1, 536, 65_535])),
            sack_permitted: self.dice.roll(2) == 0,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &payload,
        };
        if control == TcpControl::Syn {
            self.known[mine].sent = repr.seq_number.0.wrapping_add(1);
        }
        let (ip, mut bytes) = self.ip(to, IpProtocol::Tcp, repr.buffer_len());
        let checksums = ChecksumCapabilities::default();
        let (from, to) = (ip.src_addr.into(), ip.dst_addr.into());
        repr.emit(&mut TcpPacket::new_unchecked(&mut bytes[20..]), &from, &to, &checksums);
        bytes
    }

    fn udp(&mut self) -> Vec<u8> {
        let (to, port) = self.destination();
        let repr = UdpRepr { src_port: self.dice.roll(65_536) as u16, dst_port: port };
        let length = self.dice.one(&[0, 1, 30, 60_000]);
        let (ip, mut bytes) = self.ip(to, IpProtocol::Udp, 8 + length);
        let (from, to) = (ip.src_addr.into(), ip.dst_addr.into());
        let mut packet = UdpPacket::new_unchecked(&mut bytes[20..]);
        repr.emit(&mut packet, &from, &to, length, |room| room.fill(1), &ChecksumCapabilities::default());
        bytes
    }

    /// Takes the packets that have come back, all of which must be right.
    fn listen(&mut self) {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = read(&self.device, &mut buffer) {
            let ip = Ipv4Packet::new_checked(&buffer[..length]).unwrap();
            assert!(
                ip.verify_checksum() && ip.dst_addr() == FUNCTION_ADDRESS || ip.dst_addr() == ip.src_addr()
            );
            self.answers += 1;
            if ip.next_header() == IpProtocol::Tcp {
                let tcp = TcpPacket::new_checked(ip.payload()).unwrap();
                if let Some(known) = self.known.get_mut(usize::from(tcp.dst_port()).wrapping_sub(1_000)) {
                    let after = tcp.seq_number().0.wrapping_add(tcp.segment_len() as i32);
                    *known = Known { sent: tcp.ack_number().0, received: after };
                }
            }
        }
    }

    async fn attack(&mut self) {
        for _ in 0..PACKETS {
            let packet = self.packet();
            if packet.is_empty() {
                continue; // on this device, that would be its end
            }
            loop {
                match write(&self.device, &packet) {
                    Err(Errno::EAGAIN) => {
                        self.listen();
                        tokio::task::yield_now().await;
                    }
                    sent => break assert!(sent.is_ok(), "{sent:?}: the stack has ended"),
                }
            }
            self.listen();
        }
    }
}

/// A name server for both protocols that sends back what it gets, and says something first.
async fn name_server() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let socket = UdpSocket::bind(address).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.write_all(&[1; 100_000]).await;
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    tokio::spawn(async move {
        let mut buffer = vec![0; 1 << 16];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let _ = socket.send_to(&buffer[..length], from).await;
        }
    });
    address
}

#[tokio::test]
async fn hostile_packets_break_nothing_and_hold_no_more_than_they_may() {
    for seed in 1..=4 {
        let resolvers = vec![name_server().await];
        let outside = Outside::new(&Network { resolvers, ..Network::default() });
        let room = outside.room.available_permits();
        let (device, other) = socket::pair().unwrap();
        nix::fcntl::fcntl(&device, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK)).unwrap();
        let link = Link::serve(other, Arc::clone(&outside)).unwrap();
        let mut sandbox = Sandbox { device, dice: Dice(seed), known: Default::default(), answers: 0 };
        sandbox.attack().await;
        println!("seed {seed}: {} answers", sandbox.answers);
        assert!(sandbox.answers > PACKETS / 100);
        let most = NETWORK_STREAMS + NETWORK_FLOWS + NETWORK_QUESTIONS;
        assert!(outside.room.available_permits() + most >= room);
        drop(link);
        let all_back = async {
            while outside.room.available_permits() < room || Arc::strong_count(&outside) > 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(30), all_back).await.expect("everything is given back");
    }
}
