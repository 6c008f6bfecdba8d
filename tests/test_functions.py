"""What a function meets when it runs: its limits, its walls, its errors, as a caller of Invoke sees them."""

import base64
import json
import re
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import make_function
from inside import SOURCE
from mayfly_process import ROOT, wait_for

# One function that does what its event says; each event has a process of its own all the same.
DOES = '''
import json, os, signal, subprocess, sys, time
calls = 0

def handler(event, context):
    global calls
    calls += 1
    do = event.get("do")
    if do == "calls":
        with open("/tmp/seen", "a") as seen:
            seen.write("x")
        return {"calls": calls, "files": os.path.getsize("/tmp/seen"), "pid": os.getpid()}
    if do == "raise":
        raise KeyError("missing thing")
    if do == "exit":
        sys.exit(3)
    if do == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if do == "sleep":
        subprocess.Popen(["sleep", "1000"])
        time.sleep(60)
    if do == "hog":
        hoard = []
        while True:
            hoard.append(bytearray(8 << 20))
    if do == "set":
        return {1, 2}
    if do == "large":
        return "x" * event["bytes"]
    if do == "environment":
        return dict(os.environ)
    if do == "read":
        return sorted(os.listdir(event["path"]))
    if do == "write":
        open(event["path"], "w").write("x")
    if do == "processes":
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    if do == "connect":
        import socket
        socket.create_connection((event["host"], event["port"]), 2)
    if do == "print":
        for number in range(event["lines"]):
            print("line", number)
    if do == "objects":
        from platform_api import call
        return call("s3", "GET", "/").decode()[:60]
    return {"remaining": context.get_remaining_time_in_millis(), "id": context.aws_request_id,
            "arn": context.invoked_function_arn, "memory": context.memory_limit_in_mb}
'''


@pytest.fixture(scope="module")
def does(server):
    make_function(
        server.client("lambda"), "does", {"app.py": DOES, "platform_api.py": SOURCE}, Timeout=2, MemorySize=256,
        Environment={"Variables": {"COLOUR": "red", "TZ": "Europe/Berlin"}},
    )
    client = server.client("lambda")

    def invoke(do, **more):
        answer = client.invoke(
            FunctionName="does", Payload=json.dumps({"do": do, **more}), LogType="Tail"
        )
        answer["value"] = json.loads(answer["Payload"].read())
        answer["log"] = base64.b64decode(answer["LogResult"]).decode()
        answer["id"] = answer["ResponseMetadata"]["RequestId"]
        return answer

    return invoke


def test_each_event_has_a_fresh_process_and_a_fresh_tmp(does):
    for _ in range(3):
        assert does("calls")["value"] == {"calls": 1, "files": 1, "pid": 2}


def test_the_context_and_the_log(does):
    answer = does("nothing")
    assert answer["StatusCode"] == 200 and "FunctionError" not in answer
    assert answer["ExecutedVersion"] == "$LATEST"
    assert 0 < answer["value"]["remaining"] <= 2000
    assert answer["value"]["id"] == answer["id"]
    assert answer["value"]["arn"].endswith(":function:does")
    assert int(answer["value"]["memory"]) == 256
    report = answer["log"].splitlines()[-1]
    assert re.match(
        rf"REPORT RequestId: {answer['id']}\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\t"
        r"Memory Size: 256 MB\tMax Memory Used: \d+ MB\t(Init Duration: [\d.]+ ms\t)?", report,
    ), report


def test_an_exception_has_its_stack(does):
    answer = does("raise")
    assert answer["FunctionError"] == "Unhandled"
    error = answer["value"]
    assert error["errorType"] == "KeyError" and error["errorMessage"] == "'missing thing'"
    assert error["requestId"] == answer["id"]
    assert len(error["stackTrace"]) == 1
    assert 'File "/var/task/app.py", line' in error["stackTrace"][0] and "in handler" in error["stackTrace"][0]
    assert "[ERROR] KeyError: 'missing thing'" in answer["log"]


@pytest.mark.parametrize(
    "do, type, message, log",
    [
        ("exit", "Runtime.ExitError", "Runtime exited with error: exit status 3", "Runtime.ExitError"),
        ("crash", "Runtime.ExitError", "Runtime exited with error: signal: segmentation fault", "Runtime.ExitError"),
        ("hog", "Runtime.ExitError", "Runtime exited with error: signal: killed", "Runtime.OutOfMemory"),
        ("sleep", "Sandbox.Timedout", "Task timed out after 2.00 seconds", "Status: timeout"),
        ("set", "Runtime.MarshalError", "not JSON serializable", ""),
    ],
)
def test_a_process_that_fails_is_told_as_lambda_tells_it(does, do, type, message, log):
    answer = does(do)
    assert answer["FunctionError"] == "Unhandled"
    assert answer["value"]["errorType"] == type
    assert message in answer["value"]["errorMessage"]
    assert log in answer["log"].splitlines()[-1]


def test_answers_up_to_six_megabytes(does):
    # The quotes of the JSON string count too.
    assert len(does("large", bytes=(6 << 20) - 2)["value"]) == (6 << 20) - 2
    answer = does("large", bytes=(6 << 20) + 200)
    assert answer["value"]["errorType"] == "Function.ResponseSizeTooLarge"


def test_the_environment(does):
    environment = does("environment")["value"]
    assert environment["COLOUR"] == "red"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "does"
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert environment["AWS_REGION"] == "us-east-1"
    assert environment["LAMBDA_TASK_ROOT"] == "/var/task" and environment["_HANDLER"] == "app.handler"
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    # Nothing of the server's own environment.
    assert "HOME" not in environment or not environment["HOME"].startswith("/root")
    assert not any(name.startswith("MAYFLY") for name in environment)


def test_the_host_is_out_of_sight(does, server):
    # Pid 1 is the platform's, and hidden.
    [own] = does("processes")["value"]
    assert own > 1
    for path in (str(server.data_dir), str(ROOT), "/root/.ssh", "/etc/ssh", "/var/log", "/sys/fs/cgroup"):
        error = does("read", path=path)["value"]
        assert isinstance(error, dict), f"{path} shows {error}"
        assert error["errorType"] in ("FileNotFoundError", "PermissionError"), path
    for path in ("/var/task/x", "/usr/x", "/x", "/proc/sys/kernel/hostname"):
        assert does("write", path=path)["value"]["errorType"] in ("OSError", "PermissionError"), path
    # The server's own port on the host's loopback is not there inside.
    assert does("connect", host="127.0.0.1", port=server.port)["value"]["errorType"] == "ConnectionRefusedError"
    assert does("connect", host="192.0.2.1", port=80)["value"]["errorType"] == "OSError"


def test_the_platform_is_in_reach(does):
    assert "<ListAllMyBuckets" in does("objects")["value"]


def test_a_long_log_is_kept_whole(does, server):
    id = does("print", lines=20_000)["id"]
    def lines():
        log = server.mayfly("logs", "does", "--endpoint", server.url)
        mine = [line.split(" ", 2)[2] for line in log.splitlines() if line[24:].startswith(f" {id} ")]
        return mine if mine and mine[-1].startswith("REPORT") else None

    kept = wait_for(lines, 30, "the log")
    assert kept[1:-2] == [f"line {number}" for number in range(20_000)]


@pytest.mark.parametrize(
    "files, handler, type, message",
    [
        ({"app.py": "import nothing_like_it"}, "app.handler", "Runtime.ImportModuleError",
         "Unable to import module 'app': No module named 'nothing_like_it'"),
        ({"app.py": "x = 1"}, "app.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        ({"app.py": "x = 1"}, "other.handler", "Runtime.ImportModuleError", "No module named 'other'"),
        ({"app.py": "def handler(:"}, "app.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app'"),
        ({"app.py": "1 / 0"}, "app.handler", "ZeroDivisionError", "division by zero"),
        ({"app.py": "x = 1"}, "handler", "Runtime.MalformedHandlerName", "Bad handler 'handler'"),
        ({"pkg/sub.py": "def go(e, c):\n    return 'deep'"}, "pkg/sub.go", None, "deep"),
        ({"pkg/sub.py": "def go(e, c):\n    return 'deep'"}, "pkg.sub.go", None, "deep"),
    ],
)
def test_code_that_cannot_be_loaded(server, files, handler, type, message):
    client = server.client("lambda")
    name = f"load-{uuid.uuid4().hex}"
    make_function(client, name, files, Handler=handler)
    answer = client.invoke(FunctionName=name)
    value = json.loads(answer["Payload"].read())
    if type is None:
        assert value == message
    else:
        assert answer["FunctionError"] == "Unhandled"
        assert value["errorType"] == type and message in value["errorMessage"], value


def test_a_burst_is_served_whole(server, does):
    client = server.client("lambda", read_timeout=120)
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(
            lambda number: json.loads(client.invoke(
                FunctionName="does", Payload=json.dumps({"do": "calls"}))["Payload"].read()), range(200),
        ))
    assert all(answer["calls"] == 1 and answer["files"] == 1 for answer in answers)
