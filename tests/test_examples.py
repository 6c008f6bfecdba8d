"""The small examples: each is built as its README says, deployed with boto3, and called. The tools that an example needs
and that are not on the machine are a reason to skip its test."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROLE, zip_of
from mayfly_process import ROOT

EXAMPLES = ROOT / "examples"
# What tools say when the registry that they need is out of reach.
OFFLINE = re.compile(
    r"could not resolve|failed to (?:download|fetch|get)|no such host|connection (?:refused|reset)|timed? ?out"
    r"|network|unreachable|dial tcp|proxyconnect", re.I,
)


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
    if done.returncode and fetches and OFFLINE.search(done.stderr):
        pytest.skip(f"{' '.join(command)}: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


def deploy(server, name: str, files: dict, **config):
    """Create the function; what calls it: (answer, whether it is an error)."""
    client = server.client("lambda", read_timeout=60)
    client.create_function(
        FunctionName=name, Role=ROLE, Code={"ZipFile": zip_of(files)}, Timeout=30, MemorySize=256, **config)
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 100})

    def invoke(event):
        answer = client.invoke(FunctionName=name, Payload=json.dumps(event))
        value = json.loads(answer["Payload"].read())
        return value, answer.get("FunctionError"), answer["ResponseMetadata"]["RequestId"]

    return invoke


def custom(server, name: str, program: Path):
    return deploy(
        server, name, {"bootstrap": program.read_bytes()}, Runtime="provided.al2023", Handler="bootstrap")


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
