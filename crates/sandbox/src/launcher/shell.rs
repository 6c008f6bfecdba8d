//! The shell of a sandbox: all of it that can stand before it is known for which job.
//!
//! Namespaces, the root of the job that is likely to come, `/tmp`, `/dev/shm` and a masked `/proc`, the loopback device,
//! the sockets that listen there, limits that are the same for all. It has never been used by anybody. When a job comes,
//! the shell takes it in: package, sizes, limits and network are its own.

use super::dials::Dials;
use super::job::Job;
use super::landlock;
use super::limits::{restrict_job, restrict_process};
use super::namespace::INSIDE;
use super::place::{self, Storage};
use super::sitter::{Failure, Ground, Step};
use super::sockets::Sockets;
use crate::sys::landlock::Rules;
use crate::sys::{mounts, network, process};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, chdir, read, sethostname, setresgid, setresuid};
use std::os::fd::{AsFd, OwnedFd};

/// A shell, in its pid 1.
#[derive(Debug)]
pub(super) struct Shell {
    dials: Dials,
    sockets: Sockets,
    /// None while it is in no root.
    inside: Option<Inside>,
}

/// What a shell has in a root.
#[derive(Debug)]
struct Inside {
    storage: Storage,
    /// The rules of files, where there are such.
    rules: Option<Rules>,
}

impl Inside {
    fn enter(ground: &Ground, root: &OwnedFd) -> Result<Inside, Failure> {
        let storage = place::enter(root, ground.proc)?;
        let rules = ground.landlock.map(landlock::rules).transpose().step("write the rules of files")?;
        Ok(Inside { storage, rules })
    }
}

impl Shell {
    /// Makes it of this process, which is pid 1 in namespaces of its own, in `root` if that is given.
    pub(super) fn make(
        ground: &Ground,
        dials: Dials,
        root: Option<&OwnedFd>,
        launcher: &OwnedFd,
    ) -> Result<Shell, Failure> {
        let (uid, gid) = (Uid::from_raw(INSIDE), Gid::from_raw(INSIDE));
        setresgid(gid, gid, gid).step("take the gid")?;
        setresuid(uid, uid, uid).step("take the uid")?;
        prctl::set_dumpable(false).step("close pid 1 to the function")?;
        // Changing the uid cleared the wish to die with the launcher. It may have died before the wish was heard.
        prctl::set_pdeathsig(Signal::SIGKILL).step("tie pid 1 to the launcher")?;
        let mut hanging_up = [PollFd::new(launcher.as_fd(), PollFlags::empty())];
        if poll(&mut hanging_up, PollTimeout::ZERO).step("look for the launcher")? > 0 {
            process::exit(1);
        }

        let inside = root.map(|root| Inside::enter(ground, root)).transpose()?;
        sethostname("sandbox").step("set the host name")?;
        network::raise("lo").step("raise the loopback device")?;
        let sockets = Sockets::open_all()?;
        restrict_process(ground.processes_fallback).step("set resource limits")?;
        prctl::set_no_new_privs().step("forbid new privileges")?;
        Ok(Shell { dials, sockets, inside })
    }

    /// Takes a job in: the sandbox stands when this returns. The rules of files are for its runtime.
    pub(super) fn take(self, ground: &Ground, job: &Job) -> Result<Option<Rules>, Failure> {
        let start = &job.start;
        self.dials.set(start.memory).step("set the limits")?;
        let entered = job.root.as_ref().map(|root| Inside::enter(ground, root)).transpose()?;
        let Some(Inside { storage, rules }) = entered.or(self.inside) else {
            return Err(std::io::Error::from(std::io::ErrorKind::NotFound)).step("find the root");
        };
        storage.resize(start)?;
        mounts::attach(&job.code, nix::fcntl::AT_FDCWD, c"/var/task").step("mount /var/task")?;
        if let Some(layers) = &job.layers {
            mounts::attach(layers, nix::fcntl::AT_FDCWD, c"/opt").step("mount /opt")?;
        }
        chdir("/var/task").step("enter /var/task")?;
        let memory = ground.memory_fallback.then_some(start.memory);
        restrict_job(start.ephemeral_storage.max(start.memory), memory).step("set resource limits")?;
        if let Some(device) = &job.device {
            let _ = read(device, &mut [0]).step("wait for the network device")?;
        }
        self.sockets.only_for(start).hand_over(&job.supervision)?;
        Ok(rules)
    }
}
