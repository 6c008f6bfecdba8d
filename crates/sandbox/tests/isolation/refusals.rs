//! What cannot be copied safely is not copied: the reason is said, and the process that was started for it serves one
//! event.

use crate::fixture::{Node, Ran, eventually, job, with};
use crate::network::{echo, outside, serve};
use model::NetworkPolicy;
use sandbox::Job;

/// What a module's initialisation does, and a part of the reason.
const REFUSED: &[(&str, &str)] = &[
    ("kept = socket.create_server(('127.0.0.1', 5555))", "listens at 127.0.0.1:5555"),
    ("kept = socket.create_server(('::1', 5555), family=socket.AF_INET6)", "listens at [::1]:5555"),
    ("kept = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); kept.bind(('127.0.0.1', 5555))", "UDP socket"),
    ("kept = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); kept.bind(('::1', 5555))", "UDP socket"),
    ("kept = socket.socket()", "socket"),
    ("kept = socket.socket(); kept.bind(('127.0.0.1', 5555))", "socket"),
    ("kept = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); kept.bind((0, 0))", "netlink socket"),
    ("kept = socket.socket(socket.AF_UNIX); kept.bind('\\0x'); kept.listen()", "listens at a local socket"),
    ("kept = socket.socketpair(); kept[0].send(b'x')", "has not read what was sent"),
    ("kept = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); kept[0].close()", "socket"),
    (
        "server = socket.create_server(('127.0.0.1', 5555)); kept = [socket.create_connection(('127.0.0.1', 5555)), server.accept()]; server.close()",
        "has a connection to 127.0.0.1:",
    ),
    ("kept = open('/tmp/kept', 'w')", "/tmp/kept"),
    ("kept = open('/tmp/kept', 'w'); os.unlink('/tmp/kept')", "not there any more"),
    ("open('/tmp/kept', 'w').close()", "left files in /tmp: /tmp/kept"),
    ("open('/tmp/.kept', 'w').close()", "left files in /tmp: /tmp/.kept"),
    ("os.makedirs('/tmp/a/b')", "left files in /tmp: /tmp/a"),
    ("open('/dev/shm/kept', 'w').close()", "left files in /dev/shm: /dev/shm/kept"),
    ("os.mkdir('/tmp/d'); os.chdir('/tmp/d'); os.rmdir('/tmp/d')", "working directory is gone"),
    ("kept = subprocess.Popen(['sleep', '100'])", "child process (sleep)"),
    ("os.fork() or time.sleep(100)", "child process (python"),
    ("os.fork() or os._exit(0)", "child process"), // that nobody has waited for
    ("kept = mmap.mmap(-1, 4096)", "copies would share"),
    ("kept = mmap.mmap(-1, 4096, prot=mmap.PROT_READ)", "copies would share"),
    (
        "fd = os.memfd_create('x'); os.ftruncate(fd, 4096); kept = mmap.mmap(fd, 4096); os.close(fd)",
        "copies would share",
    ),
    ("kept = os.memfd_create('x')", "memfd:x"),
    (
        "libc.shmat.restype = ctypes.c_void_p; libc.shmat(libc.shmget(7, 4096, 0o1777), None, 0)",
        "copies would share",
    ),
    ("signal.alarm(1000)", "alarm"),
    ("signal.setitimer(signal.ITIMER_REAL, 1000)", "alarm"),
    ("signal.setitimer(signal.ITIMER_VIRTUAL, 1000)", "alarm"),
    ("signal.setitimer(signal.ITIMER_PROF, 1000, 1)", "alarm"),
    ("libc.timer_create(1, None, ctypes.byref(ctypes.c_void_p()))", "timer_create"),
    (
        "kept = libc.timerfd_create(1, 0); libc.timerfd_settime(kept, 0, struct.pack('4q', 0, 0, 1000, 0), None)",
        "timerfd",
    ),
    ("libc.signalfd(-1, bytes(128), 0)", "cannot be copied (anon_inode:[signalfd])"),
    ("libc.inotify_init()", "inotify"),
    ("os.pidfd_open(os.getpid())", "cannot be copied"),
    ("signal.pthread_sigmask(signal.SIG_BLOCK, [10]); os.kill(os.getpid(), 10)", "a signal is on its way"),
    (
        "signal.pthread_sigmask(signal.SIG_BLOCK, [10]); signal.pthread_kill(threading.get_ident(), 10)",
        "a signal is on its way",
    ),
    ("kept = open('/var/task/app.py'); fcntl.flock(kept, fcntl.LOCK_SH)", "holds a lock on /var/task/app.py"),
    ("kept = os.pipe(); os.close(kept[0])", "one end of a pipe"),
    ("kept = os.pipe(); os.close(kept[1])", "one end of a pipe"),
    ("kept = os.pipe(); os.write(kept[1], bytes(10_000))", "more waits in a pipe"),
    ("kept = [os.dup(0) for _ in range(600)]", "512 descriptors"),
    ("os.dup2(0, 1000)", "from 960 on"),
    (
        "kept = select.epoll(); inner = os.dup(0); p = os.pipe(); kept.register(p[0]); q = os.dup(p[0]); os.close(p[0])",
        "that it has closed (epoll)",
    ),
    (
        "def block():\n    threading.Event().wait()\nkept = [threading.Thread(target=block, daemon=True) for _ in range(600)]\nfor one in kept: one.start()",
        "512 threads",
    ),
    (
        "if not os.environ.get('AGAIN'): os.environ['AGAIN'] = '1'; os.set_inheritable(3, True); os.execv(sys.executable, sys.orig_argv)",
        "replaced its program",
    ),
];

fn source(what: &str) -> String {
    let modules = "ctypes, fcntl, mmap, os, select, signal, socket, struct, subprocess, sys, threading, time";
    format!(
        "import {modules}\nlibc = ctypes.CDLL(None)\n{what}\ndef handler(event, context):\n    return [event, os.getpid() > 1]\n"
    )
}

/// The reason for which there is no template; the process that was started for it has served one event.
async fn refused(node: &Node, job: &Job) -> String {
    let Err((reason, process)) = node.template(&job.function).await else { return "none".to_owned() };
    let process = process.unwrap_or_else(|| panic!("it does not go on: {reason}"));
    let (report, _) = process
        .run(job.clone(), tokio::sync::mpsc::channel(100).0, tokio::sync::oneshot::channel().0)
        .await
        .unwrap();
    assert_eq!(Ran { report, lines: Vec::new() }.answer(), "[7, true]", "{reason}");
    reason
}

#[tokio::test]
async fn what_cannot_be_copied_is_refused_with_the_reason_and_serves_one_event() {
    let Some(node) = Node::of_copies().await else { return };
    let mut wrong = Vec::new();
    for (what, part) in REFUSED {
        let code = node.code(&[("app.py", &source(what))]);
        let job = with(job(code.path(), "7"), |spec| (spec.timeout_s, spec.memory_mb) = (20, 512));
        let reason = refused(&node, &job).await;
        if !reason.contains(part) {
            wrong.push((what, part, reason));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    node.nothing_left().await;
}

#[tokio::test]
async fn connections_to_the_outside_are_refused_with_their_address() {
    let Some((node, own)) = outside().await else { return };
    if node.sandbox.features().templates.is_err() {
        return println!("skipped: there are no copies here");
    }
    let server = serve(own, echo);
    let what = format!("kept = socket.create_connection(('{own}', {}))", server.port());
    let code = node.code(&[("app.py", &source(&what))]);
    let job = with(job(code.path(), "7"), |spec| spec.network = Some(NetworkPolicy::Internet));
    assert_eq!(refused(&node, &job).await, format!("it has a connection to {server}"));
    node.nothing_left().await;
}

/// What a hostile module does to whatever makes copies. It may spoil its own template, and nothing else.
const MEDDLES: &[&str] = &[
    "for pid in range(3, 100):\n    try: os.kill(pid, 9)\n    except OSError: pass",
    "os.kill(-1, 0)\nif os.fork() == 0:\n    os.kill(-1, 9)\n    os._exit(0)\nos.wait()",
    "for pid in range(3, 100):\n    try: os.kill(pid, 19)\n    except OSError: pass",
    "for number in range(1, 65):\n    try: signal.signal(number, signal.SIG_IGN)\n    except (OSError, ValueError): pass",
    "for fd in range(4, 1024):\n    try: os.close(fd)\n    except OSError: pass",
    "os.close(3)",
    "os.write(3, b'S\\0\\0\\0\\0')",
    "libc.prctl(4, 0, 0, 0, 0)", // not dumpable
    "resource.setrlimit(resource.RLIMIT_NOFILE, (10, 10))",
    "resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20))",
    "resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))",
    "resource.setrlimit(resource.RLIMIT_STACK, (1 << 16, 1 << 16))",
    "kept = bytearray(100 << 20)", // of the 128 that it may have
    "libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]\nlibc.mmap.restype = ctypes.c_void_p\nat = libc.mmap(None, 1 << 20, 3, 34, -1, 0)\nlibc.madvise(at, 1 << 20, 18)", // not for forks, which must not be read
    "libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]\nlibc.mmap.restype = ctypes.c_void_p\nat = libc.mmap(None, 1 << 20, 7, 34, -1, 0)",
    "def spawn():\n    while True: threading.Thread(target=lambda: None).start()\nthreading.Thread(target=spawn, daemon=True).start()",
    "def fork():\n    while True:\n        if os.fork() == 0: os._exit(0)\n        os.wait()\nthreading.Thread(target=fork, daemon=True).start()",
    "def open_files():\n    while True: os.close(os.open('/dev/null', os.O_RDONLY))\nthreading.Thread(target=open_files, daemon=True).start()",
    "def map_memory():\n    while True: mmap.mmap(-1, 1 << 20).close()\nthreading.Thread(target=map_memory, daemon=True).start()",
];

#[tokio::test]
async fn a_function_that_meddles_with_its_template_harms_itself_only() {
    let Some(node) = Node::of_copies().await else { return };
    for what in MEDDLES {
        let source = source(what).replace("import ", "import resource, ");
        let code = node.code(&[("app.py", &source)]);
        let job = with(job(code.path(), "7"), |spec| spec.timeout_s = 10);
        match node.template(&job.function).await {
            Err((reason, process)) => println!("{what}\n  => {reason}; goes on: {}", process.is_some()),
            Ok(template) => {
                let mut said = Vec::new();
                for _ in 0..3 {
                    let platform = crate::fixture::no_platform();
                    said.push(match node.sandbox.clone_of(&template.original(), platform).await {
                        Ok(Ok(copy)) => {
                            let ran = copy
                                .run(
                                    job.clone(),
                                    tokio::sync::mpsc::channel(100).0,
                                    tokio::sync::oneshot::channel().0,
                                )
                                .await;
                            format!("{:?}", ran.unwrap().0.outcome)
                        }
                        Ok(Err(reason)) => reason,
                        Err(error) => error.to_string(),
                    });
                }
                println!("{what}\n  => captured: {said:?}");
            }
        }
        assert_eq!(node.python("def handler(event, context): return 1", "{}").await.answer(), "1", "{what}");
    }
    node.nothing_left().await;
    let launcher = node.launcher;
    eventually("the launcher is as it was", || crate::fixture::descendants(launcher).len() == 4).await;
}
