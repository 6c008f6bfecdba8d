//! The control groups of one sandbox: made, limited, read at its end.

use super::cgroup::Tree;
use super::dials::{Dial, Dials};
use super::limits::CpuShare;
use crate::control::Usage;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// What we ask of control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Controller {
    Memory,
    Pids,
    Cpu,
    Cpuacct,
}

impl Controller {
    pub(super) const ALL: [Controller; 4] =
        [Controller::Memory, Controller::Pids, Controller::Cpu, Controller::Cpuacct];

    pub(super) fn name(self) -> &'static str {
        match self {
            Controller::Memory => "memory",
            Controller::Pids => "pids",
            Controller::Cpu => "cpu",
            Controller::Cpuacct => "cpuacct",
        }
    }
}

/// The groups of one sandbox, one in each tree.
#[derive(Clone, Debug)]
pub(super) struct Group {
    parts: Vec<Tree>,
    since: Since,
}

/// Where the counts of version 2, which only grow, stood when the present job began.
#[derive(Clone, Debug, Default)]
struct Since {
    cpu_us: u64,
    oom_kills: u64,
    /// Tells the peak of memory since it was last written to; none before the first [`Group::reset`].
    peak: Option<Arc<File>>,
}

impl Group {
    /// The groups at these places; none of them is made yet.
    pub(super) fn of(parts: Vec<Tree>) -> Group {
        Group { parts, since: Since::default() }
    }

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

    /// Makes the directories; a process that writes `0` to each of the files that come back moves itself in.
    pub(super) fn entrances(&self) -> io::Result<Vec<OwnedFd>> {
        let mut entrances = Vec::new();
        for part in &self.parts {
            fs::create_dir(&part.dir)?;
            entrances.push(File::options().write(true).open(part.dir.join("cgroup.procs"))?.into());
        }
        Ok(entrances)
    }

    /// Has the kernel hold processes that are at the memory limit instead of killing one of its choice: the launcher,
    /// which is told, ends them. A seat, which is among them, shares its memory with the template and with all other
    /// seats; the kernel would kill every one of them for it. Version 1 only: with version 2, it passes over them
    /// ([`super::exempt`]).
    pub(super) fn hold_at_limit(&self) -> io::Result<()> {
        self.memory_v1().map_or(Ok(()), |dir| fs::write(dir.join("memory.oom_control"), "1"))
    }

    /// Lifts the limits of memory and of processes: none of these processes runs code of a function any more.
    pub(super) fn lift(&self) -> io::Result<()> {
        if let Some(Tree { dir, version, .. }) = self.part(Controller::Memory) {
            if *version == 2 {
                fs::write(dir.join("memory.max"), "max")?;
            } else {
                let _ = fs::write(dir.join("memory.memsw.limit_in_bytes"), "-1"); // absent without swap accounting
                fs::write(dir.join("memory.limit_in_bytes"), "-1")?;
            }
        }
        if let Some(Tree { dir, .. }) = self.part(Controller::Pids) {
            fs::write(dir.join("pids.max"), "max")?;
        }
        Ok(())
    }

    /// Begins to count anew. With version 2 and a kernel before Linux 6.12, the peak of memory goes on being that of all
    /// jobs so far.
    pub(super) fn reset(&mut self) -> io::Result<()> {
        let since = Since {
            cpu_us: self
                .part(Controller::Cpuacct)
                .filter(|part| part.version == 2)
                .map_or(0, |part| cpu_v2(&part.dir)),
            ..Since::default()
        };
        let since = match self.part(Controller::Memory) {
            Some(Tree { dir, version: 2, .. }) => {
                let peak = match &self.since.peak {
                    Some(peak) => Some(Arc::clone(peak)),
                    None => File::options()
                        .read(true)
                        .write(true)
                        .open(dir.join("memory.peak"))
                        .ok()
                        .map(Arc::new),
                };
                let peak = peak.filter(|peak| (&**peak).write_all(b"0").is_ok());
                Since { oom_kills: oom_kills_v2(dir), peak, ..since }
            }
            Some(Tree { dir, .. }) => {
                fs::write(dir.join("memory.max_usage_in_bytes"), "0")?;
                since
            }
            None => since,
        };
        self.since = since;
        match self.part(Controller::Cpuacct) {
            Some(Tree { dir, version: 1, .. }) => fs::write(dir.join("cpuacct.usage"), "0"),
            _ => Ok(()),
        }
    }

    /// The memory that is held now, in bytes.
    pub(super) fn held(&self) -> u64 {
        self.part(Controller::Memory).map_or(0, |Tree { dir, version, .. }| {
            number(&dir.join(if *version == 2 { "memory.current" } else { "memory.usage_in_bytes" }))
        })
    }

    /// Sets the limits of a job with `memory` bytes; `cap` also caps its processor time.
    pub(super) fn limit(&self, memory: u64, cap: bool) -> io::Result<()> {
        self.dials(cap)?.set(memory)
    }

    /// Sets the limits that are the same for every job, and opens what sets the others.
    pub(super) fn dials(&self, cap: bool) -> io::Result<Dials> {
        let mut dials = Dials::default();
        if let Some(Tree { dir, version, .. }) = self.part(Controller::Memory) {
            if *version == 2 {
                fs::write(dir.join("memory.oom.group"), "1")?;
                let _ = fs::write(dir.join("memory.swap.max"), "0"); // absent without swap accounting
                dials.open(dir.join("memory.max"), Dial::Memory)?;
            } else {
                dials.open(dir.join("memory.limit_in_bytes"), Dial::Memory)?;
                dials.open_if_there(dir.join("memory.memsw.limit_in_bytes"), Dial::Memory); // likewise
                // Version 1 counts buffers of network sockets apart, and not at all unless they have a limit.
                dials.open_if_there(dir.join("memory.kmem.tcp.limit_in_bytes"), Dial::Buffers);
            }
        }
        if let Some(Tree { dir, .. }) = self.part(Controller::Pids) {
            // Pid 1, which is ours, comes on top.
            fs::write(dir.join("pids.max"), (model::limits::PROCESSES + 1).to_string())?;
        }
        if let Some(Tree { dir, version, .. }) = self.part(Controller::Cpu) {
            if *version == 2 {
                dials.open(dir.join("cpu.weight"), Dial::Weight)?;
            } else {
                dials.open(dir.join("cpu.shares"), Dial::Shares)?;
            }
            if cap && *version == 2 {
                dials.open(dir.join("cpu.max"), Dial::Most)?;
            } else if cap {
                fs::write(dir.join("cpu.cfs_period_us"), CpuShare::PERIOD_US.to_string())?;
                dials.open(dir.join("cpu.cfs_quota_us"), Dial::Quota)?;
            }
        }
        Ok(dials)
    }

    /// Lifts what holds these processes back: they are to end, and that takes time of the processor. Where there are
    /// many, they would else wait for each other, and for their next share.
    pub(super) fn hasten(&self) {
        let Some(Tree { dir, version, .. }) = self.part(Controller::Cpu) else { return };
        let most = if *version == 2 {
            [("cpu.max", "max"), ("cpu.weight", "10000")]
        } else {
            [("cpu.cfs_quota_us", "-1"), ("cpu.shares", "262144")]
        };
        for (file, value) in most {
            let _ = fs::write(dir.join(file), value); // they end without it too, only later
        }
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

    /// Files that tell what the tree of processes has used so far: the most memory, and processor time; and what the
    /// latter told when the present job began, in microseconds.
    pub(super) fn gauges(&self) -> io::Result<([File; 2], u64)> {
        let open = |controller, of_v1, of_v2| {
            let part = self.part(controller).ok_or(io::ErrorKind::NotFound)?;
            File::open(part.dir.join(if part.version == 2 { of_v2 } else { of_v1 }))
        };
        let memory = match &self.since.peak {
            Some(peak) => peak.try_clone(),
            None => open(Controller::Memory, "memory.max_usage_in_bytes", "memory.peak"),
        };
        Ok(([memory?, open(Controller::Cpuacct, "cpuacct.usage", "cpu.stat")?], self.since.cpu_us))
    }

    /// What the tree of processes has used so far; zero where there is no controller.
    pub(super) fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        if let Some(Tree { dir, version, .. }) = self.part(Controller::Memory) {
            if *version == 2 {
                usage.peak_memory = match &self.since.peak {
                    Some(peak) => read_number(peak),
                    None => number(&dir.join("memory.peak")),
                };
                usage.out_of_memory = oom_kills_v2(dir) > self.since.oom_kills;
            } else {
                usage.peak_memory = number(&dir.join("memory.max_usage_in_bytes"));
                usage.out_of_memory = field(&dir.join("memory.oom_control"), "oom_kill") > 0;
            }
        }
        if let Some(Tree { dir, version, .. }) = self.part(Controller::Cpuacct) {
            usage.cpu_us = if *version == 2 {
                cpu_v2(dir).saturating_sub(self.since.cpu_us)
            } else {
                number(&dir.join("cpuacct.usage")) / 1000
            };
        }
        usage
    }
}

/// The processor time that a group of version 2 has used since it was made, in microseconds.
fn cpu_v2(dir: &Path) -> u64 {
    field(&dir.join("cpu.stat"), "usage_usec")
}

/// How many processes of a group of version 2 the kernel has killed for memory since it was made.
fn oom_kills_v2(dir: &Path) -> u64 {
    field(&dir.join("memory.events"), "oom_kill")
}

/// The number that an open file tells.
fn read_number(file: &File) -> u64 {
    let mut text = [0; 32];
    let length = file.read_at(&mut text, 0).unwrap_or(0);
    std::str::from_utf8(&text[..length]).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

fn number(file: &Path) -> u64 {
    fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

fn field(file: &Path, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok()).unwrap_or(0)
}
