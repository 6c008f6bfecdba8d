//! Other processes, the bootstrap, and pid 1.

use super::{ATTEMPTS, attack, beside_others, expect, expect_all, indented};
use crate::fixture::{Node, job, with};
use sandbox::Exit;
use std::io::Read;

attempts![
    other_processes_are_invisible_and_out_of_reach,
    pid_1_cannot_be_signalled_read_or_slowed,
    tracing_is_closed_even_to_children,
    clocks_and_priorities_are_the_host_s,
    children_may_kill_or_freeze_the_bootstrap_and_only_their_event_suffers,
    daemons_end_with_their_event,
    nothing_runs_on_after_the_deadline,
];

async fn other_processes_are_invisible_and_out_of_reach(node: Node) {
    let attempts = [
        ("[p for p in os.listdir('/proc') if p.isdigit() and p not in ('1', str(os.getpid()))]", "[]"),
        ("os.getpid()", "2|3"),
        ("os.kill(4, 0)", "ESRCH"),
        ("os.kill(1000, 9)", "ESRCH"),
        ("os.pidfd_open(1000)", "ESRCH"),
        ("os.sched_setaffinity(99, {0})", "ESRCH"),
        ("in_child(lambda: os.kill(-1, 0) or 'the parent only')", "the parent only"),
    ];
    beside_others(&node, expect(&node, &attempts)).await;
}

async fn pid_1_cannot_be_signalled_read_or_slowed(node: Node) {
    // Without Landlock the kernel drops signals that pid 1 does not handle.
    let signals = ["os.kill(1, 9)", "os.kill(1, 15)", "os.kill(1, 19)", "os.kill(1, 11)", "os.killpg(1, 9)"];
    let expected = if node.sandbox.features().landlock >= Some(6) { "EPERM" } else { "None" };
    expect_all(&node, expected, &signals[..4]).await;
    expect_all(&node, "EPERM|ESRCH", &signals[4..]).await;
    let reading = [
        "open('/proc/1/mem')",
        "open('/proc/1/maps').read()",
        "open('/proc/1/environ').read()",
        "os.listdir('/proc/1/fd')",
        "os.readlink('/proc/1/exe')",
        "os.readlink('/proc/1/ns/net')",
        "open('/proc/1/stack').read()",
    ];
    expect_all(&node, "ENOENT|EACCES|EPERM", &reading).await;
    let slowing = [
        "os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0))",
        "os.sched_setaffinity(1, {0})",
        "os.setpriority(os.PRIO_PROCESS, 1, 19)",
        "os.setpriority(os.PRIO_USER, 0, 19)",
        "call(251, 1, 1, 0x6000)",   // ioprio_set: idle
        "call(251, 3, 993, 0x6000)", // ioprio_set: all of the user
        "resource.prlimit(1, resource.RLIMIT_CPU, (0, 0))",
        "resource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0))",
        "call(142, 1, b'\\0' * 4)",     // sched_setparam
        "call(314, 1, b'\\0' * 48, 0)", // sched_setattr
    ];
    if node.sandbox.features().seccomp && cfg!(target_arch = "x86_64") {
        expect_all(&node, "EPERM", &slowing).await;
    }
}

async fn tracing_is_closed_even_to_children(node: Node) {
    if !node.sandbox.features().seccomp || !cfg!(target_arch = "x86_64") {
        return println!("skipped: numbers of x86-64, and a kernel that filters");
    }
    let attempts = [
        "call(101, 0, 0, 0, 0)",                                   // ptrace: by the parent
        "in_child(lambda: call(101, 16, os.getppid(), 0, 0))",     // ptrace: attach
        "in_child(lambda: call(101, 0x4206, os.getppid(), 0, 0))", // ptrace: seize
        "call(310, 1, 0, 0, 0, 0, 0)",                             // process_vm_readv
        "call(311, os.getpid(), 0, 0, 0, 0, 0)",                   // process_vm_writev
        "call(438, os.pidfd_open(os.getpid()), 3, 0)",             // pidfd_getfd
        "call(440, os.pidfd_open(os.getpid()), 0, 0, 0, 0)",       // process_madvise
        "call(312, os.getpid(), os.getpid(), 0, 0, 0)",            // kcmp
        "call(256, os.getpid(), 0, 0, 0)",                         // migrate_pages
        "call(279, 1, 0, 0, 0, 0, 0)",                             // move_pages
    ];
    expect_all(&node, "EPERM", &attempts).await;
}

async fn clocks_and_priorities_are_the_host_s(node: Node) {
    let attempts = [
        ("time.clock_settime(time.CLOCK_REALTIME, 0)", "EPERM"),
        ("call(164, b'\\0' * 16, 0)", "EPERM"), // settimeofday
        ("call(159, struct.pack('<I', 0x0001) + b'\\0' * 204)", "EPERM"), // adjtimex: set the offset
        ("call(305, 0, struct.pack('<I', 0x0100) + b'\\0' * 204)", "EPERM"), // clock_adjtime: step
        ("os.nice(-1)", "EPERM|EACCES"),
        ("os.setpriority(os.PRIO_PROCESS, 0, -20)", "EPERM|EACCES"),
        ("os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))", "EPERM"),
        ("os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(99))", "EPERM"),
        ("call(251, 1, 0, 0x2000)", "EPERM"), // ioprio_set: real time
        ("resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))", "ValueError|EPERM"),
        ("resource.setrlimit(resource.RLIMIT_MEMLOCK, (1 << 30, 1 << 30))", "ValueError|EPERM"),
        ("resource.setrlimit(resource.RLIMIT_NICE, (40, 40))", "ValueError|EPERM"),
        ("resource.setrlimit(resource.RLIMIT_RTPRIO, (99, 99))", "ValueError|EPERM"),
        ("resource.setrlimit(resource.RLIMIT_CORE, (1, 1))", "ValueError|EPERM"),
        ("os.nice(5)", "5"),
        ("os.getpriority(os.PRIO_PROCESS, 1) < 0", "True|False"),
    ];
    beside_others(&node, expect(&node, &attempts)).await;
}

async fn children_may_kill_or_freeze_the_bootstrap_and_only_their_event_suffers(node: Node) {
    let kill = "if os.fork() == 0: os.kill(os.getppid(), 9)\ntime.sleep(100)";
    let ran = beside_others(&node, attack(&node, kill, |_| {})).await;
    assert!(
        ran.error().error_message.ends_with("Runtime exited with error: signal: killed"),
        "{:?}",
        ran.error()
    );
    assert_eq!(ran.report.exit, Exit::Died);
    let frozen = [
        "if os.fork() == 0: os.kill(os.getppid(), signal.SIGSTOP)\ntime.sleep(100)",
        "os.kill(os.getpid(), signal.SIGSTOP)",
        "os.kill(0, signal.SIGSTOP)",
        "os.close(3); time.sleep(100)",
        "os.closerange(0, 1024); time.sleep(100)",
    ];
    for body in frozen {
        let ran = beside_others(&node, attack(&node, body, |spec| spec.timeout_s = 1)).await;
        assert_eq!(ran.error().error_type, "Sandbox.Timedout", "{body}");
    }
    let all = "if os.fork() == 0: time.sleep(100)\nsignal.signal(signal.SIGTERM, signal.SIG_IGN); os.kill(-1, 9); return 1";
    assert_eq!(beside_others(&node, attack(&node, all, |_| {})).await.answer(), "1");
    node.nothing_left().await;
}

async fn daemons_end_with_their_event(node: Node) {
    let body = r#"
for n in range(20):
    if os.fork() == 0:
        os.setsid()
        for s in range(1, 65):
            try: signal.signal(s, signal.SIG_IGN)
            except (OSError, ValueError): pass
        if os.fork() == 0:
            os.closerange(0, 1024)
            while True: time.sleep(0.01)
        os._exit(0)
return "left"
"#;
    let ran = beside_others(&node, attack(&node, body, |_| {})).await;
    assert_eq!(ran.answer(), "\"left\"");
    node.nothing_left().await;
}

/// Says, from each of its processes, what the time is, as often as it can; first, when time is up.
const CLOCKS: &str = r#"
server = socket.create_connection(("127.0.0.1", 4566))
def say(t):
    server.send(struct.pack("<q", t))
    while time.monotonic_ns() < t + 500_000: pass
say(time.monotonic_ns() + context.get_remaining_time_in_millis() * 1_000_000)
"#;

async fn nothing_runs_on_after_the_deadline(node: Node) {
    let bodies = [
        ("one process", "while True: say(time.monotonic_ns())"),
        (
            "a thousand processes",
            "try:\n    while os.fork(): say(time.monotonic_ns())\nexcept OSError: pass\nwhile True: say(time.monotonic_ns())",
        ),
    ];
    for (name, body) in bodies {
        let source =
            format!("{ATTEMPTS}\ndef handler(event, context):\n{}", indented(&format!("{CLOCKS}{body}")));
        let code = node.code(&[("app.py", &source)]);
        let job = with(job(code.path(), "{}"), |spec| (spec.timeout_s, spec.memory_mb) = (3, 2_048));
        let (said, heard) = std::sync::mpsc::channel();
        let ran = node.run_with(job, move |listener| {
            std::thread::spawn(move || {
                listener.set_nonblocking(false).unwrap();
                let mut times = Vec::new();
                let _ = listener.accept().unwrap().0.read_to_end(&mut times);
                said.send(times).unwrap();
            });
        });
        let ran = ran.await;
        assert_eq!(ran.error().error_type, "Sandbox.Timedout");
        // With the report all who could speak are gone: what they said has an end.
        let times = heard.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
        let times: Vec<i64> =
            times.chunks_exact(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap())).collect();
        let last = times.iter().max().unwrap();
        let late = ran.report.metering.duration.as_micros() - 3_000_000;
        println!(
            "{name}: the last word {} us after the deadline, which was seen {late} us late",
            (last - times[0]) / 1_000
        );
    }
    node.nothing_left().await;
}
