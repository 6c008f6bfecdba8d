//! After an event nothing of it is left, however it ended. Ten thousand of them are another test program.

use crate::fixture::{Node, job};
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
