//! Making, restricting, ending and counting processes.

use super::{check, owned};
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Ends a forked child that would otherwise unwind into the code of its parent.
struct NeverReturns;

impl Drop for NeverReturns {
    fn drop(&mut self) {
        exit(70)
    }
}

/// Ends this process at once, running nothing of what the parent had set up for its own end.
pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: `_exit` has no precondition.
    unsafe { libc::_exit(status) }
}

/// Forks a child that runs `child`. Only single-threaded processes call this: the launcher and its children.
pub(crate) fn fork(child: impl FnOnce()) -> io::Result<Pid> {
    // SAFETY: this process has one thread, so the child's copy of memory is consistent, locks included.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let _never_returns = NeverReturns;
            child();
            exit(0)
        }
    }
}

/// Forks a child into new namespaces. It becomes a child of this process's own parent, and runs `child`. Returns
/// its process id and a descriptor for it. Only single-threaded processes call this.
pub(crate) fn clone_into(namespaces: libc::c_int, child: impl FnOnce()) -> io::Result<(Pid, OwnedFd)> {
    let mut pidfd: RawFd = -1;
    let flags = namespaces | libc::CLONE_PARENT | libc::CLONE_PIDFD;
    // SAFETY: an all-zero `clone_args` is a valid value of that plain C structure.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = flags as u64;
    arguments.pidfd = (&raw mut pidfd) as u64;
    // SAFETY: without CLONE_VM this is a fork: the child runs on its own copy of memory and stack. This process
    // has one thread, so that copy is consistent. `arguments` and `pidfd` outlive the call.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, &arguments, size_of::<libc::clone_args>()) })?;
    if pid == 0 {
        let _never_returns = NeverReturns;
        child();
        exit(0)
    }
    Ok((Pid::from_raw(pid as libc::pid_t), owned(pidfd.into())?))
}

/// The stack of a process that shares its maker's memory.
#[derive(Debug)]
pub(crate) struct Stack(Box<[MaybeUninit<u128>]>);

impl Stack {
    /// A new one; what is not touched of it takes no memory.
    pub(crate) fn new() -> Stack {
        Stack(Box::new_uninit_slice(STACK / size_of::<u128>()))
    }
}

/// The length of such a stack, in bytes.
const STACK: usize = 128 * 1024;

/// Makes a child in new namespaces that shares this process's memory, which spares the kernel a copy of it. It runs
/// `child`, closes all its descriptors, and waits to be killed; this function returns when it has come so far, or has
/// ended before. Its process id, a descriptor for it, and its stack, which must be kept for as long as it is there. Only
/// single-threaded processes call this.
pub(crate) fn share_into(
    namespaces: libc::c_int,
    stack: Stack,
    child: impl FnOnce(),
) -> io::Result<(Pid, OwnedFd, Stack)> {
    extern "C" fn run<F: FnOnce()>(child: *mut libc::c_void) -> libc::c_int {
        // SAFETY: it is the `Option<F>` of `share_into`, which waits and does not touch it until this process has let
        // go of its descriptors, below.
        if let Some(child) = unsafe { (*child.cast::<Option<F>>()).take() } {
            let _never_returns = NeverReturns;
            child();
            let _ = close_all_except(&[]);
            loop {
                // SAFETY: has no precondition. From here on this process touches no memory.
                unsafe { libc::syscall(libc::SYS_pause) };
            }
        }
        0
    }
    fn runner<F: FnOnce()>(_: &Option<F>) -> extern "C" fn(*mut libc::c_void) -> libc::c_int {
        run::<F>
    }

    let (settled, open) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let mut stack = stack;
    let top = stack.0.as_mut_ptr_range().end.cast::<libc::c_void>();
    let mut pidfd: RawFd = -1;
    let flags = namespaces | libc::CLONE_VM | libc::CLONE_PIDFD | libc::SIGCHLD;
    let mut child = Some(child);
    let (run, argument) = (runner(&child), (&raw mut child).cast::<libc::c_void>());
    // SAFETY: the stack is the child's alone, and aligned. Until the child closes its end of the pipe, this process makes
    // two system calls and touches no memory but its own stack, so that of the two only the child runs code of this
    // program. Afterwards the child runs none.
    let pid = check(unsafe { libc::clone(run, top, flags, argument, &raw mut pidfd) }.into())?;
    drop(open);
    while nix::unistd::read(&settled, &mut [0]) == Err(nix::errno::Errno::EINTR) {}
    Ok((Pid::from_raw(pid as libc::pid_t), owned(pidfd.into())?, stack))
}

/// Sends a signal to the process behind a descriptor.
pub(crate) fn signal(process: impl AsFd, signal: Signal) -> io::Result<()> {
    let (fd, none) = (process.as_fd().as_raw_fd(), std::ptr::null::<libc::siginfo_t>());
    // SAFETY: a null `siginfo_t` is allowed; the other arguments are plain numbers.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal as libc::c_int, none, 0) })?;
    Ok(())
}

/// What a reaped process and the children it had waited for used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    /// The largest resident memory of any one of them, in bytes.
    pub(crate) peak_memory: u64,
    /// Processor time of all of them.
    pub(crate) cpu: Duration,
}

/// Waits until the child `pid` has ended, and reaps it.
pub(crate) fn reap(pid: Pid) -> io::Result<Spent> {
    let mut status = 0;
    // SAFETY: an all-zero `rusage` is a valid value of that plain C structure.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals that outlive the call.
    check(unsafe { libc::wait4(pid.as_raw(), &mut status, 0, &mut usage) }.into())?;
    let time = |t: libc::timeval| Duration::from_micros(t.tv_sec as u64 * 1_000_000 + t.tv_usec as u64);
    Ok(Spent { peak_memory: usage.ru_maxrss as u64 * 1024, cpu: time(usage.ru_utime) + time(usage.ru_stime) })
}

/// Whether two descriptors of a process are the same open file: `kcmp(2)`.
pub(crate) fn same_file(process: Pid, one: RawFd, other: RawFd) -> io::Result<bool> {
    const KCMP_FILE: libc::c_int = 0;
    let pid = process.as_raw();
    // SAFETY: only numbers go in and out.
    let order =
        unsafe { libc::syscall(libc::SYS_kcmp, pid, pid, KCMP_FILE, i64::from(one), i64::from(other)) };
    if order < 0 { Err(io::Error::last_os_error()) } else { Ok(order == 0) }
}

/// Makes `fd` available under exactly the number `number`, surviving `execve`.
pub(crate) fn place(fd: impl AsFd, number: RawFd) -> io::Result<()> {
    // SAFETY: `dup2` works on plain numbers; the callers own the target number or have nothing there.
    check(unsafe { libc::dup2(fd.as_fd().as_raw_fd(), number) }.into())?;
    Ok(())
}

/// A copy of `fd` whose number is at least 10, out of the way of the fixed ones; closed on `execve`.
pub(crate) fn lift(fd: impl AsFd) -> io::Result<OwnedFd> {
    // SAFETY: `fcntl` works on plain numbers.
    owned(unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_DUPFD_CLOEXEC, 10) }.into())
}

/// Marks all descriptors from `first` on to be closed on `execve`.
pub(crate) fn close_on_exec_from(first: RawFd) -> io::Result<()> {
    close_range(first as libc::c_uint, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
}

/// Closes every descriptor of this process except `kept`. A forked child calls it to drop what it inherited from
/// its parent: the values that own those descriptors are never used nor dropped in the child.
pub(crate) fn close_all_except(kept: &[RawFd]) -> io::Result<()> {
    let mut kept: Vec<libc::c_uint> = kept.iter().map(|fd| *fd as libc::c_uint).collect();
    kept.sort_unstable();
    let mut first = 0;
    for fd in kept {
        if fd > first {
            close_range(first, fd - 1, 0)?;
        }
        first = fd + 1;
    }
    close_range(first, libc::c_uint::MAX, 0)
}

fn close_range(first: libc::c_uint, last: libc::c_uint, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: works on plain numbers; the callers above say why nobody uses the closed descriptors any more.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) })?;
    Ok(())
}

/// Gives up every capability for good: the bounding, ambient, inheritable, permitted and effective sets.
pub(crate) fn drop_capabilities() -> io::Result<()> {
    for capability in 0..64 {
        // SAFETY: works on plain numbers.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } < 0 {
            break; // past the last capability of this kernel
        }
    }
    // SAFETY: works on plain numbers.
    check(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) }.into())?;
    let (header, none) = NO_CAPABILITIES.split_at(8);
    // SAFETY: the header says version 3, for which the data are two structures of three 32-bit words.
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) })?;
    Ok(())
}

/// The header of `capset`, version 3, and two structures of three 32-bit words in which nothing is set.
pub(crate) const NO_CAPABILITIES: [u8; 32] = {
    let mut bytes = [0; 32];
    (bytes[0], bytes[1], bytes[2], bytes[3]) = (0x22, 0x05, 0x08, 0x20);
    bytes
};

/// Leaves only these capabilities to whatever program this process runs next, and to what comes from it.
pub(crate) fn keep_capabilities(kept: &[u8]) -> io::Result<()> {
    for capability in (0..64).filter(|capability| !kept.contains(capability)) {
        // SAFETY: works on plain numbers.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_int::from(capability), 0, 0, 0) } < 0 {
            break; // past the last capability of this kernel
        }
    }
    let mut words = [0u32; 6];
    for capability in kept {
        // Effective, permitted and inheritable, the first 32 and then the others.
        let (half, bit) = (usize::from(capability / 32) * 3, 1 << (capability % 32));
        words[half..half + 3].iter_mut().for_each(|word| *word |= bit);
    }
    // SAFETY: as above; the words are two structures of three 32-bit words.
    check(unsafe { libc::syscall(libc::SYS_capset, NO_CAPABILITIES.as_ptr(), words.as_ptr()) })?;
    for capability in kept {
        let (raise, capability) = (libc::PR_CAP_AMBIENT_RAISE, libc::c_ulong::from(*capability));
        // SAFETY: works on plain numbers.
        check(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, raise, capability, 0, 0) }.into())?;
    }
    Ok(())
}

/// Gives this process the priority that processes have who ask for none.
pub(crate) fn ordinary_priority() -> io::Result<()> {
    // SAFETY: works on plain numbers.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 0) }.into())?;
    Ok(())
}

/// Puts every signal back to its default action, and holds none back, as a fresh program expects.
pub(crate) fn default_signals() {
    let _ = nix::sys::signal::SigSet::empty().thread_set_mask();
    for number in 1..=libc::SIGRTMAX() {
        // SAFETY: SIG_DFL installs no handler; numbers that cannot be set are refused by the kernel.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
}

/// Lets this process run before ordinary ones, and what comes from it. Only root may.
pub(crate) fn run_first() -> io::Result<()> {
    // SAFETY: works on plain numbers.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -20) }.into())?;
    Ok(())
}

/// Makes what comes from this process ordinary, whatever its own priority is.
pub(crate) fn ordinary_children() -> io::Result<()> {
    let none = libc::sched_param { sched_priority: 0 };
    let policy = libc::SCHED_OTHER | libc::SCHED_RESET_ON_FORK;
    // SAFETY: `none` is the structure that the call reads, and outlives it.
    check(unsafe { libc::sched_setscheduler(0, policy, &none) }.into())?;
    Ok(())
}

/// Ignores `signals`.
pub(crate) fn ignore_signals(signals: &[Signal]) {
    for signal in signals {
        // SAFETY: SIG_IGN installs no handler.
        unsafe { libc::signal(*signal as libc::c_int, libc::SIG_IGN) };
    }
}
