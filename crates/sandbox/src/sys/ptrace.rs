//! What `ptrace` tells and changes beside what the `nix` crate covers. x86-64 only.

use super::check;
use nix::unistd::Pid;
use std::io;
use std::mem::MaybeUninit;

/// The kernel's number for the extended state of the processor in a register set.
const NT_X86_XSTATE: libc::c_int = 0x202;
const PTRACE_GET_RSEQ_CONFIGURATION: libc::c_uint = 0x420f;

/// Where a thread keeps what makes it restart a sequence of instructions, as the kernel knows it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rseq {
    /// Address of the structure; zero if it has none.
    pub(crate) address: u64,
    pub(crate) length: u32,
    pub(crate) signature: u32,
    flags: u32,
    pad: u32,
}

/// The extended state of the stopped thread's processor (floating point, vectors), as the kernel lays it out.
pub(crate) fn extended_state(thread: Pid, buffer: &mut [u8]) -> io::Result<usize> {
    let mut vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: the kernel writes at most `iov_len` bytes to `iov_base`, which is `buffer`.
    check(unsafe { libc::ptrace(libc::PTRACE_GETREGSET, thread.as_raw(), NT_X86_XSTATE, &raw mut vector) })?;
    Ok(vector.iov_len)
}

/// The signals that the stopped thread blocks.
pub(crate) fn signal_mask(thread: Pid) -> io::Result<u64> {
    let mut mask = 0u64;
    // SAFETY: the kernel writes the eight bytes that the third argument says to `mask`.
    check(unsafe {
        libc::ptrace(libc::PTRACE_GETSIGMASK, thread.as_raw(), size_of::<u64>(), &raw mut mask)
    })?;
    Ok(mask)
}

/// Has the stopped thread block all signals.
pub(crate) fn block_signals(thread: Pid) -> io::Result<()> {
    let mask = u64::MAX;
    // SAFETY: the kernel reads the eight bytes that the third argument says from `mask`.
    check(unsafe {
        libc::ptrace(libc::PTRACE_SETSIGMASK, thread.as_raw(), size_of::<u64>(), &raw const mask)
    })?;
    Ok(())
}

/// The stopped thread's restartable sequence.
pub(crate) fn rseq(thread: Pid) -> io::Result<Rseq> {
    let mut rseq = Rseq::default();
    // SAFETY: the kernel writes at most as many bytes as the third argument says to `rseq`.
    check(unsafe {
        libc::ptrace(PTRACE_GET_RSEQ_CONFIGURATION, thread.as_raw(), size_of::<Rseq>(), &raw mut rseq)
    })?;
    Ok(rseq)
}

/// The robust list of a thread: its address and length.
pub(crate) fn robust_list(thread: Pid) -> io::Result<(u64, u64)> {
    let (mut head, mut length) = (0u64, 0u64);
    // SAFETY: both pointers are to locals that outlive the call.
    check(unsafe {
        libc::syscall(libc::SYS_get_robust_list, thread.as_raw(), &raw mut head, &raw mut length)
    })?;
    Ok((head, length))
}

/// The words with which the kernel marks the extended state in a signal's frame. They are the same for all processes
/// that have not asked for more, so one's own tell them.
pub(crate) fn frame_marks() -> io::Result<[u8; 48]> {
    use std::sync::Mutex;
    static MARKS: Mutex<Option<[u8; 48]>> = Mutex::new(None);

    extern "C" fn look(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
        let context = context.cast::<libc::ucontext_t>();
        // SAFETY: the kernel passes a valid context to a handler with SA_SIGINFO; its extended state lies at
        // `fpregs`, and the marks are the software's part of the legacy area, 464 bytes in.
        let marks = unsafe {
            let state = (*context).uc_mcontext.fpregs.cast::<u8>();
            state.add(464).cast::<[u8; 48]>().read_unaligned()
        };
        if let Ok(mut kept) = MARKS.try_lock() {
            *kept = Some(marks);
        }
    }
    // SAFETY: an all-zero `sigaction` is a valid value of that plain C structure.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = look as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the handler touches nothing that this single-threaded process is in the middle of; the default action
    // is put back.
    unsafe {
        check(libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()).into())?;
        check(libc::raise(libc::SIGUSR1).into())?;
        libc::signal(libc::SIGUSR1, libc::SIG_DFL);
    }
    let marks = MARKS.lock().map_err(|_| io::ErrorKind::Other)?.take();
    marks.ok_or_else(|| io::Error::other("this processor has no extended state"))
}
