//! Pid 1 of a sandbox: makes its shell, waits for a job, gives up every right, starts the runtime, and reaps.
//!
//! It runs no code of the function. The function cannot open its memory or descriptors (it is not dumpable) and
//! cannot signal it (the kernel drops signals that pid 1 does not handle). When it ends, the kernel kills everything
//! else in the sandbox.

use super::dials::Dials;
use super::family;
use super::job::Job;
use super::limits;
use super::shell::Shell;
use super::sitter::{Failure, Ground, Step};
use super::template;
use crate::control::{self, CHANNEL, Notice, Start};
use crate::sys::{process, socket};
use nix::errno::Errno;
use nix::sys::socket::MsgFlags;
use nix::unistd::{execve, setsid, write};
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// The ends that a sandbox has once it has a job.
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

/// All that pid 1 needs to start the runtime.
#[derive(Debug)]
pub(super) struct Birth<'a> {
    pub(super) start: &'a Start,
    pub(super) ends: &'a Ends<'a>,
    pub(super) proc: bool,
    /// The version of Landlock to use.
    pub(super) landlock: Option<u32>,
    /// See [`Ground::exempt`].
    pub(super) exempt: bool,
}

/// Tells the server of something.
pub(super) fn tell(birth: &Birth<'_>, notice: &Notice) {
    let _ = socket::send(birth.ends.supervision, &control::encode(notice), &[], MsgFlags::empty());
}

/// The whole life of pid 1. It makes what it can of the sandbox, in this `root` if it is given one; the job comes from the
/// launcher.
pub(super) fn live(ground: &Ground, dials: Dials, root: Option<&OwnedFd>, launcher: &OwnedFd) {
    let shell = Shell::make(ground, dials, root, launcher);
    // If the launcher is gone, there is nothing to do.
    let Some(job) = Job::receive(launcher) else { return };
    let Job { start, supervision, log, channel, .. } = &job;
    let ends = Ends { supervision, channel: channel.as_ref(), log, launcher };
    let birth =
        Birth { start, ends: &ends, proc: ground.proc, landlock: ground.landlock, exempt: ground.exempt };
    let filters = ground.filters.as_ref();
    // The rules live until the end like all that owns a descriptor here: the descriptors are closed below their owners.
    let taken = shell.and_then(|shell| shell.take(ground, &job));
    let lived = match &taken {
        Ok(_) if start.template.is_some() => template::live(&birth, filters),
        Ok(rules) => family::live(&birth, &job, rules.as_ref(), filters),
        Err(_) => Ok(()),
    };
    for failure in [taken.as_ref().err(), lived.as_ref().err()].into_iter().flatten() {
        tell(&birth, &failure.notice());
    }
    process::exit(0);
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
    let more = more.iter().map(|(fd, number)| Ok((process::lift(fd)?, *number)));
    let more = more.collect::<io::Result<Vec<_>>>().step("copy a descriptor")?;
    let fixed =
        [Some((&null, 0)), Some((&log, 1)), Some((&log, 2)), channel.as_ref().map(|fd| (fd, CHANNEL))];
    for (fd, number) in fixed.into_iter().flatten() {
        process::place(fd, number).step("place a descriptor")?;
    }
    let last = if channel.is_some() { CHANNEL } else { 2 };
    process::close_on_exec_from(last + 1).step("close descriptors")?;
    for (fd, number) in more {
        process::place(fd, number).step("place a descriptor")?;
    }
    limits::restrict_files().step("limit open files")?;
    process::default_signals();
    let environment = c_strings(&start.environment).step("read the environment")?;
    let Some(program) = start.programs.iter().find(|program| Path::new(program).is_file()) else {
        if let (false, [wrapper]) = (start.runtime_api, &start.programs[..]) {
            // The interpreter is always there: it is the function's wrapper that is not. These are the words and the
            // statuses of Lambda's own runtimes.
            let _ = write(ends.log, format!("{wrapper}: does not exist\n").as_bytes());
            process::exit(127);
        }
        return Ok(Notice::NotStarted { program: None, errno: Errno::ENOENT as i32 });
    };
    let command = [std::slice::from_ref(program), &start.arguments].concat();
    let command = c_strings(&command).step("read the command")?;
    let Err(errno) = execve(&command[0], &command, &environment);
    if let (false, Errno::EACCES) = (start.runtime_api, errno) {
        let _ = write(ends.log, format!("{program}: is not an executable\n").as_bytes());
        process::exit(126);
    }
    Ok(Notice::NotStarted { program: Some(program.clone()), errno: errno as i32 })
}

/// Strings as `execve` takes them.
pub(super) fn c_strings(strings: &[String]) -> io::Result<Vec<CString>> {
    strings.iter().map(|string| Ok(CString::new(string.as_str())?)).collect()
}
