//! A copy goes on where the original was stopped: threads, loops, descriptors, handlers and settings that its
//! initialisation made are there and work.

use crate::escapes::evaluate;
use crate::fixture::{Node, eventually, job, no_platform, with};
use sandbox::Job;
use serde_json::Value;

/// What a module makes when it is loaded.
const PYTHON: &str = r#"
import asyncio, concurrent.futures, contextvars, ctypes, decimal, errno, faulthandler, fcntl, gzip, locale, mmap, os, queue
import resource, select, signal, socket, sqlite3, struct, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
faulthandler.enable()
twice = os.open(__file__, os.O_RDONLY); again = os.dup(twice); os.read(again, 2)
bell = libc.eventfd(0, 0); other_bell = os.dup(bell)

loop = asyncio.new_event_loop()
event_of_loop = asyncio.Event()
async def use_pool(): return await loop.run_in_executor(None, lambda: threading.current_thread().name)
async def tick():
    while True:
        await asyncio.sleep(0.01)
        ticks.append(1)
ticks = []
loop.run_until_complete(use_pool())
in_background = asyncio.new_event_loop()
threading.Thread(target=in_background.run_forever, daemon=True).start()
asyncio.run_coroutine_threadsafe(asyncio.sleep(0), in_background).result()
ticking = asyncio.run_coroutine_threadsafe(tick(), in_background)

pool = concurrent.futures.ThreadPoolExecutor(4)
assert list(pool.map(abs, [-1] * 8)) == [1] * 8
work, done = queue.Queue(), queue.Queue()
def worker():
    while True: done.put(work.get() * 2)
threading.Thread(target=worker, daemon=True).start()
condition, waited = threading.Condition(), []
def waiter():
    with condition:
        condition.wait()
        waited.append(threading.get_native_id())
waiting = threading.Thread(target=waiter, daemon=True); waiting.start()
held, held_by = threading.RLock(), []
def holder():
    with held:
        held_by.append(threading.get_native_id())
        threading.Event().wait()
threading.Thread(target=holder, daemon=True).start()
sleeper = threading.Timer(0.5, lambda: waited.append("timer")); sleeper.daemon = True
own = threading.local(); own.value = 7
busy_counter = [0]
def busy():
    while True:
        busy_counter[0] += 1
        if busy_counter[0] % 1000 == 0: time.sleep(0.001)
threading.Thread(target=busy, daemon=True).start()

me = open(__file__); me.readline(); raw = os.open(__file__, os.O_RDONLY); os.lseek(raw, 11, 0)
directory = os.open("/var/task", os.O_RDONLY | os.O_DIRECTORY)
r, w = os.pipe(); os.write(w, b"in the pipe")
counter = os.eventfd(5, os.EFD_NONBLOCK) if hasattr(os, "eventfd") else None
one, other = socket.socketpair()
poll = select.epoll(); poll.register(r, select.EPOLLIN); poll.register(one, select.EPOLLIN | select.EPOLLONESHOT)
mapped = mmap.mmap(raw, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
mapped[:3] = b"own"
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
def anonymous(advice):
    at = libc.mmap(None, 8192, 3, 0x22, -1, 0)
    ctypes.memset(at, 65, 8192)
    assert libc.madvise(at, 8192, advice) == 0
    return at
unforked, wiped = anonymous(10), anonymous(18)

caught = []
signal.signal(signal.SIGUSR1, lambda *_: caught.append("usr1"))
signal.signal(signal.SIGUSR2, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
database = sqlite3.connect(":memory:"); database.execute("create table t (x)"); database.execute("insert into t values (42)")
decimal.getcontext().prec = 5
variable = contextvars.ContextVar("v"); variable.set("set")
callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda n: n + 1)
big = {n: str(n) for n in range(50_000)}
recursive = []; recursive.append(recursive)
os.umask(0o27)
noted, noted_thread = os.getpid(), threading.get_native_id()
def count_up(times):
    with concurrent.futures.ThreadPoolExecutor(8) as many: return sum(many.map(lambda n: n, range(times)))
def signalled():
    os.kill(os.getpid(), signal.SIGUSR1); os.kill(os.getpid(), signal.SIGUSR2); signal.pthread_kill(threading.get_ident(), signal.SIGHUP)
    return caught, signal.sigpending() == {signal.SIGHUP}
def woken():
    with condition: condition.notify_all()
    waiting.join(5)
    return len(waited) == 1 and waited[0] != threading.get_native_id()
def within(seconds, what):
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end: time.sleep(0.01)
    return bool(what())
"#;

/// What is looked at in a copy, and what is to be seen.
const LOOKS: &[(&str, &str)] = &[
    ("loop.run_until_complete(use_pool())", "asyncio_0|asyncio_1"),
    ("asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01, 'slept'), in_background).result(20)", "slept"),
    ("[ticks.clear(), within(20, lambda: len(ticks) > 3), ticking.done()][1:]", "[True, False]"),
    ("list(pool.map(abs, [-1] * 8))", "[1, 1, 1, 1, 1, 1, 1, 1]"),
    ("[work.put(21), done.get(timeout=20)][1]", "42"),
    ("woken()", "True"),
    ("held.acquire(timeout=0.05)", "False"),
    ("os.path.exists(f'/proc/self/task/{held_by[0]}')", "True"),
    ("[sleeper.start(), within(20, lambda: 'timer' in waited)][1]", "True"),
    ("[busy_counter.__setitem__(0, 0), within(20, lambda: busy_counter[0] > 2000)][1]", "True"),
    (
        "sorted(t.native_id for t in threading.enumerate() if t is not threading.main_thread()) == sorted(int(t) for t in os.listdir('/proc/self/task') if int(t) != os.getpid())",
        "True",
    ),
    ("own.value", "7"),
    ("me.tell() == len(open(__file__).readline()) and os.lseek(raw, 0, 1)", "11"),
    ("os.stat('app.py', dir_fd=directory).st_size > 100", "True"),
    ("[fd for fd, _ in poll.poll(0)] == [r]", "True"),
    ("os.read(r, 100)", "b'in the pipe'"),
    (
        "[poll.poll(0), other.send(b'x'), [fd for fd, _ in poll.poll(0)] == [one.fileno()], one.recv(1), other.send(b'y'), poll.poll(0)]",
        "[[], 1, True, b'x', 1, []]",
    ),
    ("counter is None or os.eventfd_read(counter)", "5|True"),
    ("[mapped[:3], mapped[3:8] == open(__file__, 'rb').read()[3:8]]", "[b'own', True]"),
    ("ctypes.string_at(unforked, 3)", "b'AAA'"),
    ("ctypes.string_at(wiped, 3)", "b'\\x00\\x00\\x00'"),
    ("signalled()", "(['usr1'], True)"),
    ("database.execute('select x from t').fetchone()", "(42,)"),
    ("str(decimal.Decimal(1) / 3)", "0.33333"),
    ("variable.get('lost')", "set|lost"),
    ("callback(41)", "42"),
    ("[len(big), big[49_999], recursive[0][0] is recursive]", "[50000, '49999', True]"),
    ("[os.umask(0), os.umask(0o27)][0] == 0o27", "True"),
    ("[os.getpid() != noted, threading.get_native_id() == os.getpid()]", "[True, True]"),
    (
        "libc.getpid() == os.getpid() and libc.gettid() == os.getpid() if hasattr(libc, 'gettid') else True",
        "True",
    ),
    ("os.read(twice, 3) + os.read(again, 3) == open(__file__, 'rb').read(8)[2:]", "True"),
    ("os.write(bell, struct.pack('Q', 5)) and struct.unpack('Q', os.read(other_bell, 8))", "(5,)"),
    ("count_up(100)", "4950"),
    ("subprocess.run(['/bin/sh', '-c', 'echo $(( 6 * 7 ))'], capture_output=True).stdout", "b'42\\n'"),
    ("__import__('multiprocessing').get_context('fork').Pool(2).map(abs, [-1, -2])", "[1, 2]"),
    ("__import__('ssl').create_default_context().verify_mode.name", "CERT_REQUIRED"),
    ("__import__('gc').collect() >= 0", "True"),
];

#[tokio::test]
async fn all_that_a_module_has_made_is_there_and_works() {
    let Some(node) = Node::of_copies().await else { return };
    let code = node.code(&[("app.py", &format!("{PYTHON}\n{}", evaluate()))]);
    let expressions: Vec<_> = LOOKS.iter().map(|(expression, _)| *expression).collect();
    let job = with(job(code.path(), &serde_json::to_string(&expressions).unwrap()), |spec| {
        (spec.timeout_s, spec.memory_mb) = (60, 512);
    });
    for _ in 0..5 {
        let results: Vec<String> = serde_json::from_str(&node.run(job.clone()).await.answer()).unwrap();
        let wrong: Vec<_> = LOOKS
            .iter()
            .zip(&results)
            .filter(|((_, expected), result)| !expected.split('|').any(|one| one == result.as_str()))
            .collect();
        assert!(wrong.is_empty() && results.len() == LOOKS.len(), "{wrong:#?}");
    }
    node.nothing_left().await;
}

const NODE: &str = r#"
const fs = require("fs"), { Worker, MessageChannel } = require("worker_threads"), crypto = require("crypto"), zlib = require("zlib");
const events = new (require("events"))();
const file = fs.openSync(__filename), head = Buffer.alloc(8); fs.readSync(file, head, 0, 8);
const later = new Promise(resolve => setTimeout(() => resolve("later"), 300));
let ticks = 0; setInterval(() => ticks++, 5).unref();
const settled = (async () => { await new Promise(setImmediate); return 42; })();
const big = new Map(Array.from({ length: 20000 }, (_, n) => [n, { n }]));
const weak = new WeakMap(); weak.set(big, "kept");
function* naturals() { for (let n = 0; ; n++) yield n; }
const generator = naturals(); generator.next(); generator.next();
const compiled = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array([
    0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 127, 127, 1, 127, 3, 2, 1, 0, 7, 7, 1, 3, 97, 100, 100, 0, 0, 10, 9, 1, 7, 0, 32, 0, 32, 1, 106, 11])));
const hot = n => { let s = 0; for (let i = 0; i < n; i++) s = (s + i * i) % 1000003; return s; };
for (let i = 0; i < 200; i++) hot(10000); // so that it is compiled
const expected = hot(12345);
zlib.gzipSync("x");
const used = require("util").promisify(crypto.pbkdf2)("a", "b", 10, 16, "sha256"); // has used the pool of threads
exports.handler = async event => {
    const before = ticks;
    await new Promise(resolve => setTimeout(resolve, 50));
    const next = Buffer.alloc(4); fs.readSync(file, next, 0, 4);
    const pool = await Promise.all(Array.from({ length: 12 }, (_, n) => new Promise((resolve, reject) =>
        crypto.pbkdf2("a", String(n), 100, 8, "sha256", (error, key) => error ? reject(error) : resolve(key.length)))));
    const read = await fs.promises.readFile(__filename, "utf8");
    const unzipped = await new Promise((resolve, reject) => zlib.gzip(Buffer.alloc(100000), (e, b) => e ? reject(e) : zlib.gunzip(b, (e, b) => e ? reject(e) : resolve(b.length))));
    const child = require("child_process").spawnSync("/bin/sh", ["-c", "echo 42"]).stdout.toString();
    const said = await new Promise(resolve => require("child_process").exec("echo later", (e, out) => resolve(out)));
    const worker = await new Promise((resolve, reject) => {
        const one = new Worker("require('worker_threads').parentPort.postMessage(6 * 7)", { eval: true });
        one.on("message", resolve); one.on("error", reject);
    });
    const server = require("http").createServer((request, answer) => answer.end("over http"));
    await new Promise(resolve => server.listen(0, "127.0.0.1", resolve));
    const http = await (await fetch("http://127.0.0.1:" + server.address().port)).text();
    server.close();
    if (global.gc) global.gc();
    return {
        ticked: ticks > before, head: head.toString(), next: next.toString(), pool: pool.length, read: read.length > 100, unzipped, child, said,
        worker, http, later: await later, settled: await settled, big: big.get(19999).n, weak: weak.get(big), generator: generator.next().value,
        wasm: compiled.exports.add(40, 2), hot: hot(12345) === expected, used: (await used).length, pid: process.pid > 1,
    };
};
"#;

#[tokio::test]
async fn all_that_a_script_has_made_is_there_and_works() {
    let Some(node) = Node::of_copies().await else { return };
    let offered =
        node.sandbox.interpreters().iter().any(|one| one.installed.language == model::Language::NodeJs);
    if !offered {
        return println!("skipped: there is no Node.js here");
    }
    let code = node.code(&[("app.js", NODE)]);
    let job = with(job(code.path(), "{}"), |spec| {
        (spec.timeout_s, spec.memory_mb, spec.runtime) = (60, 512, "nodejs20.x".into());
    });
    for _ in 0..5 {
        let answer: Value = serde_json::from_str(&node.run(job.clone()).await.answer()).unwrap();
        let expected = serde_json::json!({
            "ticked": true, "head": "\nconst f", "next": "s = ", "pool": 12, "read": true, "unzipped": 100_000, "child": "42\n",
            "said": "later\n", "worker": 42, "http": "over http", "later": "later", "settled": 42, "big": 19_999, "weak": "kept",
            "generator": 2, "wasm": 42, "hot": true, "used": 16, "pid": true,
        });
        assert_eq!(answer, expected);
    }
    node.nothing_left().await;
}

/// Threads that are busy while the process is captured: each keeps something that can be checked.
const BUSY: &str = r#"
import hashlib, os, queue, socket, threading, time, zlib
state = {"sums": [0, 0, 0, 0], "wrong": []}
def compute(number):
    n = 0
    while True:
        n += 1
        if sum(range(500)) != 124750: state["wrong"].append("sum")
        if 0.1 * n + 0.2 * n - 0.3 * n > 1e-3 * n: state["wrong"].append("float")
        state["sums"][number] = n
def hash_things():
    data = bytes(range(256)) * 4000
    right = hashlib.sha256(data).hexdigest()
    while True:
        if hashlib.sha256(data).hexdigest() != right: state["wrong"].append("hash")
        if zlib.decompress(zlib.compress(data)) != data: state["wrong"].append("zlib")
        state["sums"][2] += 1
def read_files():
    right = open(__file__).read()
    while True:
        if open(__file__).read() != right: state["wrong"].append("file")
        state["sums"][3] += 1
here, there = queue.Queue(), queue.Queue()
def pingpong(one, other):
    while True: other.put(one.get() + 1)
a, b = os.pipe()
def pipes():
    while True:
        os.write(b, b"0123456789")
        if os.read(a, 10) != b"0123456789": state["wrong"].append("pipe")
for target, arguments in (compute, (0,)), (compute, (1,)), (hash_things, ()), (read_files, ()), (pingpong, (here, there)), (pingpong, (there, here)), (pipes, ()):
    threading.Thread(target=target, args=arguments, daemon=True).start()
here.put(0)
def handler(event, context):
    before = list(state["sums"])
    end = time.monotonic() + 20
    while time.monotonic() < end and not all(now > was for now, was in zip(state["sums"], before)): time.sleep(0.005)
    return [state["wrong"], [now > was for now, was in zip(state["sums"], before)]]
"#;

/// How often a busy process is captured.
const CAPTURES: usize = 20;

#[tokio::test]
async fn busy_threads_are_captured_whole_or_not_at_all() {
    let Some(node) = Node::of_copies().await else { return };
    let code = node.code(&[("app.py", BUSY)]);
    let job: Job = with(job(code.path(), "{}"), |spec| (spec.timeout_s, spec.memory_mb) = (60, 256));
    let (mut captured, mut refused) = (0, Vec::new());
    while captured < CAPTURES && refused.len() < CAPTURES {
        match node.template(&job.function).await {
            Ok(template) => {
                captured += 1;
                for _ in 0..2 {
                    let copy = node.copy_of(&template.original(), no_platform()).await;
                    let (report, _) = copy
                        .run(
                            job.clone(),
                            tokio::sync::mpsc::channel(100).0,
                            tokio::sync::oneshot::channel().0,
                        )
                        .await
                        .unwrap();
                    let answer = crate::fixture::Ran { report, lines: Vec::new() }.answer();
                    assert_eq!(answer, "[[], [true, true, true, true]]");
                }
            }
            Err((reason, process)) => {
                let process = process.expect("it goes on");
                let (report, _) = process
                    .run(job.clone(), tokio::sync::mpsc::channel(100).0, tokio::sync::oneshot::channel().0)
                    .await
                    .unwrap();
                let answer = crate::fixture::Ran { report, lines: Vec::new() }.answer();
                assert_eq!(answer, "[[], [true, true, true, true]]", "{reason}");
                refused.push(reason);
            }
        }
    }
    println!("{captured} captured; refused: {refused:?}");
    node.nothing_left().await;
    let launcher = node.launcher;
    eventually("the launcher is as it was", || crate::fixture::descendants(launcher).len() == 4).await;
}
