//! The files of control groups that set what a job may use: opened before it is known, written when it is.

use super::limits::CpuShare;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

/// The part of a job's memory that buffers of network sockets may take on top of it in version 1: one in so many.
const BUFFERS: u64 = 4;

/// What a file takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Dial {
    /// Bytes of memory.
    Memory,
    /// Bytes of buffers of sockets.
    Buffers,
    /// The weight among siblings, in version 1.
    Shares,
    /// The weight among siblings, in version 2.
    Weight,
    /// The processor time in each period, in version 1.
    Quota,
    /// The processor time in each period, in version 2.
    Most,
}

/// The files of one sandbox's groups, in the order in which they must be written.
#[derive(Debug, Default)]
pub(super) struct Dials(Vec<(File, Dial, bool)>);

impl Dials {
    /// Adds a file without which there is no limit.
    pub(super) fn open(&mut self, path: PathBuf, dial: Dial) -> io::Result<()> {
        self.0.push((File::options().write(true).open(path)?, dial, true));
        Ok(())
    }

    /// Adds a file that some kernels do not have, or do not let be written.
    pub(super) fn open_if_there(&mut self, path: PathBuf, dial: Dial) {
        if let Ok(file) = File::options().write(true).open(path) {
            self.0.push((file, dial, false));
        }
    }

    /// Sets the limits of a job with `memory` bytes.
    pub(super) fn set(&self, memory: u64) -> io::Result<()> {
        let share = CpuShare::of(memory);
        for (mut file, dial, needed) in self.0.iter().map(|(file, dial, needed)| (file, dial, needed)) {
            let value = match dial {
                Dial::Memory => memory.to_string(),
                Dial::Buffers => (memory / BUFFERS).to_string(),
                Dial::Shares => share.shares().to_string(),
                Dial::Weight => share.weight().to_string(),
                Dial::Quota => share.quota_us().to_string(),
                Dial::Most => format!("{} {}", share.quota_us(), CpuShare::PERIOD_US),
            };
            let written = file.write_all(value.as_bytes());
            if *needed {
                written?;
            }
        }
        Ok(())
    }
}
