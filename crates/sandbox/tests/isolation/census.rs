//! What exists of a node's sandboxes.

use crate::fixture::{Node, descendants};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Objects of the kernel that an event brings with it, as the kernel's own allocator lists them: one of each kind of
/// namespace (that of IPC by its queues' file system), mounts, memory groups, sockets, open files.
const KERNEL: [&str; 9] = [
    "filp",
    "mem_cgroup",
    "mnt_cache",
    "mqueue_inode_cache",
    "net_namespace",
    "pid_namespace",
    "sock_inode_cache",
    "user_namespace",
    "uts_namespace",
];

/// Counts of what exists. Two are equal if what is the node's alone is.
#[derive(Debug)]
pub(crate) struct Census {
    /// What is the node's alone.
    counted: BTreeMap<&'static str, usize>,
    /// Descriptors of this process: other tests may have some.
    pub(crate) own_descriptors: usize,
    /// What the kernel has of each kind for the whole machine.
    pub(crate) kernel: BTreeMap<&'static str, usize>,
}

impl Census {
    fn take(node: &Node) -> Census {
        let processes = descendants(node.launcher);
        let namespaces: BTreeSet<PathBuf> = processes
            .iter()
            .flat_map(|pid| entries(format!("/proc/{pid}/ns")))
            .filter_map(|link| fs::read_link(link).ok())
            .collect();
        let parents: BTreeSet<PathBuf> =
            node.groups().iter().filter_map(|group| group.parent().map(Into::into)).collect();
        let groups = parents.iter().flat_map(entries).filter(|path| path.is_dir()).count();
        let lines = |path: String| fs::read_to_string(path).unwrap_or_default().lines().count();
        let launcher = node.launcher;
        let counted = [
            ("processes", processes.len()),
            ("namespaces", namespaces.len()),
            ("control groups", groups),
            ("mounts of the launcher", lines(format!("/proc/{launcher}/mountinfo"))),
            ("mounts of the server", lines("/proc/self/mountinfo".to_owned())),
            ("descriptors of the launcher", entries(format!("/proc/{launcher}/fd")).len()),
            ("files", files(&node.data.path().join("run"))),
        ];
        let own_descriptors = entries("/proc/self/fd").len();
        Census { counted: counted.into(), own_descriptors, kernel: kernel() }
    }

    /// The census when two in a row, some time apart, are the same.
    pub(crate) async fn settled(node: &Node) -> Census {
        let mut last = Census::take(node);
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let now = Census::take(node);
            if now == last {
                break;
            }
            last = now;
        }
        last
    }

    /// The census when it is like this one, or after some seconds whatever it is: the janitor has work to do yet.
    pub(crate) async fn awaited(&self, node: &Node) -> Census {
        let mut now = Census::take(node);
        for _ in 0..150 {
            if now == *self {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            now = Census::take(node);
        }
        now
    }
}

impl PartialEq for Census {
    fn eq(&self, other: &Census) -> bool {
        self.counted == other.counted
    }
}

fn entries(directory: impl AsRef<Path>) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Files and directories below a directory.
fn files(directory: &Path) -> usize {
    let below = |path: &PathBuf| 1 + if path.is_dir() && !path.is_symlink() { files(path) } else { 0 };
    entries(directory).iter().map(below).sum()
}

/// What the machine's kernel has of each kind; nothing where only root may know.
fn kernel() -> BTreeMap<&'static str, usize> {
    let table = fs::read_to_string("/proc/slabinfo").unwrap_or_default();
    let count = |kind: &str| {
        let line = table.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(' '))?;
        line.split_whitespace().next()?.parse().ok()
    };
    KERNEL.into_iter().filter_map(|kind| Some((kind, count(kind)?))).collect()
}
