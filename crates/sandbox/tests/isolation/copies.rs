//! Copies: what they have, what is out of their reach, and how they end. That they have the walls of every process is in
//! `escapes`.

use crate::escapes::{ATTEMPTS, attack, expect, try_each};
use crate::fixture::{Code, Node, Ran, descendants, eventually, job, no_platform, with};
use model::FunctionSpec;
use sandbox::{Exit, Job};
use std::time::Duration;

/// What a process is and has, where a copy is to be like a process that was started.
const LOOKS: &[&str] = &[
    "[l for l in open('/proc/self/status') if l.split(':')[0] in ('Umask', 'Uid', 'Gid', 'Groups', 'NoNewPrivs', 'Seccomp', 'Threads', 'THP_enabled', 'Speculation_Store_Bypass', 'TracerPid')]",
    "[l for l in open('/proc/self/status') if l.startswith(('Cap', 'Sig', 'Shd')) and not l.startswith('SigQ')]",
    "[libc.prctl(option, 0, 0, 0, 0) for option in (3, 7, 21, 23, 27, 30, 39)]",
    "[libc.prctl(23, capability, 0, 0, 0) for capability in range(41)]",
    "[libc.prctl(47, 1, capability, 0, 0) for capability in range(41)]",
    "[(os.getpid() == os.getpgrp(), os.getpid() == os.getsid(0), os.getppid() in (0, 1))]",
    "[resource.getrlimit(limit) for limit in range(16)]",
    "[os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), os.sched_getaffinity(0), call(252, 1, 0)]",
    "open('/proc/self/oom_score_adj').read()",
    "[(fd, os.readlink(f'/proc/self/fd/{fd}').split(':')[0], fcntl.fcntl(int(fd), fcntl.F_GETFD), fcntl.fcntl(int(fd), fcntl.F_GETFL)) for fd in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{fd}')]",
    "[fd for fd in range(3, 4096) if fd != 3 and libc.fcntl(fd, 1) != -1]",
    "sorted({' '.join(l.split()[4:6] + l.split(' - ')[1].split()[:1]) for l in open('/proc/self/mountinfo')})",
    "sorted((top, mode & 0o7777) for top in ('/', '/tmp', '/dev', '/dev/shm', '/proc', '/var/task', '/home') for mode in [os.stat(top).st_mode])",
    "sorted(os.listdir('/')) + sorted(os.listdir('/dev')) + os.listdir('/tmp') + os.listdir('/dev/shm')",
    "[os.uname().nodename, os.getcwd(), socket.if_nameindex()]",
    "[p for p in os.listdir('/proc') if p.isdigit() and int(p) != os.getpid()]",
    "sorted(set(os.environ) - {'AWS_LAMBDA_INITIALIZATION_TYPE'})",
    // But for the API at port 9001 (0x2329): copies have no extensions.
    "[l.split()[1] for l in open('/proc/net/tcp') if ':2329' not in l] + [l.split()[0] for l in open('/proc/net/unix')]",
    "sorted(os.readlink(f'/proc/self/ns/{kind}') == os.readlink(f'/proc/1/ns/{kind}') for kind in ('mnt', 'pid'))",
    "[os.statvfs(top).f_blocks for top in ('/tmp', '/dev/shm')]",
    "[signal.getsignal(number) for number in (2, 13, 15, 17)]",
    "[time.gmtime().tm_year > 2020, time.monotonic() > 0, len(os.urandom(8))]",
    "[l for l in open('/proc/self/maps') if l.split()[1][1:3] == 'wx' or l.split()[1][3] == 's' and l.split()[1][1] == 'w']",
];

#[tokio::test]
async fn a_copy_looks_like_a_process_that_was_started() {
    let (Some(copies), node) = (Node::of_copies().await, Node::start().await) else { return };
    let (copied, started) = (try_each(&copies, LOOKS).await, try_each(&node, LOOKS).await);
    let all = LOOKS.iter().zip(copied.iter().zip(&started));
    let differ: Vec<_> = all.filter(|(_, (copied, started))| copied != started).collect();
    assert!(differ.is_empty(), "{differ:#?}");
}

#[tokio::test]
async fn a_copy_has_no_rights_and_nothing_of_what_made_it() {
    let Some(node) = Node::of_copies().await else { return };
    let kept = [
        ("[fd for fd in range(3, 4096) if libc.fcntl(fd, 1) != -1]", "[3]"),
        ("[l for l in open('/proc/self/maps') if l.split()[1][1:3] == 'wx']", "[]"),
        ("[l for l in open('/proc/self/status') if l.startswith('Cap') and int(l.split()[1], 16)]", "[]"),
        ("[c for c in range(64) if libc.prctl(23, c, 0, 0, 0) == 1]", "[]"),
        ("[libc.prctl(39, 0, 0, 0, 0), os.getsid(0) == os.getpid() == os.getpgrp()]", "[1, True]"),
        ("[p for p in range(2, 40_000) if p != os.getpid() and os.path.exists(f'/proc/{p}')]", "[]"),
        ("write('/proc/sys/kernel/ns_last_pid')", "EROFS|EACCES|EPERM"),
        ("os.waitpid(-1, os.WNOHANG)", "ECHILD"),
        ("'zygote' in open('/proc/self/comm').read()", "False"),
    ];
    expect(&node, &kept).await;
    if node.sandbox.features().seccomp {
        expect(
            &node,
            &[("[l.split()[1] for l in open('/proc/self/status') if l.startswith('Seccomp:')]", "['2']")],
        )
        .await;
    }
}

/// A copy that keeps something in every place where another could look, until the time is over.
const PUTS: &str = r#"
for place in "/tmp/meeting", "/dev/shm/meeting":
    open(place, "w").write("x")
assert call(29, 77, 4096, 0o1777) == "done" # shmget
local = socket.socket(socket.AF_UNIX); local.bind("\0meeting"); local.listen()
tcp = socket.create_server(("127.0.0.1", 5555))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(("127.0.0.1", 5555)); udp.settimeout(4)
child = os.fork()
if child == 0: time.sleep(100)
secret = bytearray(b"sibling's own" * 1000)
for server in local, tcp: server.settimeout(0)
end = time.monotonic() + 4
came = []
while time.monotonic() < end:
    time.sleep(0.05)
    for server in local, tcp:
        try: came.append(str(server.accept()))
        except OSError: pass
try: came.append(str(udp.recv(10)))
except OSError: pass
assert os.waitpid(child, os.WNOHANG) == (0, 0)
return came + [bytes(secret[:13]).decode(), os.getppid()]
"#;

/// Looks for that, and for the template.
const LOOKS_FOR_IT: &str = r#"
time.sleep(1)
def attempt(what, *arguments):
    try: return what(*arguments)
    except OSError as e: return errno.errorcode[e.errno]
me, found = os.getpid(), []
found += os.listdir("/tmp") + os.listdir("/dev/shm")
found += [p for p in os.listdir("/proc") if p.isdigit() and int(p) not in (1, me)]
buffer = ctypes.create_string_buffer(64)
vector = struct.pack("QQ", ctypes.addressof(buffer), 64)
for pid in list(range(-3, 400)) + list(range(400, 70_000, 7)):
    if pid in (1, 0, -1, me, -me): continue
    said = attempt(os.kill, pid, 0)
    if said != "ESRCH": found.append(("kill", pid, said))
for pid in range(1, 300):
    if pid != me and pid != 1 and attempt(os.pidfd_open, pid) not in ("ESRCH", "EINVAL"): found.append(("pidfd", pid))
    for way in ("mem", "maps", "environ"):
        if pid != me and isinstance(attempt(open, f"/proc/{pid}/{way}", "rb"), object) and not isinstance(attempt(open, f"/proc/{pid}/{way}", "rb"), str):
            found.append((way, pid))
    if pid != me and not isinstance(attempt(os.listdir, f"/proc/{pid}/fd"), str): found.append(("fd", pid))
    if pid != me and call(101, 16, pid, 0, 0) == "done": found.append(("ptrace", pid))
    if pid != me and call(310, pid, vector, 1, vector, 1, 0) == "done": found.append(("vm_read", pid))
    if pid != me and call(311, pid, vector, 1, vector, 1, 0) == "done": found.append(("vm_write", pid))
for family, address in (socket.AF_UNIX, "\0meeting"), (socket.AF_INET, ("127.0.0.1", 5555)):
    said = attempt(connected, family, address)
    if said != "ECONNREFUSED": found.append((address, said))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s: attempt(s.sendto, b"x", ("127.0.0.1", 5555))
if call(29, 77, 4096, 0) != "ENOENT": found.append("shm")
for way in ("ppid", "parent"):
    if os.getppid() != 0 and os.getppid() != 1: found.append((way, os.getppid()))
return found
"#;

#[tokio::test]
async fn neither_the_template_nor_a_sibling_is_within_reach() {
    let Some(node) = Node::of_copies().await else { return };
    if !cfg!(target_arch = "x86_64") {
        return println!("skipped: numbers of x86-64");
    }
    let limits = |spec: &mut FunctionSpec| (spec.timeout_s, spec.memory_mb) = (50, 256);
    let (put, found) = tokio::join!(attack(&node, PUTS, limits), attack(&node, LOOKS_FOR_IT, limits));
    assert_eq!(found.answer(), "[]");
    let put = put.answer();
    assert!(put.starts_with(r#"["sibling's own", "#), "{put}");
}

/// Leaves behind all that could outlive a process in what a copy takes over from the one before it.
const LEAVES: &str = r#"
import array
# Connections whose side here was closed first: the kernel keeps them for a minute.
server = socket.create_server(("127.0.0.1", 5555))
for n in range(3):
    client = socket.create_connection(("127.0.0.1", 5555))
    accepted = server.accept()[0]
    accepted.close()
    client.recv(1)
    client.close()
open_ones = [socket.create_connection(("127.0.0.1", 5555)) for n in range(3)]
open_ones[0].send(bytes(1 << 20)[:1 << 16])
# A local socket that only itself holds on to.
local = socket.socket(socket.AF_UNIX); local.bind("\0left"); local.listen()
one, other = socket.socketpair()
one.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [local.fileno(), other.fileno(), one.fileno()]))])
assert call(29, 77, 4096, 0o1777) == "done" # shmget
for place in "/tmp/left", "/dev/shm/left": open(place, "w").write("x")
if os.fork() == 0:
    os.setsid()
    time.sleep(100)
return "left"
"#;

/// Looks for it.
const FINDS: &str = r#"
found = os.listdir("/tmp") + os.listdir("/dev/shm")
found += [p for p in os.listdir("/proc") if p.isdigit() and int(p) not in (1, os.getpid())]
found += [line for line in open("/proc/net/tcp").read().splitlines()[1:] if ":15B3" in line]
found += [line for line in open("/proc/net/unix").read().splitlines() if line.endswith("@left")]
if call(29, 77, 4096, 0) != "ENOENT": found.append("shm")
try:
    s = socket.socket(); s.bind(("127.0.0.1", 5555)); s.listen()
except OSError as e: found.append(errno.errorcode[e.errno])
return found
"#;

#[tokio::test]
async fn a_copy_finds_nothing_of_the_one_before_it() {
    let Some(node) = Node::of_copies().await else { return };
    for _ in 0..5 {
        assert_eq!(attack(&node, LEAVES, |_| {}).await.answer(), "\"left\"");
        assert_eq!(attack(&node, FINDS, |_| {}).await.answer(), "[]");
    }
}

/// One event of a function that makes attempts, in a copy that is one of many.
async fn one(node: &Node, job: &Job, body: &str) -> Ran {
    let indented = body.trim().replace('\n', "\n    ");
    let event = serde_json::to_vec(&format!("def attack():\n    {indented}")).unwrap();
    node.run(Job { payload: event.into(), ..job.clone() }).await
}

fn attempts(node: &Node, limits: impl FnOnce(&mut FunctionSpec)) -> (Code, Job) {
    let code = node.code(&[("app.py", ATTEMPTS)]);
    let job = with(job(code.path(), "{}"), limits);
    (code, job)
}

/// What a good event says that has taken its time.
const GOOD: &str = "open('/tmp/mine', 'w').write('mine')\nfor _ in range(30): time.sleep(0.05)\nreturn [os.listdir('/tmp'), sum(bytearray(10 << 20))]";
const WELL: &str = "[[\"mine\"], 0]";

#[tokio::test]
async fn a_copy_that_ends_badly_ends_alone() {
    let Some(node) = Node::of_copies().await else { return };
    let (_code, job) = attempts(&node, |spec| (spec.timeout_s, spec.memory_mb) = (20, 128));
    let failures = [
        ("x = bytearray(1 << 30)", Exit::OutOfMemory, "signal: killed"),
        (
            "m = mmap.mmap(-1, 1 << 30)\nfor i in range(1 << 10): m[i << 20:(i + 1) << 20] = bytes(1 << 20)",
            Exit::OutOfMemory,
            "signal: killed",
        ),
        (
            "for n in range(64):\n    if os.fork() == 0:\n        x = bytearray(16 << 20); time.sleep(100)\ntime.sleep(100)",
            Exit::OutOfMemory,
            "signal: killed",
        ),
        (
            "f = open('/dev/shm/hog', 'wb')\nfor _ in range(1 << 10): f.write(bytes(1 << 20))",
            Exit::OutOfMemory,
            "signal: killed",
        ),
        ("os._exit(0)", Exit::Died, "without providing a reason"),
        ("os._exit(3)", Exit::Died, "exit status 3"),
        ("os.kill(os.getpid(), 9)", Exit::Died, "signal: killed"),
        ("ctypes.string_at(0)", Exit::Died, "signal: segmentation fault"),
        ("os.abort()", Exit::Died, "signal: aborted"),
        ("os.kill(os.getpid(), signal.SIGFPE)", Exit::Died, "signal: floating point exception"),
        ("os.kill(os.getpid(), 31)", Exit::Died, "signal: bad system call"),
        ("os.kill(os.getpid(), 15)", Exit::Died, "signal: terminated"),
        (
            "os.fork() or time.sleep(100)\nos.kill(-1, 9); os.kill(os.getpid(), 9)",
            Exit::Died,
            "signal: killed",
        ),
        ("if os.fork() == 0: os.kill(os.getppid(), 9)\ntime.sleep(100)", Exit::Died, "signal: killed"),
        ("os.execv('/bin/true', ['true'])", Exit::Died, "without providing a reason"),
        ("os.execv('/bin/false', ['false'])", Exit::Died, "exit status 1"),
        ("os.write(3, b'garbage, and more of it')", Exit::Died, ""),
        ("os.close(3); os._exit(5)", Exit::Died, "exit status 5"),
    ];
    for (body, exit, reason) in failures {
        let (failed, one_good, other_good) =
            tokio::join!(one(&node, &job, body), one(&node, &job, GOOD), one(&node, &job, GOOD));
        assert_eq!(failed.report.exit, exit, "{body}: {:?}", failed.report);
        let message = &failed.error().error_message;
        assert!(message.ends_with(reason), "{body}: {message}");
        assert_eq!((one_good.answer(), other_good.answer()), (WELL.to_owned(), WELL.to_owned()), "{body}");
    }
    // It is the same template still.
    assert_eq!(one(&node, &job, GOOD).await.answer(), WELL);
    node.nothing_left().await;
}

#[tokio::test]
async fn copies_are_given_up_at_any_moment_and_nothing_is_left() {
    let Some(node) = Node::of_copies().await else { return };
    let (_code, job) = attempts(&node, |spec| spec.timeout_s = 20);
    one(&node, &job, "return 1").await.answer();
    let bodies = [
        "return 1",
        "time.sleep(100)",
        "while True: pass",
        "os.fork() or (os.setsid(), os.fork(), time.sleep(100))",
        "[os.fork() or time.sleep(100) for _ in range(20)]",
        "open('/tmp/x', 'wb').write(bytes(20 << 20))",
    ];
    let before = node.settled().await;
    for round in 0..25u64 {
        let batch = (0..8).map(|number| {
            let patience = Duration::from_millis(round * 8 / 7 + number);
            tokio::time::timeout(patience, one(&node, &job, bodies[(round + number) as usize % bodies.len()]))
        });
        let mut batch: Vec<_> = batch.map(Box::pin).collect();
        std::future::poll_fn(|context| {
            batch.retain_mut(|run| run.as_mut().poll(context).is_pending());
            if batch.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        // Orders for copies that nobody wants any more are worked off.
        assert_eq!(one(&node, &job, "return 1").await.answer(), "1");
    }
    assert_eq!(one(&node, &job, GOOD).await.answer(), WELL);
    node.nothing_left().await;
    let after = node.settled().await;
    println!("{before:#?}\n{after:#?}");
    assert!(after.own_descriptors <= before.own_descriptors, "{before:?}\n{after:?}");
}

#[tokio::test]
async fn when_the_server_goes_templates_and_copies_go() {
    let Some(node) = Node::of_copies().await else { return };
    let (_code, job) = attempts(&node, |_| {});
    let waiting =
        [node.copy(&job.function, no_platform()).await, node.copy(&job.function, no_platform()).await];
    let run = one(&node, &job, "time.sleep(1000)");
    assert!(tokio::time::timeout(Duration::from_millis(300), run).await.is_err());
    let (groups, launcher) = (node.groups(), node.launcher);
    assert!(!groups.is_empty() && descendants(launcher).len() > 6);
    // As if it were killed: nobody says good-bye.
    drop((node, waiting));
    eventually("the launcher and its groups are gone", || {
        descendants(launcher).is_empty() && groups.iter().all(|group| !group.exists())
    })
    .await;
}

#[tokio::test]
async fn when_the_launcher_is_killed_templates_and_copies_go() {
    let Some(node) = Node::of_copies().await else { return };
    let (_code, job) = attempts(&node, |_| {});
    let waiting =
        [node.copy(&job.function, no_platform()).await, node.copy(&job.function, no_platform()).await];
    let (groups, launcher) = (node.groups(), node.launcher);
    let below = descendants(launcher);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(launcher), nix::sys::signal::Signal::SIGKILL).unwrap();
    eventually("the processes and their groups are gone", || {
        let lives = |pid: &i32| !descendants(*pid).is_empty();
        !below.iter().any(lives) && groups.iter().all(|group| !group.exists())
    })
    .await;
    drop(waiting);
}

#[tokio::test]
async fn copies_outlive_their_template() {
    let Some(node) = Node::of_copies().await else { return };
    let (_code, job) = attempts(&node, |spec| spec.timeout_s = 20);
    let template = node.template(&job.function).await.expect("it can be captured");
    let copies = [
        node.copy_of(&template.original(), no_platform()).await,
        node.copy_of(&template.original(), no_platform()).await,
    ];
    drop(template);
    for copy in copies {
        let event = "[\"os.getpid() > 1\", \"in_child(os.getppid) == str(os.getpid())\"]";
        let job = Job { payload: event.into(), ..job.clone() };
        let (report, _) = copy
            .run(job, tokio::sync::mpsc::channel(100).0, tokio::sync::oneshot::channel().0)
            .await
            .unwrap();
        assert_eq!(Ran { report, lines: Vec::new() }.answer(), "[\"True\", \"True\"]");
    }
    node.nothing_left().await;
}

/// More than the sockets on the way to a copy hold orders for.
const HUNDREDS: usize = 300;

#[tokio::test]
async fn hundreds_of_copies_at_once() {
    let Some(node) = Node::of_copies().await else { return };
    let (_code, job) = attempts(&node, |spec| spec.timeout_s = 60);
    let template = node.template(&job.function).await.expect("it can be captured");
    let original = template.original();
    let mut batch: Vec<_> = (0..HUNDREDS).map(|_| Box::pin(node.copy_of(&original, no_platform()))).collect();
    let mut copies = Vec::new();
    std::future::poll_fn(|context| {
        batch.retain_mut(|making| match making.as_mut().poll(context) {
            std::task::Poll::Ready(copy) => {
                copies.push(copy);
                false
            }
            std::task::Poll::Pending => true,
        });
        if batch.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    assert_eq!(copies.len(), HUNDREDS);
    drop((copies, template));
    node.nothing_left().await;
}

/// Says how many pages the kernel had to find for it while it wrote to memory that its initialisation had filled, and how
/// far a thread stands back.
const USES: &str = r#"
import os, resource, threading
data = bytearray(b"x" * (400 * 4096))
def wait():
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 7)
    begun.set()
    threading.Event().wait()
begun = threading.Event()
thread = threading.Thread(target=wait, daemon=True)
thread.start()
begun.wait()
def handler(event, context):
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    for at in range(0, len(data), 4096):
        assert data[at] == ord("x")
        data[at] = 0
    faults = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before
    return [faults, os.getpriority(os.PRIO_PROCESS, thread.native_id), os.getpriority(os.PRIO_PROCESS, 0)]
"#;

#[tokio::test]
async fn later_copies_have_the_memory_that_the_first_ones_used() {
    let Some(node) = Node::of_copies().await else { return };
    let code = node.code(&[("app.py", USES)]);
    let job = job(code.path(), "{}");
    let template = node.template(&job.function).await.expect("it can be captured");
    let mut faults = Vec::new();
    for _ in 0..6 {
        let copy = node.copy_of(&template.original(), no_platform()).await;
        let lines = tokio::sync::mpsc::channel(100).0;
        let (report, _) = copy.run(job.clone(), lines, tokio::sync::oneshot::channel().0).await.unwrap();
        let answer = Ran { report, lines: Vec::new() }.answer();
        let [count, thread, main]: [i64; 3] = serde_json::from_str(&answer).unwrap();
        assert_eq!((thread, main), (7, 0), "how far they stand back: {answer} {faults:?}");
        faults.push(count);
    }
    assert!(faults[0] >= 400, "{faults:?}");
    // Older kernels cannot be asked for so much at once (MADV_POPULATE_WRITE).
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let version: Vec<u32> = release.split(['.', '-']).take(2).filter_map(|part| part.parse().ok()).collect();
    assert!(version < vec![5, 14] || faults[5] < 100, "{faults:?}");
}
