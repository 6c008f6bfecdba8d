"""The small examples, each deployed with boto3 or the aws CLI and called. The tools that an example needs and that are
not on the machine are a reason to skip its test."""

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import CREDENTIALS, ROLE, zip_of
from mayfly_process import ROOT, binary

EXAMPLES = ROOT / "examples"
# What tools say when the registry that they need is out of reach.
OFFLINE = re.compile(
    r"could not resolve|failed to (?:download|fetch|get)|no such host|connection (?:refused|reset)|timed? ?out"
    r"|network|unreachable|dial tcp|proxyconnect", re.I,
)


def runtime(server, prefix: str) -> str:
    """The first runtime that the server found whose name begins like this."""
    found = re.search(rf"runtime +({re.escape(prefix)}\S*) ", server.read_log())
    if not found:
        pytest.skip(f"the server found no {prefix} on this machine")
    return found[1]


def follow(example: str, server, directory: Path, **replaced) -> Path:
    """Run the shell commands of an example's README in a copy of it, with some words replaced; the copy."""
    copy = directory / example
    shutil.copytree(EXAMPLES / example, copy)
    commands = "\n".join(re.findall(r"```sh\n(.*?)```", (copy / "README.md").read_text("utf-8"), re.DOTALL))
    for word, other in replaced.items():
        assert word in commands
        commands = commands.replace(word, other)
    env = {
        "PATH": f"{Path(sys.executable).parent}:{binary().parent}:{os.environ['PATH']}", "HOME": str(directory), **CREDENTIALS,
        "AWS_ENDPOINT_URL": server.url, "AWS_PAGER": "", "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        ["bash", "-c", "set -euo pipefail\n" + commands], cwd=copy, env=env, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return copy


def test_hello_nodejs(server, tmp_path):
    name = runtime(server, "nodejs")
    directory = follow("hello-nodejs", server, tmp_path, **{"nodejs20.x": name})
    summary = json.loads((directory / "summary.json").read_text("utf-8"))
    promised = re.search(r"```json\n(.*?)```", (directory / "README.md").read_text("utf-8"), re.DOTALL)[1]
    same = {"orders", "revenue", "customers", "bestSeller", "busiestDay"}
    promised = json.loads(promised)
    assert {key: summary[key] for key in same} == {key: promised[key] for key in same}
    assert summary.keys() == promised.keys()
    refused = json.loads((directory / "refused.json").read_text("utf-8"))
    assert (refused["errorType"], refused["errorMessage"]) == ("InvalidOrder", "order 7 has no date")


def tool(name: str) -> str:
    """The path of a program of the machine, or a skip."""
    more = os.pathsep.join([str(Path.home() / ".cargo/bin"), "/usr/local/go/bin"])
    path = shutil.which(name, path=os.environ["PATH"] + os.pathsep + more)
    return path or pytest.skip(f"{name} is not on this machine")


def make(directory: Path, *command, fetches=False, **env) -> None:
    """Run a step of a build; one that fetches may find its registry out of reach."""
    environment = {**os.environ, **env, "PATH": os.path.dirname(command[0]) + os.pathsep + os.environ["PATH"]}
    done = subprocess.run(
        command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )
    said = done.stdout + done.stderr  # Maven complains on the first, the others on the second
    if done.returncode and fetches and OFFLINE.search(said):
        pytest.skip(f"{' '.join(command)}: {said.strip().splitlines()[-1]}")
    assert done.returncode == 0, said


def deploy(server, name: str, package: bytes, **config):
    """Create the function; what calls it, for its answer, the kind of its error, and the event's id."""
    client = server.client("lambda", read_timeout=60)
    client.create_function(
        FunctionName=name, Role=ROLE, Code={"ZipFile": package}, Timeout=30, **{"MemorySize": 256, **config})
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})

    def invoke(event):
        answer = client.invoke(FunctionName=name, Payload=json.dumps(event))
        value = json.loads(answer["Payload"].read())
        return value, answer.get("FunctionError"), answer["ResponseMetadata"]["RequestId"]

    return invoke


@pytest.mark.timeout(600)
def test_hello_java(server, tmp_path):
    name, maven, _ = runtime(server, "java"), tool("mvn"), tool("javac")
    project = tmp_path / "hello-java"
    shutil.copytree(EXAMPLES / "hello-java", project, ignore=shutil.ignore_patterns("target"))
    make(project, maven, "-q", "-B", "package", fetches=True)
    package = (project / "target/hello.jar").read_bytes()
    invoke = deploy(server, "checkout", package, Runtime=name, Handler="hello.Checkout")

    lines = [{"article": "pencil", "quantity": 3, "price": 120}, {"article": "paper", "quantity": 1, "price": 500}]
    value, error, _ = invoke({"customer": "Ada", "lines": lines})
    assert (value, error) == ({"greeting": "Thank you, Ada!", "articles": 4, "total": 860}, None)
    lines[0]["quantity"] = 0
    value, error, _ = invoke({"customer": "Ada", "lines": lines})
    assert (value["errorMessage"], error) == ("nobody can buy 0 of pencil", "Unhandled")


@pytest.mark.timeout(600)
def test_orders_java(server, tmp_path):
    name, maven, java = runtime(server, "java"), tool("mvn"), tool("javac")
    version = subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stdout
    if min(int(re.search(r"\d+", one)[0]) for one in (name, version)) < 17:
        pytest.skip("there is no Java 17 here")
    project = tmp_path / "orders-java"
    shutil.copytree(EXAMPLES / "orders-java", project, ignore=shutil.ignore_patterns("target"))
    make(project, maven, "-q", "-B", "package", fetches=True)
    jar = project / "target/orders.jar"
    event = {"customer": "Ada", "lines": [{"article": "pencil", "quantity": 3}, {"article": "globe", "quantity": 2}]}

    # By itself.
    done = subprocess.run(
        ["java", "-jar", jar], input=json.dumps(event), capture_output=True, text=True, timeout=120, check=True)
    alone = json.loads(done.stdout)
    invoke = deploy(server, "orders-java", jar.read_bytes(), Runtime=name, Handler="orders.Orders", MemorySize=512)
    answers = [invoke(event)[0] for _ in range(4)]
    # Each is the first order that its shop has seen; there are three globes.
    expected = {"customer": "Ada", "total": 10_340, "greeting": "Welcome, Ada!", "connections": 4}
    for answer in (alone, *answers):
        assert {key: value for key, value in answer.items() if key != "id"} == expected
    assert len({answer["id"] for answer in (alone, *answers)}) == 5

    value, error, _ = invoke({"customer": "", "lines": [{"article": "pencil", "quantity": 0}]})
    assert (value["errorMessage"], error) == (
        "customer must not be blank; lines[0].quantity must be greater than 0", "Unhandled")
    event["lines"][1]["quantity"] = 4
    assert invoke(event)[0]["errorMessage"] == "there are not 4 of globe left"
    event["lines"][1]["article"] = "moon"
    assert invoke(event)[0]["errorType"] == "java.util.NoSuchElementException"


def custom(server, name: str, program: Path):
    package = zip_of({"bootstrap": program.read_bytes()})
    return deploy(server, name, package, Runtime="provided.al2023", Handler="bootstrap")


def greets(invoke) -> None:
    """What the hello examples have in common."""
    value, error, id = invoke({"name": "wörld"})
    assert (value, error) == ({"greeting": "Hello, wörld!", "request_id": id, "memory_mb": 256}, None)
    value, error, _ = invoke({"name": ""})
    assert (value["errorMessage"], error) == ("nobody to greet", "Unhandled")


@pytest.mark.timeout(600)
def test_hello_rust(server):
    directory, cargo = EXAMPLES / "hello-rust", tool("cargo")
    make(directory, cargo, "fetch", "--locked", fetches=True)
    make(directory, cargo, "build", "--release", "--locked", CARGO_TARGET_DIR=str(directory / "target"))
    invoke = custom(server, "hello-rust", directory / "target/release/bootstrap")
    greets(invoke)
    assert "missing field `name`" in invoke({})[0]["errorMessage"]

    # With the extension of the same example, which AWS's own crate speaks for.
    client = server.client("lambda")
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as layer:
        file = zipfile.ZipInfo("extensions/hello-extension")
        file.external_attr = 0o755 << 16
        layer.writestr(file, (directory / "target/release/hello-extension").read_bytes())
    arn = client.publish_layer_version(LayerName="hello-extension", Content={"ZipFile": package.getvalue()})
    client.update_function_configuration(FunctionName="hello-rust", Layers=[arn["LayerVersionArn"]])
    answer = client.invoke(FunctionName="hello-rust", Payload=b'{"name": "you"}', LogType="Tail")
    log = base64.b64decode(answer["LogResult"]).decode()
    request = answer["ResponseMetadata"]["RequestId"]
    for line in (
        "EXTENSION\tName: hello-extension\tState: Ready\tEvents: [INVOKE,SHUTDOWN]", f"extension: event {request}",
        "extension: the function says greeting you", "extension: reported Success", "extension: the end, spindown",
    ):
        assert line in log, log


@pytest.mark.timeout(600)
def test_hello_go(server, tmp_path):
    directory, go = EXAMPLES / "hello-go", tool("go")
    make(directory, go, "mod", "download", fetches=True)
    make(directory, go, "build", "-tags", "lambda.norpc", "-o", str(tmp_path / "bootstrap"), ".", CGO_ENABLED="0")
    invoke = custom(server, "hello-go", tmp_path / "bootstrap")
    greets(invoke)
    assert invoke([1])[0]["errorType"] == "UnmarshalTypeError"


def test_hello_shell(server):
    if not Path("/usr/bin/curl").exists():
        pytest.skip("curl is not in /usr/bin, where functions see it")
    invoke = custom(server, "hello-shell", EXAMPLES / "hello-shell/bootstrap")
    assert invoke({"name": "you"})[:2] == ({"bytes": 15, "event": {"name": "you"}}, None)


def test_blue_green(server, tmp_path):
    directory = follow("blue-green", server, tmp_path)
    shares = json.loads((directory / "shares.json").read_text("utf-8"))
    assert sum(shares["answers"].values()) == 40 and shares["answers"]["1"] > 20
    alias = server.client("lambda").get_alias(FunctionName="prices", Name="live")
    assert alias["FunctionVersion"] == "1" and "RoutingConfig" not in alias


def test_layers(server, tmp_path):
    directory = follow("layers", server, tmp_path)
    assert json.loads((directory / "answer.json").read_text("utf-8")) == "Hello, you, from a layer!"


def test_streaming_chat(server, tmp_path):
    name = runtime(server, "nodejs")
    directory = follow("streaming-chat", server, tmp_path, **{"nodejs20.x": name})
    assert "lives for a day" in (directory / "words.txt").read_text("utf-8")
    assert (directory / "page.txt").read_text("utf-8") == "Hello! Ask me what a mayfly is. \n"


def test_orders_queue(server, tmp_path):
    name = runtime(server, "python3")
    directory = follow("orders-queue", server, tmp_path, **{"python3.11": name})
    # The list that could not be read was replayed from the dead-letter queue.
    assert json.loads((directory / "replayed.json").read_text("utf-8")) == {"item": "spoons", "pieces": 12}


def test_log_shipper(server, tmp_path):
    name = runtime(server, "python3")
    directory = follow("log-shipper", server, tmp_path, **{"python3.11": name})
    records = [json.loads(line) for line in (directory / "log.jsonl").read_text("utf-8").splitlines()]
    assert [record["record"] for record in records if record["type"] == "function"] == ["an order of 12 spoons"]
    assert {"platform.initStart", "platform.start", "platform.runtimeDone", "platform.report"} <= {
        record["type"] for record in records
    }


def test_short_links(server, tmp_path):
    names = {"python3.11": runtime(server, "python3"), "nodejs20.x": runtime(server, "nodejs")}
    directory = follow("short-links", server, tmp_path, **names)
    assert (directory / "led.txt").read_text("utf-8") == "302 https://example.com/a?b=c\n"
    made = json.loads((directory / "made.json").read_text("utf-8"))
    for language in ("python", "nodejs"):
        url = (directory / f"{language}.url").read_text("utf-8").strip()

        def ask(path="", *arguments, version="--http1.1"):
            done = subprocess.run(["curl", "-s", "-i", version, *arguments, url + path], capture_output=True, text=True,
                                  timeout=20, check=True)
            head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
            return head.lower(), body

        for version in ("--http1.1", "--http2-prior-knowledge"):
            head, body = ask("", version=version)
            assert " 200" in head and "content-type: text/html; charset=utf-8" in head and "<form" in body, version
        head, body = ask("", "-d", "url=https://example.com/é")
        link = json.loads(body)["link"]
        assert " 201" in head and "set-cookie: last=https%3a%2f%2fexample.com%2f%c3%a9" in head
        assert json.loads(body)["at"] + "/" == server.url.rstrip("/") + "/"
        assert "location: https://example.com/a?b=c" in ask(made["link"])[0]
        head, _ = ask(link)
        assert " 302" in head and "location: https://example.com/" in head
        for path, arguments, status in [("x" * 30, [], 404), ("", ["-d", "url=javascript:x"], 400), ("", [
                "-d", "{", "-H", "Content-Type: application/json"], 400), ("", ["-X", "DELETE"], 404)]:
            assert f" {status}" in ask(path, *arguments)[0], (language, path, arguments)
