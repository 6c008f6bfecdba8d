//! The plan by which a copy gets its descriptors: what the runtime has open, and what a copy has in its place.
//!
//! A copy shares no open file with the template or with another copy: positions, flags and counters would pass between
//! them. Where that cannot be had, the runtime is not captured.

use super::capture::Refusal;
use super::layout::{HIGH, Step};
use super::local::{self, Local};
use super::sockets::{self, Socket};
use crate::sys::process;
use nix::fcntl::{OFlag, SpliceFFlags, open, tee};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, pipe2, read};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The inodes of the ends that lead to the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) log: u64,
    pub(super) channel: Option<u64>,
}

/// The most bytes that may wait in a pipe.
const WAITING: usize = 4_096;

/// The most descriptors that a template may have.
const DESCRIPTORS: usize = 512;

/// One descriptor of the runtime.
#[derive(Debug)]
struct Descriptor {
    fd: i32,
    /// What `/proc` says it is: a path, or a name of the kernel's.
    target: PathBuf,
    inode: u64,
    device: u64,
    flags: u32,
    position: u64,
    /// The rest of what the kernel tells of it.
    info: String,
}

impl Descriptor {
    fn of(process: Pid, fd: i32) -> io::Result<Descriptor> {
        let path = format!("/proc/{process}/fd/{fd}");
        let metadata = fs::metadata(&path)?;
        let info = fs::read_to_string(format!("/proc/{process}/fdinfo/{fd}"))?;
        Ok(Descriptor {
            fd,
            target: fs::read_link(&path)?,
            inode: metadata.ino(),
            device: metadata.dev(),
            flags: number(&info, "flags:", 8).unwrap_or(0) as u32,
            position: number(&info, "pos:", 10).unwrap_or(0),
            info,
        })
    }

    fn name(&self) -> String {
        self.target.display().to_string()
    }

    fn access(&self) -> u32 {
        self.flags & libc::O_ACCMODE as u32
    }

    fn writes(&self) -> bool {
        self.access() != libc::O_RDONLY as u32
    }

    fn end(&self) -> (i32, u32) {
        (self.fd, self.flags)
    }
}

/// A number that the kernel tells behind a name.
fn number(info: &str, name: &str, base: u32) -> Option<u64> {
    let text = info.lines().find_map(|line| line.strip_prefix(name))?.trim();
    u64::from_str_radix(text, base).ok()
}

/// What a copy does so that it has what `process`, which is stopped, has.
pub(super) fn plan(process: Pid, ends: &Ends) -> Result<Vec<Step>, Refusal> {
    let mut all = Vec::new();
    for entry in fs::read_dir(format!("/proc/{process}/fd"))?.flatten() {
        let Some(fd) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        all.push(Descriptor::of(process, fd)?);
    }
    all.sort_by_key(|descriptor| descriptor.fd);
    if all.len() > DESCRIPTORS || all.last().is_some_and(|last| last.fd >= HIGH) {
        return Err(Refusal(format!("it has more than {DESCRIPTORS} descriptors, or one from {HIGH} on")));
    }
    let mut steps = Vec::new();
    let mut singles = Vec::new();
    let mut pipes: BTreeMap<u64, Vec<&Descriptor>> = BTreeMap::new();
    let mut locals: BTreeMap<u64, Vec<&Descriptor>> = BTreeMap::new();
    let is_socket = |d: &Descriptor| d.name().starts_with("socket:[") && Some(d.inode) != ends.channel;
    let sockets = if all.iter().any(is_socket) { local::sockets()? } else { BTreeMap::new() };
    for descriptor in &all {
        let name = descriptor.name();
        if name.starts_with("pipe:[") && descriptor.inode != ends.log {
            pipes.entry(descriptor.inode).or_default().push(descriptor);
        } else if is_socket(descriptor) && sockets.contains_key(&descriptor.inode) {
            locals.entry(descriptor.inode).or_default().push(descriptor);
        } else if let Some(first) = the_same(process, descriptor, &singles)? {
            steps.push(Step::Duplicate { fd: descriptor.fd, flags: descriptor.flags, of: first.fd });
        } else {
            steps.push(one(descriptor, ends)?);
            singles.push(descriptor);
        }
    }
    for (inode, descriptors) in &locals {
        pair(*inode, descriptors, &locals, &sockets, &mut steps)?;
    }
    for ends in pipes.into_values() {
        pipe(process, &ends, &mut steps)?;
    }
    if steps.iter().filter(|step| matches!(step, Step::Connect { .. })).count() > 1 {
        return Err(Refusal("it has more than one connection to the Runtime API".to_owned()));
    }
    // Everything that can be watched is there now.
    for descriptor in singles.iter().filter(|descriptor| descriptor.name() == "anon_inode:[eventpoll]") {
        watches(descriptor, &all, &mut steps)?;
    }
    Ok(steps)
}

/// The one among `others` that is the same open file: they have one position, or one count, together.
fn the_same<'a>(
    process: Pid,
    descriptor: &Descriptor,
    others: &[&'a Descriptor],
) -> Result<Option<&'a Descriptor>, Refusal> {
    let of = |d: &Descriptor| (d.inode, d.device, d.position, d.flags & !(libc::O_CLOEXEC as u32));
    for other in others.iter().filter(|other| of(other) == of(descriptor)) {
        if process::same_file(process, other.fd, descriptor.fd)? {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

/// The step for a descriptor that stands for itself.
fn one(descriptor: &Descriptor, ends: &Ends) -> Result<Step, Refusal> {
    let Descriptor { fd, flags, inode, info, .. } = descriptor;
    let (fd, flags) = (*fd, *flags);
    let name = descriptor.name();
    if info.lines().any(|line| line.starts_with("lock:")) {
        return Err(Refusal(format!("it holds a lock on {name}")));
    }
    Ok(match name.as_str() {
        _ if *inode == ends.log && name.starts_with("pipe:[") => Step::Log { fd, flags },
        _ if Some(*inode) == ends.channel && name.starts_with("socket:[") => Step::Channel { fd, flags },
        _ if name.starts_with("socket:[") => match sockets::of(*inode)? {
            Socket::Gone => Step::Gone { fd, flags },
            Socket::Connect(SocketAddr::V4(to)) => {
                let [a, b, c, d] = to.ip().octets();
                let [high, low] = to.port().to_be_bytes();
                let address = u64::from_le_bytes([libc::AF_INET as u8, 0, high, low, a, b, c, d]);
                Step::Connect { fd, flags, address }
            }
            Socket::Connect(to) => return Err(Refusal(format!("it has a connection to {to}"))),
        },
        "anon_inode:[eventfd]" => {
            let semaphore = number(info, "eventfd-semaphore:", 10).unwrap_or(0) != 0;
            let count = number(info, "eventfd-count:", 16).unwrap_or(0);
            let known = flags & (libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) as u32;
            Step::EventFd { fd, flags: known | u32::from(semaphore), count }
        }
        "anon_inode:[timerfd]" => {
            if !info.lines().any(|line| line.starts_with("it_value: (0, 0)")) {
                return Err(Refusal("it has a timer that is set (timerfd)".to_owned()));
            }
            let known = flags & (libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) as u32;
            Step::TimerFd { fd, flags: known, clock: number(info, "clockid:", 10).unwrap_or(0) }
        }
        "anon_inode:[eventpoll]" => Step::Epoll { fd, flags },
        _ if descriptor.target.is_absolute() => file(descriptor)?,
        _ => return Err(Refusal(format!("it has a descriptor that cannot be copied ({name})"))),
    })
}

/// A file, directory or device.
fn file(descriptor: &Descriptor) -> Result<Step, Refusal> {
    let path = &descriptor.target;
    let same =
        fs::metadata(path).ok().filter(|now| now.ino() == descriptor.inode && now.dev() == descriptor.device);
    let Some(metadata) = same else {
        return Err(Refusal(format!("it has a file open that is not there any more ({})", path.display())));
    };
    let device = metadata.file_type().is_char_device() && path.starts_with("/dev");
    if descriptor.writes() && !device {
        return Err(Refusal(format!("it has a file open for writing ({})", path.display())));
    }
    if !device && !metadata.is_file() && !metadata.is_dir() {
        return Err(Refusal(format!("it has a descriptor that cannot be copied ({})", path.display())));
    }
    let once = (libc::O_CREAT | libc::O_EXCL | libc::O_TRUNC | libc::O_NOCTTY) as u32;
    let position = if metadata.is_file() { descriptor.position } else { 0 };
    let mut bytes = path.as_os_str().as_bytes().to_vec();
    bytes.retain(|byte| *byte != 0);
    Ok(Step::Open { fd: descriptor.fd, flags: descriptor.flags & !once, path: bytes, position })
}

/// A local socket: a new pair, if it leads to another socket of the runtime's.
fn pair(
    inode: u64,
    descriptors: &[&Descriptor],
    locals: &BTreeMap<u64, Vec<&Descriptor>>,
    sockets: &BTreeMap<u64, Local>,
    steps: &mut Vec<Step>,
) -> Result<(), Refusal> {
    let ([first, more @ ..], Some(socket)) = (descriptors, sockets.get(&inode)) else { return Ok(()) };
    if socket.listens || socket.waiting > 0 {
        let what = if socket.listens { "listens" } else { "has not read what was sent" };
        return Err(Refusal(format!("it {what} at a local socket")));
    }
    let peer = u64::from(socket.peer);
    match locals.get(&peer).and_then(|there| there.first()) {
        Some(other) if inode < peer => {
            steps.push(Step::Pair { one: first.end(), other: other.end(), kind: socket.kind.into() });
        }
        Some(_) => {} // made with its other side
        None if peer == 0 && i32::from(socket.kind) == libc::SOCK_STREAM => {
            steps.push(Step::Gone { fd: first.fd, flags: first.flags });
        }
        None => return Err(Refusal("it has a local socket that leads elsewhere".to_owned())),
    }
    // The side with the smaller number comes first, so that both are there by now.
    steps.extend(more.iter().map(|other| Step::Duplicate { fd: other.fd, flags: other.flags, of: first.fd }));
    Ok(())
}

/// The ends of one pipe: a new pipe, with what waits in it.
fn pipe(process: Pid, ends: &[&Descriptor], steps: &mut Vec<Step>) -> Result<(), Refusal> {
    let (Some(reader), Some(writer)) =
        (ends.iter().find(|end| !end.writes()), ends.iter().find(|end| end.writes()))
    else {
        return Err(Refusal("it has one end of a pipe whose other end is closed".to_owned()));
    };
    steps.push(Step::Pipe { read: reader.end(), write: writer.end() });
    for other in ends.iter().filter(|end| end.fd != reader.fd && end.fd != writer.fd) {
        let of = if other.writes() { writer.fd } else { reader.fd };
        steps.push(Step::Duplicate { fd: other.fd, flags: other.flags, of });
    }
    let waiting = peek(process, reader.fd)?;
    if !waiting.is_empty() {
        steps.push(Step::Fill { fd: writer.fd, bytes: waiting });
    }
    Ok(())
}

/// What waits in a pipe, which stays there.
fn peek(process: Pid, reader: i32) -> Result<Vec<u8>, Refusal> {
    let path = format!("/proc/{process}/fd/{reader}");
    let from = open(Path::new(&path), OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC, Mode::empty())?;
    let (seen, to) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    match tee(&from, &to, WAITING + 1, SpliceFFlags::SPLICE_F_NONBLOCK) {
        Ok(0) | Err(nix::errno::Errno::EAGAIN) => return Ok(Vec::new()),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    let mut bytes = vec![0; WAITING + 1];
    let length = read(&seen, &mut bytes)?;
    if length > WAITING {
        return Err(Refusal("more waits in a pipe between its threads than can be copied".to_owned()));
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// What an epoll watches.
fn watches(epoll: &Descriptor, all: &[Descriptor], steps: &mut Vec<Step>) -> Result<(), Refusal> {
    for line in epoll.info.lines().filter(|line| line.starts_with("tfd:")) {
        // "tfd:        6 events:       19 data:                6  pos:0 ino:4a3 sdev:9"
        let value = |name: &str, base| {
            let (_, rest) = line.split_once(name)?;
            u64::from_str_radix(rest.trim_start().split(' ').next()?, base).ok()
        };
        let watched =
            value("tfd:", 10).zip(value("events:", 16)).zip(value("data:", 16)).zip(value("ino:", 16));
        let Some((((fd, events), data), inode)) = watched else {
            return Err(Refusal("what it waits for cannot be read (epoll)".to_owned()));
        };
        let there = all.iter().find(|one| one.fd as u64 == fd && one.inode == inode);
        let Some(there) = there else {
            return Err(Refusal("it waits for a descriptor that it has closed (epoll)".to_owned()));
        };
        steps.push(Step::Watch { epoll: epoll.fd, fd: there.fd, events: events as u32, data });
    }
    Ok(())
}
