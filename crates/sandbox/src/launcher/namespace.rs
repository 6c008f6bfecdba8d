//! The launcher's own place: a private view of the mounts, and the host uids it may hand out.

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Pid, getgid, getuid, setgroups};
use std::fs;
use std::io;

/// The function's uid and gid inside a sandbox, as in Lambda.
pub(super) const INSIDE: u32 = 993;

/// How many sandboxes may exist at one time; each has a uid of its own.
pub(super) const SLOTS: u32 = 4_096;

/// The first host uid for sandboxes where the whole range is ours: far above what people and packages use.
const FIRST: u32 = 0x7000_0000;

/// Which host uids the sandboxes get.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    /// The first of [`SLOTS`] uids; none without root.
    first: Option<u32>,
}

impl Identity {
    /// Gives the launcher a mount namespace of its own, with root or without: without, in a user namespace in which
    /// it is root. From here on both ways are the same, but for the uids.
    pub(super) fn take() -> io::Result<Identity> {
        let (uid, gid) = (getuid(), getgid());
        let identity = match unshare(CloneFlags::CLONE_NEWNS) {
            Ok(()) => {
                // A container that has one uid only has no groups to drop either, and is as good as no root.
                let first = first_uid(&fs::read_to_string("/proc/self/uid_map")?);
                if first.is_some() {
                    setgroups(&[])?;
                }
                Identity { first }
            }
            Err(Errno::EPERM) => {
                unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
                fs::write("/proc/self/setgroups", "deny")?;
                fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
                fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
                Identity { first: None }
            }
            Err(error) => return Err(error.into()),
        };
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        Ok(identity)
    }

    /// Whether each sandbox has a host uid of its own.
    pub(super) fn own_uid(self) -> bool {
        self.first.is_some()
    }

    /// Maps the function's uid and gid inside the new process `pid` to those of `slot` outside.
    pub(super) fn map(self, pid: Pid, slot: u32) -> io::Result<()> {
        // Without root there is one uid to map to: the launcher's own, which is 0 in its user namespace.
        let outside = self.first.map_or(0, |first| first + slot);
        let line = format!("{INSIDE} {outside} 1");
        if self.first.is_none() {
            fs::write(format!("/proc/{pid}/setgroups"), "deny")?;
        }
        fs::write(format!("/proc/{pid}/uid_map"), &line)?;
        fs::write(format!("/proc/{pid}/gid_map"), &line)
    }
}

/// The first of [`SLOTS`] uids for sandboxes, given this namespace's `/proc/self/uid_map`: in a container that has a
/// small range, the top of that range.
fn first_uid(map: &str) -> Option<u32> {
    let ranges = map.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().map(|field| field.parse::<u64>().ok());
        let (inside, _, count) = (fields.next()??, fields.next()??, fields.next()??);
        Some((inside, inside + count))
    });
    let (start, end) = ranges.max_by_key(|(_, end)| *end)?;
    if end >= u64::from(FIRST + SLOTS) {
        return Some(FIRST);
    }
    // Leave room below for the ordinary users of that container.
    let first = end.checked_sub(u64::from(SLOTS))?;
    (first >= start + 1_000).then(|| u32::try_from(first).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_come_from_the_top_of_a_small_range() {
        assert_eq!(first_uid("         0          0 4294967295\n"), Some(FIRST));
        assert_eq!(first_uid("0 100000 65536\n"), Some(65_536 - SLOTS));
        assert_eq!(first_uid("0 1000 1\n"), None);
    }
}
