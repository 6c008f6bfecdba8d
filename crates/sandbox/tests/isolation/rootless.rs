//! The same without root: the launcher runs as an ordinary user.

use crate::fixture::{Node, job};
use sandbox::{Enforcement, Launcher, LauncherConfig, Network, interpreters};
use std::ffi::OsStr;
use std::process::Command;

/// An ordinary user that nobody else is.
const USER: u32 = 54_321;

/// A node whose launcher is started by way of these programs, or none where the test cannot make one.
async fn by_way_of(wrapper: &[&str], network: Network) -> Option<Node> {
    let (program, arguments) = wrapper.split_first()?;
    let probe = ["unshare", "--user", "true"];
    let possible = Command::new(program).args(arguments).args(probe).status().is_ok_and(|s| s.success());
    let interpreters = interpreters::find(OsStr::new("/usr/bin"), &[], false);
    if !possible || interpreters.iter().next().is_none() {
        println!("skipped: not root, no {program}, no user namespaces for users, or no Python in /usr/bin");
        return None;
    }
    // The launcher's program must lie where that user can run it.
    let place = tempfile::TempDir::new().unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let launcher = place.path().join("launcher");
    std::fs::copy(env!("CARGO_BIN_EXE_sandbox-launcher"), &launcher).unwrap();
    let arguments =
        arguments.iter().map(ToString::to_string).chain([launcher.display().to_string()]).collect();
    let launcher = Launcher::spawn(LauncherConfig { program: program.into(), arguments }).unwrap();
    Some(Node::with(launcher, interpreters, Some(USER), false, network).await)
}

/// As an ordinary user.
pub(crate) async fn rootless(network: Network) -> Option<Node> {
    by_way_of(&["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"], network).await
}

/// As an ordinary user who is root in a user namespace that has one uid, as some containers have.
async fn root_of_one_uid() -> Option<Node> {
    by_way_of(
        &[
            "setpriv",
            "--reuid=54321",
            "--regid=54321",
            "--clear-groups",
            "unshare",
            "--user",
            "--map-root-user",
        ],
        Network::default(),
    )
    .await
}

#[tokio::test]
async fn an_ordinary_user_has_the_same_walls() {
    let Some(node) = rootless(Network::default()).await else { return };
    let features = node.sandbox.features();
    println!("{features}");
    assert!(!features.own_uid);
    let source = "import os\ndef handler(event, context):\n    try: os.listdir(event)\n    except OSError as e: return [os.getuid(), os.getpid(), type(e).__name__, os.listdir('/home')]";
    let event = format!("\"{}\"", node.data.path().display());
    assert_eq!(node.python(source, &event).await.answer(), "[993, 2, \"FileNotFoundError\", []]");
    let ran = node.python("def handler(event, context): x = bytearray(1 << 30)", "{}").await;
    if features.memory == Enforcement::Rlimit {
        assert_eq!(ran.error().error_type, "MemoryError");
    }
    let code = node.code(&[("app.py", "def handler(event, context):\n    while True: pass")]);
    let ran = node.run(crate::fixture::with(job(code.path(), "{}"), |spec| spec.timeout_s = 1)).await;
    assert_eq!(ran.error().error_type, "Sandbox.Timedout");
    assert!(ran.report.metering.cpu.as_millis() >= 10, "{:?}", ran.report.metering);
    node.nothing_left().await;
}

#[tokio::test]
async fn a_user_namespace_with_one_uid_is_enough() {
    let Some(node) = root_of_one_uid().await else { return };
    assert!(!node.sandbox.features().own_uid);
    let source =
        "import os\ndef handler(event, context): return [os.getuid(), os.getpid(), os.listdir('/home')]";
    assert_eq!(node.python(source, "{}").await.answer(), "[993, 2, []]");
    node.nothing_left().await;
}

#[tokio::test]
async fn without_control_groups_processes_and_memory_are_limited_all_the_same() {
    let Some(node) = rootless(Network::default()).await else { return };
    if node.sandbox.features().processes != Enforcement::Rlimit {
        return println!("skipped: an ordinary user may make control groups here");
    }
    let bomb = "import os, time\ndef handler(event, context):\n    n = 0\n    try:\n        while True:\n            if os.fork() == 0: time.sleep(100)\n            n += 1\n    except OSError as e:\n        return [n, e.errno]";
    let code = node.code(&[("app.py", bomb)]);
    let bomb = || node.run(crate::fixture::with(job(code.path(), "{}"), |spec| spec.timeout_s = 60));
    // Each sandbox has its own thousand.
    let (one, two) = tokio::join!(bomb(), bomb());
    for answer in [one.answer(), two.answer()] {
        let count: u32 = answer.trim_start_matches('[').split(',').next().unwrap().parse().unwrap();
        assert!((900..=1_024).contains(&count) && answer.ends_with(", 11]"), "{answer}");
    }
    node.nothing_left().await;
}
