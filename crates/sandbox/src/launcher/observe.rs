//! What a sandbox has used, read off its processes one by one: the second best where there is no control group.
//!
//! Processes that come and go between two looks are missed, but for the processor time of those that were waited for.

use crate::control::Usage;
use nix::unistd::{Pid, SysconfVar, sysconf};
use std::fs;

/// The most processes that are looked at, for a hostile function may have many.
const MOST: usize = 1_100;

/// Sums up the processes below `pid1` that run now.
pub(super) fn tree(pid1: Pid) -> Usage {
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|ticks| u64::try_from(ticks).ok());
    let tick_us = 1_000_000 / per_second.unwrap_or(100).max(1);
    let mut usage = Usage::default();
    let mut found = vec![pid1.as_raw()];
    let mut next = 0;
    while next < found.len() && found.len() < MOST {
        let pid = found[next];
        next += 1;
        usage.peak_memory += peak_memory(pid);
        usage.cpu_us += ticks(pid) * tick_us;
        for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|child| child.parse::<i32>().ok()));
        }
    }
    usage
}

/// The most memory that a process held at one time, in bytes.
fn peak_memory(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next());
    kilobytes.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Processor time of a process and the children that it waited for.
fn ticks(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // After the name, which may contain anything: state is the first field, times are the 12th to the 15th.
    let fields = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    fields.split(' ').skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum()
}
