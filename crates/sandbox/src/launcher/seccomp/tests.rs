//! The program beside what `seccompiler` makes of the same verdicts, both run by an interpreter, and some calls by name.

use super::compiler::{Condition, Verdict, compile};
use super::{Filters, architecture, policy};
use crate::sys::seccomp::Instruction;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Compare, SeccompCondition,
    SeccompFilter, SeccompRule,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
const X32: u32 = 0x4000_0000;

/// What a program says to a call, and how many instructions that took.
fn run(program: &[Instruction], architecture: u32, call: u32, arguments: [u64; 6]) -> (u32, usize) {
    let mut data = vec![call, architecture, 0, 0];
    data.extend(arguments.iter().flat_map(|argument| [*argument as u32, (argument >> 32) as u32]));
    let (mut at, mut loaded, mut steps) = (0, 0, 0);
    loop {
        let Instruction { code, yes, no, operand } = program[at];
        let jump = |holds| if holds { yes.into() } else { no.into() };
        (at, steps) = (at + 1, steps + 1);
        at += match code {
            0x20 => {
                loaded = data[operand as usize / 4];
                0
            }
            0x54 => {
                loaded &= operand;
                0
            }
            0x05 => operand as usize,
            0x15 => jump(loaded == operand),
            0x25 => jump(loaded > operand),
            0x35 => jump(loaded >= operand),
            0x06 => return (operand, steps),
            _ => panic!("instruction {code:#x}"),
        };
    }
}

/// The filters that `seccompiler` makes: of two that refuse, the one applied last, here the first, names the error.
fn oracle(verdicts: &BTreeMap<u32, Verdict>) -> [Vec<Instruction>; 2] {
    let condition = |it: &Condition| {
        let compare = match (it.mask, it.equal) {
            (u32::MAX, true) => Compare::Eq,
            (u32::MAX, false) => Compare::Ne,
            (mask, _) => Compare::MaskedEq(mask.into()),
        };
        SeccompCondition::new(it.argument as u8, Width::Dword, compare, it.value.into()).unwrap()
    };
    let rules = |rules: &Vec<Vec<Condition>>| {
        rules.iter().map(|rule| SeccompRule::new(rule.iter().map(condition).collect()).unwrap()).collect()
    };
    let (mut absent, mut allowed) = (BTreeMap::new(), BTreeMap::new());
    for (call, verdict) in verdicts {
        match verdict {
            Verdict::Absent => absent.insert(i64::from(*call), Vec::new()),
            Verdict::Allow => allowed.insert(i64::from(*call), Vec::new()),
            Verdict::AllowIf(them) => allowed.insert(i64::from(*call), rules(them)),
            Verdict::Refuse => None,
        };
    }
    let errno = |errno| SeccompAction::Errno(errno as u32);
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let compile = |rules, otherwise, matched| {
        let filter = SeccompFilter::new(rules, otherwise, matched, architecture).unwrap();
        let program: BpfProgram = filter.try_into().unwrap();
        let ours = |it: &seccompiler::sock_filter| Instruction {
            code: it.code,
            yes: it.jt,
            no: it.jf,
            operand: it.k,
        };
        program.iter().map(ours).collect()
    };
    [
        compile(absent, SeccompAction::Allow, errno(libc::ENOSYS)),
        compile(allowed, errno(libc::EPERM), SeccompAction::Allow),
    ]
}

/// The stricter of two results, as the kernel takes it: the first of two that refuse.
fn stricter([first, second]: [u32; 2]) -> u32 {
    let rank = |result: u32| {
        [libc::SECCOMP_RET_KILL_PROCESS, ENOSYS & !0xffff, ALLOW].map(|it| it == result & !0xffff)
    };
    if rank(second) > rank(first) { second } else { first }
}

#[test]
fn the_program_decides_as_the_oracle() {
    let verdicts = policy::verdicts();
    let (oracle, ours) = (oracle(&verdicts), Filters::compile().unwrap().0);
    let mut values = BTreeSet::from([0, 1, 2, 3, 17, u32::MAX]);
    let rules =
        verdicts.values().filter_map(|it| if let Verdict::AllowIf(rules) = it { Some(rules) } else { None });
    for it in rules.flatten().flatten() {
        values.extend([it.value, it.value ^ 1, it.value | 1 << 31, it.value | 0o2_000_000]);
        values.extend((0..32).map(|bit| 1 << bit).filter(|bit| it.mask != u32::MAX && it.mask & bit != 0));
    }
    let values: Vec<u64> =
        values.iter().flat_map(|low| [u64::from(*low), u64::from(*low) | 1 << 32]).collect();
    let here = architecture().unwrap();
    let compare = |architecture, call, arguments| {
        let expected = stricter([0, 1].map(|which| run(&oracle[which], architecture, call, arguments).0));
        let (result, _) = run(&ours, architecture, call, arguments);
        assert_eq!(result, expected, "call {call} {arguments:x?} of {architecture:x}");
    };
    for call in (0..=1100).chain(X32..X32 + 600).chain([1 << 31, u32::MAX]) {
        for architecture in [here, 0x4000_0003, 0] {
            compare(architecture, call, [0; 6]);
            compare(architecture, call, [u64::MAX; 6]);
        }
        let conditional = matches!(verdicts.get(&call), Some(Verdict::AllowIf(_)));
        for first in values.iter().filter(|_| conditional) {
            for second in &values {
                compare(here, call, [*first, *second, 0, 0, 0, 0]);
                for third in [1, 6, 17, 58, 1 << 32, 6 | 1 << 32] {
                    compare(here, call, [*first, *second, third, 0, 0, 0]);
                }
            }
        }
    }
}

#[test]
fn calls_are_decided_as_the_policy_says() {
    let program = Filters::compile().unwrap().0;
    let result = |call: i64, arguments: &[u64]| {
        let mut six = [0; 6];
        six[..arguments.len()].copy_from_slice(arguments);
        run(&program, architecture().unwrap(), call as u32, six).0
    };
    let (tcp6, raw) = ([10, 1 | 0o2_000_000, 6], [2, 3, 0]);
    let cases: [(i64, &[u64], u32); 17] = [
        (libc::SYS_read, &[], ALLOW),
        (libc::SYS_setns, &[3, 0x4000_0000], ALLOW),
        (libc::SYS_unshare, &[0x1000_0000], EPERM),
        (libc::SYS_ptrace, &[], EPERM),
        (libc::SYS_mount, &[], EPERM),
        (libc::SYS_clone3, &[], ENOSYS),
        (libc::SYS_io_uring_setup, &[], ENOSYS),
        (511, &[], ENOSYS),
        (512, &[], EPERM),
        (libc::SYS_clone, &[0x3d_0f00], ALLOW),
        (libc::SYS_clone, &[0x1000_0011], EPERM),
        (libc::SYS_socket, &tcp6, ALLOW),
        (libc::SYS_socket, &raw, EPERM),
        (libc::SYS_prlimit64, &[0], ALLOW),
        (libc::SYS_prlimit64, &[1], EPERM),
        (libc::SYS_setpriority, &[2, 0], EPERM),
        (libc::SYS_ioctl, &[0, libc::TIOCSTI], EPERM),
    ];
    for (call, arguments, expected) in cases {
        assert_eq!(result(call, arguments), expected, "call {call} {arguments:x?}");
    }
    // What a copy of a template needs to become itself.
    let needed = [
        libc::SYS_capset,
        libc::SYS_chdir,
        libc::SYS_connect,
        libc::SYS_dup3,
        libc::SYS_epoll_create1,
        libc::SYS_eventfd2,
        libc::SYS_fcntl,
        libc::SYS_getitimer,
        libc::SYS_landlock_restrict_self,
        libc::SYS_lseek,
        libc::SYS_madvise,
        libc::SYS_mmap,
        libc::SYS_mprotect,
        libc::SYS_munmap,
        libc::SYS_openat,
        libc::SYS_prctl,
        libc::SYS_recvmsg,
        libc::SYS_rseq,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigreturn,
        libc::SYS_sendmsg,
        libc::SYS_set_robust_list,
        libc::SYS_set_tid_address,
        libc::SYS_setns,
        libc::SYS_setsockopt,
        libc::SYS_sigaltstack,
        libc::SYS_timerfd_create,
        libc::SYS_umask,
        libc::SYS_wait4,
    ];
    for call in needed {
        assert_eq!(result(call, &[]), ALLOW, "call {call}");
    }
    #[cfg(target_arch = "x86_64")]
    assert_eq!(result(libc::SYS_arch_prctl, &[]), ALLOW);
}

#[test]
fn a_program_of_any_size_finds_every_call() {
    let verdict = |call: u32| match call % 5 {
        0 => Verdict::Allow,
        1 => Verdict::Absent,
        2 => Verdict::AllowIf(vec![
            vec![Condition::is(0, call), Condition::masked(5, 0xff, 7)],
            vec![Condition::is_not(0, 3)],
        ]),
        3 => Verdict::AllowIf(vec![]),
        _ => Verdict::Refuse,
    };
    for size in [0, 1, 2, 3, 10, 100, 254, 255, 256, 257, 600] {
        let verdicts = (0..size).map(|call| (call, verdict(call))).collect();
        let program = compile(1, &verdicts);
        for call in 0..size + 5 {
            for arguments in [[3, 0, 0, 0, 0, 0], [4; 6], [call.into(), 0, 0, 0, 0, 0x107]] {
                let expected = match verdict(call) {
                    _ if call >= size => EPERM,
                    Verdict::Allow => ALLOW,
                    Verdict::Absent => ENOSYS,
                    Verdict::AllowIf(rules) if !rules.is_empty() && arguments[0] != 3 => ALLOW,
                    _ => EPERM,
                };
                assert_eq!(
                    run(&program, 1, call, arguments).0,
                    expected,
                    "call {call} of {size}, {arguments:?}"
                );
                assert_eq!(run(&program, 2, call, arguments).0, libc::SECCOMP_RET_KILL_PROCESS);
            }
        }
    }
}

#[test]
fn the_kernel_has_a_short_way_through_the_program() {
    let program = Filters::compile().unwrap().0;
    let longest = (0..1024).map(|call| run(&program, architecture().unwrap(), call, [0; 6]).1).max().unwrap();
    println!("{} instructions, of which {longest} are walked at most", program.len());
    assert!(program.len() < 256 && longest <= 24, "{} instructions, {longest} walked", program.len());
}

/// `cargo test --release -p sandbox --lib -- --ignored --nocapture loading`
#[test]
#[ignore = "measures"]
fn loading_the_program() {
    let ours = Filters::compile().unwrap().0;
    for (name, programs) in
        [("this program", vec![ours]), ("what seccompiler makes", oracle(&policy::verdicts()).to_vec())]
    {
        let mut taken: Vec<_> = (0..200)
            .map(|_| {
                let programs = programs.clone();
                let load = move || {
                    nix::sys::prctl::set_no_new_privs().unwrap();
                    let begun = Instant::now();
                    programs.iter().rev().for_each(|program| crate::sys::seccomp::filter(program).unwrap());
                    begun.elapsed()
                };
                std::thread::spawn(load).join().unwrap()
            })
            .collect();
        taken.sort();
        let length: usize = programs.iter().map(Vec::len).sum();
        println!("{name}: {length} instructions, loaded in {:?}", taken[taken.len() / 2]);
    }
}
