//! Local sockets: which leads to which, as the kernel's own table says (`sock_diag(7)`).

use super::capture::Refusal;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd;

/// A local socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Local {
    /// Stream, datagrams or packets, as for `socketpair`.
    pub(super) kind: u8,
    /// The inode of its other side; zero if that is closed, or if there is none.
    pub(super) peer: u32,
    /// How many bytes or connections wait in it.
    pub(super) waiting: u32,
    pub(super) listens: bool,
}

/// The most bytes of one answer of the kernel's.
const ANSWER: usize = 64 * 1024;
/// Most answers that are read: some thousand sockets.
const ANSWERS: usize = 16;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// `NLM_F_REQUEST | NLM_F_DUMP`
const DUMP: u16 = 0x301;
/// Ask for the other side, and for what waits.
const SHOW: u32 = 0x4 | 0x10;
const UNIX_DIAG_PEER: u16 = 2;
const UNIX_DIAG_RQLEN: u16 = 4;
const LISTEN: u8 = 10;

/// The local sockets of this network namespace, by inode. None where the kernel lacks that table (`CONFIG_UNIX_DIAG`): they
/// are then sockets of which nothing is known.
pub(super) fn sockets() -> Result<BTreeMap<u64, Local>, Refusal> {
    let socket =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkSockDiag)?;
    let mut request = Vec::new();
    request.extend_from_slice(&40u32.to_ne_bytes());
    request.extend_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request.extend_from_slice(&DUMP.to_ne_bytes());
    request.extend_from_slice(&[0; 8]);
    request.extend_from_slice(&[libc::AF_UNIX as u8, 0, 0, 0]);
    for word in [u32::MAX, 0, SHOW, u32::MAX, u32::MAX] {
        request.extend_from_slice(&word.to_ne_bytes());
    }
    send(socket.as_raw_fd(), &request, MsgFlags::empty())?;
    let mut found = BTreeMap::new();
    let mut answer = vec![0; ANSWER];
    for _ in 0..ANSWERS {
        let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        if read(&answer[..length], &mut found)? {
            return Ok(found);
        }
    }
    Err(io::Error::other("it has too many local sockets").into())
}

/// Reads the messages of one answer; whether it was the last.
fn read(mut answer: &[u8], found: &mut BTreeMap<u64, Local>) -> io::Result<bool> {
    while let Some((length, kind)) = number(answer, 0).zip(half(answer, 4)) {
        let length = length as usize;
        if kind == NLMSG_ERROR {
            let error = number(answer, 16).map_or(0, |error| (error as i32).wrapping_neg());
            return if error == libc::ENOENT { Ok(true) } else { Err(io::Error::from_raw_os_error(error)) };
        }
        if kind != SOCK_DIAG_BY_FAMILY {
            return Ok(kind == NLMSG_DONE || length == 0);
        }
        if let Some((message, rest)) = answer.split_at_checked(length.next_multiple_of(4)) {
            socket_of(message.get(16..).unwrap_or_default(), found);
            answer = rest;
        } else {
            return Ok(false);
        }
    }
    Ok(false)
}

fn socket_of(message: &[u8], found: &mut BTreeMap<u64, Local>) {
    let (Some(&kind), Some(&state), Some(inode)) = (message.get(1), message.get(2), number(message, 4))
    else {
        return;
    };
    let mut local = Local { kind, peer: 0, waiting: 0, listens: state == LISTEN };
    let mut attributes = message.get(16..).unwrap_or_default();
    while let Some((length, kind)) = half(attributes, 0).zip(half(attributes, 2)) {
        match kind {
            UNIX_DIAG_PEER => local.peer = number(attributes, 4).unwrap_or(0),
            UNIX_DIAG_RQLEN => local.waiting = number(attributes, 4).unwrap_or(0),
            _ => {}
        }
        let length = usize::from(length).max(4).next_multiple_of(4);
        attributes = attributes.get(length..).unwrap_or_default();
    }
    found.insert(inode.into(), local);
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_kernel_without_the_table_is_told_from_one_that_fails() {
        let answer = |errno: i32| {
            let mut bytes = 36u32.to_ne_bytes().to_vec();
            bytes.extend_from_slice(&NLMSG_ERROR.to_ne_bytes());
            bytes.extend_from_slice(&[0; 10]);
            bytes.extend_from_slice(&(-errno).to_ne_bytes());
            bytes.extend_from_slice(&[0; 16]);
            read(&bytes, &mut BTreeMap::new()).map_err(|error| error.raw_os_error())
        };
        assert_eq!(answer(libc::ENOENT), Ok(true));
        assert_eq!(answer(libc::EPERM), Err(Some(libc::EPERM)));
    }

    #[test]
    fn the_two_sides_of_a_pair_know_each_other() {
        let inode = |socket: &UnixStream| nix::sys::stat::fstat(socket).unwrap().st_ino;
        let (one, mut other) = UnixStream::pair().unwrap();
        let found = sockets().unwrap();
        assert_eq!(u64::from(found[&inode(&one)].peer), inode(&other));
        assert_eq!(u64::from(found[&inode(&other)].peer), inode(&one));
        assert_eq!((found[&inode(&one)].kind, found[&inode(&one)].waiting), (libc::SOCK_STREAM as u8, 0));
        other.write_all(b"x").unwrap();
        assert!(sockets().unwrap()[&inode(&one)].waiting > 0);
    }
}
