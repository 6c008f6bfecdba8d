//! The same without root: the launcher runs as an ordinary user.

use crate::fixture::{Node, job};
use sandbox::{Enforcement, Launcher, LauncherConfig, Network, interpreters};
use std::ffi::OsStr;
use std::process::Command;

/// An ordinary user that nobody else is.
const USER: u32 = 54_321;

/// A node whose launcher is not root, or none where the test cannot make one.
pub(crate) async fn rootless(network: Network) -> Option<Node> {
    let user = [format!("--reuid={USER}"), format!("--regid={USER}"), "--clear-groups".to_owned()];
    let unshare = ["unshare", "--user", "true"].map(str::to_owned);
    let possible =
        Command::new("setpriv").args(user.iter().chain(&unshare)).status().is_ok_and(|s| s.success());
    let interpreters = interpreters::find(OsStr::new("/usr/bin"), &[], false);
    if !possible || interpreters.iter().next().is_none() {
        println!("skipped: not root, no setpriv, no user namespaces for users, or no Python in /usr/bin");
        return None;
    }
    // The launcher's program must lie where that user can run it.
    let place = tempfile::TempDir::new().unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let program = place.path().join("launcher");
    std::fs::copy(env!("CARGO_BIN_EXE_sandbox-launcher"), &program).unwrap();
    let arguments = user.into_iter().chain([program.display().to_string()]).collect();
    let launcher = Launcher::spawn(LauncherConfig { program: "setpriv".into(), arguments }).unwrap();
    Some(Node::with(launcher, interpreters, Some(USER), false, network).await)
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
    assert!(ran.report.metering.cpu.as_millis() > 100, "{:?}", ran.report.metering);
    node.nothing_left().await;
}
