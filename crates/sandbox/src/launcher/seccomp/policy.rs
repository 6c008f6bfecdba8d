//! What a function may do by which system call.

use super::calls::{ABSENT, ALLOWED, ALLOWED_HERE, NEWER};
use super::compiler::{Condition, Rule, Verdict};
use std::collections::BTreeMap;

/// Namespaces that `clone` may not make.
const NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;

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
const SOCKET_TYPE: u32 = 0xf;

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
const OF_A_PROCESS_OR_GROUP: [(i64, u32, u32); 2] = [
    (libc::SYS_setpriority, 0, 1), // PRIO_PROCESS, PRIO_PGRP
    (libc::SYS_ioprio_set, 1, 2),  // IOPRIO_WHO_PROCESS, IOPRIO_WHO_PGRP
];

/// Execution domains that Docker permits: Linux, with or without short inodes or 32-bit names, and the query.
const PERSONALITIES: [u32; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Requests that type into a terminal, which harms whoever shares it.
const TYPING: [u32; 2] = [libc::TIOCSTI as u32, 0x541c]; // TIOCLINUX

/// The verdict on every call that is not refused, by number.
pub(super) fn verdicts() -> BTreeMap<u32, Verdict> {
    let absent = ABSENT.iter().copied().chain(NEWER).map(|call| (call, Verdict::Absent));
    let allowed = ALLOWED.iter().chain(ALLOWED_HERE).map(|call| (*call, Verdict::Allow));
    let allowed_if = conditional().into_iter().map(|(call, rules)| (call, Verdict::AllowIf(rules)));
    let verdicts = allowed.chain(allowed_if).chain(absent);
    verdicts.filter_map(|(call, verdict)| Some((call.try_into().ok()?, verdict))).collect()
}

/// The calls that depend on their arguments.
fn conditional() -> Vec<(i64, Vec<Rule>)> {
    let mut calls = vec![
        // All the namespaces' flags lie in the low half of the argument.
        (libc::SYS_clone, vec![vec![Condition::masked(0, NAMESPACES, 0)]]),
        (libc::SYS_socket, SOCKETS.iter().map(|socket| rule_of(*socket)).collect()),
        (libc::SYS_socketpair, vec![vec![Condition::is(0, libc::AF_UNIX as u32)]]),
        (libc::SYS_personality, PERSONALITIES.iter().map(|domain| vec![Condition::is(0, *domain)]).collect()),
        (libc::SYS_ioctl, vec![TYPING.iter().map(|request| Condition::is_not(1, *request)).collect()]),
    ];
    calls.extend(OF_A_PROCESS.map(|call| (call, vec![vec![Condition::is_not(0, 1)]])));
    calls.extend(OF_A_PROCESS_OR_GROUP.map(|(call, process, group)| {
        let another = vec![Condition::is(0, process), Condition::is_not(1, 1)];
        (call, vec![another, vec![Condition::is(0, group)]])
    }));
    calls
}

fn rule_of((family, kind, protocol): (libc::c_int, Option<libc::c_int>, Option<libc::c_int>)) -> Rule {
    let kind = kind.map(|kind| Condition::masked(1, SOCKET_TYPE, kind as u32));
    let protocol = protocol.map(|protocol| Condition::is(2, protocol as u32));
    [Some(Condition::is(0, family as u32)), kind, protocol].into_iter().flatten().collect()
}
