//! The host's network, its sockets, and those of other sandboxes.

use super::{attack, beside_others, expect, expect_all};
use crate::fixture::{Node, job};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

attempts![
    the_host_s_sockets_are_out_of_reach,
    only_local_sockets_tcp_and_udp_can_be_made,
    another_sandbox_s_ports_are_out_of_reach,
    each_function_reaches_its_own_platform_socket,
];

async fn the_host_s_sockets_are_out_of_reach(node: Node) {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp6 = TcpListener::bind("[::1]:0");
    let path = node.data.path().join("socket");
    let _at_path = UnixListener::bind(&path).unwrap();
    let name = format!("mayfly-test-{}", std::process::id());
    let _abstract = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let port6 = tcp6.map_or(9, |listener| listener.local_addr().unwrap().port());
    let refused = [
        format!("connected(socket.AF_INET, ('127.0.0.1', {}))", tcp.local_addr().unwrap().port()),
        format!("connected(socket.AF_INET, ('0.0.0.0', {}))", tcp.local_addr().unwrap().port()),
        format!("connected(socket.AF_INET6, ('::1', {port6}))"),
        format!("connected(socket.AF_UNIX, '\\0{name}')"),
        format!("connected(socket.AF_UNIX, '{}')", path.display()),
    ];
    let refused: Vec<_> = refused.iter().map(String::as_str).collect();
    beside_others(&node, expect_all(&node, "ECONNREFUSED|ENOENT", &refused)).await;
    let unreachable = [
        "connected(socket.AF_INET, ('10.0.0.1', 80))",
        "connected(socket.AF_INET, ('169.254.169.254', 80))",
        "connected(socket.AF_INET, ('1.1.1.1', 53), socket.SOCK_DGRAM)",
        "connected(socket.AF_INET6, ('2606:4700:4700::1111', 53))",
        "connected(socket.AF_UNIX, '/run/docker.sock')",
        "connected(socket.AF_UNIX, '/run/dbus/system_bus_socket')",
        "connected(socket.AF_UNIX, '/run/systemd/notify', socket.SOCK_DGRAM)",
        "connected(socket.AF_UNIX, '/dev/log', socket.SOCK_DGRAM)",
        "socket.getaddrinfo('example.com', 80)",
    ];
    expect_all(&node, "ENETUNREACH|ENOENT|EADDRNOTAVAIL|gaierror", &unreachable).await;
    expect(&node, &[("[name for _, name in socket.if_nameindex()]", "['lo']")]).await;
}

async fn only_local_sockets_tcp_and_udp_can_be_made(node: Node) {
    if !node.sandbox.features().seccomp {
        return println!("skipped: this kernel does not filter");
    }
    let refused = [
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        "socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, 255)",
        "socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58)",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1)", // ICMP
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136)", // UDP-Lite
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 115)", // L2TP
        "socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)", // SCTP
        "socket.socket(socket.AF_INET, socket.SOCK_SEQPACKET, 132)",
        "socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)", // MPTCP
        "socket.socket(socket.AF_INET, socket.SOCK_STREAM, 256)", // SMC
        "socket.socket(socket.AF_INET, 6, 33)",                   // DCCP
        "socket.socket(socket.AF_INET, 10, 0)",                   // obsolete
        "socket.socket(40, socket.SOCK_STREAM)",                  // vsock: the host of a virtual machine
        "socket.socket(40, socket.SOCK_DGRAM)",
        "socket.socket(38, socket.SOCK_SEQPACKET)", // alg: the kernel's cryptography
        "socket.socket(15, socket.SOCK_RAW, 2)",    // key
        "socket.socket(21, socket.SOCK_SEQPACKET)", // rds
        "socket.socket(29, socket.SOCK_RAW, 1)",    // can
        "socket.socket(30, socket.SOCK_SEQPACKET)", // tipc
        "socket.socket(31, socket.SOCK_RAW, 1)",    // bluetooth
        "socket.socket(41, socket.SOCK_DGRAM)",     // kcm
        "socket.socket(42, socket.SOCK_DGRAM)",     // qipcrtr
        "socket.socket(43, socket.SOCK_STREAM)",    // smc
        "socket.socket(44, socket.SOCK_RAW)",       // xdp
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4)", // sock_diag
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 6)", // xfrm
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9)", // audit
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)", // netfilter
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15)", // kobject_uevent
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)", // generic
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 21)", // crypto
        "socket.socketpair(30, socket.SOCK_STREAM)",
        "fcntl.ioctl(socket.socket(), 0x8914, b'lo' + bytes(38))", // SIOCSIFFLAGS: switch lo off
        "socket.socket().setsockopt(socket.SOL_SOCKET, 36, 1)",    // SO_MARK
    ];
    beside_others(&node, expect_all(&node, "EPERM", &refused)).await;
    // IPT_SO_SET_REPLACE; the kernel may be without iptables.
    expect(&node, &[("socket.socket().setsockopt(0, 64, bytes(1000))", "EPERM|ENOPROTOOPT")]).await;
    let possible = [
        (
            "socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK, 6).family.name",
            "AF_INET",
        ),
        (
            "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 17).family.name",
            "AF_INET6",
        ),
        ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).family.name", "AF_NETLINK"),
        ("[s.family.name for s in socket.socketpair()]", "['AF_UNIX', 'AF_UNIX']"),
    ];
    expect(&node, &possible).await;
}

async fn another_sandbox_s_ports_are_out_of_reach(node: Node) {
    let listen = r#"
with socket.create_server(("0.0.0.0", 5555)) as tcp, socket.socket(socket.AF_UNIX) as local:
    local.bind("\0meeting")
    local.listen()
    tcp.settimeout(3)
    assert connected(socket.AF_UNIX, "\0meeting") == "connected"
    try: return str(tcp.accept())
    except TimeoutError: return "nobody came"
"#;
    let knock = r#"
said = set()
for n in range(40):
    for family, address in (socket.AF_INET, ("127.0.0.1", 5555)), (socket.AF_UNIX, "\0meeting"):
        try: said.add(connected(family, address))
        except OSError as e: said.add(errno.errorcode[e.errno])
    time.sleep(0.05)
return sorted(said)
"#;
    let (listened, knocked) = tokio::join!(attack(&node, listen, |_| {}), attack(&node, knock, |_| {}));
    assert_eq!(listened.answer(), "\"nobody came\"");
    assert_eq!(knocked.answer(), r#"["ECONNREFUSED"]"#);
}

async fn each_function_reaches_its_own_platform_socket(node: Node) {
    let source = "import socket, time\ndef handler(event, context):\n    time.sleep(0.3)\n    s = socket.create_connection(('127.0.0.1', 4566), 5)\n    s.send(b'who?')\n    return s.recv(20).decode()";
    let code = node.code(&[("app.py", source)]);
    let serve = |name: &'static str| {
        move |listener: TcpListener| {
            std::thread::spawn(move || {
                listener.set_nonblocking(false).unwrap();
                let (mut caller, _) = listener.accept().unwrap();
                caller.read_exact(&mut [0; 4]).unwrap();
                caller.write_all(name.as_bytes()).unwrap();
            });
        }
    };
    let one = node.run_with(job(code.path(), "{}"), serve("one"));
    let two = node.run_with(job(code.path(), "{}"), serve("two"));
    let (one, two) = tokio::join!(one, two);
    assert_eq!((one.answer(), two.answer()), ("\"one\"".to_owned(), "\"two\"".to_owned()));
    // Its place cannot be taken by the function itself.
    let source = "import socket\ndef handler(event, context):\n    try: return str(socket.create_server((event, 4566), reuse_port=True))\n    except OSError as e: return e.errno";
    let code = node.code(&[("app.py", source)]);
    for address in ["\"127.0.0.1\"", "\"0.0.0.0\""] {
        let (hold, held) = std::sync::mpsc::channel();
        let ran =
            node.run_with(job(code.path(), address), move |listener| hold.send(listener).unwrap()).await;
        assert_eq!(ran.answer(), libc::EADDRINUSE.to_string());
        drop(held);
    }
}
