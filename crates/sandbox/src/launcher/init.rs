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

/// The whole life of pid 1.
pub(super) fn live(birth: &Birth<'_>, filters: Option<&Filters>) {
    let tell = |notice: &Notice| {
        let _ = socket::send(birth.ends.supervision, &control::encode(notice), &[], MsgFlags::empty());
    };
    match settle_in(birth, filters) {
        Err(failure) => tell(&failure.notice()),
        Ok(main) => {
            let kept = [birth.ends.supervision.as_raw_fd()];
            let _ = process::close_all_except(&kept);
            tell(&Notice::Ended(reap_until(main)));
        }
    }
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

fn settle_in(birth: &Birth<'_>, filters: Option<&Filters>) -> Result<nix::unistd::Pid, Failure> {
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
    if start.runtime_api {
        let listener = listen(RUNTIME_API_ADDRESS).step("listen for the runtime")?;
        hand_over(ends, &Notice::RuntimeApi, Some(&listener))?;
    }
    let reaches_platform = start.network != NetworkPolicy::Nothing;
    let listener = reaches_platform.then(|| listen(PLATFORM_ADDRESS)).transpose();
    let listener = listener.step("listen for the platform")?;

    restrict_process(start.ephemeral_storage.max(start.memory), birth.fallback)
        .step("set resource limits")?;
    // Pid 1 keeps the launcher's priority: when it is killed, it must get to end the others, however many they are.
    process::ordinary_children().step("give up the priority")?;
    process::drop_capabilities().step("drop capabilities")?;
    prctl::set_no_new_privs().step("forbid new privileges")?;
    hand_over(ends, &Notice::Ready, listener.as_ref())?;
    drop(listener);
    if let Some(filters) = filters {
        filters.apply().step("filter system calls")?;
    }
    process::fork(|| {
        let notice = become_runtime(birth).unwrap_or_else(|failure| failure.notice());
        let _ = socket::send(ends.supervision, &control::encode(&notice), &[], MsgFlags::empty());
    })
    .step("fork")
}

/// A socket that listens at this address.
fn listen(address: SocketAddrV4) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Sends a notice to the server, with a listening socket if there is one.
fn hand_over(ends: &Ends<'_>, notice: &Notice, listener: Option<&TcpListener>) -> Result<(), Failure> {
    let handed: Vec<_> = listener.iter().map(|listener| listener.as_raw_fd()).collect();
    socket::send(ends.supervision, &control::encode(notice), &handed, MsgFlags::empty())
        .step("report to the server")
}

/// Puts the event's own mounts into its copy of the root, and leaves the host's behind.
fn enter_root(birth: &Birth<'_>) -> Result<(), Failure> {
    let Birth { start, root, code, proc, .. } = birth;
    let size = |bytes: u64| CString::new(bytes.to_string()).unwrap_or_default();
    let tmp = [(c"mode", c"1777"), (c"size", &size(start.ephemeral_storage))];
    let tmp = mounts::filesystem(c"tmpfs", &tmp, NO_SUID | NO_DEV).step("make /tmp")?;
    let shm = [(c"mode", c"1777"), (c"size", &size(start.memory))];
    let shm = mounts::filesystem(c"tmpfs", &shm, NO_SUID | NO_DEV | NO_EXEC).step("make /dev/shm")?;
    // The new root goes over the old one, then they change places, and the old one, now on top, is let go.
    mounts::attach(root, nix::fcntl::AT_FDCWD, c"/").step("attach the root")?;
    mounts::attach(tmp, root, c"tmp").step("mount /tmp")?;
    mounts::attach(shm, root, c"dev/shm").step("mount /dev/shm")?;
    mounts::attach(code, root, c"var/task").step("mount /var/task")?;
    if *proc {
        let hidden = READ_ONLY | NO_SUID | NO_DEV | NO_EXEC;
        let proc = mounts::filesystem(c"proc", &[(c"hidepid", c"invisible")], hidden).step("make /proc")?;
        mounts::attach(proc, root, c"proc").step("mount /proc")?;
    }
    fchdir(root).step("enter the root")?;
    for file in MASKED.iter().filter(|file| *proc && Path::new(OsStr::from_bytes(file.to_bytes())).exists()) {
        let nothing = mounts::copy(c"dev/null", false).step("copy /dev/null")?;
        mounts::attach(nothing, nix::fcntl::AT_FDCWD, file).step("mask a file in /proc")?;
    }
    pivot_root(".", ".").step("change the root")?;
    umount2(".", MntFlags::MNT_DETACH).step("leave the host's root")?;
    chdir("/var/task").step("enter /var/task")
}

/// Turns the child of pid 1 into the runtime. Returns only if that fails: with a notice if its program is at fault.
fn become_runtime(birth: &Birth<'_>) -> Result<Notice, Failure> {
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
    process::default_signals();
    birth.landlock.map_or(Ok(()), landlock::restrict).step("restrict files")?;
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
