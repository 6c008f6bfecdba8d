//! How long an event with an empty handler takes from nothing to its report, and where the time goes, beside a bare
//! start of the same interpreter: `cargo bench -p sandbox --bench cold_start -- [EVENTS]`.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

use model::{Clock, CodeId, FunctionArn, FunctionSpec, RequestId, SystemClock};
use sandbox::{Config, Function, Hooks, Interpreter, Job, Launcher, LauncherConfig, Sandbox, interpreters};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// The points at which a start is timed, counted from its beginning.
#[derive(Clone, Copy, Default)]
struct Times {
    /// The sandbox stands: groups, namespaces, mounts, network, rights.
    stands: Duration,
    /// The interpreter has started and loaded the function.
    ready: Duration,
    /// The report is there.
    reported: Duration,
}

/// An empty handler, and some that take all the time they get.
const FUNCTION: &str = r#"
import os

def handler(event, context):
    return event

def busy(event, context):
    while True: pass

def stopped(event, context):
    os.kill(os.getpid(), 19)

def large(event, context):
    kept = bytearray(1 << 30)
    for at in range(0, len(kept), 4096): kept[at] = 1
    while True: pass

def many(event, context):
    try:
        while os.fork(): pass
    except OSError: pass
    while True: pass
"#;

/// Handlers that have to be killed.
const ENDLESS: [(&str, &str); 4] = [
    ("app.busy", "gone after a deadline"),
    ("app.stopped", "  having stopped itself"),
    ("app.large", "  with 1 GB of memory"),
    ("app.many", "  with 1,024 busy processes"),
];

fn main() {
    let events = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(300);
    let launcher = || {
        let program = env!("CARGO_BIN_EXE_sandbox-launcher").into();
        Launcher::spawn(LauncherConfig { program, arguments: Vec::new() }).unwrap()
    };
    let (with_standby, without) = (launcher(), launcher());
    let data = tempfile::TempDir::new().unwrap();
    std::fs::write(data.path().join("app.py"), FUNCTION).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(data.path(), PermissionsExt::from_mode(0o755)).unwrap();

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let standby = connect(with_standby, &data.path().join("a"), 4).await;
        let direct = connect(without, &data.path().join("b"), 0).await;
        let interpreter = standby.interpreters().iter().next().unwrap().clone();
        println!("{events} events each, one at a time, {interpreter}\n{}\n", standby.features());

        // The four take turns, so that whatever else the machine does falls on all of them.
        let (mut waiting, mut fresh, mut bare, mut lean) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..events + 5 {
            waiting.push(event(&standby, &interpreter, data.path()).await);
            fresh.push(event(&direct, &interpreter, data.path()).await);
            bare.push(start(&interpreter, &["-c", "pass"]));
            lean.push(start(&interpreter, &["-S", "-s", "-c", "pass"]));
        }
        for times in [&mut waiting, &mut fresh] {
            times.drain(..5);
        }
        let of = |times: &[Times], part: fn(&Times) -> Duration| times.iter().map(part).collect::<Vec<_>>();
        line("event, groups prepared", of(&waiting, |t| t.reported));
        line("  sandbox stands", of(&waiting, |t| t.stands));
        line("  interpreter and function", of(&waiting, |t| t.ready - t.stands));
        line("  handler, answer, account", of(&waiting, |t| t.reported - t.ready));
        line("event, groups made for it", of(&fresh, |t| t.reported));
        line("  sandbox stands", of(&fresh, |t| t.stands));
        for (handler, what) in ENDLESS {
            line(what, overruns(&standby, &interpreter, data.path(), handler).await);
        }
        line("bare python3 -c pass", bare);
        line("bare python3 -S -s -c pass", lean);
    });
}

async fn connect(launcher: Launcher, directory: &Path, standby: usize) -> Sandbox {
    #[expect(
        clippy::disallowed_methods,
        reason = "the bench stands in for the program, which reads the environment"
    )]
    let path = std::env::var_os("PATH").unwrap_or_default();
    let config = Config {
        data_dir: directory.to_path_buf(),
        run_dir: directory.join("run"),
        interpreters: interpreters::find(&path, &[], false),
        cpu_proportional: false,
        network: sandbox::Network::default(),
        standby,
        clock: Arc::new(SystemClock),
    };
    Sandbox::connect(launcher, config).await.unwrap()
}

/// Runs one event and waits until the next sitter is likely to be ready.
async fn event(sandbox: &Sandbox, interpreter: &Interpreter, code: &Path) -> Times {
    let (lines, _taken) = tokio::sync::mpsc::channel(16);
    let (stands, ready) = (channel(), channel());
    let began = Instant::now();
    let hooks = Hooks {
        lines,
        platform: Box::new(move |_| {
            stands.0.send(began.elapsed()).unwrap();
            Box::new(())
        }),
        initialised: Box::new(move || ready.0.send(began.elapsed()).unwrap()),
    };
    sandbox.run(job(interpreter, code), hooks).await.unwrap();
    let reported = began.elapsed();
    tokio::time::sleep(Duration::from_millis(40)).await;
    Times { stands: stands.1.recv().unwrap(), ready: ready.1.recv().unwrap(), reported }
}

/// How long after its time limit everything of a function is gone.
async fn overruns(sandbox: &Sandbox, interpreter: &Interpreter, code: &Path, handler: &str) -> Vec<Duration> {
    let mut overruns = Vec::new();
    for _ in 0..10 {
        let mut job = job(interpreter, code);
        let spec = Arc::make_mut(&mut job.function.spec);
        (spec.handler, spec.timeout_s, spec.memory_mb) = (handler.into(), 3, 4_096);
        let (ready, at) = channel();
        let (lines, _taken) = tokio::sync::mpsc::channel(16);
        let initialised = Box::new(move || ready.send(Instant::now()).unwrap());
        sandbox.run(job, Hooks { lines, platform: Box::new(|_| Box::new(())), initialised }).await.unwrap();
        overruns.push(at.recv().unwrap().elapsed() - Duration::from_secs(3));
    }
    overruns
}

fn job(interpreter: &Interpreter, code_dir: &Path) -> Job {
    let (name, runtime) = (FunctionArn::of("empty"), interpreter.installed.runtime());
    let spec = FunctionSpec::new(name, &runtime, "app.handler", CodeId(String::new()));
    let spec = FunctionSpec { timeout_s: 10, ..spec };
    Job {
        request_id: RequestId::new(SystemClock.now()),
        function: Function {
            spec: Arc::new(spec),
            code_dir: code_dir.to_path_buf(),
            layers_dir: None,
            environment: Arc::default(),
        },
        invoked: FunctionArn::of("empty"),
        lineage: Default::default(),
        payload: "{}".into(),
        client_context: None,
        stream: None,
        keep: false,
    }
}

fn start(interpreter: &Interpreter, arguments: &[&str]) -> Duration {
    let began = Instant::now();
    assert!(Command::new(&interpreter.executable).args(arguments).status().unwrap().success());
    began.elapsed()
}

fn line(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    println!("{what:30} p50 {:6.1} ms   p99 {:6.1} ms", at(50), at(99));
}
