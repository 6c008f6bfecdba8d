//! Questions to name servers: asked inside at one fixed address, answered by those of the host.

use super::packet::Key;
use model::limits::{NETWORK_QUESTION, NETWORK_RESOLVERS};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::UdpSocket;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

/// The longest answer of a name server over UDP, in bytes.
const ANSWER: usize = 64 * 1024;

/// The name servers in the text of a `resolv.conf`.
pub fn resolvers(text: &str) -> Vec<SocketAddr> {
    let named = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = (words.next()? == "nameserver").then(|| words.next())??;
        Some(SocketAddr::new(address.parse().ok()?, 53))
    });
    named.take(NETWORK_RESOLVERS).collect()
}

/// Asks `servers` one after the other until one answers, and returns the answer with the flow it belongs to.
pub(super) async fn ask(
    key: Key,
    question: Vec<u8>,
    servers: Vec<SocketAddr>,
    _place: OwnedSemaphorePermit,
) -> Option<(Key, Vec<u8>)> {
    for server in servers {
        if let Ok(Ok(answer)) = timeout(NETWORK_QUESTION, ask_one(&question, server)).await {
            return Some((key, answer));
        }
    }
    None
}

async fn ask_one(question: &[u8], server: SocketAddr) -> io::Result<Vec<u8>> {
    // A socket of its own for each question: its port cannot be guessed, and only the server's answers arrive.
    let any = match server {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut answer = vec![0; ANSWER];
    loop {
        let length = socket.recv(&mut answer).await?;
        // The first two bytes name the question.
        if length >= 2 && question.len() >= 2 && answer[..2] == question[..2] {
            answer.truncate(length);
            return Ok(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_found_among_other_lines() {
        let text = "# nameserver 9.9.9.9\nsearch example.com\nnameserver 10.0.0.2\n nameserver\t::1\nnameserver fe80::1%eth0\nnameserver x\nnameserver 1.1.1.1\nnameserver 8.8.8.8\noptions edns0";
        let found: Vec<_> = resolvers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.0.0.2:53", "[::1]:53", "1.1.1.1:53"]);
        assert!(resolvers("nameserver").is_empty());
    }
}
