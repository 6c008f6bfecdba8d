//! What the doctor reads off the machine itself.

use super::finding::Finding;
use crate::machine;
use model::{Clock, SystemClock, Timestamp};
use std::fs;
use std::path::Path;

/// The oldest kernel that has everything that each sandbox needs.
const KERNEL: (u32, u32) = (5, 8);

/// The least room on disk that is not worth a remark, in MB.
const ROOM_MB: u64 = 1_024;

/// A point in time that has passed: a clock that shows an earlier one is wrong.
const PASSED: Timestamp = Timestamp(1_767_225_600_000);

/// File systems on which a database is not safe, or not for long.
const UNSUITED: [(&str, &str); 8] = [
    ("nfs", "is remote, and its locks cannot be relied upon"),
    ("nfs4", "is remote, and its locks cannot be relied upon"),
    ("cifs", "is remote, and its locks cannot be relied upon"),
    ("9p", "is remote, and its locks cannot be relied upon"),
    ("fuse", "may not keep what it acknowledges"),
    ("overlay", "belongs to a container and goes with it"),
    ("tmpfs", "is memory and does not outlast a restart"),
    ("ramfs", "is memory and does not outlast a restart"),
];

/// Everything that needs no sandbox.
pub(super) fn look(data_dir: &Path) -> Vec<Finding> {
    vec![kernel(), user(), cgroups(), data_directory(data_dir), memory(), processors(), clock()]
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn kernel() -> Finding {
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < KERNEL {
        let what_to_do = format!("install Linux {}.{} or later", KERNEL.0, KERNEL.1);
        return Finding::missing("kernel", format!("Linux {release} is too old"), what_to_do);
    }
    Finding::used("kernel", format!("Linux {release}"))
}

fn user() -> Finding {
    if machine::is_root() {
        return Finding::used("root", "each event has a host uid of its own");
    }
    let what_to_do = "run as root for tenants who do not trust one another: sudo mayfly serve";
    Finding::missing("root", "all events share your own uid, kept apart by namespaces", what_to_do)
}

fn cgroups() -> Finding {
    let mounts = read("/proc/self/mountinfo").unwrap_or_default();
    let has = |kind: &str| mounts.lines().any(|line| line.contains(&format!(" - {kind} ")));
    match (has("cgroup"), has("cgroup2")) {
        (true, true) => Finding::used("control groups", "version 1 and 2 (hybrid)"),
        (true, false) => Finding::used("control groups", "version 1"),
        (false, true) => Finding::used("control groups", "version 2"),
        (false, false) => {
            let what_to_do =
                "mount -t cgroup2 none /sys/fs/cgroup; in a container: --cgroupns=host with /sys/fs/cgroup";
            Finding::missing("control groups", "not mounted", what_to_do)
        }
    }
}

/// What a sandbox's namespaces need, when they cannot be made.
pub(super) fn namespace_advice() -> String {
    let is = |path: &str, value: &str| read(path).as_deref() == Some(value);
    let root = machine::is_root();
    if is("/proc/sys/user/max_user_namespaces", "0") {
        "sysctl -w user.max_user_namespaces=15000".to_owned()
    } else if !root && is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "sysctl -w kernel.unprivileged_userns_clone=1, or run as root".to_owned()
    } else if !root && is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or run as root".to_owned()
    } else if root {
        "in a container: docker run --privileged, or podman run --privileged; on a host, see the reason"
            .to_owned()
    } else {
        "run as root; in a container: docker run --privileged".to_owned()
    }
}

fn data_directory(dir: &Path) -> Finding {
    // What is not there yet will lie where its nearest existing parent lies.
    let Some(existing) = dir.ancestors().find(|path| path.exists()) else {
        return Finding::missing("data directory", format!("{} cannot be", dir.display()), "name another");
    };
    let mounts = read("/proc/self/mountinfo").unwrap_or_default();
    let real = fs::canonicalize(existing).unwrap_or_else(|_| existing.to_path_buf());
    let kind = file_system(&mounts, &real).unwrap_or_else(|| "unknown".to_owned());
    let room =
        rustix::fs::statvfs(&real).map(|vfs| vfs.f_bavail.saturating_mul(vfs.f_frsize) >> 20).unwrap_or(0);
    let made = if existing == dir { "" } else { " (not made yet)" };
    let detail = format!("{}{made}: {kind}, {} free", dir.display(), size(room));
    let unsuited = UNSUITED.iter().find(|(name, _)| kind == *name || kind.starts_with(&format!("{name}.")));
    // A file without a name is gone as soon as it is closed.
    if tempfile::tempfile_in(&real).is_err() {
        let what_to_do = "name a directory of your own with --data-dir, or change its owner";
        return Finding::missing("data directory", format!("{detail}; not writable"), what_to_do)
            .and_unsafe();
    }
    if let Some((_, why)) = unsuited {
        return Finding::present("data directory", detail, format!("{kind} {why}: use a local disk"));
    }
    if room < ROOM_MB {
        return Finding::present("data directory", detail, "make room: a full disk refuses every write");
    }
    Finding::used("data directory", detail)
}

fn size(mb: u64) -> String {
    if mb < 10 * 1_024 { format!("{mb} MB") } else { format!("{} GB", mb / 1_024) }
}

/// The type of the file system that `path` lies on: that of the mount with the longest path above it, the last one if
/// there are several.
fn file_system(mounts: &str, path: &Path) -> Option<String> {
    let mount = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let point = left.split(' ').nth(4)?.replace("\\040", " ");
        let kind = right.split(' ').next()?.to_owned();
        path.starts_with(&point).then_some((point.len(), kind))
    };
    mounts.lines().filter_map(mount).max_by_key(|(length, _)| *length).map(|(_, kind)| kind)
}

fn memory() -> Finding {
    let mb = machine::memory_mb();
    let detail = format!("{mb} MB, of which functions may use {} MB together", mb / 5 * 4);
    if mb < 1_024 {
        return Finding::present("memory", detail, "functions with large memory sizes will run one by one");
    }
    Finding::used("memory", detail)
}

fn processors() -> Finding {
    Finding::used("processors", machine::processors().to_string())
}

fn clock() -> Finding {
    let now = SystemClock.now();
    let source = read("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    let source = source.unwrap_or_else(|| "unknown".to_owned());
    let synchronised = Path::new("/run/systemd/timesync/synchronized").exists();
    let how = if synchronised { ", synchronised" } else { "" };
    let detail = format!("{}, source {source}{how}", now.iso_z());
    if now < PASSED {
        let what_to_do =
            "set it: apt install systemd-timesyncd, or dnf install chrony; presigned URLs depend on it";
        return Finding::missing("clock", format!("{detail}: it is wrong"), what_to_do);
    }
    Finding::used("clock", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_lies_on_the_file_system_with_the_longest_mount_above_it() {
        let mounts = "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                      22 21 0:30 / /var/lib rw shared:1 - xfs /dev/sdb rw\n\
                      23 21 0:31 / /var/lib rw - btrfs /dev/sdc rw\n\
                      24 21 0:32 / /with\\040space rw - tmpfs none rw\n";
        for (path, kind) in [
            ("/home", "ext4"),
            ("/var/lib/mayfly", "btrfs"),
            ("/var/library", "ext4"),
            ("/with space/x", "tmpfs"),
        ] {
            assert_eq!(file_system(mounts, Path::new(path)).as_deref(), Some(kind), "{path}");
        }
    }

    #[test]
    fn this_machine_is_described() {
        let dir = tempfile::tempdir().unwrap();
        let findings = look(&dir.path().join("not/there/yet"));
        assert_eq!(findings.len(), 7);
        assert!(findings.iter().all(|finding| !finding.detail.is_empty()), "{findings:?}");
        assert!(findings.iter().all(|finding| !finding.unsafe_without), "{findings:?}");
    }
}
