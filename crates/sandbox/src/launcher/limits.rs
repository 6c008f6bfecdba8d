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
    /// The period over which a cap is counted, in microseconds: short, so that a capped start stalls briefly.
    pub(super) const PERIOD_US: u64 = 20_000;

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

    /// The processor time in each period, in microseconds; at least a twentieth of a processor.
    pub(super) fn quota_us(self) -> u64 {
        (self.0 * CpuShare::PERIOD_US / 1_000).max(1_000)
    }
}

/// Sets the resource limits that are the same for every job, of this process and all that come from it. The number of
/// processes of this uid, which the kernel counts in each user namespace, is limited where no control group does it.
pub(super) fn restrict_process(processes: bool) -> io::Result<()> {
    lower(Resource::RLIMIT_CORE, 0)?;
    lower(Resource::RLIMIT_MEMLOCK, 64 * 1024)?;
    lower(Resource::RLIMIT_MSGQUEUE, 0)?;
    // Whatever the server may do, a function does not run before others.
    lower(Resource::RLIMIT_RTPRIO, 0)?;
    lower(Resource::RLIMIT_NICE, 0)?;
    if processes { lower(Resource::RLIMIT_NPROC, model::limits::PROCESSES) } else { Ok(()) }
}

/// Limits how many files each process of a function has open. Those that make its sandbox hand more descriptors about, which
/// the kernel counts against the same limit while they are on the way.
pub(super) fn restrict_files() -> io::Result<()> {
    lower(Resource::RLIMIT_NOFILE, model::limits::OPEN_FILES)
}

/// Sets those that are the job's own: the size of a file and, where no control group limits memory, the private memory
/// of one process.
pub(super) fn restrict_job(storage: u64, memory: Option<u64>) -> io::Result<()> {
    lower(Resource::RLIMIT_FSIZE, storage)?;
    // What a process has written to, not what it has reserved: Node.js and Java reserve many times what they use.
    memory.map_or(Ok(()), |memory| lower(Resource::RLIMIT_DATA, memory))
}

/// Only root may raise a limit that somebody has set on the server.
fn lower(resource: Resource, value: u64) -> io::Result<()> {
    let (_, most) = getrlimit(resource)?;
    Ok(setrlimit(resource, most.min(value), most.min(value))?)
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
