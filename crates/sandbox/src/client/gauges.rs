//! What a process tree has used so far, read from its control groups without asking the launcher.

use crate::control::Usage;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

/// The longest file that is read, in bytes.
const FILE: usize = 1_024;

/// The files that came with [`crate::control::Notice::Gauges`].
#[derive(Debug)]
pub(super) struct Gauges {
    peak: File,
    cpu: File,
    /// What the latter told before the job began, in microseconds.
    cpu_before_us: u64,
}

impl Gauges {
    /// The gauges with these descriptors; none if there are too few.
    pub(super) fn of(descriptors: Vec<OwnedFd>, cpu_before_us: u64) -> Option<Gauges> {
        let mut files = descriptors.into_iter().map(File::from);
        Some(Gauges { peak: files.next()?, cpu: files.next()?, cpu_before_us })
    }

    /// What has been used by now; none if the files cannot be read any more.
    pub(super) fn read(&self) -> Option<Usage> {
        let peak_memory = text(&self.peak, |text| text.trim().parse().ok()).ok()??;
        let cpu_us = text(&self.cpu, cpu_us).ok()??.saturating_sub(self.cpu_before_us);
        Some(Usage { peak_memory, cpu_us, out_of_memory: false })
    }
}

/// Microseconds: `cpu.stat` of version 2 names them, `cpuacct.usage` of version 1 is a number of nanoseconds.
fn cpu_us(text: &str) -> Option<u64> {
    match text.lines().find_map(|line| line.strip_prefix("usage_usec ")) {
        Some(usage) => usage.trim().parse().ok(),
        None => text.trim().parse::<u64>().ok().map(|nanos| nanos / 1000),
    }
}

fn text<T>(file: &File, read: impl FnOnce(&str) -> T) -> io::Result<T> {
    let mut buffer = [0; FILE];
    let length = file.read_at(&mut buffer, 0)?;
    Ok(read(std::str::from_utf8(&buffer[..length]).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_from_either_version() {
        assert_eq!(cpu_us("1234567\n"), Some(1234));
        assert_eq!(cpu_us("usage_usec 77\nuser_usec 70\nsystem_usec 7\n"), Some(77));
        assert_eq!(cpu_us("something else"), None);
    }
}
