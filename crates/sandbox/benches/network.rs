//! What the network policy `internet` costs an event, and how fast bytes pass:
//! `cargo bench -p sandbox --bench network -- [EVENTS]`. The destination is an address of this machine's own.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

use model::NetworkPolicy::{self, Internet, Nothing, Platform};
use model::{Clock, CodeId, FunctionArn, FunctionSpec, Outcome, RequestId, SystemClock};
use nix::ifaddrs::getifaddrs;
use sandbox::network::Addresses;
use sandbox::{Config, Function, Hooks, Job, Launcher, LauncherConfig, Network, Sandbox, interpreters};
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const FUNCTION: &str = r#"
import socket, time
def whole(s, length=0):
    while part := s.recv(1 << 18): length += len(part)
    return length
def handler(event, context): return event
def send(event, context):
    s = socket.create_connection(event)
    data, began = bytes(1 << 18), time.monotonic()
    s.sendall(b"r")
    for _ in range(2000): s.sendall(data)
    s.shutdown(socket.SHUT_WR)
    whole(s)
    return 2000 * len(data) / (time.monotonic() - began)
def receive(event, context):
    s = socket.create_connection(event)
    began = time.monotonic()
    s.sendall(b"s")
    length = whole(s)
    return length / (time.monotonic() - began)
def ask(event, context):
    s = socket.create_connection(event)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.sendall(b"e")
    began = time.monotonic()
    for _ in range(2000): s.sendall(b"x"); s.recv(1)
    return (time.monotonic() - began) / 2000
def connect(event, context):
    began = time.monotonic()
    for _ in range(500): socket.create_connection(event).close()
    return (time.monotonic() - began) / 500
def hold(event, context):
    held = [socket.create_connection(event) for _ in range(250)]
    for s in held: s.sendall(b"e" + bytes(60000))
    for s in held:
        length = 0
        while length < 60000: length += len(s.recv(1 << 18))
    held[0].sendall(b"x"); held[0].recv(1)
    began = time.monotonic()
    for _ in range(2000): held[0].sendall(b"x"); held[0].recv(1)
    return (time.monotonic() - began) / 2000
"#;

fn main() {
    let events = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(200);
    let program = env!("CARGO_BIN_EXE_sandbox-launcher").into();
    let launcher = Launcher::spawn(LauncherConfig { program, arguments: Vec::new() }).unwrap();
    let mut addresses = getifaddrs().unwrap().filter_map(|one| Some(one.address?.as_sockaddr_in()?.ip()));
    let own = addresses.find(|address| !address.is_loopback()).expect("an address that is not loopback");
    let data = tempfile::TempDir::new().unwrap();
    std::fs::write(data.path().join("app.py"), FUNCTION).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(data.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let port = serve(own.into());

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let sandbox = connect(launcher, data.path(), own.into()).await;
        let (mut nothing, mut platform, mut internet) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..events + 5 {
            nothing.push(event(&sandbox, Nothing, data.path()).await);
            platform.push(event(&sandbox, Platform, data.path()).await);
            internet.push(event(&sandbox, Internet, data.path()).await);
        }
        for (policy, times) in [("none", nothing), ("platform", platform), ("internet", internet)] {
            let (stands, reported): (Vec<_>, Vec<_>) = times[5..].iter().copied().unzip();
            line(&format!("{policy}: function is ready"), stands);
            line(&format!("{policy}: whole event"), reported);
        }
        let destination = format!("[\"{own}\", {port}]");
        for (handler, unit, scale) in [
            ("send", "Mbit/s", 8e-6),
            ("receive", "Mbit/s", 8e-6),
            ("ask", "us per question", 1e6),
            ("connect", "us per connection", 1e6),
            ("hold", "us per question, beside 249 connections", 1e6),
        ] {
            let mut results = Vec::new();
            for _ in 0..5 {
                let job = job(Internet, data.path(), handler, &destination);
                let (lines, _taken) = tokio::sync::mpsc::channel(16);
                let hooks =
                    Hooks { lines, platform: Box::new(|_| Box::new(())), initialised: Box::new(|| {}) };
                let (report, _) = sandbox.run(job, hooks).await.unwrap();
                let Outcome::Succeeded(answer) = report.outcome else { panic!("{:?}", report.outcome) };
                results.push(String::from_utf8_lossy(&answer).parse::<f64>().unwrap() * scale);
            }
            results.sort_by(f64::total_cmp);
            println!("{handler:30} p50 {:8.1} {unit}", results[2]);
        }
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        println!("{:30} {}", "server", status.lines().find(|line| line.starts_with("VmHWM")).unwrap());
    });
}

/// A server that does what the first byte says: reads all, sends 512 MB, or sends back.
fn serve(address: IpAddr) -> u16 {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(|| handle(stream.unwrap()));
        }
    });
    port
}

fn handle(mut stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let (mut order, mut buffer) = ([0], vec![0; 1 << 18]);
    let _ = stream.read(&mut order);
    match &order {
        b"s" => (0..2000).for_each(|_| stream.write_all(&buffer).unwrap_or_default()),
        b"e" => {
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                let _ = stream.write_all(&buffer[..length]);
            }
        }
        _ => while stream.read(&mut buffer).is_ok_and(|length| length > 0) {},
    }
}

async fn connect(launcher: Launcher, directory: &Path, open: IpAddr) -> Sandbox {
    #[expect(
        clippy::disallowed_methods,
        reason = "the bench stands in for the program, which reads the environment"
    )]
    let path = std::env::var_os("PATH").unwrap_or_default();
    let addresses = Addresses::new(vec![open.to_string().parse().unwrap()]).unwrap();
    let config = Config {
        data_dir: directory.to_path_buf(),
        run_dir: directory.join("run"),
        interpreters: interpreters::find(&path, &[], false),
        cpu_proportional: false,
        network: Network { addresses, ..Network::default() },
        standby: 4,
        clock: Arc::new(SystemClock),
    };
    Sandbox::connect(launcher, config).await.unwrap()
}

/// Runs one event; when its function was ready, and when its report was there.
async fn event(sandbox: &Sandbox, policy: NetworkPolicy, code: &Path) -> (Duration, Duration) {
    let (lines, _taken) = tokio::sync::mpsc::channel(16);
    let (ready, at) = channel();
    let began = Instant::now();
    let hooks = Hooks {
        lines,
        platform: Box::new(|_| Box::new(())),
        initialised: Box::new(move || ready.send(began.elapsed()).unwrap()),
    };
    sandbox.run(job(policy, code, "handler", "{}"), hooks).await.unwrap();
    let reported = began.elapsed();
    tokio::time::sleep(Duration::from_millis(40)).await;
    (at.recv().unwrap(), reported)
}

fn job(policy: NetworkPolicy, code_dir: &Path, handler: &str, event: &str) -> Job {
    let name = FunctionArn::of("bench");
    let spec = FunctionSpec::new(name, "python3.11", &format!("app.{handler}"), CodeId(String::new()));
    let spec = FunctionSpec { timeout_s: 120, memory_mb: 256, network: Some(policy), ..spec };
    Job {
        request_id: RequestId::new(SystemClock.now()),
        function: Function {
            spec: Arc::new(spec),
            code_dir: code_dir.to_path_buf(),
            layers_dir: None,
            environment: Arc::default(),
        },
        invoked: FunctionArn::of("bench"),
        lineage: Default::default(),
        payload: event.to_owned().into(),
        client_context: None,
        stream: None,
        keep: false,
    }
}

fn line(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    println!("{what:30} p50 {:6.2} ms   p99 {:6.2} ms", at(50), at(99));
}
