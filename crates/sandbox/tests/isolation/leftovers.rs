//! After an event nothing of it is left, however it ended. Ten thousand of them are another test program.

use crate::fixture::{Node, job};
use std::collections::BTreeSet;
use std::time::Duration;

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

#[tokio::test]
async fn a_sandbox_that_dies_while_it_waits_is_replaced() {
    let node = Node::start().await;
    node.python("def handler(event, context): pass", "{}").await.answer();
    let before = node.settled().await;
    let waiting = node.groups();
    let members = waiting.iter().filter_map(|group| std::fs::read_to_string(group.join("cgroup.procs")).ok());
    let members: BTreeSet<i32> =
        members.flat_map(|all| all.lines().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect();
    assert!(waiting.is_empty() || members.len() == 2, "{members:?}");
    for pid in members {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    }
    crate::fixture::eventually("their groups are gone", || waiting.iter().all(|group| !group.exists())).await;
    assert_eq!(node.settled_at(&before).await, before);
    assert_eq!(node.python("def handler(event, context): return 1", "{}").await.answer(), "1");
}
