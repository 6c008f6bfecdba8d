//! The kernel's doors: system calls, other numberings of them, namespaces, and the files that set things.

use super::{attack, beside_others, expect_all, try_each};
use crate::fixture::Node;

attempts![
    dangerous_system_calls_are_refused,
    no_namespace_can_be_made_or_entered,
    other_numberings_of_system_calls_are_closed,
    the_function_has_no_rights_to_give_up,
    knobs_of_the_kernel_and_of_control_groups_cannot_be_turned,
];

async fn dangerous_system_calls_are_refused(node: Node) {
    if !node.sandbox.features().seccomp || !cfg!(target_arch = "x86_64") {
        return println!("skipped: numbers of x86-64, and a kernel that filters");
    }
    let refused = [
        "call(272, 0x10000000)",                  // unshare: user
        "call(272, 0x00020000)",                  // unshare: mount
        "call(272, 0x40000000)",                  // unshare: net
        "call(272, 0x00000080)",                  // unshare: time
        "call(321, 0, 0, 0)",                     // bpf
        "call(298, 0, 0, -1, -1, 0)",             // perf_event_open
        "call(323, 0)",                           // userfaultfd
        "call(248, b'user', b'x', b'y', 1, -3)",  // add_key
        "call(249, b'user', b'x', 0, -3)",        // request_key
        "call(250, 0, 0)",                        // keyctl
        "call(175, 0, 0, b'')",                   // init_module
        "call(313, 3, b'', 0)",                   // finit_module
        "call(176, b'x', 0)",                     // delete_module
        "call(246, 0, 0, 0, 0)",                  // kexec_load
        "call(320, 3, 3, 0, 0, 0)",               // kexec_file_load
        "call(169, 0xfee1dead, 672274793, 0, 0)", // reboot
        "call(167, b'/tmp/x', 0)",                // swapon
        "call(168, b'/tmp/x')",                   // swapoff
        "call(163, b'/tmp/x')",                   // acct
        "call(103, 3, 0, 0)",                     // syslog
        "call(153)",                              // vhangup
        "call(170, b'x', 1)",                     // sethostname
        "call(171, b'x', 1)",                     // setdomainname
        "call(172, 3)",                           // iopl
        "call(173, 0, 1, 1)",                     // ioperm
        "call(154, 0, 0, 0)",                     // modify_ldt
        "call(179, 0, 0, 0, 0)",                  // quotactl
        "call(212, 0, 0, 0)",                     // lookup_dcookie
        "call(227, 0, b'\\0' * 16)",              // clock_settime
        "call(237, 0, 0, 0, 0, 0, 0)",            // mbind
        "call(238, 0, 0, 0)",                     // set_mempolicy
        "call(300, 0, 0)",                        // fanotify_init
        "call(301, 0, 0, 0, 0, 0)",               // fanotify_mark
        "call(428, -100, b'/', 1)",               // open_tree
        "call(430, b'tmpfs', 0)",                 // fsopen
        "call(433, -100, b'/', 0)",               // fspick
        "call(162)",                              // sync
        "call(306, 1)",                           // syncfs
        "call(209, 3, 1, 0)",                     // io_submit
        "call(135, 0x0040000)",                   // personality without address randomisation
        "call(135, 0x0400000)",                   // personality: what can be read can be run
        "fcntl.ioctl(0, 0x5412, b'x')",           // TIOCSTI
        "fcntl.ioctl(0, 0x541c, b'x')",           // TIOCLINUX
    ];
    beside_others(&node, expect_all(&node, "EPERM", &refused)).await;
    // clone3, io_setup, io_uring_setup, _enter, _register, memfd_secret, and calls that this kernel may have but the
    // filter does not know: listmount, statmount, open_tree_attr, and one of the future.
    let absent = [
        "call(435, b'\\0' * 88, 88)",
        "call(206, 1, b'\\0' * 8)",
        "call(425, 1, b'\\0' * 120)",
        "call(426, 3, 0, 0, 0, 0, 0)",
        "call(427, 3, 0, 0, 0)",
        "call(447, 0)",
        "call(458, 0, 0, 0, 0)",
        "call(457, 0, 0, 0, 0)",
        "call(467, 0, 0, 0, 0)",
        "call(511)",
    ];
    expect_all(&node, "ENOSYS", &absent).await;
}

async fn no_namespace_can_be_made_or_entered(node: Node) {
    if !node.sandbox.features().seccomp || !cfg!(target_arch = "x86_64") {
        return println!("skipped: numbers of x86-64, and a kernel that filters");
    }
    // clone with SIGCHLD: mount, cgroup, uts, ipc, user, pid, net, and user with all others.
    let kinds = [
        0x0002_0000,
        0x0200_0000,
        0x0400_0000,
        0x0800_0000,
        0x1000_0000,
        0x2000_0000,
        0x4000_0000,
        0x7e02_0000,
    ];
    let clones: Vec<_> = kinds.iter().map(|kind| format!("call(56, {}, 0, 0, 0, 0)", kind | 17)).collect();
    let clones: Vec<_> = clones.iter().map(String::as_str).collect();
    expect_all(&node, "EPERM", &clones).await;
    // setns, with and without the kind. It is in the user namespace already, and could not enter it once more.
    let entering = |kind: &str, flag: u32| {
        let open = format!("os.open('/proc/self/ns/{kind}', os.O_RDONLY)");
        [format!("call(308, {open}, 0)"), format!("call(308, {open}, {flag})")]
    };
    let kinds = [
        ("mnt", 0x0002_0000),
        ("cgroup", 0x0200_0000),
        ("uts", 0x0400_0000),
        ("ipc", 0x0800_0000),
        ("pid", 0x2000_0000),
        ("net", 0x4000_0000),
        ("time", 0x80),
    ];
    let others: Vec<_> = kinds.iter().flat_map(|(kind, flag)| entering(kind, *flag)).collect();
    let all_at_once = "call(308, os.pidfd_open(os.getpid()), 0x6e020000)".to_owned();
    let others: Vec<_> = others.iter().chain([&all_at_once]).map(String::as_str).collect();
    expect_all(&node, "EPERM", &others).await;
    let own = entering("user", 0x1000_0000);
    expect_all(&node, "EPERM|EINVAL", &own.each_ref().map(String::as_str)).await;
    expect_all(
        &node,
        "EPERM|1",
        &["subprocess.run(['unshare', '-U', 'true'], capture_output=True).returncode"],
    )
    .await;
}

async fn other_numberings_of_system_calls_are_closed(node: Node) {
    if !node.sandbox.features().seccomp || !cfg!(target_arch = "x86_64") {
        return println!("skipped: x86-64, and a kernel that filters");
    }
    // The x32 forms of getpid, ptrace and mount.
    expect_all(
        &node,
        "EPERM",
        &["call(0x40000000 + 39)", "call(0x40000000 + 521)", "call(0x40000000 + 165)"],
    )
    .await;
    // mov eax, 20 (getpid for 32 bits); int 0x80; ret
    let by_interrupt = r#"
code = mmap.mmap(-1, 4096, prot=7)
code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
return ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
"#;
    let ran = beside_others(&node, attack(&node, by_interrupt, |_| {})).await;
    let ends = ["signal: bad system call", "signal: segmentation fault"]; // the latter where the kernel has no such call
    assert!(ends.iter().any(|end| ran.error().error_message.ends_with(end)), "{:?}", ran.error());
}

async fn the_function_has_no_rights_to_give_up(node: Node) {
    let status =
        |field: &str| format!("[l.split()[1] for l in open('/proc/self/status') if l.startswith('{field}')]");
    let fields = ["Cap", "NoNewPrivs", "Seccomp:", "Uid", "Groups"].map(status);
    let results = try_each(&node, &fields.each_ref().map(String::as_str)).await;
    let zeros = format!("{:?}", ["0000000000000000"; 5]).replace('"', "'");
    assert_eq!(results[..2], [zeros, "['1']".to_owned()]);
    assert_eq!(results[2] == "['2']", node.sandbox.features().seccomp);
    assert_eq!(results[3], "['993']");
    let raising =
        ["os.setuid(0)", "os.setgid(0)", "os.setgroups([0])", "os.setresuid(0, 0, 0)", "os.seteuid(1)"];
    expect_all(&node, "EPERM|EINVAL", &raising).await;
    expect_all(&node, "EPERM", &["call(126, struct.pack('<II', 0x20080522, 0), b'\\xff' * 24)"]).await; // capset
}

async fn knobs_of_the_kernel_and_of_control_groups_cannot_be_turned(node: Node) {
    let knobs = [
        "/proc/sysrq-trigger",
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/randomize_va_space",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/kernel/pid_max",
        "/proc/sys/kernel/ns_last_pid",
        "/proc/sys/kernel/shmmax",
        "/proc/sys/fs/mqueue/queues_max",
        "/proc/sys/fs/file-max",
        "/proc/sys/user/max_user_namespaces",
        "/proc/sys/vm/drop_caches",
        "/proc/sys/vm/overcommit_memory",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sys/net/ipv4/ping_group_range",
        "/proc/self/oom_score_adj",
        "/proc/self/oom_adj",
        "/proc/self/comm",
        "/proc/self/uid_map",
        "/proc/self/gid_map",
        "/proc/self/setgroups",
        "/proc/self/loginuid",
        "/proc/self/attr/current",
        "/proc/self/coredump_filter",
        "/proc/self/clear_refs",
        "/proc/self/timerslack_ns",
        "/proc/self/mem",
        "/proc/1/oom_score_adj",
        "/proc/1/mem",
        "/proc/1/cgroup",
        "/proc/irq/default_smp_affinity",
        "/proc/acpi/wakeup",
        "/proc/scsi/scsi",
        "/proc/kcore",
        "/proc/timer_list",
        "/sys/kernel/uevent_helper",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/sys/fs/cgroup/cgroup.procs",
        "/sys/fs/cgroup/memory/cgroup.procs",
        "/sys/fs/cgroup/memory/release_agent",
        "/sys/fs/cgroup/pids/pids.max",
        "/sys/fs/bpf/x",
    ];
    let writes = knobs.map(|knob| format!("write('{knob}')"));
    let writes = writes.each_ref().map(String::as_str);
    beside_others(&node, expect_all(&node, "EROFS|EACCES|EPERM|ENOENT", &writes)).await;
    let reading = [
        "open('/proc/kcore', 'rb').read(1)",
        "open('/proc/kmsg').read(1)",
        "open('/proc/kpageflags').read(1)",
        "os.listdir('/proc/1/map_files')",
    ];
    expect_all(&node, "EACCES|EPERM|ENOENT", &reading).await;
}
