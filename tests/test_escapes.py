"""Hostile functions against the whole server: other functions' packages, its own data, its sockets, its patience.

What a function tries against the kernel alone is tested in crates/sandbox/tests/isolation/escapes; hostile packages
in test_lambda.py.
"""

import json
import os
import socket
import stat
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import make_function
from inside import SOURCE
from test_lambda import create, raw_zip

SECRET = f"secret-{uuid.uuid4()}"

VICTIM = f'''
import json, os, time
SECRET = {SECRET!r}

def handler(event, context):
    open("/tmp/note", "w").write(SECRET)
    time.sleep(event.get("sleep", 0))
    assert os.listdir("/tmp") == ["note"]
    return {{"id": context.aws_request_id, "echo": event.get("echo")}}
'''

# One function that tries what its event says.
HOSTILE = r'''
import errno, json, os, signal, socket, struct, subprocess, sys, threading, time

def attempt(what):
    try: return what()
    except OSError as e: return errno.errorcode.get(e.errno, type(e).__name__)

def frame(kind, body):
    return kind + struct.pack(">I", len(body)) + body

def find(secret, name):
    """Looks for a text in every file that can be read, and for a name in every path."""
    found = []
    for top, directories, files in os.walk("/"):
        found += [os.path.join(top, one) for one in directories + files if name in one]
        if top.startswith(("/proc", "/usr", "/root", "/dev")): continue
        for one in files:
            try:
                with open(os.path.join(top, one), "rb") as f:
                    if secret.encode() in f.read(1 << 20): found.append(os.path.join(top, one))
            except OSError: pass
    return found

def handler(event, context):
    do = event["do"]
    if do == "nothing": return "good"
    if do == "find": return find(event["text"], event["name"])
    if do == "list": return [attempt(lambda: os.listdir(path)) for path in event["paths"]]
    if do == "connect":
        said = []
        for family, address in event["addresses"]:
            with socket.socket(family, socket.SOCK_STREAM) as s:
                s.settimeout(2)
                said.append(attempt(lambda: s.connect(tuple(address) if isinstance(address, list) else address)))
        return said
    if do == "environment": return [dict(os.environ), open("/proc/self/cmdline").read()]
    if do == "twice":
        os.write(3, frame(b"A", b'"first"') + frame(b"A", b'"second"')); time.sleep(60)
    if do == "another":
        for _ in range(100):
            os.write(3, frame(b"A", json.dumps({"id": event["id"], "echo": "forged"}).encode()))
        time.sleep(60)
    if do == "never": time.sleep(60)
    if do == "garbage":
        os.write(3, os.urandom(1 << 16)); time.sleep(60)
    if do == "endless frame":
        os.write(3, b"A" + struct.pack(">I", 6 << 20))
        while True: os.write(3, bytes(1000)); time.sleep(0.01)
    if do == "freeze": os.kill(os.getpid(), signal.SIGSTOP)
    if do == "kill all": attempt(lambda: os.kill(-1, 9)); os.kill(os.getpid(), 9)
    if do == "print":
        chunk, end = b"spam" * 16_000 + b"\n", time.monotonic() + 3
        while time.monotonic() < end: os.write(1, chunk)
        return "printed"
    if do == "bomb":
        while True: attempt(os.fork)
    if do == "hog":
        hoard = []
        while True: hoard.append(bytearray(8 << 20))
    if do == "daemons":
        for _ in range(50):
            if os.fork() == 0:
                os.setsid()
                while True: time.sleep(1)
        return "left"
    if do == "connections":
        kept, said = [], []
        for n in range(900):
            s = socket.socket(); s.settimeout(5); kept.append(s)
            said.append(attempt(lambda: s.connect(("127.0.0.1", 4566))))
        for s in kept[:100]: attempt(lambda: s.send(b"GET / HTTP/1.1\r\nX: "))
        return sorted({str(one) for one in said})
    if do == "requests":
        from http.client import HTTPConnection
        said = []
        for raw in [b"\0" * 4096, b"GET " + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
                    b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 100_000 + b"\r\n",
                    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 4096,
                    b"POST / HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n",
                    b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n"]:
            with socket.create_connection(("127.0.0.1", 4566), 5) as s:
                attempt(lambda: s.sendall(raw)); attempt(lambda: s.shutdown(socket.SHUT_WR))
                answer = attempt(lambda: s.recv(64))
                said.append(answer[:9].decode() if isinstance(answer, bytes) else "closed")
        return said
    raise ValueError(do)
'''


@pytest.fixture(scope="module")
def attack(server):
    """Tries one thing in the hostile function, between and beside good calls of another; what came of it."""
    client = server.client("lambda", read_timeout=90)
    make_function(client, "hostile", {"app.py": HOSTILE, "platform_api.py": SOURCE}, Timeout=5, MemorySize=256)
    make_function(client, "victim", VICTIM, Timeout=30)

    def call(function, event):
        answer = client.invoke(FunctionName=function, Payload=json.dumps(event))
        return {"value": json.loads(answer["Payload"].read()), "error": answer.get("FunctionError"),
                "id": answer["ResponseMetadata"]["RequestId"]}

    def good(sleep=0.0):
        echo = str(uuid.uuid4())
        answer = call("victim", {"echo": echo, "sleep": sleep})
        assert answer["value"] == {"id": answer["id"], "echo": echo}, answer
        return answer["id"]

    def attack(do, **more):
        good()
        with ThreadPoolExecutor(1) as beside:
            other = beside.submit(good, 1.5)
            answer = call("hostile", {"do": do, **more})
            other.result()
        good()
        return answer

    attack.good = good
    return attack


def test_packages_of_others_and_the_server_s_data_are_not_found(server, attack):
    # The data directory's name, the secret in another package, and what another event has in /tmp at the time.
    found = attack("find", text=SECRET, name=server.data_dir.name + "-never")["value"]
    assert found == []
    data = Path(server.data_dir).resolve()
    assert any(data.rglob("app.py")), "packages lie where they are looked for"
    package = next(data.rglob("app.py")).parent
    paths = [str(path) for path in (data, package, package.parent, data / "blobs", f"/proc/{server.pid}", "/proc/1/root")]
    assert set(attack("list", paths=paths)["value"]) <= {"ENOENT", "EACCES"}


def test_the_server_s_own_environment_and_arguments_stay_outside(server, attack):
    environment, arguments = attack("environment")["value"]
    text = json.dumps([environment, arguments])
    assert str(server.data_dir) not in text and "MAYFLY_" not in text.replace("_MAYFLY_REQUEST_ID", "")
    assert not set(environment) & {"HOME", "USER", "SSH_AUTH_SOCK", "DISPLAY", "CARGO_HOME"}


def test_the_host_s_loopback_is_another_one(server, attack):
    name = f"\0mayfly-{uuid.uuid4()}"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as local:
        local.bind(name)
        local.listen()
        addresses = [
            [socket.AF_INET, ["127.0.0.1", server.port]],
            [socket.AF_INET, ["127.0.0.1", tcp.getsockname()[1]]],
            [socket.AF_UNIX, name],
        ]
        assert attack("connect", addresses=addresses)["value"] == ["ECONNREFUSED"] * 3


def test_the_first_of_two_answers_counts(attack):
    assert attack("twice")["value"] == "first"


def test_another_s_request_is_not_answered(attack):
    # It may say in its own answer whatever it likes; nobody else hears it.
    forged = attack("another", id=attack.good())
    assert forged["value"]["echo"] == "forged"


@pytest.mark.parametrize(
    "do, type",
    [
        ("never", "Sandbox.Timedout"),
        ("endless frame", "Sandbox.Timedout"),
        ("freeze", "Sandbox.Timedout"),
        ("garbage", "Runtime.ExitError"),
        ("kill all", "Runtime.ExitError"),
        ("hog", "Runtime.ExitError"),
    ],
)
def test_a_function_that_misbehaves_fails_alone(attack, do, type):
    answer = attack(do)
    assert answer["error"] == "Unhandled" and answer["value"]["errorType"] == type, answer


def test_a_fork_bomb_fails_alone(attack):
    answer = attack("bomb")
    assert answer["value"]["errorType"] in ("Sandbox.Timedout", "Runtime.ExitError"), answer


def test_output_without_end_and_daemons(attack):
    assert attack("print")["value"] == "printed" or attack("print")["error"]
    assert attack("daemons")["value"] == "left"


def test_connections_without_end_to_the_platform(server, attack):
    said = attack("connections")
    assert said["error"] or set(said["value"]) <= {"None", "ETIMEDOUT", "TimeoutError", "ECONNRESET", "EAGAIN"}, said
    before = len(os.listdir(f"/proc/{server.pid}/fd"))
    assert before < 900, "connections of an ended event are closed"


def test_malformed_requests_to_the_platform_are_refused(attack):
    said = attack("requests")["value"]
    assert all(one in ("closed", "") or one.startswith("HTTP/1.1 ") or not one.isprintable() for one in said), said


def test_a_package_s_links_stay_inside(server, attack):
    client, name = server.client("lambda"), f"links-{uuid.uuid4()}"
    link, regular = stat.S_IFLNK | 0o777, stat.S_IFREG | 0o644
    for target in [b"/etc/shadow", b"../../../etc/shadow", b"a/../../x", str(server.data_dir).encode()]:
        with pytest.raises(client.exceptions.InvalidParameterValueException):
            create(client, name, raw_zip([("app.py", regular, b"x"), ("link", link, target)]))
    # A chain of links, each of which is harmless alone.
    chain = raw_zip([("app.py", regular, b"x"), ("a/b/up", link, b"../.."), ("out", link, b"a/b/up/..")])
    try:
        create(client, name, chain)
    except client.exceptions.InvalidParameterValueException:
        return
    client.get_waiter("function_active_v2").wait(FunctionName=name)
    client.delete_function(FunctionName=name)


def test_a_storm_of_attacks_leaves_the_server_as_it_was(server, attack):
    def memory():
        status = Path(f"/proc/{server.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) >> 10

    def descriptors():
        return len(os.listdir(f"/proc/{server.pid}/fd"))

    attack("nothing")
    had = memory()
    client = server.client("lambda", read_timeout=90)
    kinds = ["twice", "garbage", "kill all", "hog", "print", "daemons", "nothing", "freeze"]

    def one(number):
        client.invoke(FunctionName="hostile", Payload=json.dumps({"do": kinds[number % len(kinds)]}))["Payload"].read()

    with ThreadPoolExecutor(8) as storm:
        list(storm.map(one, range(48)))
    attack("nothing")
    assert memory() < had + 300, f"{had} MB before, {memory()} MB after"
    assert descriptors() < 300
