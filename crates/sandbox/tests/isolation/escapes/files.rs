//! Files of the host, of other functions and of earlier events.

use super::{attack, beside_others, expect, expect_all, quoted, try_each};
use crate::fixture::{Node, job};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

attempts![
    the_host_s_files_are_not_there,
    a_search_of_everything_finds_nothing_of_others,
    an_earlier_event_has_left_nothing,
    nothing_but_tmp_can_be_written,
    roots_and_devices_cannot_be_made,
    links_devices_and_set_uid_programs_in_a_package_lead_nowhere,
    a_full_tmp_is_the_function_s_own_trouble,
];

async fn the_host_s_files_are_not_there(node: Node) {
    let data = format!("os.listdir({})", quoted(node.data.path()));
    let attempts = [
        "open('/etc/shadow').read()",
        "os.listdir('/etc/ssh')",
        "os.listdir('/etc/ssl/private')",
        "os.listdir('/var/log')",
        "os.listdir('/var/lib')",
        "open('/etc/hostname').read()",
        "open('/etc/machine-id').read()",
        "os.listdir('/sys')",
        "os.listdir('/boot')",
        "os.listdir('/srv')",
        "os.listdir('/mnt')",
        "os.listdir('/root/.ssh')",
        "os.listdir('/usr/local')",
        "os.listdir('/usr/src')",
        "os.listdir('/usr/include')",
        "os.listdir('/usr/share/doc')",
        "os.listdir('/usr/lib/systemd')",
        "os.listdir('/usr/lib/modules')",
        "os.listdir('/usr/lib/node_modules')",
        "os.listdir('/usr/lib/python3/dist-packages')",
        "open('/dev/sda').read()",
        "open('/dev/vda').read()",
        "open('/dev/mem').read()",
        "open('/dev/kmsg').read()",
        "open('/dev/kvm').read()",
        "open('/dev/fuse').read()",
        "open('/dev/net/tun').read()",
        "open('/dev/ptmx').read()",
        "open('/proc/kcore', 'rb').read(1)",
        "open('/proc/1/environ').read()",
        "os.listdir('/proc/1/root/root')",
        "os.listdir('/proc/1/cwd')",
        "os.listdir('/proc/self/root/../var/lib')",
        "os.listdir('/proc/self/cwd/../../../../../var/lib')",
        "os.listdir('/../../var/lib')",
        &data,
    ];
    beside_others(&node, expect_all(&node, "ENOENT|EACCES|EPERM", &attempts)).await;
    let listings = [
        ("os.listdir('/home')", "[]"),
        (
            "sorted(set(os.listdir('/usr')) - {'bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32', 'share'})",
            "[]",
        ),
        ("sorted(set(os.listdir('/usr/share')) - {'zoneinfo', 'ca-certificates'})", "[]"),
        // Of the directories that hold an interpreter, only the way to it is there.
        ("sorted(os.listdir('/root')) if os.path.exists('/root') else []", "[]|['.pyenv']"),
        ("sum((os.listdir(d) for d in glob.glob(sys.base_prefix + '/lib*/python3*/*-packages')), [])", "[]"),
        ("open('/proc/keys').read() if os.path.exists('/proc/keys') else ''", ""),
        ("__import__('pwd').getpwuid(os.getuid())[0]", "sbx_user1051"),
        ("os.getgroups()", "[]"),
        ("os.uname().nodename", "sandbox"),
    ];
    expect(&node, &listings).await;
}

async fn a_search_of_everything_finds_nothing_of_others(node: Node) {
    // A file of the host, another function's package, and what another event writes and keeps.
    let host = tempfile::Builder::new().prefix("budgerigar-").tempfile().unwrap();
    std::fs::write(host.path(), "budgerigar").unwrap();
    let other = node.code(&[("budgerigar.py", "SECRET = 'budgerigar'")]);
    let busy = "open('/tmp/budgerigar', 'w').write('budgerigar'); open('/dev/shm/budgerigar', 'w').write('budgerigar'); time.sleep(4)";
    let search = r#"
time.sleep(1)
found, seen = [], 0
for top, directories, files in os.walk("/", followlinks=False):
    found += [top + "/" + name for name in directories + files if "budgerigar" in name.lower()]
    seen += len(files)
for pid in [p for p in os.listdir("/proc") if p.isdigit()]:
    for way in ("root", "cwd", "fd"):
        try: found += [name for name in os.listdir(f"/proc/{pid}/{way}/tmp") if "budgerigar" in name]
        except OSError: pass
return [found, seen > 1000]
"#;
    let busy = attack(&node, busy, |_| {});
    let search = attack(&node, search, |spec| spec.timeout_s = 60);
    let (search, _) = tokio::join!(search, busy);
    assert_eq!(search.answer(), "[[], true]");
    assert!(other.path().join("budgerigar.py").exists() && host.path().exists());
}

async fn an_earlier_event_has_left_nothing(node: Node) {
    let leave = r#"
open("/tmp/left", "w").write("x")
open("/dev/shm/left", "w").write("x")
assert call(29, 77, 4096, 0o1777) == "done" # shmget
s = socket.socket(socket.AF_UNIX); s.bind("\0left"); s.listen()
os.chmod("/tmp", 0o777)
"#;
    attack(&node, leave, |_| {}).await.answer();
    let attempts = [
        ("os.listdir('/tmp') + os.listdir('/dev/shm')", "[]"),
        ("libc.shmget(77, 4096, 0) >= 0", "False"),
        ("connected(socket.AF_UNIX, '\\0left')", "ECONNREFUSED"),
        ("oct(os.stat('/tmp').st_mode)", "0o41777"),
    ];
    expect(&node, &attempts).await;
}

async fn nothing_but_tmp_can_be_written(node: Node) {
    let attempts = [
        "open('/var/task/x', 'w')",
        "open('/var/task/app.py', 'a')",
        "open('/x', 'w')",
        "open('/usr/x', 'w')",
        "open('/usr/bin/sh', 'a')",
        "open('/etc/passwd', 'a')",
        "open('/etc/ld.so.cache', 'a')",
        "open('/var/runtime/bootstrap.pyc', 'a')",
        "open('/opt/x', 'w')",
        "open('/var/tmp/x', 'w')",
        "open('/run/x', 'w')",
        "open('/dev/x', 'w')",
        "open('/home/x', 'w')",
        "open(sys.executable, 'ab')",
        "os.mkdir('/var/task/d')",
        "os.chmod('/var/task/app.py', 0o777)",
        "os.chown('/var/task/app.py', os.getuid(), os.getgid())",
        "os.truncate('/var/task/app.py', 0)",
        "os.utime('/var/task/app.py')",
        "os.setxattr('/var/task/app.py', 'user.x', b'x')",
        "os.unlink('/var/task/app.py')",
        "os.unlink('/dev/null')",
        "os.rename('/var/task', '/var/x')",
        "os.link('/var/task/app.py', '/tmp/app.py')",
        "os.rename('/var/task/app.py', '/tmp/app.py')",
        "os.symlink('/tmp', '/var/task/tmp')",
        "os.rmdir('/tmp')",
    ];
    expect_all(&node, "EROFS|EACCES|EPERM|EXDEV|EBUSY", &attempts).await;
    let allowed = [
        ("open('/tmp/x', 'w').write('ok')", "2"),
        ("os.mkdir('/tmp/d') or os.rename('/tmp/x', '/tmp/d/x') or os.listdir('/tmp/d')", "['x']"),
        (
            "os.link('/tmp/d/x', '/tmp/y') or os.unlink('/tmp/d/x') or os.symlink('y', '/tmp/z') or open('/tmp/z').read()",
            "ok",
        ),
        ("os.mkfifo('/tmp/fifo')", "None"),
        ("socket.socket(socket.AF_UNIX).bind('/tmp/socket')", "None"),
        ("open('/dev/shm/x', 'w').write('ok')", "2"),
        ("open('/dev/null', 'w').write('ok')", "2"),
        ("open('/dev/stderr', 'w').write('ok')", "2"),
        ("open('/dev/full', 'wb', 0).write(b'x')", "ENOSPC"),
    ];
    expect(&node, &allowed).await;
}

async fn roots_and_devices_cannot_be_made(node: Node) {
    let attempts = [
        ("os.mknod('/tmp/mem', 0o20666, os.makedev(1, 1))", "EPERM|EACCES"),
        ("os.mknod('/tmp/disk', 0o60666, os.makedev(254, 0))", "EPERM|EACCES"),
        ("os.mknod('/tmp/whiteout', 0o20666, os.makedev(0, 0))", "EPERM|EACCES"),
        ("os.mknod('/dev/shm/mem', 0o20666, os.makedev(1, 1))", "EPERM|EACCES"),
        ("os.chroot('/tmp')", "EPERM"),
        ("[os.mkdir('/tmp/d'), os.chroot('/tmp/d')] and [os.chdir('..') for _ in range(9)]", "EPERM"),
        ("call(165, b'none', b'/tmp', b'tmpfs', 0, 0)", "EPERM"), // mount
        ("call(165, b'none', b'/', None, 0x1020, 0)", "EPERM"),   // mount: remount writable
        ("call(165, b'none', b'/tmp', b'proc', 0, 0)", "EPERM"),  // mount
        ("call(165, b'cgroup', b'/tmp', b'cgroup2', 0, 0)", "EPERM"), // mount
        ("call(166, b'/proc', 2)", "EPERM"),                      // umount2
        ("call(155, b'/tmp', b'/tmp')", "EPERM"),                 // pivot_root
        ("call(442, -100, b'/', 0, b'\\0' * 32, 32)", "EPERM"),   // mount_setattr
        ("call(429, -100, b'/', -100, b'/tmp', 0)", "EPERM"),     // move_mount
        ("call(304, 3, b'\\0' * 16, 0)", "EPERM"),                // open_by_handle_at
        ("call(303, -100, b'/', b'\\0' * 160, b'\\0' * 8, 0)", "EPERM"), // name_to_handle_at
    ];
    if !cfg!(target_arch = "x86_64") {
        return println!("skipped: numbers of x86-64");
    }
    beside_others(&node, expect(&node, &attempts)).await;
}

async fn links_devices_and_set_uid_programs_in_a_package_lead_nowhere(node: Node) {
    let source = r#"
import errno, os, subprocess
def attempt(what):
    try: return what()
    except OSError as e: return errno.errorcode[e.errno]
def handler(event, context):
    return [
        attempt(lambda: open("shadow").read()),
        attempt(lambda: open("up/etc/passwd").read().startswith("root:x:0:0:root:/root:/sbin/nologin")),
        attempt(lambda: os.listdir("data")),
        attempt(lambda: os.listdir("proc")),
        attempt(lambda: open("memory", "rb").read(1)),
        attempt(lambda: open("loop").read()),
        attempt(lambda: subprocess.run(["./id", "-u"], capture_output=True, text=True).stdout),
    ]
"#;
    let code = node.code(&[("app.py", source)]);
    let link = |name: &str, to: &Path| symlink(to, code.path().join(name)).unwrap();
    link("shadow", Path::new("/etc/shadow"));
    link("up", Path::new("../../../../../../../../.."));
    link("data", node.data.path());
    link("proc", Path::new("/proc/1/root"));
    link("loop", Path::new("loop"));
    let made = Command::new("mknod").arg(code.path().join("memory")).args(["c", "1", "1"]).status();
    assert!(made.is_ok_and(|status| status.success()), "the test runs as root");
    std::fs::copy("/usr/bin/id", code.path().join("id")).unwrap();
    std::fs::set_permissions(code.path().join("id"), PermissionsExt::from_mode(0o6755)).unwrap();
    let answer = node.run(job(code.path(), "{}")).await.answer();
    assert_eq!(answer, r#"["ENOENT", true, "ENOENT", "ENOENT", "EACCES", "ELOOP", "993\n"]"#);
}

async fn a_full_tmp_is_the_function_s_own_trouble(node: Node) {
    let fill = r#"
try:
    with open("/tmp/full", "wb") as f:
        while True: f.write(bytes(1 << 20))
except OSError as e: return [errno.errorcode[e.errno], os.stat("/tmp/full").st_size >> 20]
"#;
    let ran = beside_others(&node, attack(&node, fill, |spec| spec.memory_mb = 2_048)).await;
    assert!(["[\"ENOSPC\", 511]", "[\"ENOSPC\", 512]"].contains(&ran.answer().as_str()), "{}", ran.answer());
    // Empty files take memory of the kernel, which is counted too.
    let many = r#"
for n in range(10_000_000): os.close(os.open(f"/tmp/{n}", os.O_CREAT))
"#;
    let ran = beside_others(&node, attack(&node, many, |spec| spec.timeout_s = 20)).await;
    println!("files without content end with {:?}", ran.report.outcome);
    assert_eq!(try_each(&node, &["os.listdir('/tmp')"]).await, ["[]"]);
}
