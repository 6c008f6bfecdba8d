//! Two functions at the same time.

use super::attack;
use crate::fixture::Node;

attempts![two_functions_share_nothing,];

/// Leaves something in every place that two processes of one machine could share, and waits.
const PUTS: &str = r#"
open("/tmp/meeting", "w").write("x")
open("/dev/shm/meeting", "w").write("x")
assert call(29, 77, 4096, 0o1777) == "done" # shmget
assert call(68, 77, 0o1777) == "done" # msgget
assert call(64, 77, 1, 0o1777) == "done" # semget
time.sleep(3)
"#;

/// Looks in each of them.
const LOOKS: &str = r#"
time.sleep(1)
def attempt(what):
    try: return what()
    except OSError as e: return errno.errorcode[e.errno]
return [
    os.listdir("/tmp") + os.listdir("/dev/shm"),
    [p for p in os.listdir("/proc") if p.isdigit() and p not in ("1", str(os.getpid()))],
    call(29, 77, 4096, 0), call(68, 77, 0), call(64, 77, 1, 0),
    call(240, b"meeting", os.O_CREAT | os.O_RDWR, 0o777, None), # mq_open: there are none
    open("/proc/sysvipc/shm").read().count("\n"),
    [attempt(lambda: os.kill(pid, 0)) for pid in range(4, 50)].count("ESRCH"),
]
"#;

async fn two_functions_share_nothing(node: Node) {
    if !cfg!(target_arch = "x86_64") {
        return println!("skipped: numbers of x86-64");
    }
    let (put, looked) = tokio::join!(attack(&node, PUTS, |_| {}), attack(&node, LOOKS, |_| {}));
    assert_eq!(put.answer(), "null");
    let nothing = r#"[[], [], "ENOENT", "ENOENT", "ENOENT", "ENOSYS", 1, 46]"#;
    assert_eq!(looked.answer(), nothing);
}
