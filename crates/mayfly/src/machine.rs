//! What this machine has: memory, processors, and who runs the program.

use model::limits;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// The machine's memory in MB, or that of a control group around the program, whichever is less.
pub(crate) fn memory_mb() -> u64 {
    let total = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_of_meminfo(&text));
    let group = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok())
        .map(|bytes| bytes >> 20)
        .min();
    // A machine that does not say is taken for a small one.
    total.into_iter().chain(group).min().unwrap_or(1024)
}

fn total_of_meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib / 1024)
}

/// How many connections of clients this process has room for: a quarter of the files that it may open is left for
/// all else.
pub(crate) fn connections() -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    files.and_then(|files| usize::try_from(files / 4 * 3).ok()).unwrap_or(usize::MAX).min(limits::CONNECTIONS)
}

/// How long processors were idle and how long there were any, since the machine was started.
pub(crate) fn ticks() -> Option<scheduler::Ticks> {
    ticks_of_stat(&std::fs::read_to_string("/proc/stat").ok()?)
}

fn ticks_of_stat(text: &str) -> Option<scheduler::Ticks> {
    // user nice system idle iowait irq softirq steal; what follows is part of these.
    let times = text.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8);
    let times: Vec<u64> = times.map(str::parse).collect::<Result<_, _>>().ok()?;
    let idle = times.get(3)? + times.get(4)?;
    Some(scheduler::Ticks { idle, all: times.iter().sum() })
}

/// What a process has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Usage {
    /// Its processor time.
    #[serde(rename = "cpuMicros", with = "micros")]
    pub(crate) cpu: Duration,
    /// Its memory, in bytes.
    #[serde(rename = "memoryBytes")]
    pub(crate) memory: u64,
}

mod micros {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub(super) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_micros)
    }
}

/// What the process `pid` has used, by the scheduler's account of its threads: in nanoseconds, where `stat` counts
/// hundredths of a second.
pub(crate) fn usage(pid: u32) -> Option<Usage> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    let mut cpu = Duration::ZERO;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let path = thread.ok()?.path().join("schedstat");
        // A thread may end meanwhile.
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let ran = text.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
        cpu += Duration::from_nanos(ran.unwrap_or(0));
    }
    Some(Usage { cpu, memory: pages * 4096 })
}

/// What the server has used: this process and those that it started itself, among them the one that creates sandboxes;
/// not what runs in sandboxes.
pub(crate) fn usage_of_server() -> Usage {
    let me = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/{me}/task/{me}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    std::iter::once(me)
        .chain(children)
        .filter_map(usage)
        .fold(Usage::default(), |sum, one| Usage { cpu: sum.cpu + one.cpu, memory: sum.memory + one.memory })
}

/// How many processors the program may use.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Whether the program runs as root.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    // The directory belongs to the user that the process runs as.
    std::fs::metadata(Path::new("/proc/self")).is_ok_and(|metadata| metadata.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_from_meminfo() {
        assert_eq!(total_of_meminfo("MemFree: 1 kB\nMemTotal:       2048000 kB\n"), Some(2000));
        let ticks = ticks_of_stat("cpu  10 1 2 100 5 0 1 1 7 0\ncpu0 1 1\n").unwrap();
        assert_eq!((ticks.idle, ticks.all), (105, 120));
        assert!(usage_of_server().memory > 0);
        assert!(memory_mb() > 0 && processors() > 0);
    }
}
