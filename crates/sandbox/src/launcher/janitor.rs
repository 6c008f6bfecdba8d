//! Removes the control groups of sandboxes that are over, in a process of its own.
//!
//! Removing a group can wait for a kernel lock that is held while another process is moved into its group, and the
//! launcher must not wait. The janitor also outlives the launcher: when that is gone, it removes whatever is left.

use super::cgroup::Trees;
use crate::sys::process;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, pipe2, read};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the janitor tries to remove what is left after the launcher's end.
const LAST_TRIES: Duration = Duration::from_secs(10);

/// The launcher's side: takes the names of groups to remove.
#[derive(Debug)]
pub(super) struct Janitor {
    names: OwnedFd,
}

impl Janitor {
    /// Removes the groups of earlier runs, then starts the janitor. Groups whose names begin with `mine` are this
    /// run's.
    pub(super) fn hire(trees: &Trees, mine: &str) -> io::Result<Janitor> {
        sweep(trees, |name| !name.starts_with(mine));
        let (orders, names) = pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let (trees, mine) = (trees.clone(), mine.to_owned());
        process::fork(|| {
            let _ = process::close_all_except(&[orders.as_raw_fd(), 2]);
            work(&trees, &mine, &orders);
        })?;
        Ok(Janitor { names })
    }

    /// Has the groups called `name` removed. They are empty, or about to be.
    pub(super) fn remove(&self, name: &str) {
        // If the janitor is gone the groups stay until the next start, which removes them.
        let _ = nix::unistd::write(&self.names, format!("{name}\n").as_bytes());
    }
}

/// The janitor's whole life.
fn work(trees: &Trees, mine: &str, orders: &OwnedFd) {
    let mut partial = Vec::new();
    let mut waiting: Vec<String> = Vec::new();
    loop {
        let patience = if waiting.is_empty() { PollTimeout::NONE } else { PollTimeout::from(5u8) };
        let mut polled = [PollFd::new(orders.as_fd(), PollFlags::POLLIN)];
        if poll(&mut polled, patience).unwrap_or(0) > 0 {
            let mut buffer = [0; 4096];
            match read(orders, &mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(length) => partial.extend_from_slice(&buffer[..length]),
            }
            while let Some(end) = partial.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = partial.drain(..=end).collect();
                waiting.push(String::from_utf8_lossy(&line[..end]).into_owned());
            }
        }
        waiting.retain(|name| !trees.0.iter().all(|tree| gone(&tree.dir.join(name))));
    }
    sweep(trees, |name| name.starts_with(mine));
    for tree in &trees.0 {
        let _ = fs::remove_dir(&tree.dir); // stays if another run of this installation has begun
    }
}

fn gone(dir: &Path) -> bool {
    fs::remove_dir(dir).is_ok() || !dir.exists()
}

/// Kills what is in the groups that are `ours`, and removes them.
fn sweep(trees: &Trees, ours: impl Fn(&str) -> bool) {
    let deadline = Instant::now() + LAST_TRIES;
    loop {
        let mut left = false;
        for tree in &trees.0 {
            for entry in fs::read_dir(&tree.dir).into_iter().flatten().flatten() {
                let dir = entry.path();
                if !ours(&entry.file_name().to_string_lossy()) || !dir.is_dir() || gone(&dir) {
                    continue;
                }
                left = true;
                let members = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
                for pid in members.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0) {
                    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                }
            }
        }
        if !left || Instant::now() > deadline {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
