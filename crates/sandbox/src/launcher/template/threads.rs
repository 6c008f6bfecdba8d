//! The threads of a runtime: stopped all at once, and written down so that each can go on in a copy.
//!
//! A thread's state becomes the frame of a signal, as the kernel writes it before it calls a handler. When a new thread
//! then "returns from the signal", the kernel puts everything back at once: registers, floating point, signal mask and
//! alternate stack.

use super::capture::Refusal;
use super::layout::{Bytes, Thread};
use super::start::wait;
use super::tracee::Tracee;
use crate::sys::ptrace as more;
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use std::fs;
use std::io;

/// The most threads that a template may have.
const THREADS: usize = 512;

/// The kernel's `struct ucontext` of x86-64, in bytes.
const CONTEXT: u64 = 304;

/// Where the extended state lies in a frame: it must be aligned.
const EXTENDED: u64 = (CONTEXT + 8).next_multiple_of(64);

/// Where the marks lie in an extended state.
const MARKS: usize = 464;

/// The mark behind an extended state.
const MARK_BEHIND: u32 = 0x4650_5845;

/// The frame has extended state, and stack segments are taken from it as they are.
const FLAGS: u64 = 1 | 2 | 4;

/// The results with which a system call that was interrupted says that it is to be made again.
const RESTART: [i64; 4] = [-512, -513, -514, -516];

/// System calls that say that they were interrupted, though no signal came: made again, they go on.
const INTERRUPTED: [i64; 5] = [
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_semtimedop,
];

/// Threads of a JVM that compile what has run often. In a copy, which lives for one event, code is seldom worth it, and on
/// the processor of the thread that runs the function they would come first, for having slept.
const COMPILERS: [&[u8]; 2] = [b"C1 CompilerThre", b"C2 CompilerThre"];

/// The `nice` value of who takes only what others leave.
const LAST: u64 = 19;

/// The length of a frame, in bytes.
pub(super) fn frame_length() -> io::Result<u64> {
    Ok(EXTENDED + u64::from(state_length(&more::frame_marks()?)) + 64)
}

/// The length of the extended state, as the marks say it.
fn state_length(marks: &[u8; 48]) -> u32 {
    u32::from_le_bytes([marks[16], marks[17], marks[18], marks[19]])
}

/// The threads of a process, stopped. If they are not kept, they go on when this is dropped.
#[derive(Debug)]
pub(super) struct Stopped {
    /// The main thread comes first.
    pub(super) ids: Vec<Pid>,
    kept: bool,
}

impl Stopped {
    /// Stops every thread of `process`.
    pub(super) fn stop(process: Pid) -> Result<Stopped, Refusal> {
        let mut stopped = Stopped { ids: Vec::new(), kept: false };
        loop {
            let before = stopped.ids.len();
            for entry in fs::read_dir(format!("/proc/{process}/task"))?.flatten() {
                let id = entry.file_name().to_str().and_then(|name| name.parse().ok()).map(Pid::from_raw);
                let Some(id) = id.filter(|id| !stopped.ids.contains(id)) else { continue };
                match ptrace::seize(id, Options::PTRACE_O_EXITKILL) {
                    Err(Errno::ESRCH) => continue, // it has ended meanwhile
                    other => other?,
                }
                stopped.ids.push(id);
                stop_thread(id)?;
                if stopped.ids.len() > THREADS {
                    return Err(Refusal(format!("it has more than {THREADS} threads")));
                }
            }
            // A thread that was still running may have made another one.
            if stopped.ids.len() == before {
                break;
            }
        }
        stopped.ids.sort_by_key(|id| (*id != process, id.as_raw()));
        if stopped.ids.first() != Some(&process) {
            return Err(Refusal("its main thread has ended".to_owned()));
        }
        Ok(stopped)
    }

    /// Leaves the threads stopped for good; how many they are.
    pub(super) fn keep(mut self) -> usize {
        self.kept = true;
        self.ids.len()
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if !self.kept {
            for id in &self.ids {
                let _ = ptrace::detach(*id, None);
            }
        }
    }
}

/// Stops one thread. A signal that comes first is delivered.
fn stop_thread(id: Pid) -> Result<(), Refusal> {
    ptrace::interrupt(id)?;
    loop {
        match wait(id)? {
            WaitStatus::PtraceEvent(..) => return Ok(()),
            WaitStatus::Stopped(_, signal) => {
                ptrace::cont(id, signal)?;
            }
            _ => return Err(Refusal("one of its threads has ended".to_owned())),
        }
    }
}

/// One field of a file of `name: value` lines.
fn field(file: &str, name: &str) -> io::Result<Option<String>> {
    let text = fs::read_to_string(file)?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Ok(value.map(|value| value.trim().to_owned()))
}

/// The mask of permissions that new files do not get.
pub(super) fn umask(process: Pid) -> Result<u32, Refusal> {
    let text = field(&format!("/proc/{process}/status"), "Umask")?.unwrap_or_default();
    u32::from_str_radix(&text, 8).map_err(|_| Refusal("its umask cannot be read".to_owned()))
}

/// Whether no timer is set and no signal is on its way: copies would not have them.
pub(super) fn undisturbed(tracee: &Tracee) -> Result<(), Refusal> {
    let process = tracee.pid;
    if !fs::read_to_string(format!("/proc/{process}/timers"))?.is_empty() {
        return Err(Refusal("it has a timer (timer_create)".to_owned()));
    }
    // Below the main thread's stack pointer and the room that its functions may use there.
    let free = (ptrace::getregs(process)?.rsp - 1_024) & !63;
    let mut kept = [0; 32];
    tracee.read(free, &mut kept)?;
    let mut armed = false;
    for which in [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF] {
        tracee.call(libc::SYS_getitimer, &[which as u64, free])?;
        let mut timer = [0; 32];
        tracee.read(free, &mut timer)?;
        armed |= timer != [0; 32];
    }
    tracee.write(free, &kept)?;
    if armed {
        return Err(Refusal("it has an alarm (setitimer or alarm)".to_owned()));
    }
    for task in fs::read_dir(format!("/proc/{process}/task"))?.flatten() {
        let status = format!("{}/status", task.path().display());
        for name in ["SigPnd", "ShdPnd"] {
            if field(&status, name)?.is_some_and(|pending| !pending.trim_matches('0').is_empty()) {
                return Err(Refusal("a signal is on its way to it".to_owned()));
            }
        }
    }
    Ok(())
}

/// Writes down the stopped thread `id`, whose frame will lie at `frame`; before the frame is there, that room is used to
/// ask the kernel in the thread's name. Returns the thread, and the bytes of its frame.
pub(super) fn save(tracee: &Tracee, id: Pid, frame: u64) -> Result<(Thread, Vec<u8>), Refusal> {
    let task = format!("/proc/{}/task/{id}", tracee.pid);
    let mut thread = Thread { id: id.as_raw() as u32, ..Thread::default() };
    let comm = fs::read_to_string(format!("{task}/comm"))?;
    for (to, from) in thread.name[..15].iter_mut().zip(comm.trim_end().bytes()) {
        *to = from;
    }
    thread.nice = if COMPILERS.contains(&&thread.name[..15]) { LAST } else { nice(&task)? };
    let rseq = more::rseq(id)?;
    thread.rseq = (rseq.address, rseq.length, rseq.signature);
    thread.robust_list = more::robust_list(id)?;
    const PR_GET_TID_ADDRESS: u64 = 40;
    tracee.call_by(id, libc::SYS_prctl, &[PR_GET_TID_ADDRESS, frame])?;
    thread.clear_tid = tracee.read_word(frame)?;
    tracee.call_by(id, libc::SYS_sigaltstack, &[0, frame])?;
    let mut stack = [0; 24];
    tracee.read(frame, &mut stack)?;

    let mut registers = ptrace::getregs(id)?;
    (thread.tls, thread.gs) = (registers.fs_base, registers.gs_base);
    restart(&mut registers);
    leave_sequence(tracee, &thread, &mut registers)?;

    let marks = more::frame_marks()?;
    let length = state_length(&marks) as usize;
    let mut extended = vec![0; length.max(64 * 1024)];
    let known = more::extended_state(id, &mut extended)?;
    if known < length {
        return Err(Refusal("the state of its processor cannot be read".to_owned()));
    }
    extended.truncate(length);
    extended[MARKS..MARKS + marks.len()].copy_from_slice(&marks);

    let mut image = Bytes::default();
    image.word(FLAGS).word(0);
    image.0.extend_from_slice(&stack);
    let r = &registers;
    for value in [
        r.r8,
        r.r9,
        r.r10,
        r.r11,
        r.r12,
        r.r13,
        r.r14,
        r.r15,
        r.rdi,
        r.rsi,
        r.rbp,
        r.rbx,
        r.rdx,
        r.rax,
        r.rcx,
        r.rsp,
        r.rip,
        r.eflags & !TRAP_FLAG,
    ] {
        image.word(value);
    }
    for segment in [r.cs, r.gs, r.fs, r.ss] {
        image.0.extend_from_slice(&(segment as u16).to_le_bytes());
    }
    image.word(0).word(0).word(0).word(0).word(frame + EXTENDED);
    image.0.extend_from_slice(&[0; 64]);
    image.word(more::signal_mask(id)?);
    debug_assert_eq!(image.0.len() as u64, CONTEXT);
    image.0.resize(EXTENDED as usize, 0);
    image.0.extend_from_slice(&extended);
    image.half(MARK_BEHIND);
    Ok((thread, image.0))
}

/// How far a thread stands back for others, from 0 to 19. (Less than 0 takes rights that functions do not have.)
fn nice(task: &str) -> Result<u64, Refusal> {
    let stat = fs::read_to_string(format!("{task}/stat"))?;
    // Its name, in parentheses, may hold anything; `nice` is the 19th field, and the third follows the name.
    let value = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(16)?.parse::<i64>().ok());
    value
        .map(|nice| nice.max(0) as u64)
        .ok_or_else(|| Refusal("the priority of a thread cannot be read".to_owned()))
}

/// Lets the end of a thread, which will not run again, leave no trace in the memory that copies are made from: the kernel
/// would clear its id there, and mark the locks that it holds. If that cannot be had, it is ending.
pub(super) fn end_quietly(tracee: &Tracee, id: Pid) {
    const ROBUST_LIST: u64 = 24;
    let _ = tracee.call_by(id, libc::SYS_set_tid_address, &[0]);
    let _ = tracee.call_by(id, libc::SYS_set_robust_list, &[0, ROBUST_LIST]);
}

/// The processor stops after each instruction.
const TRAP_FLAG: u64 = 0x100;

/// Has an interrupted system call made again, as the kernel does when a stopped thread goes on.
fn restart(registers: &mut libc::user_regs_struct) {
    let (call, result) = (registers.orig_rax as i64, registers.rax as i64);
    let again =
        RESTART.contains(&result) || (result == -i64::from(libc::EINTR) && INTERRUPTED.contains(&call));
    if call >= 0 && again {
        registers.rax = registers.orig_rax;
        registers.rip -= 2; // the length of the instruction
    }
}

/// A thread that was stopped in a restartable sequence begins it anew, as after any interruption.
fn leave_sequence(
    tracee: &Tracee,
    thread: &Thread,
    registers: &mut libc::user_regs_struct,
) -> Result<(), Refusal> {
    let (address, length, _) = thread.rseq;
    if address == 0 || length < 16 {
        return Ok(());
    }
    // `struct rseq_cs`: version and flags, start, length, where to go instead.
    let sequence = tracee.read_word(address + 8)?;
    if sequence != 0 {
        let [start, length, instead] =
            [8, 16, 24].map(|offset| tracee.read_word(sequence.wrapping_add(offset)).unwrap_or(0));
        if registers.rip.wrapping_sub(start) < length {
            registers.rip = instead;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupted_calls_are_made_again_and_others_not() {
        let at = |call: i64, result: i64| {
            let mut registers = EMPTY;
            (registers.orig_rax, registers.rax, registers.rip) = (call as u64, result as u64, 100);
            restart(&mut registers);
            (registers.rip, registers.rax as i64)
        };
        assert_eq!(at(libc::SYS_read, -512), (98, libc::SYS_read));
        assert_eq!(at(libc::SYS_epoll_wait, -4), (98, libc::SYS_epoll_wait));
        assert_eq!(at(libc::SYS_read, 7), (100, 7));
        assert_eq!(at(-1, -512), (100, -512));
    }

    const EMPTY: libc::user_regs_struct = libc::user_regs_struct {
        r15: 0,
        r14: 0,
        r13: 0,
        r12: 0,
        rbp: 0,
        rbx: 0,
        r11: 0,
        r10: 0,
        r9: 0,
        r8: 0,
        rax: 0,
        rcx: 0,
        rdx: 0,
        rsi: 0,
        rdi: 0,
        orig_rax: 0,
        rip: 0,
        cs: 0,
        eflags: 0,
        rsp: 0,
        ss: 0,
        fs_base: 0,
        gs_base: 0,
        ds: 0,
        es: 0,
        fs: 0,
        gs: 0,
    };
}
