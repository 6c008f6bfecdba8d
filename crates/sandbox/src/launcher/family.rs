//! What pid 1 does for a process that is started for one event after another: extensions, the runtime, their ends.
//!
//! Extensions are processes like the runtime's, with the same rights and limits, in the same sandbox. They begin first;
//! the runtime begins when the server says that they have registered. Without extensions the sandbox ends with the
//! runtime, as with them it does when the server ends it.

use super::init::{Birth, become_runtime, c_strings, tell};
use super::job::Job;
use super::limits;
use super::seccomp::Filters;
use super::sitter::{Failure, Step};
use crate::control::{self, Ending, Notice, Tell};
use crate::sys::landlock::Rules;
use crate::sys::{process, socket};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, chdir, execve, read, setsid};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// What the runtime's environment has and an extension's has not.
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html>
const RUNTIME_ONLY: [&str; 7] = [
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "_HANDLER",
    "_MAYFLY_REQUEST_ID",
];

/// The processes of one sandbox.
struct Family<'a> {
    birth: &'a Birth<'a>,
    rules: Option<&'a Rules>,
    extensions: Vec<Pid>,
    runtime: Option<Pid>,
    /// The runtime has ended.
    over: bool,
}

/// The whole life of pid 1, once its sandbox stands.
pub(super) fn live(
    birth: &Birth<'_>,
    job: &Job,
    rules: Option<&Rules>,
    filters: Option<&Filters>,
) -> Result<(), Failure> {
    // Pid 1 keeps the launcher's priority: when it is killed, it must get to end the others, however many they are.
    process::ordinary_children().step("give up the priority")?;
    process::drop_capabilities().step("drop capabilities")?;
    let mut children = SigSet::empty();
    children.add(Signal::SIGCHLD);
    children.thread_block().step("hear of ends")?;
    let ends = SignalFd::with_flags(&children, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .step("hear of ends")?;
    if let Some(filters) = filters {
        filters.apply().step("filter system calls")?;
    }
    let mut family = Family { birth, rules, extensions: Vec::new(), runtime: None, over: false };
    for (number, program) in birth.start.extensions.iter().enumerate() {
        let log = job.extensions_log.as_ref().unwrap_or(birth.ends.log);
        family.extend(number, program, log)?;
    }
    let mut kept = vec![birth.ends.supervision.as_raw_fd(), ends.as_raw_fd()];
    kept.extend(job.tells.iter().map(AsRawFd::as_raw_fd));
    if family.extensions.is_empty() {
        family.begin()?;
    } else {
        // What the runtime will have.
        kept.push(birth.ends.log.as_raw_fd());
        kept.extend(birth.ends.channel.map(AsRawFd::as_raw_fd));
        kept.extend(rules.map(AsRawFd::as_raw_fd));
    }
    let _ = process::close_all_except(&kept);
    family.tend(&ends, job.tells.as_ref())
}

impl Family<'_> {
    /// Starts an extension.
    fn extend(&mut self, number: usize, program: &str, log: &OwnedFd) -> Result<(), Failure> {
        let (birth, rules) = (self.birth, self.rules);
        let child = process::fork(|| {
            let restricted = rules.map_or(Ok(()), Rules::apply).step("restrict files");
            let notice = restricted.and_then(|()| become_extension(birth, number, program, log));
            tell(birth, &notice.unwrap_or_else(|failure| failure.notice()));
        });
        self.extensions.push(child.step("fork")?);
        Ok(())
    }

    /// Starts the runtime.
    fn begin(&mut self) -> Result<(), Failure> {
        let (birth, rules) = (self.birth, self.rules);
        let child = process::fork(|| {
            let restricted = rules.map_or(Ok(()), Rules::apply).step("restrict files");
            let notice = restricted.and_then(|()| become_runtime(birth, &[]));
            tell(birth, &notice.unwrap_or_else(|failure| failure.notice()));
        });
        self.runtime = Some(child.step("fork")?);
        Ok(())
    }

    /// Does what the server says and hears of ends, until there is nothing more to do.
    fn tend(&mut self, ends: &SignalFd, tells: Option<&OwnedFd>) -> Result<(), Failure> {
        let mut listens = tells;
        loop {
            let mut polled = vec![PollFd::new(ends.as_fd(), PollFlags::POLLIN)];
            polled.extend(listens.map(|tells| PollFd::new(tells.as_fd(), PollFlags::POLLIN)));
            match poll(&mut polled, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(io::Error::from(errno)).step("serve as pid 1"),
            }
            let told = polled.get(1).is_some_and(|fd| fd.any().unwrap_or(false));
            while let Ok(Some(_)) = ends.read_signal() {}
            if self.reap() && self.extensions.is_empty() {
                return Ok(());
            }
            if let (true, Some(tells)) = (told, listens) {
                let mut bytes = [0; 16];
                match read(tells, &mut bytes) {
                    // The server lets go of a process by the launcher, not here.
                    Ok(0) => listens = None,
                    Ok(length) => self.obey(&bytes[..length])?,
                    Err(_) => {}
                }
            }
        }
    }

    fn obey(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        for tell in bytes.iter().filter_map(|byte| Tell::read(*byte)) {
            match (tell, self.runtime.filter(|_| !self.over)) {
                (Tell::Begin, None) if self.runtime.is_none() => self.begin()?,
                (Tell::Terminate, Some(runtime)) => drop(kill(runtime, Signal::SIGTERM)),
                (Tell::Kill, Some(runtime)) => {
                    // It leads a session of its own.
                    let _ = kill(Pid::from_raw(-runtime.as_raw()), Signal::SIGKILL);
                    let _ = kill(runtime, Signal::SIGKILL);
                }
                (Tell::Socket, _) => self.give_socket(),
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives the server a socket in this network namespace.
    fn give_socket(&self) {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let made = nix::sys::socket::socket(AddressFamily::Inet, SockType::Stream, flags, None);
        let handed: Vec<_> = made.iter().map(AsRawFd::as_raw_fd).collect();
        let notice = control::encode(&Notice::Socket);
        let _ = socket::send(self.birth.ends.supervision, &notice, &handed, MsgFlags::empty());
    }

    /// Reaps whoever has ended, orphans included, and tells of those that are known. True once the runtime has ended.
    fn reap(&mut self) -> bool {
        loop {
            let (pid, ending) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, status)) => (pid, Ending::Status(status)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Ending::Signal(signal as i32)),
                Ok(WaitStatus::StillAlive) | Err(_) => return self.over,
                Ok(_) => continue,
            };
            if self.runtime == Some(pid) && !self.over {
                self.over = true;
                tell(self.birth, &Notice::Ended(ending));
            } else if let Some(number) = self.extensions.iter().position(|extension| *extension == pid) {
                tell(self.birth, &Notice::ExtensionEnded(number, ending));
            }
        }
    }
}

/// Turns a child of pid 1 into an extension. Returns only if that fails.
fn become_extension(
    birth: &Birth<'_>,
    number: usize,
    program: &str,
    log: &OwnedFd,
) -> Result<Notice, Failure> {
    setsid().step("begin a session")?;
    let null = process::lift(File::open("/dev/null").step("open /dev/null")?).step("copy a descriptor")?;
    let log = process::lift(log).step("copy a descriptor")?;
    for (fd, number) in [(&null, 0), (&log, 1), (&log, 2)] {
        process::place(fd, number).step("place a descriptor")?;
    }
    process::close_on_exec_from(3).step("close descriptors")?;
    limits::restrict_files().step("limit open files")?;
    process::default_signals();
    chdir("/").step("enter /")?;
    let is_its = |variable: &&String| {
        !RUNTIME_ONLY.iter().any(|name| variable.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')))
    };
    let environment: Vec<String> = birth.start.environment.iter().filter(is_its).cloned().collect();
    let environment = c_strings(&environment).step("read the environment")?;
    let command = c_strings(&[program.to_owned()]).step("read the command")?;
    let Err(errno) = execve(&command[0], &command, &environment);
    Ok(Notice::ExtensionNotStarted(number, errno as i32))
}
