//! Finds where control groups can be made.
//!
//! Version 1 mounts each controller somewhere of its own, version 2 has one tree, and hybrid machines have both. A
//! limit is enforced by whichever tree holds its controller and lets us write.

use super::group::{Controller, Group};
use crate::features::Enforcement;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How often a tree is made that others remove.
const CLAIMS: usize = 1_000;

/// One directory below which sandboxes get their groups, and what it controls.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// The directory of this installation: `.../mayfly-<installation>`.
    pub(super) dir: PathBuf,
    pub(super) version: u8,
    pub(super) controllers: Vec<Controller>,
}

/// The trees in use on this machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Trees(pub(super) Vec<Tree>);

impl Trees {
    /// Finds and prepares the trees: below the launcher's own group where that can be written, else below the root
    /// of the hierarchy. What cannot be written is left out. A group in each whose name begins with `mine` keeps it from
    /// being removed by an earlier run that ends just now.
    pub(super) fn find(installation: &str, mine: &str) -> Trees {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let name = format!("mayfly-{installation}");
        let mut trees: Vec<Tree> = Vec::new();
        for hierarchy in hierarchies(&mounts, &own) {
            let mut controllers = hierarchy.controllers;
            controllers.retain(|c| !trees.iter().any(|tree| tree.controllers.contains(c)));
            for parent in hierarchy.parents {
                let mut usable = controllers.clone();
                if hierarchy.version == 2 {
                    usable = delegate(&parent, &name, &controllers);
                }
                let dir = parent.join(&name);
                if usable.is_empty() || !claim(&dir, mine) {
                    continue;
                }
                if hierarchy.version == 2 {
                    usable = delegate(&dir, &name, &usable);
                }
                ready(&dir);
                trees.push(Tree { dir, version: hierarchy.version, controllers: usable });
                break;
            }
        }
        Trees(trees)
    }

    /// How a controller's limit is enforced.
    pub(super) fn enforcement(&self, controller: Controller) -> Enforcement {
        match self.0.iter().find(|tree| tree.controllers.contains(&controller)) {
            Some(tree) if tree.version == 2 => Enforcement::CgroupV2,
            Some(_) => Enforcement::CgroupV1,
            None => Enforcement::Nothing,
        }
    }

    /// The groups of the sandbox called `name`.
    pub(super) fn group(&self, name: &str) -> Group {
        Group::of(self.0.iter().map(|tree| Tree { dir: tree.dir.join(name), ..tree.clone() }).collect())
    }
}

/// Makes a directory that stays as long as there is a group of this run in it.
fn claim(dir: &Path, mine: &str) -> bool {
    (0..CLAIMS).any(|_| make(dir) && make(&dir.join(format!("{mine}held"))))
}

fn make(dir: &Path) -> bool {
    match fs::create_dir(dir) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::AlreadyExists,
    }
}

/// Gives all sandboxes together the weight of one busy process per processor: a group weighs as much as a single
/// process unless it is told otherwise. Switches the counting of network buffers on, which version 1 does at the first
/// limit anywhere, and takes its time then. Fails quietly where the tree does not control these.
fn ready(dir: &Path) {
    let buffers = dir.join("memory.kmem.tcp.limit_in_bytes");
    if buffers.exists() {
        let _ = fs::write(buffers, "-1");
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    for (file, one) in [("cpu.shares", 1_024), ("cpu.weight", 100)] {
        if dir.join(file).exists() {
            let _ = fs::write(dir.join(file), (one * processors).min(10_000).to_string());
        }
    }
}

/// A mounted hierarchy and the directories in it to try, best first.
#[derive(Debug, PartialEq)]
struct Hierarchy {
    version: u8,
    controllers: Vec<Controller>,
    parents: Vec<PathBuf>,
}

/// Reads the hierarchies off `/proc/self/mountinfo` and the own place in each off `/proc/self/cgroup`.
fn hierarchies(mounts: &str, own: &str) -> Vec<Hierarchy> {
    let mut found = Vec::new();
    for line in mounts.lines() {
        // "32 31 0:29 ROOT MOUNTPOINT OPTIONS ... - TYPE SOURCE SUPER_OPTIONS"
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        let (&[_, _, _, root, point, ..], &[kind, _, options]) = (&left[..], &right[..]) else { continue };
        let point = PathBuf::from(point.replace("\\040", " "));
        let listed = |name: &str| options.split(',').any(|option| option == name);
        let (version, controllers) = match kind {
            "cgroup" => (1, Controller::ALL.into_iter().filter(|c| listed(c.name())).collect::<Vec<_>>()),
            // Version 2 always accounts for processor time; the others are listed in a file.
            "cgroup2" => (2, Controller::ALL.to_vec()),
            _ => continue,
        };
        if controllers.is_empty() || found.iter().any(|h: &Hierarchy| h.controllers == controllers) {
            continue;
        }
        let place = own.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (names, path) = (fields.next()?, fields.next()?);
            let ours = if version == 2 {
                names.is_empty()
            } else {
                names.split(',').any(|name| name == controllers[0].name())
            };
            ours.then_some(path)
        });
        // Inside a container, the mount may show only a part of the hierarchy: that part's path is taken off.
        let place = place.and_then(|path| Path::new(path).strip_prefix(root).ok());
        let mut parents: Vec<PathBuf> = place.map(|place| point.join(place)).into_iter().collect();
        if !parents.contains(&point) {
            parents.push(point);
        }
        found.push(Hierarchy { version, controllers, parents });
    }
    found
}

/// Hands the controllers of a version 2 group down to its children; those that its children then have.
fn delegate(dir: &Path, name: &str, wanted: &[Controller]) -> Vec<Controller> {
    let subtree = dir.join("cgroup.subtree_control");
    let listed = |file: &Path| fs::read_to_string(file).unwrap_or_default();
    let offered = listed(&dir.join("cgroup.controllers"));
    let has = |list: &str, c: Controller| list.split_whitespace().any(|n| n == c.name());
    let missing = |c: &&Controller| has(&offered, **c) && !has(&listed(&subtree), **c);
    if wanted.iter().any(|c| missing(&c)) {
        // A group that has members cannot hand controllers down. If they are only the server and the launcher, as in a
        // service of their own, these move one level down first.
        for attempt in 0..2 {
            let all =
                wanted.iter().filter(missing).try_for_each(|c| fs::write(&subtree, format!("+{}", c.name())));
            if all.is_ok() || attempt == 1 {
                break;
            }
            let leaf = dir.join(format!("{name}-server"));
            if make(&leaf) {
                for member in [std::process::id(), std::os::unix::process::parent_id()] {
                    let _ = fs::write(leaf.join("cgroup.procs"), member.to_string());
                }
            }
        }
    }
    let given = listed(&subtree);
    let accounts = given.split_whitespace().any(|n| n == "cpu");
    wanted.iter().copied().filter(|c| has(&given, *c) || (*c == Controller::Cpuacct && accounts)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn version_1_controllers_are_found_at_their_own_mounts() {
        let found = hierarchies(V1, "4:memory:/user/me\n2:cpu,cpuacct:/\n0::/\n");
        assert_eq!(found[0].controllers, [Controller::Memory]);
        let memory = Path::new("/sys/fs/cgroup/memory");
        assert_eq!(found[0].parents, [memory.join("user/me"), memory.to_path_buf()]);
        assert_eq!(found[1].controllers, [Controller::Cpu, Controller::Cpuacct]);
        assert_eq!(found[2].version, 2);
    }

    #[test]
    fn a_tree_is_held_though_an_earlier_run_removes_it() {
        let place = tempfile::TempDir::new().unwrap();
        let dir = place.path().join("tree");
        let (begun, held) = (std::sync::Barrier::new(2), dir.join("2-held"));
        let claimed = std::thread::scope(|scope| {
            scope.spawn(|| {
                begun.wait();
                for _ in 0..2_000 {
                    let _ = fs::remove_dir(&dir);
                    std::thread::yield_now();
                }
            });
            begun.wait();
            let mut claimed = Vec::new();
            for _ in 0..50 {
                claimed.push(claim(&dir, "2-") && held.exists());
                let _ = fs::remove_dir(&held);
            }
            claimed
        });
        assert!(claimed.iter().all(|held| *held), "{claimed:?}");
    }

    #[test]
    fn a_container_that_sees_a_part_of_the_tree_is_placed_in_it() {
        let mounts = "29 24 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        let found = hierarchies(mounts, "0::/docker/abc/inner\n");
        assert_eq!(found[0].parents[0], Path::new("/sys/fs/cgroup/inner"));
    }
}
