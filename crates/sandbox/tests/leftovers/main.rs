//! Ten thousand events, good and hostile, half of them in copies, and then a count of everything that an event could leave
//! behind. A program of its own: no other test's sandboxes are counted.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../isolation/census.rs"]
#[allow(dead_code, reason = "the other test program uses all of it")]
mod census;
#[path = "../isolation/fixture.rs"]
#[allow(dead_code, reason = "the other test program uses all of it")]
mod fixture;

use fixture::{Code, Node, job, with};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How many events run. It takes some two minutes on two processors.
const EVENTS: usize = 10_000;

/// How many of them at the same time.
const AT_ONCE: usize = 12;

/// Handlers, and how many of a hundred events they get.
const MIX: [(usize, &str); 22] = [
    (40, "return 1"),
    (8, "raise ValueError('no')"),
    (5, "import absent"),
    (5, "os._exit(1)"),
    (4, "os.kill(os.getpid(), 11)"),
    (4, "os.write(3, b'garbage')"),
    (4, "os.write(3, b'A\\0\\0\\0\\x011A\\0\\0\\0\\x012'); time.sleep(100)"),
    (3, "os.closerange(0, 1024); os._exit(0)"),
    (3, "socket.create_connection(('127.0.0.1', 4566))"),
    (3, "open('/tmp/x', 'wb').write(bytes(1 << 20)); open('/dev/shm/x', 'wb').write(bytes(1 << 20))"),
    (3, "[os.open('/tmp', os.O_RDONLY) for _ in range(2000)]"),
    (2, "print('x' * (1 << 20))"),
    (2, "return 'x' * (7 << 20)"),
    (
        3,
        "[socket.socketpair() for _ in range(100)]; threading.Thread(target=time.sleep, args=(100,)).start()",
    ),
    (2, "os.fork() or (os.setsid(), os.fork() or time.sleep(100))"),
    (2, "libc.shmget(7, 1 << 20, 0o1777); libc.semget(7, 1, 0o1777)"),
    (1, "bytearray(1 << 30)"),
    (1, "mmap.mmap(-1, 1 << 30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x8000)"),
    (1, "[os.fork() or time.sleep(100) for _ in range(40)]"),
    (2, "time.sleep(100)"),
    (1, "os.kill(os.getpid(), 19)"),
    (1, "subprocess.run(['/bin/sh', '-c', 'sleep 100 & sleep 100'])"),
];

/// One event in so many is given up by the server at some moment of its life.
const GIVEN_UP: usize = 50;

#[tokio::test]
async fn ten_thousand_events_leave_nothing() {
    let (node, copies) = match Node::of_copies().await {
        Some(node) => (node, true),
        None => (Node::start().await, false),
    };
    let codes: Vec<(usize, Code)> = MIX.iter().map(|(weight, body)| (*weight, code(&node, body))).collect();
    let hundred: Vec<&Code> =
        codes.iter().flat_map(|(weight, code)| (0..*weight).map(move |_| code)).collect();
    assert_eq!(hundred.len(), 100);
    // The first events build what is built once: a root directory, a full set of waiting processes.
    run_all(&node, copies, &hundred, 100).await;
    node.nothing_left().await;
    let before = node.settled().await;

    let began = Instant::now();
    let ends = run_all(&node, copies, &hundred, EVENTS).await;
    println!("{EVENTS} events in {:?}: {ends:?}", began.elapsed());
    for exit in ["Answered", "TimedOut", "OutOfMemory", "Died", "given up"] {
        assert!(ends.contains_key(exit), "{exit}: {ends:?}");
        assert!(!copies || ends.contains_key(&format!("copy: {exit}")), "{exit}: {ends:?}");
    }

    node.nothing_left().await;
    let after = node.settled_at(&before).await;
    println!("{after:#?}");
    assert_eq!(after, before);
    // Of the first events, one may still have been closing its own.
    assert!(after.own_descriptors <= before.own_descriptors, "{} before", before.own_descriptors);
    // The kernel keeps some of what is free for later, and other programs come and go: a leak of one in ten shows.
    for (kind, count) in &after.kernel {
        let had = before.kernel[kind];
        assert!(*count < had + EVENTS / 10, "{kind}: {had} before, {count} after");
    }
    assert_eq!(node.python("def handler(event, context): return 1", "{}").await.answer(), "1");
}

fn code(node: &Node, body: &str) -> Code {
    let source = format!(
        "import ctypes, os, socket, subprocess, threading, time\nlibc = ctypes.CDLL(None)\ndef handler(event, context):\n    {body}\n"
    );
    // Most of them need none of these, and loading takes time.
    let needed: Vec<_> = ["ctypes", "mmap", "os", "socket", "subprocess", "threading", "time"]
        .into_iter()
        .filter(|module| body.contains(&format!("{module}.")))
        .collect();
    let imports = if needed.is_empty() { String::new() } else { format!("import {}\n", needed.join(", ")) };
    let source = if body.contains("libc.") {
        source
    } else {
        format!("{imports}def handler(event, context):\n    {body}\n")
    };
    node.code(&[("app.py", &source)])
}

/// Runs so many events of the mix, [`AT_ONCE`] at a time, and counts how they ended.
async fn run_all(node: &Node, copies: bool, mix: &[&Code], events: usize) -> BTreeMap<String, usize> {
    let next = Mutex::new(0..events);
    let ends = Mutex::new(BTreeMap::new());
    let worker = || async {
        loop {
            let number = next.lock().unwrap().next();
            let Some(number) = number else { return };
            let end = run_one(node, copies, mix, number).await;
            *ends.lock().unwrap().entry(end).or_insert(0) += 1;
        }
    };
    let mut workers: Vec<_> = (0..AT_ONCE).map(|_| Box::pin(worker())).collect();
    std::future::poll_fn(|context| {
        workers.retain_mut(|worker| worker.as_mut().poll(context).is_pending());
        if workers.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    drop(workers);
    ends.into_inner().unwrap()
}

async fn run_one(node: &Node, copies: bool, mix: &[&Code], number: usize) -> String {
    // A step that has no factor in common with a hundred meets all of the mix, and no kind in a row.
    let code = mix[number * 37 % mix.len()];
    let job = with(job(code.path(), "{}"), |spec| (spec.timeout_s, spec.memory_mb) = (1, 128));
    // Each hundred is all started, or all copied.
    let copy = copies && number / mix.len() % 2 == 1;
    let run = node.run_in(copy, job, |_| {});
    let patience = if number.is_multiple_of(GIVEN_UP) {
        Duration::from_millis((number / GIVEN_UP % 60) as u64)
    } else {
        Duration::MAX
    };
    let how = if copy { "copy: " } else { "" };
    match tokio::time::timeout(patience, run).await {
        Err(_) => format!("{how}given up"),
        Ok(ran) => format!("{how}{:?}", ran.report.exit),
    }
}
