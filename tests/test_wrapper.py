"""`AWS_LAMBDA_EXEC_WRAPPER`: a program of the function's, or of a layer, that starts the runtime."""

import base64
import io
import json
import shutil
import zipfile

import pytest
from conftest import ROLE, RUNTIME

SHELL = "#!/bin/sh\n"
PYTHON = """
import os, sys
def handler(event, context):
    return [os.environ.get("WRAPPED"), sorted(sys._xoptions), "other" in globals()]
def other(event, context):
    return ["the wrapper chose it"]
"""
NODE = "exports.handler = async () => [process.env.WRAPPED, process.execArgv.includes('--trace-warnings')];\n"


def package(files):
    """A package in which what begins with `#!` may be run."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for name, text in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o755 if text.startswith("#!") else 0o644) << 16
            zipped.writestr(info, text)
    return buffer.getvalue()


def call(server, name, files, path, runtime=RUNTIME, handler="app.handler", **more):
    client = server.client("lambda")
    client.create_function(
        FunctionName=name, Runtime=runtime, Role=ROLE, Handler=handler, Code={"ZipFile": package(files)}, Timeout=10,
        Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": path}}, **more)
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 100})
    answer = client.invoke(FunctionName=name, LogType="Tail")
    log = base64.b64decode(answer["LogResult"]).decode()
    return json.load(answer["Payload"]), answer.get("FunctionError"), log


@pytest.mark.parametrize("script, expected", [
    ('export WRAPPED=yes\nexec "$@"\n', ["yes", ["utf8"], True]),
    # The interpreter comes first, and then what Lambda would have told it.
    ('i="$1"; shift\nexec "$i" -X importtime "$@"\n', [None, ["importtime", "utf8"], True]),
    ('export _HANDLER=app.other\nexec "$@"\n', ["the wrapper chose it"]),
], ids=["environment", "arguments", "handler"])
def test_a_wrapper_starts_python(server, script, expected, request):
    name = "wrapped-" + request.node.callspec.id
    said, error, _ = call(server, name, {"app.py": PYTHON, "wrapper": SHELL + script}, "/var/task/wrapper")
    assert (said, error) == (expected, None)


def test_a_wrapper_may_be_a_program_in_python_and_in_a_layer(server):
    script = ("#!/usr/bin/env python3\nimport os, sys\nos.environ['WRAPPED'] = 'layer'\n"
              "os.execv(sys.argv[1], sys.argv[1:])\n")
    client = server.client("lambda")
    layer = client.publish_layer_version(LayerName="wrappers", Content={"ZipFile": package({"wrap": script})})
    said, error, _ = call(server, "wrapped-layer", {"app.py": PYTHON}, "/opt/wrap", Layers=[layer["LayerVersionArn"]])
    assert (said, error) == (["layer", ["utf8"], True], None)


def test_a_wrapper_starts_node(server):
    script = SHELL + 'export WRAPPED=yes\ni="$1"; shift\nexec "$i" --trace-warnings "$@"\n'
    said, error, _ = call(server, "wrapped-node", {"app.js": NODE, "wrapper": script}, "/var/task/wrapper",
                          runtime="nodejs20.x")
    assert (said, error) == (["yes", True], None)


@pytest.mark.parametrize("files, path, status, words", [
    ({}, "/var/task/nothing", 127, "/var/task/nothing: does not exist"),
    ({"wrapper": "exec \"$@\"\n"}, "/var/task/wrapper", 126, "/var/task/wrapper: is not an executable"),
    ({"wrapper": SHELL + "exit 3\n"}, "/var/task/wrapper", 3, ""),
], ids=["missing", "not-executable", "ends"])
def test_a_wrapper_that_starts_nothing(server, files, path, status, words, request):
    name = "wrapper-" + request.node.callspec.id
    said, error, log = call(server, name, {"app.py": PYTHON, **files}, path)
    assert error == "Unhandled" and said["errorType"] == "Runtime.ExitError", said
    assert f"exit status {status}" in said["errorMessage"] and words in log, (said, log)


def test_custom_runtimes_have_no_wrapper(server):
    bootstrap = SHELL + (
        'while true; do curl -sS -D /tmp/h -o /tmp/e "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next"\n'
        'id=$(grep -i request-id /tmp/h | tr -d "\\r" | cut -d" " -f2)\n'
        'curl -sS -d "\\"$0\\"" "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$id/response"; done\n')
    if not shutil.which("curl"):
        pytest.skip("curl is not there")
    files = {"bootstrap": bootstrap, "wrapper": SHELL + "exit 3\n"}
    said, error, _ = call(server, "unwrapped", files, "/var/task/wrapper", runtime="provided.al2023")
    assert (said, error) == ("/var/task/bootstrap", None)
