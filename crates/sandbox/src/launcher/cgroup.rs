//! Control groups: found where they are mounted, made for each sandbox, read at its end.
//!
//! Version 1 mounts each controller somewhere of its own, version 2 has one tree, and hybrid machines have both. A
//! limit is enforced by whichever tree holds its controller and lets us write.

use crate::control::Usage;
use crate::features::Enforcement;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What we ask of control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Controller {
    Memory,
    Pids,
    Cpu,
    Cpuacct,
}

impl Controller {
    const ALL: [Controller; 4] = [Controller::Memory, Controller::Pids, Controller::Cpu, Controller::Cpuacct];

    fn name(self) -> &'static str {
        match self {
            Controller::Memory => "memory",
            Controller::Pids => "pids",
            Controller::Cpu => "cpu",
            Controller::Cpuacct => "cpuacct",
        }
    }
}

/// One directory below which sandboxes get their groups, and what it controls.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// The directory of this installation: `.../mayfly-<installation>`.
    pub(super) dir: PathBuf,
    version: u8,
    controllers: Vec<Controller>,
}

/// The trees in use on this machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Trees(pub(super) Vec<Tree>);

impl Trees {
    /// Finds and prepares the trees: below the launcher's own group where that can be written, else below the root
    /// of the hierarchy. What cannot be written is left out.
    pub(super) fn find(installation: &str) -> Trees {
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
                if usable.is_empty() || !make(&dir) {
                    continue;
                }
                if hierarchy.version == 2 {
                    usable = delegate(&dir, &name, &usable);
                }
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
        Group { parts: self.0.iter().map(|t| Tree { dir: t.dir.join(name), ..t.clone() }).collect() }
    }
}

fn make(dir: &Path) -> bool {
    match fs::create_dir(dir) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::AlreadyExists,
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

/// The groups of one sandbox, one in each tree.
#[derive(Clone, Debug)]
pub(super) struct Group {
    parts: Vec<Tree>,
}

impl Group {
    fn part(&self, controller: Controller) -> Option<&Tree> {
        self.parts.iter().find(|part| part.controllers.contains(&controller))
    }

    /// Makes the directories and moves the calling process in. Moving waits for a grace period of the kernel, 5 to
    /// 12 ms as a rule, so that it is done ahead of the event.
    pub(super) fn enter(&self) -> io::Result<()> {
        for part in &self.parts {
            fs::create_dir(&part.dir)?;
            fs::write(part.dir.join("cgroup.procs"), "0")?;
        }
        Ok(())
    }

    /// Sets the limits of a job with `memory` bytes; `cap` also caps its processor time.
    pub(super) fn limit(&self, memory: u64, cap: bool) -> io::Result<()> {
        if let Some(Tree { dir, version, .. }) = self.part(Controller::Memory) {
            if *version == 2 {
                fs::write(dir.join("memory.max"), memory.to_string())?;
                fs::write(dir.join("memory.oom.group"), "1")?;
                let _ = fs::write(dir.join("memory.swap.max"), "0"); // absent without swap accounting
            } else {
                fs::write(dir.join("memory.limit_in_bytes"), memory.to_string())?;
                let _ = fs::write(dir.join("memory.memsw.limit_in_bytes"), memory.to_string()); // likewise
            }
        }
        if let Some(Tree { dir, .. }) = self.part(Controller::Pids) {
            // Pid 1, which is ours, comes on top.
            fs::write(dir.join("pids.max"), (model::limits::PROCESSES + 1).to_string())?;
        }
        if let Some(Tree { dir, version, .. }) = self.part(Controller::Cpu) {
            let share = super::limits::CpuShare::of(memory);
            if *version == 2 {
                fs::write(dir.join("cpu.weight"), share.weight().to_string())?;
                if cap {
                    fs::write(dir.join("cpu.max"), format!("{} {}", share.quota_us(), share.period_us()))?;
                }
            } else {
                fs::write(dir.join("cpu.shares"), share.shares().to_string())?;
                if cap {
                    fs::write(dir.join("cpu.cfs_period_us"), share.period_us().to_string())?;
                    fs::write(dir.join("cpu.cfs_quota_us"), share.quota_us().to_string())?;
                }
            }
        }
        Ok(())
    }

    /// The directory of the version 1 memory group, whose overruns must be watched: version 1 kills one process
    /// only.
    pub(super) fn memory_v1(&self) -> Option<&Path> {
        self.part(Controller::Memory).filter(|part| part.version == 1).map(|part| part.dir.as_path())
    }

    /// Whether version 2 is in use.
    pub(super) fn version_2(&self) -> bool {
        self.parts.iter().any(|part| part.version == 2)
    }

    /// Whether [`Group::usage`] is complete.
    pub(super) fn meters(&self) -> bool {
        self.part(Controller::Memory).is_some() && self.part(Controller::Cpuacct).is_some()
    }

    /// What the tree of processes has used so far; zero where there is no controller.
    pub(super) fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        if let Some(Tree { dir, version, .. }) = self.part(Controller::Memory) {
            let (peak, events) = if *version == 2 {
                ("memory.peak", "memory.events")
            } else {
                ("memory.max_usage_in_bytes", "memory.oom_control")
            };
            usage.peak_memory = number(&dir.join(peak));
            usage.out_of_memory = field(&dir.join(events), "oom_kill") > 0;
        }
        if let Some(Tree { dir, version, .. }) = self.part(Controller::Cpuacct) {
            usage.cpu_us = if *version == 2 {
                field(&dir.join("cpu.stat"), "usage_usec")
            } else {
                number(&dir.join("cpuacct.usage")) / 1000
            };
        }
        usage
    }
}

fn number(file: &Path) -> u64 {
    fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

fn field(file: &Path, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok()).unwrap_or(0)
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
    fn a_container_that_sees_a_part_of_the_tree_is_placed_in_it() {
        let mounts = "29 24 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        let found = hierarchies(mounts, "0::/docker/abc/inner\n");
        assert_eq!(found[0].parents[0], Path::new("/sys/fs/cgroup/inner"));
    }
}
