"""Extensions beside functions: the Extensions, Telemetry and Logs APIs, and what becomes of a process that has some."""

import base64
import io
import json
import re
import textwrap
import zipfile

import pytest
from conftest import make_function, zip_of
from conftest import wait_for as wait_until

# What extensions of these tests begin with: requests over one connection each, and a way to leave word in a bucket.
PRELUDE = """#!/usr/bin/env python3
import http.client, json, os, signal, socket, sys, threading, time
API = os.environ["AWS_LAMBDA_RUNTIME_API"]
NAME = os.path.basename(sys.argv[0])
def ask(method, path, body=None, **headers):
    connection = http.client.HTTPConnection(API)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body if isinstance(body, (str, bytes, type(None))) else json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    return answer.status, answer.headers, json.loads(text) if text else None
def register(events=("INVOKE", "SHUTDOWN"), name=NAME, **headers):
    status, headers, body = ask(
        "POST", "/2020-01-01/extension/register", {"events": events}, Lambda_Extension_Name=name, **headers)
    return {"Lambda-Extension-Identifier": headers.get("Lambda-Extension-Identifier") or ""}, status, body
def following(me):
    return ask("GET", "/2020-01-01/extension/event/next", **me)[2]
def word(method, key, body=None):
    import urllib.request
    url = os.environ["AWS_ENDPOINT_URL"] + "/words/" + key
    at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return urllib.request.urlopen(urllib.request.Request(url, body, {
        "authorization": f"AWS4-HMAC-SHA256 Credential=a/{at[:8]}/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0",
        "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "x-amz-date": at}, method=method)).read()
def leave(key, value):
    word("PUT", key, json.dumps(value).encode())
def wait_for_word(key):
    import urllib.error
    while True:
        try:
            return word("GET", key)
        except urllib.error.HTTPError:
            time.sleep(0.05)
"""

ECHO = """
def handler(event, context):
    print("hello from the function")
    return event
"""


def wait_for(condition):
    return wait_until(condition, 20, "what is waited for")


def layer_of(**sources) -> bytes:
    """The zip of a layer with these extensions, each the text of a Python program."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        for name, source in sources.items():
            info = zipfile.ZipInfo(f"extensions/{name}")
            info.external_attr = 0o755 << 16
            package.writestr(info, PRELUDE + textwrap.dedent(source))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def functions(server):
    return server.client("lambda")


@pytest.fixture(scope="module")
def words(server):
    s3 = server.client("s3")
    s3.create_bucket(Bucket="words")

    def read(key):
        def there():
            try:
                return json.loads(s3.get_object(Bucket="words", Key=key)["Body"].read())
            except s3.exceptions.NoSuchKey:
                return None

        return wait_for(there)

    return read


@pytest.fixture
def deploy(functions, request):
    """Makes a function with extensions; its name."""

    def make(source=ECHO, extensions=None, layer=None, **config):
        name = re.sub(r"[^A-Za-z0-9]+", "-", request.node.name)[:58] + str(len(request.node.name))
        layer = layer or layer_of(**extensions)
        arn = functions.publish_layer_version(LayerName=name, Content={"ZipFile": layer})["LayerVersionArn"]
        make_function(functions, name, source, Layers=[arn], **config)
        return name

    return make


def call(functions, name, event=None, **arguments):
    answer = functions.invoke(FunctionName=name, Payload=json.dumps(event), **arguments)
    return json.loads(answer["Payload"].read()), answer


def log_of(server, name):
    return server.mayfly("logs", name, "--endpoint", server.url)


def test_an_external_extension_hears_of_events_and_of_the_end(server, functions, deploy, words):
    name = deploy(extensions={"watcher": """
        me, status, body = register(Lambda_Extension_Accept_Feature="accountId")
        first = following(me)
        last = following(me)
        left = last["deadlineMs"] - time.time() * 1000
        hidden = [n for n in ("_HANDLER", "LAMBDA_TASK_ROOT", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_EXECUTION_ENV") if n in os.environ]
        leave("watched", {"status": status, "body": body, "first": first, "last": last, "left": left, "hidden": hidden,
                          "mine": os.environ["MINE"], "pid": os.getpid()})
    """}, Environment={"Variables": {"MINE": "yes"}}, Timeout=20)
    answer, head = call(functions, name, {"n": 1})
    assert answer == {"n": 1}
    word = words("watched")
    assert (word["status"], word["mine"], word["hidden"]) == (200, "yes", [])
    assert word["body"] == {
        "functionName": name, "functionVersion": "$LATEST", "handler": "app.handler", "accountId": "000000000000",
    }
    first = word["first"]
    assert first["eventType"] == "INVOKE" and first["requestId"] == head["ResponseMetadata"]["RequestId"]
    assert first["invokedFunctionArn"].endswith(f":function:{name}")
    assert first["tracing"]["type"] == "X-Amzn-Trace-Id" and first["tracing"]["value"].startswith("Root=1-")
    assert {"eventType": "SHUTDOWN", "shutdownReason": "spindown"}.items() <= word["last"].items()
    assert 0 < word["left"] <= 2000
    wait_for(lambda: "EXTENSION\tName: watcher\tState: Ready\tEvents: [INVOKE,SHUTDOWN]" in log_of(server, name))


def test_the_answer_does_not_wait_for_extensions_and_the_bill_does(server, functions, deploy, words):
    name = deploy(extensions={"slow": """
        me, *_ = register()
        following(me)
        wait_for_word("answered")
        time.sleep(1.5)
        leave("slow", "done")
        following(me)
    """}, Timeout=30)
    call(functions, name)
    # It goes on only now, so the answer has not waited for it.
    server.client("s3").put_object(Bucket="words", Key="answered", Body=b"")
    assert words("slow") == "done"
    report = wait_for(lambda: [line for line in log_of(server, name).splitlines() if "REPORT" in line])
    assert float(report[0].split("Duration: ")[1].split(" ms")[0]) >= 1500
    # Who wants the log waits until it is whole.
    _, head = call(functions, name, LogType="Tail")
    assert b"REPORT RequestId" in base64.b64decode(head["LogResult"])


@pytest.mark.parametrize("source, kind, message", [
    ("sys.exit(3)", "Extension.Crash", "exit status 3"),
    ("register(); sys.exit(0)", "Extension.Crash", "exit code 0"),
    ("me, *_ = register(); ask('POST', '/2020-01-01/extension/init/error', '{}', "
     "Lambda_Extension_Function_Error_Type='Extension.NoKey', **me); sys.exit(1)", "Extension.InitError", "exit status 1"),
    ("me, *_ = register(); following(me); sys.exit(4)", "Extension.Crash", "exit status 4"),
    ("me, *_ = register(); following(me); ask('POST', '/2020-01-01/extension/exit/error', '{}', "
     "Lambda_Extension_Function_Error_Type='Extension.Gone', **me); sys.exit(5)", "Extension.ExitError", "exit status 5"),
])
def test_an_extension_that_fails_fails_the_event(server, functions, deploy, source, kind, message):
    name = deploy("import time\ndef handler(event, context):\n    time.sleep(5)\n", {"bad": source})
    answer, head = call(functions, name)
    assert head["FunctionError"] == "Unhandled"
    assert answer["errorType"] == kind
    assert answer["errorMessage"] == f"RequestId: {head['ResponseMetadata']['RequestId']} Error: {message}"
    wait_for(lambda: f"Error Type: {kind}" in log_of(server, name))


def test_an_extension_that_cannot_be_started_is_named(functions, deploy):
    name = deploy(layer=zip_of({"extensions/notes.txt": "no program"}))
    answer, _ = call(functions, name)
    assert answer["errorType"] == "Extension.LaunchError"
    assert answer["errorMessage"].endswith("Error: fork/exec /opt/extensions/notes.txt: permission denied")


def test_a_hostile_extension_does_not_outlive_its_deadline(server, functions, deploy, words):
    # It ignores what it is told, and leaves a child in a session of its own.
    name = deploy(extensions={"stays": """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.fork() == 0:
            os.setsid()
            time.sleep(60)
        me, *_ = register()
        following(me)
        following(me)
        for second in range(60):
            leave("stays", second)
            time.sleep(0.2)
    """})
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    call(functions, name, "one")
    # With room for one event at a time, this one waits for the end of the first.
    call(functions, name, "two")
    log = wait_for(lambda: log_of(server, name).count("REPORT") >= 2)
    assert log and words("stays") < 12


@pytest.mark.parametrize("handling, kind, reason", [
    ("time.sleep(60)", "Sandbox.Timedout", "timeout"),
    ("os._exit(7)", "Runtime.ExitError", "failure"),
])
def test_the_end_is_told_with_its_reason(functions, deploy, words, handling, kind, reason):
    name = deploy(f"import os, time\ndef handler(event, context):\n    {handling}\n", {"mourner": f"""
        me, *_ = register()
        following(me)
        leave("{reason}", following(me))
    """}, Timeout=2)
    answer, _ = call(functions, name)
    assert answer["errorType"] == kind
    assert words(reason)["shutdownReason"] == reason


def test_telemetry_over_http(functions, deploy, words):
    name = deploy(extensions={"listener": """
        import http.server
        got = []
        class Sink(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def do_POST(self):
                got.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"OK")
            def log_message(self, *a): pass
        me, *_ = register()
        server = http.server.ThreadingHTTPServer(("sandbox.localdomain", 4243), Sink)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        def subscribe(path="/2022-07-01/telemetry", **changes):
            return ask("PUT", path, {
                "schemaVersion": "2022-12-13", "types": ["platform", "function", "extension"],
                "buffering": {"timeoutMs": 25},
                "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:4243/x"}, **changes}, **me)[::2]
        said = [subscribe(types=["no"]), subscribe(buffering={"maxItems": 1}), subscribe()]
        print("hello from the extension", flush=True)
        following(me)
        following(me)
        said.append(subscribe())
        leave("listened", {"got": got, "said": said})
    """}, Timeout=20)
    call(functions, name)
    word = words("listened")
    wrong, narrow, fine, late = word["said"]
    assert (wrong[0], wrong[1]["errorType"], narrow[0]) == (400, "ValidationError", 400)
    assert "maxItems" in narrow[1]["errorMessage"]
    assert fine == [200, "OK"]
    assert (late[0], late[1]["errorType"]) == (403, "Telemetry.SubscriptionClosed")
    records = {}
    for record in word["got"]:
        assert record["time"].endswith("Z")
        records.setdefault(record["type"], []).append(record["record"])
    assert list(dict.fromkeys(r["type"] for r in word["got"] if r["type"].startswith("platform"))) == [
        "platform.initStart", "platform.telemetrySubscription", "platform.initRuntimeDone", "platform.extension",
        "platform.initReport", "platform.start", "platform.runtimeDone", "platform.report",
    ]
    assert records["function"] == ["hello from the function"]
    assert records["extension"] == ["hello from the extension"]
    assert records["platform.initStart"][0].items() >= {
        "initializationType": "on-demand", "phase": "init", "functionName": name, "functionVersion": "$LATEST",
    }.items()
    assert records["platform.extension"][0] == {"name": "listener", "state": "Ready", "events": ["INVOKE", "SHUTDOWN"]}
    assert records["platform.telemetrySubscription"][0] == {
        "name": "listener", "state": "Subscribed", "types": ["platform", "function", "extension"],
    }
    done, report = records["platform.runtimeDone"][0], records["platform.report"][0]
    assert done["status"] == report["status"] == "success" and done["metrics"]["producedBytes"] == 4
    assert report["metrics"].keys() >= {
        "durationMs", "billedDurationMs", "memorySizeMB", "maxMemoryUsedMB", "initDurationMs",
    }


def test_telemetry_over_tcp_and_the_logs_api(functions, deploy, words):
    name = deploy(extensions={"reader": """
        def listen(port, lines):
            server = socket.create_server(("127.0.0.1", port))
            def read():
                for line in server.accept()[0].makefile():
                    lines.append(json.loads(line))
            threading.Thread(target=read, daemon=True).start()
        telemetry, logs = [], []
        listen(5001, telemetry)
        me, *_ = register()
        said = [ask("PUT", "/2022-07-01/telemetry", {
            "schemaVersion": "2022-07-01", "types": ["platform", "function"], "buffering": {"timeoutMs": 25},
            "destination": {"protocol": "TCP", "port": 5001}}, **me)[::2]]
        following(me)
        following(me)
        leave("read", {"telemetry": telemetry, "said": said})
    """, "older": """
        lines = []
        server = socket.create_server(("127.0.0.1", 5002))
        def read():
            for line in server.accept()[0].makefile():
                lines.append(json.loads(line))
        threading.Thread(target=read, daemon=True).start()
        me, *_ = register()
        said = ask("PUT", "/2020-08-15/logs", {
            "schemaVersion": "2021-03-18", "types": ["platform", "function"], "buffering": {"timeoutMs": 25},
            "destination": {"protocol": "TCP", "port": 5002}}, **me)[::2]
        following(me)
        following(me)
        leave("older", {"lines": lines, "said": said})
    """}, Timeout=20)
    call(functions, name)
    new, old = words("read"), words("older")
    assert new["said"] == [[200, "OK"]] and old["said"] == [200, "OK"]
    kinds = [record["type"] for record in new["telemetry"]]
    assert "platform.report" in kinds and "function" in kinds
    kinds = [record["type"] for record in old["lines"]]
    assert [kind for kind in kinds if kind != "platform.extension"] == [
        "platform.logsSubscription", "platform.start", "function", "platform.runtimeDone", "platform.end",
        "platform.report",
    ]


REGISTERED = """
import http.client, json, os, threading
said = []
def ask(method, path, body, headers):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.headers, json.loads(answer.read())
def register(events, name="inside"):
    return ask("POST", "/2020-01-01/extension/register", json.dumps({"events": events}), {"Lambda-Extension-Name": name})
refused = register(["INVOKE", "SHUTDOWN"])
status, headers, _ = register(["INVOKE"])
again = register(["INVOKE"])
def live():
    while True:
        said.append(ask("GET", "/2020-01-01/extension/event/next", None,
            {"Lambda-Extension-Identifier": headers["Lambda-Extension-Identifier"]})[2])
threading.Thread(target=live, daemon=True).start()
def handler(event, context):
    late = register(["INVOKE"], "late")
    import time
    while not said:
        time.sleep(0.01)
    return {"refused": refused[::2], "status": status, "again": again[::2], "late": late[::2], "said": said[0]["eventType"]}
"""


def test_an_internal_extension_hears_of_events_only(server, functions):
    make_function(functions, "internal", REGISTERED)
    for _ in range(3):  # the first process, the one that is not made a template, and one that waited
        answer, _ = call(functions, "internal")
        assert (answer["status"], answer["said"]) == (200, "INVOKE")
        assert (answer["refused"][0], answer["refused"][1]["errorType"]) == (403, "Extension.InvalidEventType")
        assert (answer["again"][0], answer["again"][1]["errorType"]) == (403, "Extension.InvalidExtensionState")
        assert (answer["late"][0], answer["late"][1]["errorType"]) == (403, "Extension.RegistrationClosed")
    reason = wait_for(lambda: functions.get_function_configuration(FunctionName="internal").get("StateReason"))
    assert "internal extension" in reason


def test_functions_with_extensions_are_started_ahead_and_not_copied(server, functions, deploy):
    name = deploy(extensions={"plain": """
        me, *_ = register()
        while following(me)["eventType"] != "SHUTDOWN":
            pass
    """})
    for _ in range(4):
        call(functions, name)
    reason = wait_for(lambda: functions.get_function_configuration(FunctionName=name).get("StateReason"))
    assert "it has extensions (plain)" in reason
    wait_for(lambda: "Start: ready" in log_of(server, name) or call(functions, name) and None)


def test_a_warm_process_keeps_its_extensions(server, functions, deploy, words):
    name = deploy(extensions={"counter": """
        me, *_ = register()
        events = 0
        while following(me)["eventType"] == "INVOKE":
            events += 1
            leave("counted", [events, os.getpid()])
    """}, Tags={"mayfly:start": "warm"})
    for _ in range(3):
        call(functions, name, LogType="Tail")  # waits until extensions are through with the event
    assert words("counted")[0] == 3


@pytest.mark.parametrize("path, headers, code", [
    ("event/next", {}, "Extension.MissingExtensionIdentifier"),
    ("event/next", {"Lambda-Extension-Identifier": "x"}, "Extension.InvalidExtensionIdentifier"),
    ("event/next", {"Lambda-Extension-Identifier": "3b0c9a36-6d44-4d1b-a5ac-6b22c0b9c15a"}, "Extension.UnknownExtensionIdentifier"),
    ("register", {}, "Extension.InvalidExtensionName"),
    ("register", {"Lambda-Extension-Name": "n"}, "InvalidRequestFormat"),
])
def test_requests_that_are_wrong_are_refused_in_aws_s_words(functions, path, headers, code):
    source = """
import http.client, json, os
connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
connection.request("%s", "/2020-01-01/extension/%s", "", %r)
answer = connection.getresponse()
said = [answer.status, json.loads(answer.read())["errorType"]]
def handler(event, context):
    return said
""" % ("GET" if "next" in path else "POST", path, headers)
    name = f"wrong-{code.split('.')[-1]}-{len(headers)}"
    make_function(functions, name, source, Tags={"mayfly:start": "cold"})
    assert call(functions, name)[0] == [403, code]
