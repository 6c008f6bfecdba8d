"""The examples are built as their READMEs say, deployed, and do what they promise."""

import json
import re
import shutil
import subprocess

import pytest
from conftest import ROLE
from mayfly_process import ROOT

EXAMPLES = ROOT / "examples"


def deploy(functions, name, package, **config):
    """Creates a function of the bytes of a package, and waits until it is active."""
    functions.create_function(FunctionName=name, Code={"ZipFile": package}, Role=ROLE, Timeout=30, **config)
    functions.get_waiter("function_active_v2").wait(
        FunctionName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600}
    )


def answer(functions, name, event):
    """What a function answers."""
    response = functions.invoke(FunctionName=name, Payload=json.dumps(event))
    return response.get("FunctionError"), json.load(response["Payload"])


@pytest.mark.timeout(180)
def test_hello_java(server, tmp_path, pytestconfig):
    offered = re.search(r"runtime +(java\d+) ", server.read_log())
    reason = "" if offered else "the server offers no Java"
    if not shutil.which("mvn") or not shutil.which("javac"):
        reason = "no JDK or no Maven here"
    if reason:
        pytestconfig.pluginmanager.getplugin("terminalreporter").write_line(f"hello-java is not tested: {reason}")
        pytest.skip(reason)
    project = tmp_path / "hello-java"
    shutil.copytree(EXAMPLES / "hello-java", project, ignore=shutil.ignore_patterns("target"))
    subprocess.run(["mvn", "-q", "-B", "package"], cwd=project, check=True, timeout=150)
    functions = server.client("lambda")
    package = (project / "target/hello.jar").read_bytes()
    deploy(functions, "checkout", package, Runtime=offered[1], Handler="hello.Checkout", MemorySize=256)

    lines = [{"article": "pencil", "quantity": 3, "price": 120}, {"article": "paper", "quantity": 1, "price": 500}]
    receipt = {"greeting": "Thank you, Ada!", "articles": 4, "total": 860}
    assert answer(functions, "checkout", {"customer": "Ada", "lines": lines}) == (None, receipt)

    lines[0]["quantity"] = 0
    error, document = answer(functions, "checkout", {"customer": "Ada", "lines": lines})
    assert error == "Unhandled" and document["errorMessage"] == "nobody can buy 0 of pencil"
