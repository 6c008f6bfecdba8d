//! Packets: what one that has come is, and those that are written here.

use super::device::Port;
use crate::FUNCTION_ADDRESS;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    Icmpv4DstUnreachable, Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Packet, Ipv4Repr, TcpPacket, UdpPacket,
    UdpRepr,
};
use std::net::SocketAddrV4;

/// How long a packet that is written here may travel.
const HOPS: u8 = 64;

/// The head of an IPv4 packet without options, in bytes.
const IP_HEAD: usize = 20;

/// Names a connection or flow of one sandbox, whose address is always the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The port inside.
    pub(super) port: u16,
    pub(super) destination: SocketAddrV4,
}

/// A packet that has come from a sandbox.
#[derive(Debug, PartialEq)]
pub(super) enum Packet<'a> {
    /// `opens` says that it begins a connection.
    Tcp {
        key: Key,
        opens: bool,
    },
    Udp {
        key: Key,
        payload: &'a [u8],
    },
}

/// Reads a packet; none if it is malformed, a fragment, or nothing that is served. Nothing is fragmented on the way
/// here, since the longest packet fits.
pub(super) fn read(bytes: &[u8]) -> Option<Packet<'_>> {
    let ip = Ipv4Packet::new_checked(bytes).ok()?;
    let whole = !ip.more_frags() && ip.frag_offset() == 0;
    if ip.version() != 4 || !whole || ip.src_addr() != FUNCTION_ADDRESS {
        return None;
    }
    let key = |port, destination| Key { port, destination: SocketAddrV4::new(ip.dst_addr(), destination) };
    let length = ip.header_len() as usize..ip.total_len() as usize;
    let payload = bytes.get(length)?;
    match ip.next_header() {
        IpProtocol::Tcp => {
            let tcp = TcpPacket::new_checked(payload).ok()?;
            let opens = tcp.syn() && !tcp.ack() && !tcp.rst() && !tcp.fin();
            Some(Packet::Tcp { key: key(tcp.src_port(), tcp.dst_port()), opens })
        }
        IpProtocol::Udp => {
            let udp = UdpPacket::new_checked(payload).ok()?;
            let text = payload.get(8..udp.len() as usize)?;
            Some(Packet::Udp { key: key(udp.src_port(), udp.dst_port()), payload: text })
        }
        _ => None,
    }
}

/// Sends a datagram back to where the packets of `key` come from.
pub(super) fn answer(port: &mut Port<'_>, key: Key, payload: &[u8]) {
    let udp = UdpRepr { src_port: key.destination.port(), dst_port: key.port };
    let length = udp.header_len() + payload.len();
    let (from, to) = (*key.destination.ip(), FUNCTION_ADDRESS);
    let ip = Ipv4Repr {
        src_addr: from,
        dst_addr: to,
        next_header: IpProtocol::Udp,
        payload_len: length,
        hop_limit: HOPS,
    };
    let checksums = ChecksumCapabilities::default();
    port.send(IP_HEAD + length, |bytes| {
        ip.emit(&mut Ipv4Packet::new_unchecked(&mut *bytes), &checksums);
        let mut packet = UdpPacket::new_unchecked(&mut bytes[IP_HEAD..]);
        let copy = |room: &mut [u8]| room.copy_from_slice(payload);
        udp.emit(&mut packet, &from.into(), &to.into(), payload.len(), copy, &checksums);
    });
}

/// Tells who sent the datagram `key`, `payload` that nobody takes it.
pub(super) fn refuse(port: &mut Port<'_>, key: Key, payload: &[u8]) {
    let udp = UdpRepr { src_port: key.port, dst_port: key.destination.port() };
    let (from, to) = (FUNCTION_ADDRESS, *key.destination.ip());
    let header = Ipv4Repr {
        src_addr: from,
        dst_addr: to,
        next_header: IpProtocol::Udp,
        payload_len: udp.header_len() + payload.len(),
        hop_limit: HOPS,
    };
    // The head of the datagram is enough for its sender to know it again.
    let mut head = [0; 8];
    let mut datagram = UdpPacket::new_unchecked(&mut head);
    datagram.set_src_port(udp.src_port);
    datagram.set_dst_port(udp.dst_port);
    datagram.set_len(header.payload_len as u16);
    let icmp =
        Icmpv4Repr::DstUnreachable { reason: Icmpv4DstUnreachable::PortUnreachable, header, data: &head };
    let length = icmp.buffer_len();
    let ip = Ipv4Repr {
        src_addr: to,
        dst_addr: from,
        next_header: IpProtocol::Icmp,
        payload_len: length,
        hop_limit: HOPS,
    };
    let checksums = ChecksumCapabilities::default();
    port.send(IP_HEAD + length, |bytes| {
        ip.emit(&mut Ipv4Packet::new_unchecked(&mut *bytes), &checksums);
        icmp.emit(&mut Icmpv4Packet::new_unchecked(&mut bytes[IP_HEAD..]), &checksums);
    });
}
