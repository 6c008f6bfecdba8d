//! The launcher's entry: takes its place, prepares what the server asks for, and keeps sandboxes until the end.

use super::cgroup::Trees;
use super::group::Controller;
use super::janitor::Janitor;
use super::keeper::Keeper;
use super::landlock;
use super::namespace::Identity;
use super::probe;
use super::seccomp::Filters;
use super::sitter::Ground;
use crate::control::{self, MESSAGE, Setup, SetupAnswer};
use crate::features::{Enforcement, Features};
use crate::sys::{process, socket};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::socket::MsgFlags;
use nix::sys::stat::{Mode, umask};
use nix::unistd::setsid;
use std::io;
use std::os::fd::OwnedFd;

/// The launcher's whole life; the control socket is its standard input. The program calls it before any thread
/// exists, when its first argument names the role.
pub fn main() -> ! {
    let status = match serve() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("sandbox launcher: {error}");
            1
        }
    };
    std::process::exit(status)
}

fn serve() -> io::Result<()> {
    let control = take_place()?;
    let mut buffer = vec![0; MESSAGE];
    let (length, _) = socket::receive(&control, &mut buffer, MsgFlags::empty())?;
    let Some(setup) = control::decode::<Setup>(&buffer[..length]) else { return Ok(()) };
    let prepared = prepare(setup);
    let answer: SetupAnswer = match &prepared {
        Ok((_, features)) => Ok(features.clone()),
        Err(reason) => Err(reason.clone()),
    };
    socket::send(&control, &control::encode(&answer), &[], MsgFlags::empty())?;
    match prepared {
        Ok((mut keeper, _)) => keeper.run(&control, &mut buffer),
        Err(_) => Ok(()),
    }
}

/// Detaches this process from the terminal and from the limits of the server; returns the control socket.
fn take_place() -> io::Result<OwnedFd> {
    // Signals that a terminal or a service supervisor sends to the whole group are the server's to act on: the
    // launcher must outlast the jobs in flight.
    let _ = setsid();
    process::ignore_signals(&[Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGPIPE]);
    // Where functions use all of the processor, it must still get to end them in time. It needs little itself; its
    // children inherit the priority, but for what runs a function.
    let _ = process::run_first();
    umask(Mode::from_bits_truncate(0o022));
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let control = process::lift(io::stdin())?;
    process::place(std::fs::File::open("/dev/null")?, 0)?;
    Ok(control)
}

/// Makes ready for sandboxes, or says why this machine permits none.
fn prepare(setup: Setup) -> Result<(Keeper, Features), String> {
    let identity = Identity::take().map_err(|error| {
        format!("neither root nor unprivileged user namespaces are permitted here ({error}); see kernel.unprivileged_userns_clone or user.max_user_namespaces")
    })?;
    let mine = format!("{}-", std::process::id());
    let trees = Trees::find(&setup.installation, &mine);
    let fail = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    let janitor = Janitor::hire(&trees, &mine).map_err(fail("cannot start the janitor"))?;
    let proc = probe::namespaces().map_err(fail("cannot create namespaces"))?;
    let seccomp = probe::seccomp();
    let filters =
        if seccomp { Some(Filters::compile().map_err(fail("cannot compile the filter"))?) } else { None };

    let or_rlimit = |enforced| if enforced == Enforcement::Nothing { Enforcement::Rlimit } else { enforced };
    let memory = trees.enforcement(Controller::Memory);
    let processes = trees.enforcement(Controller::Pids);
    let features = Features {
        own_uid: identity.own_uid(),
        memory: or_rlimit(memory),
        processes: or_rlimit(processes),
        cpu: trees.enforcement(Controller::Cpu),
        metering: or_rlimit(memory.min(trees.enforcement(Controller::Cpuacct))),
        proc,
        seccomp,
        landlock: landlock::version(),
        internet: probe::internet(),
        templates: probe::templates(&trees),
    };
    let ground = Ground {
        identity,
        run_dir: setup.run_dir,
        cpu_cap: setup.cpu_proportional,
        memory_fallback: memory == Enforcement::Nothing,
        processes_fallback: processes == Enforcement::Nothing,
        proc,
        landlock: features.landlock,
        filters,
        templates: features.templates.clone(),
        exempt: memory == Enforcement::CgroupV2,
    };
    let keeper = Keeper::new(ground, trees, janitor, mine, setup.roots, setup.standby);
    Ok((keeper.map_err(fail("cannot watch descriptors"))?, features))
}
