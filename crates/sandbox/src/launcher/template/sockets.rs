//! What a network socket of the runtime is, as the kernel's tables of its network namespace say.

use super::capture::Refusal;
use crate::{PLATFORM_ADDRESS, RUNTIME_API_ADDRESS};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a copy gets in the place of a socket.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Socket {
    /// One whose other side has closed it: what any server may do with a connection on which nothing is asked.
    Gone,
    /// A connection to this address.
    Connect(SocketAddr),
}

/// The states of a TCP socket, as numbers of the kernel's.
const ESTABLISHED: &str = "01";
const CLOSE_WAIT: &str = "08";
const LISTEN: &str = "0A";

/// What becomes of the socket `inode` in a copy.
pub(super) fn of(inode: u64) -> Result<Socket, Refusal> {
    for table in ["tcp", "tcp6"] {
        let text = fs::read_to_string(format!("/proc/self/net/{table}")).unwrap_or_default();
        if let Some(row) = row(&text, inode) {
            return tcp(&row).map_err(Refusal);
        }
    }
    for (table, kind) in [("udp", "UDP"), ("udp6", "UDP"), ("netlink", "netlink"), ("unix", "local")] {
        let text = fs::read_to_string(format!("/proc/self/net/{table}")).unwrap_or_default();
        if text.lines().any(|line| line.split_whitespace().any(|word| word == inode.to_string())) {
            return Err(Refusal(format!("it has a {kind} socket")));
        }
    }
    Err(Refusal("it has a socket that is not connected".to_owned()))
}

/// One row of a table of TCP sockets.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    local: SocketAddr,
    remote: SocketAddr,
    state: String,
    /// Nothing that was sent or received waits.
    idle: bool,
}

fn row(table: &str, inode: u64) -> Option<Row> {
    let inode = inode.to_string();
    table.lines().skip(1).find_map(|line| {
        // "0: 0100007F:11D6 00000000:0000 0A 00000000:00000000 00:00000000 00000000 993 0 INODE ..."
        let words: Vec<&str> = line.split_whitespace().collect();
        if *words.get(9)? != inode {
            return None;
        }
        Some(Row {
            local: address(words[1])?,
            remote: address(words[2])?,
            state: words[3].to_owned(),
            idle: words[4] == "00000000:00000000",
        })
    })
}

/// An address as the kernel prints it: words of the machine's byte order in hexadecimal.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let word = |at: usize| Some(u32::from_str_radix(host.get(at * 8..at * 8 + 8)?, 16).ok()?.to_le_bytes());
    let host: IpAddr = if host.len() == 8 {
        Ipv4Addr::from(word(0)?).into()
    } else {
        let mut bytes = [0; 16];
        for at in 0..4 {
            bytes[at * 4..at * 4 + 4].copy_from_slice(&word(at)?);
        }
        let host = Ipv6Addr::from(bytes);
        host.to_ipv4_mapped().map_or(host.into(), IpAddr::from)
    };
    Some(SocketAddr::new(host, u16::from_str_radix(port, 16).ok()?))
}

fn tcp(row: &Row) -> Result<Socket, String> {
    let Row { local, remote, state, idle } = row;
    match state.as_str() {
        CLOSE_WAIT if *idle => Ok(Socket::Gone),
        ESTABLISHED if *remote == RUNTIME_API_ADDRESS.into() => Ok(Socket::Connect(*remote)),
        ESTABLISHED if *remote == PLATFORM_ADDRESS.into() && *idle => Ok(Socket::Gone),
        LISTEN => Err(format!("it listens at {local}")),
        ESTABLISHED => Err(format!("it has a connection to {remote}")),
        _ => Err(format!("it has a connection to {remote} that opens or closes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
        0: 0100007F:11D6 00000000:0000 0A 00000000:00000000 00:00000000 00000000   993        0 11 1 0 100 0 0 10 0\n\
        1: 0100007F:9C40 0100007F:11D6 01 00000000:00000000 00:00000000 00000000   993        0 12 1 0 20 4 0 10 -1\n\
        2: 0100007F:9C41 0700000A:1538 01 00000000:00000000 00:00000000 00000000   993        0 13 1 0 20 4 0 10 -1\n\
        3: 0100007F:9C42 0100007F:11D6 01 00000010:00000000 00:00000000 00000000   993        0 14 1 0 20 4 0 10 -1\n\
        4: 0100007F:9C43 0100007F:2329 01 00000000:00000000 00:00000000 00000000   993        0 15 1 0 20 4 0 10 -1\n";

    #[test]
    fn a_connection_to_the_platform_may_close_and_others_are_refused() {
        let of = |inode| tcp(&row(TABLE, inode).unwrap());
        assert_eq!(of(11).unwrap_err(), "it listens at 127.0.0.1:4566");
        assert_eq!(of(12), Ok(Socket::Gone));
        assert_eq!(of(13).unwrap_err(), "it has a connection to 10.0.0.7:5432");
        assert!(of(14).is_err(), "something is on its way");
        assert_eq!(of(15), Ok(Socket::Connect("127.0.0.1:9001".parse().unwrap())));
        assert_eq!(row(TABLE, 16), None);
    }

    #[test]
    fn mapped_addresses_are_those_of_version_4() {
        let mapped = "0000000000000000FFFF00000100007F:11D6";
        assert_eq!(address(mapped), Some("127.0.0.1:4566".parse().unwrap()));
    }
}
