//! Which walls stand on this machine, and which do not.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How a limit is enforced.
///
/// The order is from weak to strong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Enforcement {
    /// Not at all.
    Nothing,
    /// By a resource limit, for each process alone.
    Rlimit,
    /// By a control group of version 1, over the whole process tree.
    CgroupV1,
    /// By a control group of version 2, over the whole process tree.
    CgroupV2,
}

impl fmt::Display for Enforcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Enforcement::CgroupV1 => "cgroup v1",
            Enforcement::CgroupV2 => "cgroup v2",
            Enforcement::Rlimit => "rlimit",
            Enforcement::Nothing => "NOT enforced",
        })
    }
}

/// What isolates functions on this machine.
///
/// `Display` gives one line per feature, for the banner at start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    /// The launcher has the machine's root: each sandbox has a host uid of its own. Without it, all share the
    /// user's own uid and are kept apart by namespaces alone.
    pub own_uid: bool,
    /// Memory of the whole tree.
    pub memory: Enforcement,
    /// Processes and threads.
    pub processes: Enforcement,
    /// Processor time in proportion to memory.
    pub cpu: Enforcement,
    /// Peak memory and processor time are measured for the whole tree.
    pub metering: Enforcement,
    /// `/proc` shows the sandbox's own processes; without it there is no `/proc` inside.
    pub proc: bool,
    /// System calls are filtered.
    pub seccomp: bool,
    /// The version of Landlock that guards files once more; none where the kernel has it not or it is switched off.
    pub landlock: Option<u32>,
    /// The network policy `internet` can be offered, or why it cannot.
    pub internet: Result<(), String>,
    /// Initialised processes can be copied, or why they cannot.
    pub templates: Result<(), String>,
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own_uid =
            if self.own_uid { "its own host uid for each event" } else { "the server's uid (rootless)" };
        writeln!(f, "namespaces  user, mount, pid, ipc, uts, net; {own_uid}")?;
        writeln!(
            f,
            "seccomp     {}",
            if self.seccomp { "allow-list" } else { "NOT enforced on this machine" }
        )?;
        match self.landlock {
            Some(version) => writeln!(f, "landlock    version {version}")?,
            None => writeln!(f, "landlock    absent from this kernel; mounts guard files alone")?,
        }
        writeln!(
            f,
            "/proc       {}",
            if self.proc { "own processes only" } else { "absent (not permitted here)" }
        )?;
        match &self.internet {
            Ok(()) => writeln!(f, "internet    through a device of its own for each event that may use it")?,
            Err(reason) => writeln!(f, "internet    NOT available: {reason}")?,
        }
        match &self.templates {
            Ok(()) => writeln!(f, "copies      of initialised processes")?,
            Err(reason) => writeln!(f, "copies      NOT made: {reason}")?,
        }
        let memory = match self.memory {
            Enforcement::Rlimit => "; each process alone, and NOT what processes share",
            _ => "",
        };
        writeln!(f, "memory      {}{memory}", self.memory)?;
        writeln!(f, "processes   {}", self.processes)?;
        let cpu = match self.cpu {
            Enforcement::Nothing => "; all processes of all functions weigh the same",
            _ => "",
        };
        writeln!(f, "cpu         {}{cpu}", self.cpu)?;
        let metering = match self.metering {
            Enforcement::CgroupV1 | Enforcement::CgroupV2 => self.metering.to_string(),
            Enforcement::Rlimit | Enforcement::Nothing => "process by process: approximate".to_owned(),
        };
        write!(f, "metering    {metering}")
    }
}
