//! What pid 1 writes into a template's memory: the zygote's code, and the state from which it makes copies. Mirrors the
//! structures of `zygote/zygote.c`, in their order.

/// The zygote's code; empty where there is none for the processor.
pub(super) const CODE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/zygote.bin"));

/// The room for the code, in bytes.
pub(super) const CODE_ROOM: u64 = 16 * 1024;

/// Descriptors from here on are the zygote's own; a function that has one of these cannot be copied.
pub(super) const HIGH: i32 = 960;

/// The descriptor from which the zygote, and each seat, takes requests.
pub(super) const CONTROL: i32 = 1_023;

/// The first of the descriptors of the template's own namespaces; the others are below.
pub(super) const HOME: i32 = 1_022;

/// The namespaces that a nest has of its own, as `/proc` names them.
pub(super) const NAMESPACES: [&str; 5] = ["pid", "mnt", "net", "ipc", "uts"];

/// Which of them is the network.
pub(super) const NETWORK: usize = 2;

/// How many seats a template can have: as many as events of one function can run at one time.
pub(super) const SEATS: u64 = 1_024;

/// The stack of one seat, in bytes.
pub(super) const SEAT_STACK: u64 = 4_096;

/// The stack on which a thread of a copy, or the zygote, runs before it goes on, in bytes.
pub(super) const STACK: u64 = 2_048;

/// The length of a `struct context`, with room to spare, in bytes.
pub(super) const CONTEXT: u64 = 128;

/// The length of a `struct range`, in bytes.
pub(super) const RANGE: u64 = 16;

/// The most ranges that a copy is given before its event.
pub(super) const RANGES: u64 = 1_024;

/// Where the number of ranges stands in a `struct context`.
pub(super) const RANGE_COUNT: u64 = 72;

/// The length of a `struct thread`, in bytes.
pub(super) const THREAD: u64 = 104;

/// The length of a `struct step`, in bytes.
pub(super) const STEP: u64 = 32;

/// Bytes in the processor's order.
#[derive(Debug, Default)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Bytes {
    pub(super) fn word(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(super) fn half(&mut self, value: u32) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }
}

/// A thread of the template.
#[derive(Clone, Debug, Default)]
pub(super) struct Thread {
    /// Its id in the template's pid namespace.
    pub(super) id: u32,
    /// The base of its thread-local storage.
    pub(super) tls: u64,
    /// The base of the segment `gs`, which hardly anybody uses.
    pub(super) gs: u64,
    /// What the kernel clears at its end; zero if nothing.
    pub(super) clear_tid: u64,
    pub(super) robust_list: (u64, u64),
    /// Address, length and signature.
    pub(super) rseq: (u64, u32, u32),
    /// Where its frame lies.
    pub(super) frame: u64,
    /// The top of the stack that it may use before it goes on.
    pub(super) stack: u64,
    pub(super) name: [u8; 16],
    /// How far it stands back for other threads.
    pub(super) nice: u64,
}

impl Thread {
    pub(super) fn write(&self, to: &mut Bytes) {
        to.word(self.id.into()).word(self.tls).word(self.gs).word(self.clear_tid);
        to.word(self.robust_list.0).word(self.robust_list.1);
        to.word(self.rseq.0).half(self.rseq.1).half(self.rseq.2);
        to.word(self.frame).word(self.stack);
        to.0.extend_from_slice(&self.name);
        to.word(self.nice);
    }
}

/// One thing to do in a copy, so that its descriptors are what the template's were. Flags are those of `open`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// This descriptor is the log.
    Log {
        fd: i32,
        flags: u32,
    },
    /// This one is the event channel.
    Channel {
        fd: i32,
        flags: u32,
    },
    /// A file that was open for reading, at this position.
    Open {
        fd: i32,
        flags: u32,
        path: Vec<u8>,
        position: u64,
    },
    EventFd {
        fd: i32,
        flags: u32,
        count: u64,
    },
    /// A pipe between threads.
    Pipe {
        read: (i32, u32),
        write: (i32, u32),
    },
    /// Bytes that wait in it.
    Fill {
        fd: i32,
        bytes: Vec<u8>,
    },
    /// The same as another one.
    Duplicate {
        fd: i32,
        flags: u32,
        of: i32,
    },
    Epoll {
        fd: i32,
        flags: u32,
    },
    /// An epoll watches a descriptor.
    Watch {
        epoll: i32,
        fd: i32,
        events: u32,
        data: u64,
    },
    /// A timer that is not set.
    TimerFd {
        fd: i32,
        flags: u32,
        clock: u64,
    },
    /// A socket whose other side has closed it.
    Gone {
        fd: i32,
        flags: u32,
    },
    /// Two local sockets that lead to each other; `kind` as for `socketpair`.
    Pair {
        one: (i32, u32),
        other: (i32, u32),
        kind: u64,
    },
    /// A connection over the loopback device to an address, as the kernel has it in its first eight bytes.
    Connect {
        fd: i32,
        flags: u32,
        address: u64,
    },
}

impl Step {
    /// Writes the step; `text` is where its bytes lie, if it has any.
    pub(super) fn write(&self, to: &mut Bytes, text: u64) {
        let mut put = |kind: u32, fd: i32, flags: u32, other: i32, a: u64, b: u64| {
            to.half(kind).half(fd as u32).half(flags).half(other as u32).word(a).word(b);
        };
        match self {
            Step::Log { fd, flags } => put(1, *fd, *flags, 0, 0, 0),
            Step::Channel { fd, flags } => put(2, *fd, *flags, 0, 0, 0),
            Step::Open { fd, flags, position, .. } => put(3, *fd, *flags, 0, text, *position),
            Step::EventFd { fd, flags, count } => put(4, *fd, *flags, 0, *count, 0),
            Step::Pipe { read, write } => put(5, read.0, read.1, write.0, write.1.into(), 0),
            Step::Fill { fd, bytes } => put(6, *fd, 0, 0, text, bytes.len() as u64),
            Step::Duplicate { fd, flags, of } => put(7, *fd, *flags, *of, 0, 0),
            Step::Epoll { fd, flags } => put(8, *fd, *flags, 0, 0, 0),
            Step::Watch { epoll, fd, events, data } => put(9, *epoll, 0, *fd, (*events).into(), *data),
            Step::TimerFd { fd, flags, clock } => put(10, *fd, *flags, 0, *clock, 0),
            Step::Gone { fd, flags } => put(11, *fd, *flags, 0, 0, 0),
            Step::Pair { one, other, kind } => put(12, one.0, one.1, other.0, other.1.into(), *kind),
            Step::Connect { fd, flags, address } => put(13, *fd, *flags, 0, 0, *address),
        }
    }

    /// The bytes that the step refers to.
    pub(super) fn text(&self) -> &[u8] {
        match self {
            Step::Open { path, .. } => path,
            Step::Fill { bytes, .. } => bytes,
            _ => &[],
        }
    }
}

/// What the zygote is told first.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) threads: u32,
    pub(super) steps: u32,
    pub(super) thread_table: u64,
    pub(super) step_table: u64,
    /// The working directory's path.
    pub(super) directory: u64,
    pub(super) umask: u32,
    pub(super) landlock_flags: u32,
    pub(super) seat_stacks: u64,
    /// The template's process id, which the C library may have noted.
    pub(super) pid: u32,
    /// Memory that events use.
    pub(super) range_table: u64,
}

impl Context {
    pub(super) fn write(&self, to: &mut Bytes) {
        to.half(self.threads).half(self.steps);
        to.word(self.thread_table).word(self.step_table).word(self.directory);
        to.half(self.umask).half(self.landlock_flags).word(self.seat_stacks);
        to.half(SEATS as u32).half(0).half(self.pid).half(0);
        to.word(self.range_table);
        debug_assert_eq!(to.0.len() as u64, RANGE_COUNT);
        to.half(0);
    }
}

/// A request to the zygote or to a seat.
#[derive(Clone, Copy, Debug)]
pub(super) enum Request {
    /// To the zygote: another seat. With the seat's own socket, and the files by which it enters its control groups.
    Seat,
    /// To a seat: a copy. With the [`NAMESPACES`] of its nest, rules of Landlock if there are any, the directory of the
    /// template's processes if the seat is exempt from the out-of-memory killer, which the copy must not be, the file that
    /// sets the next process id, the log, and the event channel if there is one.
    Copy { rules: bool, channel: bool, exempt: bool },
}

impl Request {
    pub(super) fn bytes(self) -> Vec<u8> {
        let mut bytes = Bytes::default();
        match self {
            Request::Seat => bytes.half(1).half(0),
            Request::Copy { rules, channel, exempt } => {
                bytes.half(2).half(u32::from(rules) | u32::from(channel) << 1 | u32::from(exempt) << 2)
            }
        };
        bytes.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_structures() {
        let mut bytes = Bytes::default();
        Thread::default().write(&mut bytes);
        assert_eq!(bytes.0.len() as u64, THREAD);
        let mut bytes = Bytes::default();
        Step::Epoll { fd: 5, flags: 0 }.write(&mut bytes, 0);
        assert_eq!(bytes.0.len() as u64, STEP);
        assert!(cfg!(not(target_arch = "x86_64")) || (!CODE.is_empty() && CODE.len() as u64 <= CODE_ROOM));
    }
}
