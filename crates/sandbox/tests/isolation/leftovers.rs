//! After an event nothing of it is left, however it ended.

use crate::fixture::{Node, job, with};
use std::time::Duration;

#[tokio::test]
async fn three_hundred_mixed_events_leave_nothing() {
    let node = Node::start().await;
    // The first events build what is built once: a root directory, a full set of waiting processes.
    for _ in 0..3 {
        node.python("def handler(event, context): pass", "{}").await;
    }
    let before = node.settled().await;
    let sources = [
        "def handler(event, context): return 1",
        "def handler(event, context): raise ValueError('no')",
        "import absent",
        "import os\ndef handler(event, context): os._exit(1)",
        "import os, time\ndef handler(event, context):\n    if os.fork() == 0: time.sleep(1000)\n    open('/tmp/x', 'w').write('x' * 100000)",
        "import os\ndef handler(event, context): os.write(3, b'garbage')",
        "def handler(event, context):\n    while True: print('x' * 10000)",
        "def handler(event, context): x = bytearray(1 << 30)",
        "import socket\ndef handler(event, context): socket.create_connection(('127.0.0.1', 4566))",
        "def handler(event, context): return 'x' * (7 << 20)",
    ];
    let codes: Vec<_> = sources.iter().map(|source| node.code(&[("app.py", source)])).collect();
    for round in 0..10 {
        let jobs = codes
            .iter()
            .cycle()
            .take(30)
            .map(|code| node.run(with(job(code.path(), "{}"), |spec| spec.timeout_s = 2)));
        let ran = futures_join(jobs).await;
        assert_eq!(ran, 30, "round {round}");
    }
    // Some futures are dropped in the middle, at different points.
    for millis in 0..20 {
        let run = node.run(job(codes[0].path(), "{}"));
        let _ = tokio::time::timeout(Duration::from_millis(millis * 3), run).await;
    }
    let after = node.settled_at(&before).await;
    assert_eq!(after, before);
}

/// Runs all of them at the same time.
async fn futures_join<F: Future>(runs: impl Iterator<Item = F>) -> usize {
    let mut runs: Vec<_> = runs.map(Box::pin).collect();
    let mut done = 0;
    std::future::poll_fn(|context| {
        runs.retain_mut(|run| {
            let ready = run.as_mut().poll(context).is_ready();
            done += usize::from(ready);
            !ready
        });
        if runs.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}

#[tokio::test]
async fn a_dropped_run_ends_its_process() {
    let node = Node::start().await;
    let code = node.code(&[("app.py", "import time\ndef handler(event, context): time.sleep(1000)")]);
    let run = node.run(job(code.path(), "{}"));
    assert!(tokio::time::timeout(Duration::from_millis(300), run).await.is_err());
    node.nothing_left().await;
}

#[tokio::test]
async fn when_the_server_goes_everything_goes() {
    let node = Node::start().await;
    let code = node.code(&[("app.py", "import time\ndef handler(event, context): time.sleep(1000)")]);
    let run = node.run(job(code.path(), "{}"));
    assert!(tokio::time::timeout(Duration::from_millis(300), run).await.is_err());
    let groups = node.groups();
    let launcher = node.launcher;
    assert!(!crate::fixture::descendants(launcher).is_empty());
    drop(node.sandbox);
    crate::fixture::eventually("the launcher and its groups are gone", || {
        crate::fixture::descendants(launcher).is_empty() && groups.iter().all(|group| !group.exists())
    })
    .await;
}

#[tokio::test]
async fn when_the_launcher_is_killed_everything_goes() {
    let node = Node::start().await;
    let code = node.code(&[("app.py", "import time\ndef handler(event, context): time.sleep(1000)")]);
    let run = node.sandbox.run(job(code.path(), "{}"), node.no_hooks());
    let (groups, launcher) = (node.groups(), node.launcher);
    let kill = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(launcher), nix::sys::signal::Signal::SIGKILL)
            .unwrap();
    };
    let (report, ()) = tokio::join!(run, kill);
    assert!(matches!(report, Err(sandbox::Error::LauncherGone(_))), "{report:?}");
    crate::fixture::eventually("the groups are gone", || groups.iter().all(|group| !group.exists())).await;
}
