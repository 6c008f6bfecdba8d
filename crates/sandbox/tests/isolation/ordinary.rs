//! What an ordinary function needs works inside the walls.

use crate::escapes::try_each;
use crate::fixture::{Node, job};
use std::io::{Read, Write};

#[tokio::test]
async fn the_platform_is_reached_at_its_address() {
    let node = Node::start().await;
    let source = "import socket\ndef handler(event, context):\n    s = socket.create_connection(('127.0.0.1', 4566), 5)\n    s.send(b'ping')\n    return s.recv(4).decode()";
    let code = node.code(&[("app.py", source)]);
    let answered = node.run_with(job(code.path(), "{}"), |listener| {
        std::thread::spawn(move || {
            listener.set_nonblocking(false).unwrap();
            let (mut caller, _) = listener.accept().unwrap();
            let mut asked = [0; 4];
            caller.read_exact(&mut asked).unwrap();
            caller.write_all(if &asked == b"ping" { b"pong" } else { b"????" }).unwrap();
        });
    });
    assert_eq!(answered.await.answer(), "\"pong\"");
}

#[tokio::test]
async fn the_standard_library_works() {
    let node = Node::start().await;
    let things = [
        "len(os.urandom(8))",
        "__import__('tempfile').mkstemp()[1].startswith('/tmp/')",
        "__import__('concurrent.futures').futures.ThreadPoolExecutor(2).submit(sum, [1, 2]).result()",
        "__import__('multiprocessing').Pool(2).map(abs, [-1, -2])",
        "__import__('sqlite3').connect('/tmp/db').execute('select 1').fetchone()",
        "__import__('hashlib').sha256(b'').hexdigest()[:8]",
        "__import__('asyncio').run(__import__('asyncio').sleep(0, 5))",
        "os.cpu_count() > 0",
        "'cpu' in open('/proc/stat').read()",
        "os.path.expanduser('~')",
        "socket.gethostbyname('localhost')",
        "len(__import__('ssl').create_default_context().get_ca_certs()) > 0",
        "str(__import__('zoneinfo').ZoneInfo('Europe/Paris'))",
        "subprocess.run([sys.executable, '-c', 'print(1)'], capture_output=True).stdout",
        "subprocess.run(['python3', '-c', 'import json; print(json.dumps(2))'], capture_output=True).stdout",
    ];
    let expected = [
        "8",
        "True",
        "3",
        "[1, 2]",
        "(1,)",
        "e3b0c442",
        "5",
        "True",
        "True",
        "/home/sbx_user1051",
        "127.0.0.1",
        "True",
        "Europe/Paris",
        "b'1\\n'",
        "b'2\\n'",
    ];
    assert_eq!(try_each(&node, &things).await, expected);
}

#[tokio::test]
async fn programs_of_the_system_work() {
    let node = Node::start().await;
    let programs = [
        ("echo hi | tr h H | cat", "Hi"),
        ("for n in 1 2 3; do echo $n; done | sort -r | head -1", "3"),
        ("printf 'a b\\nc d\\n' | awk '{ print $2 }' | paste -sd,", "b,d"),
        ("echo abc | sed s/b/x/ | grep -c axc", "1"),
        ("printf x | sha256sum | cut -c1-8", "2d711642"),
        ("tar -cf - -C /var/task app.py | tar -tf -", "app.py"),
        ("echo x | gzip | gunzip", "x"),
        ("find /tmp -type d | wc -l", "1"),
        ("date -d @0 +%Y; TZ=America/New_York date -d @0 +%H", "1970\n19"),
        ("bash -c 'a=(1 2 3); echo ${#a[@]} < <(true)'", "3"),
        ("ldd /bin/sh | grep -c 'not found'", "0"),
        ("env | grep -c ^AWS_REGION=", "1"),
    ];
    let commands: Vec<_> = programs
        .iter()
        .map(|(program, _)| {
            format!("subprocess.run({program:?}, shell=True, capture_output=True, text=True).stdout.strip()")
        })
        .collect();
    let results = try_each(&node, &commands.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let expected: Vec<_> = programs.iter().map(|(_, said)| *said).collect();
    assert_eq!(results, expected);
    // What not every machine has.
    for (program, said) in [
        ("openssl dgst -sha256 /dev/null | tail -c 9", "7852b855"),
        ("curl -s --max-time 2 http://127.0.0.1:1; echo $?", "7"),
        ("perl -e 'print 6*7'", "42"),
        ("jq -n 1+1", "2"),
    ] {
        let name = program.split(' ').next().unwrap();
        if std::path::Path::new("/usr/bin").join(name).exists() {
            let command = format!(
                "subprocess.run({program:?}, shell=True, capture_output=True, text=True).stdout.strip()"
            );
            assert_eq!(try_each(&node, &[&command]).await, [said], "{program}");
        }
    }
}
