//! Limits that are numbers: a share of the processor, and the resource limits of each process.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io;

/// The memory that buys one whole processor, in MB.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
const MB_PER_CPU: u64 = 1_769;

/// A part of one processor, in thousandths; more than 1,000 is more than one processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CpuShare(u64);

impl CpuShare {
    /// The share of a function with `memory` bytes.
    pub(super) fn of(memory: u64) -> CpuShare {
        CpuShare((memory >> 20) * 1_000 / MB_PER_CPU)
    }

    /// The relative weight among siblings in version 1, where 1,024 is the default.
    pub(super) fn shares(self) -> u64 {
        (self.0 * 1_024 / 1_000).clamp(2, 262_144)
    }

    /// The relative weight among siblings in version 2, where 100 is the default.
    pub(super) fn weight(self) -> u64 {
        (self.0 / 10).clamp(1, 10_000)
    }

    /// The period over which a cap is counted, in microseconds: short, so that a capped start stalls briefly.
    pub(super) fn period_us(self) -> u64 {
        20_000
    }

    /// The processor time in each period, in microseconds; at least a twentieth of a processor.
    pub(super) fn quota_us(self) -> u64 {
        (self.0 * self.period_us() / 1_000).max(1_000)
    }
}

/// Which limits no control group enforces, and each process must carry itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fallback {
    /// Bytes of private memory of one process.
    pub(super) memory: Option<u64>,
    /// Whether the number of processes of this uid, which the kernel counts in each user namespace, is limited.
    pub(super) processes: bool,
}

/// Sets the resource limits of this process and all that come from it. `storage` bounds the size of a file.
pub(super) fn restrict_process(storage: u64, fallback: Fallback) -> io::Result<()> {
    // Only root may raise a limit that somebody has set on the server.
    let set = |resource, value| {
        let (_, most) = getrlimit(resource)?;
        setrlimit(resource, most.min(value), most.min(value))
    };
    set(Resource::RLIMIT_NOFILE, model::limits::OPEN_FILES)?;
    set(Resource::RLIMIT_CORE, 0)?;
    set(Resource::RLIMIT_FSIZE, storage)?;
    set(Resource::RLIMIT_MEMLOCK, 64 * 1024)?;
    set(Resource::RLIMIT_MSGQUEUE, 0)?;
    // Whatever the server may do, a function does not run before others.
    set(Resource::RLIMIT_RTPRIO, 0)?;
    set(Resource::RLIMIT_NICE, 0)?;
    if let Some(memory) = fallback.memory {
        // What a process has written to, not what it has reserved: Node.js and Java reserve many times what they use.
        set(Resource::RLIMIT_DATA, memory)?;
    }
    if fallback.processes {
        set(Resource::RLIMIT_NPROC, model::limits::PROCESSES)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_in_proportion_to_memory() {
        let one = CpuShare::of(1_769 << 20);
        assert_eq!((one.shares(), one.weight(), one.quota_us()), (1_024, 100, 20_000));
        let small = CpuShare::of(128 << 20);
        assert_eq!((small.shares(), small.weight(), small.quota_us()), (73, 7, 1_440));
        assert_eq!(CpuShare::of(10_240 << 20).quota_us(), 115_760);
    }
}
