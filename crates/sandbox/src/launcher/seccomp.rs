//! The system calls that a function may make.
//!
//! An allow-list: a part of what Docker's default profile permits, without what that permits on condition of a
//! capability. What is not listed fails with EPERM; calls for which programs try a fallback fail with ENOSYS, so that
//! they do. A call by the numbers of 32-bit programs ends the process.
//!
//! What Docker permits and this list does not: `ptrace`, `process_vm_readv` and `process_vm_writev` (other processes'
//! memory), `io_*` (asynchronous I/O, whose number is limited for the whole machine), `sync` and `syncfs` (flush the
//! host's file systems), `mq_*` (queues in a file system that Landlock does not show), `name_to_handle_at` and `fanotify_mark` (the halves of calls that take a capability),
//! `listmount` and `statmount` (the table of mounts), `modify_ldt`, `memfd_secret`, `process_mrelease`, and most kinds of
//! sockets.
//! `prctl` is open: what it sets concerns the process itself, and the rest takes capabilities.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Compare, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter,
};
use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;

/// Compiled filters, applied one after the other.
#[derive(Debug)]
pub(super) struct Filters(Vec<BpfProgram>);

/// Namespaces that `clone` may not make.
const NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u64;

/// Sockets that may be made, as family, type and protocol: local ones, TCP, UDP, and the question which addresses
/// there are. Any other makes the kernel load modules that hardly anybody tests, or reaches beyond the network
/// namespace, as sockets to the host of a virtual machine do.
const SOCKETS: [(libc::c_int, Option<libc::c_int>, Option<libc::c_int>); 10] = [
    (libc::AF_UNIX, None, None),
    (libc::AF_NETLINK, None, Some(libc::NETLINK_ROUTE)),
    (libc::AF_INET, Some(libc::SOCK_STREAM), Some(0)),
    (libc::AF_INET, Some(libc::SOCK_STREAM), Some(libc::IPPROTO_TCP)),
    (libc::AF_INET, Some(libc::SOCK_DGRAM), Some(0)),
    (libc::AF_INET, Some(libc::SOCK_DGRAM), Some(libc::IPPROTO_UDP)),
    (libc::AF_INET6, Some(libc::SOCK_STREAM), Some(0)),
    (libc::AF_INET6, Some(libc::SOCK_STREAM), Some(libc::IPPROTO_TCP)),
    (libc::AF_INET6, Some(libc::SOCK_DGRAM), Some(0)),
    (libc::AF_INET6, Some(libc::SOCK_DGRAM), Some(libc::IPPROTO_UDP)),
];

/// The bits of a socket's type that are not flags.
const SOCKET_TYPE: u64 = 0xf;

/// Calls whose first argument names a process. Pid 1 has the function's uid, but its priority and limits are not the
/// function's to change: it must not be too slow to die.
const OF_A_PROCESS: [i64; 5] = [
    libc::SYS_prlimit64,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
];

/// Calls whose first argument says what the second names, and its values for a process and for a process group; all
/// processes of a user include pid 1.
const OF_A_PROCESS_OR_GROUP: [(i64, u64, u64); 2] = [
    (libc::SYS_setpriority, libc::PRIO_PROCESS as u64, libc::PRIO_PGRP as u64),
    (libc::SYS_ioprio_set, 1, 2), // IOPRIO_WHO_PROCESS, IOPRIO_WHO_PGRP
];

/// Execution domains that Docker permits: Linux, with or without short inodes or 32-bit names, and the query.
const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Requests that type into a terminal, which harms whoever shares it.
const TYPING: [u64; 2] = [libc::TIOCSTI, 0x541c]; // TIOCLINUX

impl Filters {
    /// Compiles the filters for this machine.
    pub(super) fn compile() -> io::Result<Filters> {
        let fail = |error: seccompiler::BackendError| io::Error::other(error.to_string());
        let arch: TargetArch = std::env::consts::ARCH.try_into().map_err(fail)?;
        let compile = |rules, otherwise, matched| -> Result<BpfProgram, seccompiler::BackendError> {
            SeccompFilter::new(rules, otherwise, matched, arch)?.try_into()
        };
        let absent = ABSENT.iter().copied().chain(NEWER).map(|call| (call, Vec::new())).collect();
        Ok(Filters(vec![
            compile(absent, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32)).map_err(fail)?,
            compile(allowed().map_err(fail)?, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)
                .map_err(fail)?,
        ]))
    }

    /// Applies the filters to this process and all that come from it, for good.
    pub(super) fn apply(&self) -> io::Result<()> {
        // Of two filters that refuse, the one applied last names the error.
        for filter in self.0.iter().rev() {
            apply_filter(filter).map_err(|error| io::Error::other(error.to_string()))?;
        }
        Ok(())
    }
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn allowed() -> Result<Rules, seccompiler::BackendError> {
    let mut rules: Rules = ALLOWED.iter().chain(ALLOWED_HERE).map(|call| (*call, Vec::new())).collect();
    let compare = |argument, how, value| SeccompCondition::new(argument, Width::Dword, how, value);
    let is = |argument, value| compare(argument, Compare::Eq, value);

    let flags = SeccompCondition::new(0, Width::Qword, Compare::MaskedEq(NAMESPACES), 0)?;
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![flags])?]);

    let sockets = SOCKETS.iter().map(|(family, kind, protocol)| {
        let family = Some(is(0, *family as u64));
        let kind = kind.map(|kind| compare(1, Compare::MaskedEq(SOCKET_TYPE), kind as u64));
        let protocol = protocol.map(|protocol| is(2, protocol as u64));
        SeccompRule::new([family, kind, protocol].into_iter().flatten().collect::<Result<_, _>>()?)
    });
    rules.insert(libc::SYS_socket, sockets.collect::<Result<_, _>>()?);
    rules.insert(libc::SYS_socketpair, vec![SeccompRule::new(vec![is(0, libc::AF_UNIX as u64)?])?]);

    for call in OF_A_PROCESS {
        rules.insert(call, vec![SeccompRule::new(vec![compare(0, Compare::Ne, 1)?])?]);
    }
    for (call, process, group) in OF_A_PROCESS_OR_GROUP {
        let another = SeccompRule::new(vec![is(0, process)?, compare(1, Compare::Ne, 1)?])?;
        rules.insert(call, vec![another, SeccompRule::new(vec![is(0, group)?])?]);
    }

    let personalities = PERSONALITIES.iter().map(|domain| SeccompRule::new(vec![is(0, *domain)?]));
    rules.insert(libc::SYS_personality, personalities.collect::<Result<_, _>>()?);

    let typing = TYPING.iter().map(|request| compare(1, Compare::Ne, *request));
    rules.insert(libc::SYS_ioctl, vec![SeccompRule::new(typing.collect::<Result<_, _>>()?)?]);
    Ok(rules)
}

/// Calls that are said not to exist. `clone3` hides its flags in memory where no filter sees them; the C libraries
/// then use `clone`.
const ABSENT: &[i64] = &[
    libc::SYS_clone3,
    libc::SYS_io_setup,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_memfd_secret,
    libc::SYS_mq_open,
    libc::SYS_quotactl_fd,
    libc::SYS_process_mrelease,
    libc::SYS_set_mempolicy_home_node,
];

/// Calls that kernels after 6.4 have brought or will bring: whoever makes them has a fallback for older kernels.
const NEWER: RangeInclusive<i64> = 451..=511;

/// Calls that every machine has.
const ALLOWED: &[i64] = &[
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_adjtimex, // reading; setting needs a capability
    libc::SYS_bind,
    libc::SYS_brk,
    libc::SYS_capget,
    libc::SYS_capset,
    libc::SYS_chdir,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_connect,
    libc::SYS_copy_file_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fchdir,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_fgetxattr,
    libc::SYS_flistxattr,
    libc::SYS_flock,
    libc::SYS_fremovexattr,
    libc::SYS_fsetxattr,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_futex,
    libc::SYS_futex_waitv,
    libc::SYS_get_robust_list,
    libc::SYS_getcpu,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getgroups,
    libc::SYS_getitimer,
    libc::SYS_getpeername,
    libc::SYS_getpgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getpriority,
    libc::SYS_getrandom,
    libc::SYS_getresgid,
    libc::SYS_getresuid,
    libc::SYS_getrlimit,
    libc::SYS_getrusage,
    libc::SYS_getsid,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_getxattr,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_rm_watch,
    libc::SYS_ioprio_get,
    libc::SYS_kill,
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_restrict_self,
    libc::SYS_lgetxattr,
    libc::SYS_linkat,
    libc::SYS_listen,
    libc::SYS_listxattr,
    libc::SYS_llistxattr,
    libc::SYS_lremovexattr,
    libc::SYS_lseek,
    libc::SYS_lsetxattr,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_memfd_create,
    libc::SYS_mincore,
    libc::SYS_mkdirat,
    libc::SYS_mknodat, // pipes and sockets; devices need a capability
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_mlockall,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_msgctl,
    libc::SYS_msgget,
    libc::SYS_msgrcv,
    libc::SYS_msgsnd,
    libc::SYS_msync,
    libc::SYS_munlock,
    libc::SYS_munlockall,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_pipe2,
    libc::SYS_pkey_alloc,
    libc::SYS_pkey_free,
    libc::SYS_pkey_mprotect,
    libc::SYS_ppoll,
    libc::SYS_prctl,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_pselect6,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_read,
    libc::SYS_readahead,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_recvmsg,
    libc::SYS_remap_file_pages,
    libc::SYS_removexattr,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getattr,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_rr_get_interval,
    libc::SYS_sched_yield,
    libc::SYS_seccomp,
    libc::SYS_semctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_sendfile,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_setfsgid,
    libc::SYS_setfsuid,
    libc::SYS_setgid,
    libc::SYS_setgroups,
    libc::SYS_setitimer,
    libc::SYS_setpgid,
    libc::SYS_setregid,
    libc::SYS_setresgid,
    libc::SYS_setresuid,
    libc::SYS_setreuid,
    libc::SYS_setrlimit,
    libc::SYS_setsid,
    libc::SYS_setsockopt,
    libc::SYS_setuid,
    libc::SYS_setxattr,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_shmdt,
    libc::SYS_shmget,
    libc::SYS_shutdown,
    libc::SYS_sigaltstack,
    libc::SYS_signalfd4,
    libc::SYS_splice,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_symlinkat,
    libc::SYS_sync_file_range,
    libc::SYS_sysinfo,
    libc::SYS_tee,
    libc::SYS_tgkill,
    libc::SYS_timer_create,
    libc::SYS_timer_delete,
    libc::SYS_timer_getoverrun,
    libc::SYS_timer_gettime,
    libc::SYS_timer_settime,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_gettime,
    libc::SYS_timerfd_settime,
    libc::SYS_times,
    libc::SYS_tkill,
    libc::SYS_truncate,
    libc::SYS_umask,
    libc::SYS_uname,
    libc::SYS_unlinkat,
    libc::SYS_utimensat,
    libc::SYS_vmsplice,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_write,
    libc::SYS_writev,
];

/// Calls that x86-64 has beside their newer forms.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[i64] = &[
    libc::SYS_access,
    libc::SYS_alarm,
    libc::SYS_arch_prctl,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_creat,
    libc::SYS_dup2,
    libc::SYS_epoll_create,
    libc::SYS_epoll_ctl_old,
    libc::SYS_epoll_wait,
    libc::SYS_epoll_wait_old,
    libc::SYS_eventfd,
    libc::SYS_fork,
    libc::SYS_futimesat,
    libc::SYS_get_thread_area,
    libc::SYS_getdents,
    libc::SYS_getpgrp,
    libc::SYS_inotify_init,
    libc::SYS_lchown,
    libc::SYS_link,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_mknod,
    libc::SYS_open,
    libc::SYS_pause,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_rmdir,
    libc::SYS_select,
    libc::SYS_set_thread_area,
    libc::SYS_signalfd,
    libc::SYS_stat,
    libc::SYS_symlink,
    libc::SYS_time,
    libc::SYS_unlink,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_vfork,
];

/// Elsewhere there are only the newer forms.
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[i64] = &[];
