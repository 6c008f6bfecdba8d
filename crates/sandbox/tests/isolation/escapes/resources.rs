//! Hogs: memory of every kind, processes, descriptors, output.

use super::{attack, beside_others};
use crate::fixture::Node;
use sandbox::{Enforcement, Exit};

attempts![
    memory_is_limited_wherever_it_is_taken,
    buffers_of_network_sockets_are_memory_of_the_function,
    a_fork_bomb_stays_inside,
    a_hundred_thousand_descriptors_are_not_to_be_had,
    files_are_no_larger_than_the_storage,
    gigabytes_of_output_cost_the_server_nothing,
];

/// Memory that is taken in ways that a limit could overlook. Each returns how much it got, in MB, if it lives.
const HOGS: [(&str, &str); 9] = [
    ("anonymous", "x = bytearray(1 << 30)"),
    (
        "shared, anonymous",
        "m = mmap.mmap(-1, 1 << 30)\nfor i in range(1 << 10): m[i << 20:(i + 1) << 20] = bytes(1 << 20)",
    ),
    (
        "a file in /dev/shm",
        "f = open('/dev/shm/hog', 'wb')\nfor _ in range(1 << 10): f.write(bytes(1 << 20))",
    ),
    ("a file in /tmp", "f = open('/tmp/hog', 'wb')\nfor _ in range(1 << 10): f.write(bytes(1 << 20))"),
    ("a memory file", "fd = os.memfd_create('hog')\nfor _ in range(1 << 10): os.write(fd, bytes(1 << 20))"),
    (
        "segments of System V",
        "libc.shmat.restype = ctypes.c_void_p\nfor n in range(64):\n    at = libc.shmat(libc.shmget(n + 1, 16 << 20, 0o1600), None, 0)\n    ctypes.memset(at, 1, 16 << 20)",
    ),
    (
        "many processes",
        "for n in range(64):\n    if os.fork() == 0:\n        x = bytearray(16 << 20); time.sleep(100)\ntime.sleep(100)",
    ),
    (
        "pipes",
        "kept = []\nfor n in range(500):\n    pair = os.pipe2(os.O_NONBLOCK); kept.append(pair)\n    try:\n        fcntl.fcntl(pair[1], 1031, 1 << 20)\n        while True: os.write(pair[1], bytes(1 << 16))\n    except OSError: pass\nreturn sum(fcntl.ioctl(r, 0x541b, bytes(4)) and struct.unpack('i', fcntl.ioctl(r, 0x541b, bytes(4)))[0] for r, w in kept) >> 20",
    ),
    (
        "local sockets",
        "kept, sent = [], 0\nfor n in range(500):\n    pair = socket.socketpair(); kept.append(pair); pair[0].setblocking(False)\n    pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)\n    try:\n        while True: sent += pair[0].send(bytes(1 << 16))\n    except OSError: pass\nreturn sent >> 20",
    ),
];

/// The most that a hog of 128 MB may hold.
const MOST: u64 = 128;

async fn memory_is_limited_wherever_it_is_taken(node: Node) {
    if node.sandbox.features().memory < Enforcement::CgroupV1 {
        return println!("skipped: this machine has no control group for memory");
    }
    for (name, body) in HOGS {
        let ran = beside_others(&node, attack(&node, body, |spec| spec.timeout_s = 30)).await;
        println!("{name}: {:?}, {:?}", ran.report.outcome, ran.report.exit);
        if let model::Outcome::Succeeded(got) = &ran.report.outcome {
            let got: u64 = String::from_utf8_lossy(got).parse().unwrap();
            assert!(got < MOST, "{name}: {got} MB");
        } else if !["OSError", "MemoryError"].contains(&ran.error().error_type.as_str()) {
            assert_eq!(ran.error().error_type, "Runtime.ExitError", "{name}: {:?}", ran.error());
            assert!(ran.error().error_message.ends_with("Error: Runtime exited with error: signal: killed"));
            assert_eq!(ran.report.exit, Exit::OutOfMemory, "{name}");
            let peak = ran.report.metering.peak_memory_mb();
            assert!((64..=MOST).contains(&peak), "{name}: {peak} MB");
        }
    }
}

async fn buffers_of_network_sockets_are_memory_of_the_function(node: Node) {
    if node.sandbox.features().memory < Enforcement::CgroupV1 {
        return println!("skipped: this machine has no control group for memory");
    }
    let body = r#"
kept, sent = [], 0
with socket.create_server(("127.0.0.1", 0)) as server:
    for n in range(400):
        one = socket.create_connection(server.getsockname())
        kept += [one, server.accept()[0]]
        one.setblocking(False)
        try:
            while True: sent += one.send(bytes(1 << 16))
        except OSError: pass
return sent >> 20
"#;
    let ran = beside_others(&node, attack(&node, body, |spec| spec.timeout_s = 30)).await;
    if let model::Outcome::Succeeded(got) = &ran.report.outcome {
        let got: u64 = String::from_utf8_lossy(got).parse().unwrap();
        assert!(got < 2 * MOST, "{got} MB");
    }
}

async fn a_fork_bomb_stays_inside(node: Node) {
    let bombs = [
        "while True:\n    try: os.fork()\n    except OSError: pass",
        "import threading\nwhile True:\n    try: threading.Thread(target=time.sleep, args=(100,)).start()\n    except RuntimeError: pass",
        "while True:\n    try: subprocess.Popen(['/bin/sh', '-c', ':(){ :|:& };:'])\n    except OSError: pass",
    ];
    for body in bombs {
        let ran = attack(&node, body, |spec| (spec.timeout_s, spec.memory_mb) = (2, 1_024));
        let ran = beside_others(&node, ran).await;
        let error = ran.error();
        assert!(["Sandbox.Timedout", "Runtime.ExitError"].contains(&error.error_type.as_str()), "{error:?}");
        node.nothing_left().await;
    }
}

async fn a_hundred_thousand_descriptors_are_not_to_be_had(node: Node) {
    let one = r#"
kept = []
try:
    while len(kept) < 100_000: kept.append(os.open("/dev/null", os.O_RDONLY))
except OSError as e: return [errno.errorcode[e.errno], len(kept) < 1024]
"#;
    assert_eq!(beside_others(&node, attack(&node, one, |_| {})).await.answer(), "[\"EMFILE\", true]");
    // A hundred processes with a thousand each: the machine's other processes still open files.
    let many = r#"
for n in range(100):
    if os.fork() == 0:
        try:
            while True: os.open("/tmp", os.O_RDONLY)
        except OSError: time.sleep(100)
time.sleep(2)
return True
"#;
    let ran = beside_others(&node, attack(&node, many, |spec| spec.memory_mb = 1_024)).await;
    println!("a hundred processes full of descriptors: {:?}", ran.report.outcome);
    node.nothing_left().await;
}

async fn files_are_no_larger_than_the_storage(node: Node) {
    let body = r#"
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
fd = os.memfd_create("large")
try: os.ftruncate(fd, 1 << 40)
except OSError as e: return errno.errorcode[e.errno]
"#;
    assert_eq!(attack(&node, body, |_| {}).await.answer(), "\"EFBIG\"");
}

async fn gigabytes_of_output_cost_the_server_nothing(node: Node) {
    let body = r#"
chunk, n = b"spam\n" * 13_000, 0
while n < 2 << 30: n += os.write(1 + n % 2, chunk)
return n >> 30
"#;
    let before = resident();
    let ran = beside_others(&node, attack(&node, body, |spec| spec.timeout_s = 60)).await;
    let kept: usize = ran.lines.iter().map(|line| line.text.len() + 1).sum();
    assert!(kept <= model::limits::LOG_PER_EVENT + 1_000, "{kept} kept");
    assert!(ran.log().last().unwrap().contains("dropped"), "{:?}", ran.log().last());
    assert!(matches!(ran.report.exit, Exit::Answered | Exit::TimedOut), "{:?}", ran.report);
    let grown = resident().saturating_sub(before);
    assert!(grown < 200 << 20, "{grown} bytes more");
}

/// The resident memory of this process, in bytes.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
