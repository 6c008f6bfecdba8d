//! What a function can reach by each network policy, and what it cannot.

use crate::fixture::{Node, Ran, eventually, job, with};
use crate::rootless::rootless;
use model::NetworkPolicy::{self, Internet, Nothing, Platform};
use model::limits::NETWORK_STREAMS;
use nix::ifaddrs::getifaddrs;
use sandbox::{Error, Network, network::Addresses};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// An address of this machine that is not loopback.
pub(crate) fn own_address() -> Option<Ipv4Addr> {
    let addresses = getifaddrs().unwrap().filter_map(|one| Some(one.address?.as_sockaddr_in()?.ip()));
    let found = addresses.into_iter().find(|address| !address.is_loopback() && !address.is_link_local());
    if found.is_none() {
        println!("skipped: this machine has no address but loopback");
    }
    found
}

fn network(open: &[String], resolvers: Vec<SocketAddr>) -> Network {
    let open = open.iter().map(|range| range.parse().unwrap()).collect();
    Network { addresses: Addresses::new(open).unwrap(), resolvers, ..Network::default() }
}

/// A node whose functions may reach the address of this machine that comes along; none where that cannot be.
pub(crate) async fn outside() -> Option<(Node, Ipv4Addr)> {
    let own = own_address()?;
    let node = Node::start_on(false, network(&[own.to_string()], Vec::new())).await;
    offered(&node).then_some((node, own))
}

/// Whether the policy `internet` can be tested here.
fn offered(node: &Node) -> bool {
    let offer = &node.sandbox.features().internet;
    if let Err(reason) = offer {
        println!("skipped: no internet for sandboxes here: {reason}");
    }
    offer.is_ok()
}

/// Runs `app.handler` of a file with this policy.
async fn run(node: &Node, policy: NetworkPolicy, source: &str, event: &str) -> Ran {
    let code = node.code(&[("app.py", source)]);
    let job = with(job(code.path(), event), |spec| (spec.network, spec.timeout_s) = (Some(policy), 30));
    node.run(job).await
}

const TRY_EACH: &str = r#"
import errno, fcntl, os, socket, struct, time
def tcp(host, port, seconds=5):
    with socket.create_connection((host, port), seconds) as s: return s.getpeername()[1]
def udp(host, port, text=b'x', seconds=5):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(seconds); s.connect((host, port)); s.send(text); return s.recv(65535)
def again(host, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((host, port))
        for n in range(100): s.send(b'x'); time.sleep(0.02)
def ioctl(number, data):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s: return fcntl.ioctl(s, number, data)
def handler(event, context):
    results = []
    for line in event:
        try: results.append(str(eval(line)))
        except OSError as e: results.append(errno.errorcode.get(e.errno, type(e).__name__))
        except BaseException as e: results.append(type(e).__name__)
    return "\n".join(results)
"#;

/// Runs an expression for each line and returns its value, or the name of the error.
async fn try_each(node: &Node, policy: NetworkPolicy, lines: &[&str]) -> Vec<String> {
    let answer = run(node, policy, TRY_EACH, &serde_json::to_string(lines).unwrap()).await.answer();
    let answer: String = serde_json::from_str(&answer).unwrap();
    answer.lines().map(str::to_owned).collect()
}

/// A server of this test on `address` that handles each connection in a thread.
pub(crate) fn serve(
    address: impl Into<IpAddr>,
    handle: impl Fn(TcpStream) + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind((address.into(), 0)).unwrap();
    let bound = listener.local_addr().unwrap();
    let handle = Arc::new(handle);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let handle = handle.clone();
            std::thread::spawn(move || handle(stream));
        }
    });
    bound
}

/// Sends back what comes, until that ends.
pub(crate) fn echo(mut stream: TcpStream) {
    let mut back = stream.try_clone().unwrap();
    let _ = std::io::copy(&mut stream, &mut back);
    let _ = back.shutdown(Shutdown::Write);
}

/// Sends datagrams back.
fn echo_datagrams(address: Ipv4Addr) -> SocketAddr {
    let socket = UdpSocket::bind((address, 0)).unwrap();
    let bound = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 65_535];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], from);
        }
    });
    bound
}

#[tokio::test]
async fn with_none_nothing_is_there() {
    let node = Node::start().await;
    let lines = [
        "tcp('127.0.0.1', 4566)",
        "tcp('127.0.0.1', 9001)",
        "tcp('1.1.1.1', 53)",
        "udp('169.254.1.53', 53)",
        "[name for _, name in socket.if_nameindex()]",
        "socket.getaddrinfo('example.com', 80)",
    ];
    let results = try_each(&node, Nothing, &lines).await;
    // Extensions are served under every policy.
    let expected = ["ECONNREFUSED", "9001", "ENETUNREACH", "ENETUNREACH", "['lo']", "gaierror"];
    assert_eq!(results, expected);
}

#[tokio::test]
async fn without_a_word_a_function_gets_the_node_s_default() {
    let policies = [(Nothing, "ECONNREFUSED"), (Platform, "4566")];
    for (default, expected) in policies {
        let node = Node::start_on(false, Network { default, ..Network::default() }).await;
        let event = serde_json::to_string(&["tcp('127.0.0.1', 4566)"]).unwrap();
        let code = node.code(&[("app.py", TRY_EACH)]);
        // Whoever holds the listener lets the connection stand.
        let (keep, _kept) = std::sync::mpsc::channel();
        let ran = node.run_with(job(code.path(), &event), move |listener| keep.send(listener).unwrap());
        assert_eq!(ran.await.answer(), format!("\"{expected}\""));
    }
}

#[tokio::test]
async fn no_function_gets_more_than_the_node_allows() {
    let node = Node::start_on(false, Network { most: Platform, ..Network::default() }).await;
    let code = node.code(&[("app.py", "def handler(event, context): pass")]);
    let job = with(job(code.path(), "{}"), |spec| spec.network = Some(Internet));
    let refused = node.sandbox.run(job, node.no_hooks()).await.unwrap_err();
    assert!(matches!(refused, Error::NoNetwork { policy: Internet, .. }), "{refused}");
    assert!(refused.to_string().contains("platform at the most"), "{refused}");
}

#[tokio::test]
async fn with_internet_closed_addresses_are_refused() {
    let Some(own) = own_address() else { return };
    // Nothing is opened, or only all that is private: this machine's own addresses are not even then.
    for open in [vec![], vec!["0.0.0.0/0".to_owned()]] {
        let node = Node::start_on(false, network(&open, Vec::new())).await;
        if !offered(&node) {
            return;
        }
        let listener = serve(own, echo);
        let datagrams = echo_datagrams(own);
        let host = serve(Ipv4Addr::LOCALHOST, echo);
        let lines = [
            format!("tcp('{own}', {})", listener.port()),
            format!("udp('{own}', {})", datagrams.port()),
            format!("tcp('127.0.0.1', {})", host.port()),
            format!("tcp('127.1.2.3', {})", host.port()),
            "tcp('0.1.2.3', 80)".to_owned(),
            "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('255.255.255.255', 9))"
                .to_owned(),
        ];
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let results = try_each(&node, Internet, &lines).await;
        let expected = ["ECONNREFUSED", "ECONNREFUSED", "ECONNREFUSED", "ECONNREFUSED", "", "EACCES"];
        for ((line, result), expected) in lines.iter().zip(&results).zip(expected) {
            assert!(result == expected || expected.is_empty() && result.starts_with('E'), "{line}: {result}");
        }
    }
}

#[tokio::test]
async fn with_internet_metadata_and_private_networks_are_closed() {
    let node = Node::start().await;
    if !offered(&node) {
        return;
    }
    let lines = [
        "tcp('169.254.169.254', 80)",
        "tcp('169.254.170.2', 80)",
        "tcp('169.254.1.2', 80)",
        "tcp('169.254.1.53', 80)",
        "tcp('10.0.0.1', 80)",
        "tcp('172.16.0.1', 80)",
        "tcp('192.168.0.1', 80)",
        "tcp('100.64.0.1', 80)",
        "tcp('168.63.129.16', 80)",
        "udp('169.254.169.254', 53)",
        "udp('10.0.0.1', 53)",
        "udp('169.254.1.53', 54)",
        // No name servers are configured: nobody is asked.
        "tcp('169.254.1.53', 53)",
        "udp('169.254.1.53', 53)",
    ];
    let results = try_each(&node, Internet, &lines).await;
    assert_eq!(results, lines.map(|_| "ECONNREFUSED"));
}

#[tokio::test]
async fn the_function_cannot_change_its_network() {
    let node = Node::start().await;
    if !offered(&node) {
        return;
    }
    let request = "struct.pack('16sH22x', b'tun0', 2)";
    let lines = [
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1)",
        "open('/dev/net/tun', 'r+b')",
        "os.mknod('/tmp/tun', 0o20666, os.makedev(10, 200))",
        &format!("ioctl(0x8914, {request})"), // SIOCSIFFLAGS
        &format!("ioctl(0x8916, {request})"), // SIOCSIFADDR
        &format!("ioctl(0x8922, {request})"), // SIOCSIFMTU
        "ioctl(0x890b, bytes(120))",          // SIOCADDRT
        "ioctl(0x890c, bytes(120))",          // SIOCDELRT
        "open('/proc/sys/net/ipv4/ip_forward', 'w').write('1')",
        "socket.socket().setsockopt(socket.SOL_IP, 19, 1)", // IP_TRANSPARENT
        "socket.socket().setsockopt(socket.SOL_SOCKET, 36, 1)", // SO_MARK
        "socket.socket().setsockopt(socket.SOL_TCP, 19, 1)", // TCP_REPAIR
        "socket.socket().bind(('8.8.8.8', 0))",
    ];
    let results = try_each(&node, Internet, &lines).await;
    for (line, result) in lines.iter().zip(&results) {
        assert!(
            ["EPERM", "EACCES", "ENOENT", "EADDRNOTAVAIL", "EROFS"].contains(&result.as_str()),
            "{line}: {result}"
        );
    }
    let seen = [
        "[name for _, name in socket.if_nameindex()]",
        "open('/etc/resolv.conf').read().strip()",
        "open('/proc/net/if_inet6').read().count('tun0') if os.path.exists('/proc/net/if_inet6') else 0",
    ];
    let results = try_each(&node, Internet, &seen).await;
    assert_eq!(results, ["['lo', 'tun0']", "nameserver 169.254.1.53", "0"]);
}

#[tokio::test]
async fn bytes_pass_both_ways_and_ends_are_seen() {
    let Some((node, own)) = outside().await else { return };
    let echoes = serve(own, echo);
    // Says something, waits for the other's end, and tells what it got.
    let counts = serve(own, |mut stream| {
        stream.write_all(b"hello").unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(format!(" {}", all.len()).as_bytes()).unwrap();
    });
    // Says something and closes; what the function sends then goes nowhere.
    let closes = serve(own, |mut stream| stream.write_all(b"bye").unwrap());
    // Resets the connection: closes it with bytes unread.
    let resets = serve(own, |stream| {
        let mut seen = [0];
        while stream.peek(&mut seen).unwrap() == 0 {}
    });
    let source = r#"
import hashlib, os, socket, threading
def whole(s):
    parts = []
    while part := s.recv(1 << 16): parts.append(part)
    return b"".join(parts)
def handler(event, context):
    host, echoes, counts, closes, resets = event
    results = []
    s = socket.create_connection((host, echoes), 10)
    data = os.urandom(5_000_003)
    sender = threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR)))
    sender.start()
    results.append(hashlib.sha256(whole(s)).digest() == hashlib.sha256(data).digest())
    sender.join()
    s = socket.create_connection((host, counts), 10)
    s.sendall(b"x" * 300_000)
    s.shutdown(socket.SHUT_WR)
    results.append(whole(s).decode())
    s = socket.create_connection((host, closes), 10)
    results.append(whole(s).decode())
    s = socket.create_connection((host, resets), 10)
    s.sendall(b"x")
    try: results.append(whole(s).decode())
    except OSError as e: results.append(type(e).__name__)
    return results
"#;
    let event =
        format!("[\"{own}\", {}, {}, {}, {}]", echoes.port(), counts.port(), closes.port(), resets.port());
    let answer = run(&node, Internet, source, &event).await.answer();
    assert_eq!(answer, "[true, \"hello 300000\", \"bye\", \"ConnectionResetError\"]");
    node.nothing_left().await;
}

#[tokio::test]
async fn refusals_are_the_destination_s_own() {
    let Some((node, own)) = outside().await else { return };
    let free = TcpListener::bind((own, 0)).unwrap().local_addr().unwrap().port();
    let free_udp = UdpSocket::bind((own, 0)).unwrap().local_addr().unwrap().port();
    // Of datagrams, the second one tells that nobody took the first.
    let lines = [format!("tcp('{own}', {free})"), format!("again('{own}', {free_udp})")];
    let results = try_each(&node, Internet, &[&lines[0], &lines[1]]).await;
    assert_eq!(results, ["ECONNREFUSED", "ECONNREFUSED"]);
}

#[tokio::test]
async fn datagrams_of_any_length_pass_both_ways() {
    let Some((node, own)) = outside().await else { return };
    let echoes = echo_datagrams(own);
    let port = echoes.port();
    let lines: Vec<String> = [0, 1, 1_473, 9_000, 65_507]
        .map(|length| format!("udp('{own}', {port}, bytes({length})) == bytes({length})"))
        .into();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    assert_eq!(try_each(&node, Internet, &lines).await, lines.iter().map(|_| "True").collect::<Vec<_>>());
}

#[tokio::test]
async fn the_platform_is_reached_beside_the_internet() {
    let Some((node, own)) = outside().await else { return };
    let echoes = serve(own, echo);
    let event = format!("[\"tcp('127.0.0.1', 4566)\", \"tcp('{own}', {}) > 0\"]", echoes.port());
    let code = node.code(&[("app.py", TRY_EACH)]);
    let (keep, _kept) = std::sync::mpsc::channel();
    let job = with(job(code.path(), &event), |spec| spec.network = Some(Internet));
    let ran = node.run_with(job, move |listener| keep.send(listener).unwrap());
    assert_eq!(ran.await.answer(), r#""4566\nTrue""#);
}

#[tokio::test]
async fn connections_are_bounded_and_go_with_the_event() {
    let Some((node, own)) = outside().await else { return };
    static OPEN: AtomicUsize = AtomicUsize::new(0);
    let holds = serve(own, |mut stream| {
        OPEN.fetch_add(1, Ordering::SeqCst);
        let _ = stream.read(&mut [0]);
        OPEN.fetch_sub(1, Ordering::SeqCst);
    });
    let source = r#"
import socket
def handler(event, context):
    host, port, most = event
    held, refused = [], 0
    for n in range(most + 20):
        try: held.append(socket.create_connection((host, port), 10))
        except ConnectionRefusedError: refused += 1
    held.pop().close()
    # A place is free again as soon as the other side has closed too.
    for again in range(200):
        try: held.append(socket.create_connection((host, port), 10)); break
        except ConnectionRefusedError: __import__('time').sleep(0.02)
    return [len(held), refused]
"#;
    let event = format!("[\"{own}\", {}, {NETWORK_STREAMS}]", holds.port());
    let answer = run(&node, Internet, source, &event).await.answer();
    assert_eq!(answer, format!("[{NETWORK_STREAMS}, 20]"));
    // The function has been killed with its connections open.
    eventually("all connections are closed", || OPEN.load(Ordering::SeqCst) == 0).await;
    node.nothing_left().await;
}

#[tokio::test]
async fn what_is_sent_last_arrives() {
    let Some((node, own)) = outside().await else { return };
    let socket = UdpSocket::bind((own, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let listens = serve(own, move |mut stream| {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        tell.send(all.len()).unwrap();
    });
    let source = r#"
import socket
def handler(event, context):
    host, tcp, udp = event
    s = socket.create_connection((host, tcp), 10)
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"metric", (host, udp))
    s.sendall(b"x" * 20_000)
"#;
    let event = format!("[\"{own}\", {}, {}]", listens.port(), socket.local_addr().unwrap().port());
    for _ in 0..10 {
        run(&node, Internet, source, &event).await.answer();
        assert_eq!(socket.recv(&mut [0; 10]).unwrap(), 6);
        assert_eq!(told.recv_timeout(Duration::from_secs(20)).unwrap(), 20_000);
    }
}

#[tokio::test]
async fn a_run_that_is_dropped_leaves_nothing() {
    let Some((node, own)) = outside().await else { return };
    static OPEN: AtomicUsize = AtomicUsize::new(0);
    let holds = serve(own, |mut stream| {
        OPEN.fetch_add(1, Ordering::SeqCst);
        let _ = stream.read(&mut [0]);
        OPEN.fetch_sub(1, Ordering::SeqCst);
    });
    run(&node, Internet, "def handler(event, context): pass", "{}").await.answer();
    let before = node.settled().await;
    let source = "import socket, time\ndef handler(event, context):\n    s = socket.create_connection(tuple(event), 10)\n    time.sleep(60)";
    let code = node.code(&[("app.py", source)]);
    let event = format!("[\"{own}\", {}]", holds.port());
    let job = with(job(code.path(), &event), |spec| (spec.network, spec.timeout_s) = (Some(Internet), 60));
    let running = node.sandbox.run(job, node.no_hooks());
    tokio::select! {
        _ = running => panic!("the function sleeps"),
        () = eventually("the function is connected", || OPEN.load(Ordering::SeqCst) == 1) => {}
    }
    eventually("the connection is closed", || OPEN.load(Ordering::SeqCst) == 0).await;
    drop(code);
    assert_eq!(node.settled_at(&before).await, before);
}

#[tokio::test]
async fn sandboxes_cannot_reach_one_another() {
    let Some((node, own)) = outside().await else { return };
    let meet = serve(own, echo);
    let source = r#"
import socket, time
def handler(event, context):
    host, port, role = event
    if role == "listens":
        with socket.create_server(("0.0.0.0", 8080)) as server:
            server.settimeout(3)
            try: server.accept(); return "reached"
            except TimeoutError: return "alone"
    results = []
    for address in ["169.254.1.2", "127.0.0.1", host]:
        try: socket.create_connection((address, 8080), 2); results.append("reached")
        except OSError as e: results.append(type(e).__name__)
    return results
"#;
    let event = |role: &str| format!("[\"{own}\", {}, \"{role}\"]", meet.port());
    let (listens, calls) = (event("listens"), event("calls"));
    let (listens, calls) = tokio::join!(run(&node, Internet, source, &listens), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        run(&node, Internet, source, &calls).await
    });
    assert_eq!(listens.answer(), "\"alone\"");
    let refused = "\"ConnectionRefusedError\"";
    assert_eq!(calls.answer(), format!("[{refused}, {refused}, {refused}]"));
}

/// A name server that answers every question for an address with 192.0.2.80, and none at all from the first port.
fn name_servers() -> Vec<SocketAddr> {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let servers = vec![silent.local_addr().unwrap(), socket.local_addr().unwrap()];
    std::thread::spawn(move || {
        let _silent = silent;
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let question = &buffer[..length];
            let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
            let is_a = question[end - 4..end - 2] == [0, 1];
            let mut answer = question[..end].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
            if is_a {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 80]);
            }
            // One that was not asked for is not taken.
            let _ = socket.send_to(&[&[!answer[0]], &answer[1..]].concat(), from);
            let _ = socket.send_to(&answer, from);
        }
    });
    servers
}

#[tokio::test]
async fn names_are_resolved_by_the_host_s_servers() {
    let node = Node::start_on(false, network(&[], name_servers())).await;
    if !offered(&node) {
        return;
    }
    let lines = ["socket.gethostbyname('service.example')"];
    assert_eq!(try_each(&node, Internet, &lines).await, ["192.0.2.80"]);
    assert_eq!(try_each(&node, Platform, &lines).await, ["gaierror"]);
}

#[tokio::test]
async fn without_root_it_works_where_the_device_may_be_opened() {
    let Some(own) = own_address() else { return };
    let Some(node) = rootless(network(&[own.to_string()], Vec::new())).await else { return };
    let code = node.code(&[("app.py", TRY_EACH)]);
    let echoes = serve(own, echo);
    let event = format!("[\"tcp('{own}', {}) > 0\"]", echoes.port());
    let job = with(job(code.path(), &event), |spec| spec.network = Some(Internet));
    if let Err(reason) = &node.sandbox.features().internet {
        println!("not offered: {reason}");
        let refused = node.sandbox.run(job, node.no_hooks()).await.unwrap_err();
        assert!(matches!(refused, Error::NoNetwork { .. }), "{refused}");
    } else {
        assert_eq!(node.run(job).await.answer(), "\"True\"");
    }
}
