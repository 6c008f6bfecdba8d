//! Pid 1 of a sandbox: moves into its root, gives up every right, starts the runtime, and reaps.
//!
//! It runs no code of the function. The function cannot open its memory or descriptors (it is not dumpable) and
//! cannot signal it (the kernel drops signals that pid 1 does not handle). When it ends, the kernel kills everything
//! else in the sandbox.

use super::landlock;
use super::limits::{Fallback, restrict_process};
use super::namespace::INSIDE;
use super::seccomp::Filters;
use super::sitter::{Failure, Step};
use super::template;
use crate::control::{self, CHANNEL, Ending, Notice, Start};
use crate::sys::mounts::{self, NO_DEV, NO_EXEC, NO_SUID, READ_ONLY};
use crate::sys::{network, process, socket};
use crate::{PLATFORM_ADDRESS, RUNTIME_API_ADDRESS};
use model::NetworkPolicy;
use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::socket::MsgFlags;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Gid, Uid, chdir, execve, fchdir, pivot_root, sethostname, setresgid, setresuid, setsid};
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::net::{SocketAddrV4, TcpListener};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Files in `/proc` that tell of the whole machine more than a function needs, relative to the root.
const MASKED: [&CStr; 6] = [
    c"proc/interrupts",
    c"proc/kcore",
    c"proc/keys",
    c"proc/latency_stats",
    c"proc/sched_debug",
    c"proc/timer_list",
];

/// The ends that a sandbox is born with.
#[derive(Debug)]
pub(super) struct Ends<'a> {
    /// Takes notices for the server.
    pub(super) supervision: &'a OwnedFd,
    /// The runtime's event channel, if it has one.
    pub(super) channel: Option<&'a OwnedFd>,
    /// Takes what the function prints.
    pub(super) log: &'a OwnedFd,
    /// Hangs up when the launcher is gone.
    pub(super) launcher: &'a OwnedFd,
}

/// All that pid 1 needs.
#[derive(Debug)]
pub(super) struct Birth<'a> {
    pub(super) start: &'a Start,
    pub(super) ends: &'a Ends<'a>,
    pub(super) root: &'a OwnedFd,
    pub(super) code: &'a OwnedFd,
    pub(super) fallback: Fallback,
    pub(super) proc: bool,
    /// The version of Landlock to use.
    pub(super) landlock: Option<u32>,
}

/// Tells the server of something.
pub(super) fn tell(birth: &Birth<'_>, notice: &Notice) {
    let _ = socket::send(birth.ends.supervision, &control::encode(notice), &[], MsgFlags::empty());
}

/// The whole life of pid 1.
pub(super) fn live(birth: &Birth<'_>, filters: Option<&Filters>) {
    let lived = settle_in(birth).and_then(|()| match birth.start.template {
        Some(_) => template::live(birth, filters),
        None => live_for_one(birth, filters),
    });
    if let Err(failure) = lived {
        tell(birth, &failure.notice());
    }
}

/// Starts the runtime, and says how it ended.
fn live_for_one(birth: &Birth<'_>, filters: Option<&Filters>) -> Result<(), Failure> {
    // Pid 1 keeps the launcher's priority: when it is killed, it must get to end the others, however many they are.
    process::ordinary_children().step("give up the priority")?;
    process::drop_capabilities().step("drop capabilities")?;
    if let Some(filters) = filters {
        filters.apply().step("filter system calls")?;
    }
    let main = process::fork(|| {
        let restricted = birth.landlock.map_or(Ok(()), landlock::restrict).step("restrict files");
        let notice = restricted.and_then(|()| become_runtime(birth, &[]));
        tell(birth, &notice.unwrap_or_else(|failure| failure.notice()));
    })
    .step("fork")?;
    let _ = process::close_all_except(&[birth.ends.supervision.as_raw_fd()]);
    tell(birth, &Notice::Ended(reap_until(main)));
    Ok(())
}

/// Reaps every orphan until the process `main` has ended, and says how.
fn reap_until(main: nix::unistd::Pid) -> Ending {
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, status)) if pid == main => return Ending::Status(status),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == main => return Ending::Signal(signal as i32),
            Err(Errno::ECHILD) => return Ending::Signal(Signal::SIGKILL as i32),
            _ => {}
        }
    }
}

/// Moves into the sandbox; it stands when this returns.
fn settle_in(birth: &Birth<'_>) -> Result<(), Failure> {
    let Birth { start, ends, .. } = birth;
    let (uid, gid) = (Uid::from_raw(INSIDE), Gid::from_raw(INSIDE));
    setresgid(gid, gid, gid).step("take the gid")?;
    setresuid(uid, uid, uid).step("take the uid")?;
    prctl::set_dumpable(false).step("close pid 1 to the function")?;
    // Changing the uid cleared the wish to die with the launcher. It may have died before the wish was heard.
    prctl::set_pdeathsig(Signal::SIGKILL).step("tie pid 1 to the launcher")?;
    let mut launcher = [PollFd::new(ends.launcher.as_fd(), PollFlags::empty())];
    if poll(&mut launcher, PollTimeout::ZERO).step("look for the launcher")? > 0 {
        process::exit(1);
    }

    enter_root(birth)?;
    sethostname("sandbox").step("set the host name")?;
    network::raise("lo").step("raise the loopback device")?;
    let sockets = Sockets::open(start)?;
    restrict_process(start.ephemeral_storage.max(start.memory), birth.fallback)
        .step("set resource limits")?;
    prctl::set_no_new_privs().step("forbid new privileges")?;
    sockets.hand_over(ends.supervision)
}

/// The sockets in a sandbox's own network namespace that the server serves.
#[derive(Debug)]
pub(super) struct Sockets {
    runtime_api: Option<TcpListener>,
    platform: Option<TcpListener>,
}

impl Sockets {
    /// Listens on the loopback device.
    pub(super) fn open(start: &Start) -> Result<Sockets, Failure> {
        let runtime_api = start.runtime_api.then(|| listen(RUNTIME_API_ADDRESS)).transpose();
        let reaches_platform = start.network != NetworkPolicy::Nothing;
        let platform = reaches_platform.then(|| listen(PLATFORM_ADDRESS)).transpose();
        Ok(Sockets {
            runtime_api: runtime_api.step("listen for the runtime")?,
            platform: platform.step("listen for the platform")?,
        })
    }

    /// Gives them to the server: the sandbox stands.
    pub(super) fn hand_over(self, supervision: &OwnedFd) -> Result<(), Failure> {
        let send = |notice: &Notice, listener: Option<&TcpListener>| {
            let handed: Vec<_> = listener.iter().map(|listener| listener.as_raw_fd()).collect();
            socket::send(supervision, &control::encode(notice), &handed, MsgFlags::empty())
                .step("report to the server")
        };
        if self.runtime_api.is_some() {
            send(&Notice::RuntimeApi, self.runtime_api.as_ref())?;
        }
        send(&Notice::Ready, self.platform.as_ref())
    }
}

/// A socket that listens at this address.
fn listen(address: SocketAddrV4) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Puts the event's own mounts into its copy of the root, and leaves the host's behind.
fn enter_root(birth: &Birth<'_>) -> Result<(), Failure> {
    let Birth { start, root, code, proc, .. } = birth;
    // The new root goes over the old one, then they change places, and the old one, now on top, is let go.
    mounts::attach(root, nix::fcntl::AT_FDCWD, c"/").step("attach the root")?;
    mount_storage(start, root)?;
    mounts::attach(code, root, c"var/task").step("mount /var/task")?;
    if *proc && start.template.is_some() {
        // The nests of copies may mount a /proc of their own only where one can be seen whole. It lies below the one that
        // is masked, where nobody gets at it.
        mount_proc(root)?;
    }
    fchdir(root).step("enter the root")?;
    if *proc {
        mount_masked_proc(root)?;
    }
    pivot_root(".", ".").step("change the root")?;
    umount2(".", MntFlags::MNT_DETACH).step("leave the host's root")?;
    chdir("/var/task").step("enter /var/task")
}

/// Mounts what the function may write to, fresh, below the directory `root`.
pub(super) fn mount_storage(start: &Start, root: impl AsFd) -> Result<(), Failure> {
    let size = |bytes: u64| CString::new(bytes.to_string()).unwrap_or_default();
    let tmp = [(c"mode", c"1777"), (c"size", &size(start.ephemeral_storage))];
    let tmp = mounts::filesystem(c"tmpfs", &tmp, NO_SUID | NO_DEV).step("make /tmp")?;
    let shm = [(c"mode", c"1777"), (c"size", &size(start.memory))];
    let shm = mounts::filesystem(c"tmpfs", &shm, NO_SUID | NO_DEV | NO_EXEC).step("make /dev/shm")?;
    mounts::attach(tmp, &root, c"tmp").step("mount /tmp")?;
    mounts::attach(shm, &root, c"dev/shm").step("mount /dev/shm")
}

fn mount_proc(root: impl AsFd) -> Result<(), Failure> {
    let hidden = READ_ONLY | NO_SUID | NO_DEV | NO_EXEC;
    let proc = mounts::filesystem(c"proc", &[(c"hidepid", c"invisible")], hidden).step("make /proc")?;
    mounts::attach(proc, root, c"proc").step("mount /proc")
}

/// Mounts `/proc` below the directory `root`, which is the working directory, and hides what tells of the machine.
pub(super) fn mount_masked_proc(root: impl AsFd) -> Result<(), Failure> {
    mount_proc(root)?;
    // What only root may read need not be masked.
    let readable = |file: &&&CStr| {
        let metadata = Path::new(OsStr::from_bytes(file.to_bytes())).metadata();
        metadata.is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
    };
    for file in MASKED.iter().filter(readable) {
        let nothing = mounts::copy(c"dev/null", false).step("copy /dev/null")?;
        mounts::attach(nothing, nix::fcntl::AT_FDCWD, file).step("mask a file in /proc")?;
    }
    Ok(())
}

/// Turns the child of pid 1 into the runtime, with more descriptors at high numbers if it is to have any. Returns only
/// if that fails: with a notice if its program is at fault.
pub(super) fn become_runtime(birth: &Birth<'_>, more: &[(&OwnedFd, i32)]) -> Result<Notice, Failure> {
    let Birth { start, ends, .. } = birth;
    setsid().step("begin a session")?;
    let null = File::open("/dev/null").step("open /dev/null")?;
    let null = process::lift(null).step("copy a descriptor")?;
    let log = process::lift(ends.log).step("copy a descriptor")?;
    let channel = ends.channel.map(process::lift).transpose().step("copy a descriptor")?;
    let fixed =
        [Some((&null, 0)), Some((&log, 1)), Some((&log, 2)), channel.as_ref().map(|fd| (fd, CHANNEL))];
    for (fd, number) in fixed.into_iter().flatten() {
        process::place(fd, number).step("place a descriptor")?;
    }
    let last = if channel.is_some() { CHANNEL } else { 2 };
    process::close_on_exec_from(last + 1).step("close descriptors")?;
    for (fd, number) in more {
        process::place(fd, *number).step("place a descriptor")?;
    }
    process::default_signals();
    let c_strings = |strings: &[String]| -> io::Result<Vec<CString>> {
        strings.iter().map(|s| Ok(CString::new(s.as_str())?)).collect()
    };
    let environment = c_strings(&start.environment).step("read the environment")?;
    let Some(program) = start.programs.iter().find(|program| Path::new(program).is_file()) else {
        return Ok(Notice::NotStarted { program: None, errno: Errno::ENOENT as i32 });
    };
    let command = [std::slice::from_ref(program), &start.arguments].concat();
    let command = c_strings(&command).step("read the command")?;
    let Err(errno) = execve(&command[0], &command, &environment);
    Ok(Notice::NotStarted { program: Some(program.clone()), errno: errno as i32 })
}
