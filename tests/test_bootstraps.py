"""The bootstraps of Python and Node.js by themselves: one event after another, and copies that share nothing random."""

import socket
import time
import traceback
import types
from contextlib import ExitStack
from pathlib import Path

import pytest
from bootstrap_process import FORKED, PYTHON, RUNTIMES, Bootstrap, copy_frame, event_frame, frame, node

NODE = node()
LIBRARIES = str(Path(pytest.__file__).parent.parent)


@pytest.fixture
def python(tmp_path):
    """Starts functions in Python: `app.handler` of this source."""
    yield from starter(tmp_path, PYTHON, "app.py", "app.handler")


@pytest.fixture
def javascript(tmp_path):
    """Starts functions in JavaScript: `index.handler` of this source."""
    if not NODE:
        pytest.skip("there is no Node.js on this machine")
    yield from starter(tmp_path, NODE, "index.js", "index.handler")


def starter(directory, usual, file, handler):
    """Starts functions, and ends them with the test."""
    with ExitStack() as started:
        def start(source, command=usual, **more):
            (directory / file).write_text(source)
            return started.enter_context(Bootstrap(command, directory, handler, **more))

        yield start


# Python


def test_python_handles_one_event_after_another(python):
    runtime = python('''
import os, sys
count = 0

def handler(event, context):
    global count
    count += 1
    if event == "raise":
        raise ValueError("no")
    client = context.client_context and context.client_context.custom
    seen = os.environ["_X_AMZN_TRACE_ID"]
    print("said", flush=event == "flush")
    return [count, event, context.aws_request_id, client, context.get_remaining_time_in_millis() > 0, seen]
''').ready()
    assert runtime.call({"a": "ü"}) == ("A", [1, {"a": "ü"}, "one", None, True, "Root=1"])
    context = {"client_context": '{"custom": {"x": 1}}', "trace_id": "Root=2", "deadline_ms": 0}
    assert runtime.call(2, request_id="two", **context) == ("A", [2, 2, "two", {"x": 1}, False, "Root=2"])
    kind, error = runtime.call("raise", request_id="three")
    assert kind == "E" and (error["errorType"], error["requestId"]) == ("ValueError", "three")
    assert runtime.call(4) == ("A", [4, 4, "one", None, True, "Root=1"])
    long = "x" * 3_000_000
    assert runtime.call(long)[1][:2] == [5, long]
    assert runtime.output.read_text().count("said\n") == 4


def test_the_log_bears_the_id_of_its_event(python):
    runtime = python("import logging\ndef handler(event, context):\n    logging.error('hm')").ready()
    for name in ("one", "two"):
        runtime.call(request_id=name)
    assert [line.split("\t")[2] for line in runtime.output.read_text().splitlines()] == ["one", "two"]


def test_an_exit_ends_python(python):
    runtime = python("import sys\ndef handler(event, context):\n    sys.exit(event)").ready()
    runtime.send(event_frame(3))
    with pytest.raises(EOFError):
        runtime.receive()
    assert runtime.ended() == 3


def test_pythons_hooks_run_in_their_order(python):
    runtime = python('''
from snapshot_restore_py import register_after_restore, register_before_snapshot
import os, random
done = []

@register_before_snapshot
def first():
    done.append("first")

@register_after_restore
def third():
    done.append(["third", os.environ["ADDED"], random.seed(7)])

register_before_snapshot(done.append, "second")
register_after_restore(lambda *given, **named: done.append([given, named]), 4, more=5)

def handler(event, context):
    return [done, random.random(), first.__name__, context.log_stream_name]
''', AWS_LAMBDA_LOG_STREAM_NAME="of the template").ready()
    runtime.capture().resume(ADDED="1", AWS_LAMBDA_LOG_STREAM_NAME="of the copy")
    done = ["second", "first", ["third", "1", None], [[4], {"more": 5}]]
    assert runtime.call() == ("A", [done, 0.32383276483316237, "first", "of the copy"])


@pytest.mark.parametrize("when", ["before_snapshot", "after_restore"])
def test_a_hook_that_raises_in_python_is_told(python, when):
    runtime = python(f'''
import snapshot_restore_py

@snapshot_restore_py.register_{when}
def hook():
    raise ValueError("not now")

handler = print
''').ready()
    if when == "after_restore":
        runtime.capture()
    runtime.send(frame("S") if when == "before_snapshot" else copy_frame())
    kind, error = runtime.said()
    assert (kind, error["errorType"], error["errorMessage"]) == ("I", "ValueError", "not now")
    assert "in hook" in error["stackTrace"][-1] and "[ERROR] ValueError: not now" in runtime.output.read_text()


def test_a_package_of_hooks_that_the_function_brings_is_used(python, tmp_path):
    (tmp_path / "snapshot_restore_py.py").write_text(
        "mine = []\nget_before_snapshot = get_after_restore = lambda: mine\n"
        "def register_after_restore(func, *args, **kwargs):\n    mine.append((func, args, kwargs))\n"
    )
    runtime = python('''
from snapshot_restore_py import register_after_restore
done = []

def handler(event, context):
    register_after_restore(done.append, event)
    return done
''').ready()
    assert runtime.call(1) == ("A", [])
    runtime.send(copy_frame())
    assert runtime.ready().call(2) == ("A", [1])


def test_copies_of_python_have_no_random_state_in_common(python, tmp_path):
    source = '''
import random, secrets, ssl, sys, tempfile, uuid
mine, [[hidden]] = random.Random(1), [[random.Random(2)]]
random.seed(3), random.gauss(0, 1), uuid.uuid1(), ssl.RAND_bytes(4), secrets.token_hex(), tempfile.mktemp()
mine.gauss(0, 1)
try:
    import numpy
except ImportError:
    numpy = None
else:
    numpy.random.seed(4), numpy.random.normal()
    new, old, bits = numpy.random.default_rng(5), numpy.random.RandomState(6), numpy.random.PCG64(7)
    own = numpy.random.RandomState(numpy.random.PCG64(8))
    old.normal(), own.normal()

def handler(event, context):
    drawn = [
        random.random(), random.gauss(0, 1), mine.gauss(0, 1), hidden.random(), random.Random().random(),
        uuid.uuid1().hex, uuid.uuid1().hex[16:], uuid.uuid4().hex, ssl.RAND_bytes(16).hex(), secrets.token_hex(),
        tempfile.mktemp(),
    ]
    if numpy:
        drawn += [
            numpy.random.normal(), numpy.random.random(), new.random(), old.normal(), old.random(), own.normal(),
            int(bits.random_raw()), numpy.random.default_rng().random(),
        ]
    return drawn
'''
    runtime = python(source, FORKED, copies=50, PYTHONPATH=f"{tmp_path}:{LIBRARIES}")
    runtime.ready().capture()
    drawn = [copy.resume().call()[1] for copy in runtime.copies]
    assert {len(one) for one in drawn} <= {11, 19}
    for place, values in enumerate(zip(*drawn)):
        assert len(set(values)) == len(drawn), place


def test_an_event_loop_that_a_thread_runs_goes_on_in_a_copy_of_python(python):
    runtime = python("""
import asyncio, threading
ticks = []
async def tick():
    while True:
        await asyncio.sleep(0.001)
        ticks.append(asyncio.get_running_loop())
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
ticking = asyncio.run_coroutine_threadsafe(tick(), loop)

def handler(event, context):
    ticks.clear()
    slept = asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01, "slept"), loop).result(10)
    return [slept, len(ticks) > 0, set(ticks) == {loop}, ticking.done()]
""").ready()
    runtime.capture().resume()
    assert runtime.call() == ("A", ["slept", True, True, False])


def test_copies_of_python_would_have_it_in_common(python):
    runtime = python("import random\ndef handler(event, context):\n    return random.random()", FORKED, copies=2)
    runtime.ready().capture()
    one, other = (copy.call() for copy in runtime.copies)  # nobody told them that they are copies
    assert one == other


def test_frames_that_come_together_are_told_apart(python):
    runtime = python("def handler(event, context):\n    return event").ready()
    runtime.send(frame("S") + copy_frame() + event_frame(1) + event_frame("x" * 100_000) + event_frame(2))
    kinds = [runtime.receive()[0] for _ in range(5)]
    assert kinds == ["S", "R", "A", "A", "A"]


def test_a_stack_is_written_as_traceback_writes_it():
    bootstrap = types.ModuleType("bootstrap")
    bootstrap.__file__ = str(RUNTIMES / "python/bootstrap.py")
    exec(compile(Path(bootstrap.__file__).read_text(), bootstrap.__file__, "exec"), bootstrap.__dict__)

    def recurse(times):
        return recurse(times - 1) if times else 1 / 0

    def raise_from_text():
        exec("def unseen():\n    raise KeyError('x')\nunseen()", {})

    for call in (*(lambda times=times: recurse(times) for times in (1, 2, 3, 4, 9)), raise_from_text):
        with pytest.raises((ZeroDivisionError, KeyError)) as caught:
            call()
        frames = [tuple(frame) for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert bootstrap.stack_of(caught.value) == traceback.format_list(frames)


def test_libraries_work_in_a_copy_of_python(python, tmp_path):
    runtime = python('''
import boto3, requests
from botocore.config import Config
config = Config(retries={"total_max_attempts": 1}, connect_timeout=1)
client = boto3.client("s3", endpoint_url="http://127.0.0.1:1", region_name="us-east-1", config=config,
                      aws_access_key_id="a", aws_secret_access_key="b")
session = requests.Session()

def handler(event, context):
    told = []
    for call in (client.list_buckets, lambda: session.get("http://127.0.0.1:1")):
        try:
            call()
        except Exception as error:
            told.append(type(error).__name__)
    return told
''', FORKED, copies=2, PYTHONPATH=f"{tmp_path}:{LIBRARIES}").ready().capture()
    for copy in runtime.copies:
        assert copy.resume().call() == ("A", ["EndpointConnectionError", "ConnectionError"])


# Node.js


def test_node_handles_one_event_after_another(javascript):
    runtime = javascript('''
let count = 0;
exports.handler = async (event, context) => {
  count++;
  if (event === "raise") throw new RangeError("no");
  console.log("said");
  const left = context.getRemainingTimeInMillis() > 0;
  return [count, event, context.awsRequestId, context.clientContext, left, process.env._X_AMZN_TRACE_ID];
};
''').ready()
    assert runtime.call({"a": "ü"}) == ("A", [1, {"a": "ü"}, "one", None, True, "Root=1"])
    context = {"client_context": '{"custom": 1}', "trace_id": "Root=2", "deadline_ms": 0}
    assert runtime.call(2, request_id="two", **context) == ("A", [2, 2, "two", {"custom": 1}, False, "Root=2"])
    kind, error = runtime.call("raise", request_id="three")
    assert kind == "E" and (error["errorType"], error["errorMessage"]) == ("RangeError", "no")
    assert runtime.call(4) == ("A", [4, 4, "one", None, True, "Root=1"])
    long = "ü" * 1_500_000
    assert runtime.call(long)[1][:2] == [5, long]
    log = [line.split("\t") for line in runtime.output.read_text().splitlines()]
    assert [(line[1], line[3][:4]) for line in log] == [
        ("one", "said"), ("two", "said"), ("three", "Invo"), ("one", "said"), ("one", "said"),
    ]


def test_what_is_left_of_an_event_does_not_answer_the_next_one(javascript):
    runtime = javascript('''
let kept;
exports.handler = (event, context, callback) => {
  if (event === "late") {
    kept = { callback, context }; // answered when the event loop is empty
  } else if (event === "at once") {
    context.callbackWaitsForEmptyEventLoop = false;
    setTimeout(() => callback(null, "too late"), 50);
    callback(null, "first");
    callback(null, "second");
  } else if (event === "wait") {
    setTimeout(() => kept = "waited", 50);
    callback(null, "after the timer");
  } else if (event === "promise") {
    return new Promise((resolve) => setTimeout(resolve, 100, "kept"));
  } else {
    kept.callback?.(null, "of another event");
    kept.context?.done("of another event");
    setTimeout(() => callback(null, kept === "waited" ? kept : "mine"), 10);
  }
};
''').ready()
    assert runtime.call("late") == ("A", None)
    assert runtime.call() == ("A", "mine")
    assert runtime.call("at once") == ("A", "first")
    assert runtime.call("promise") == ("A", "kept")
    assert runtime.call("wait") == ("A", "after the timer")
    assert runtime.call() == ("A", "waited")


def test_a_stream_of_one_event_does_not_answer_the_next_one(javascript):
    runtime = javascript('''
let finish;
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  if (event) return new Promise((resolve) => (finish = () => (stream.end("of another event"), resolve())));
  finish?.();
  await new Promise((resolve) => setTimeout(resolve, 10));
  stream.end('"mine"');
});
''').ready()
    kind, error = runtime.call("never ends")
    assert (kind, error["errorMessage"]) == ("E", "Response stream is not finished.")
    assert runtime.call() == ("H", b"")
    assert runtime.receive() == ("D", b'"mine"')
    assert runtime.receive() == ("A", b"")


@pytest.mark.parametrize("runtime", ["nodejs20.x", "nodejs24.x"])
@pytest.mark.parametrize("how, status, kind", [
    ("Promise.reject(1); setTimeout(() => {}, 1000)", 128, "Runtime.UnhandledPromiseRejection"),
    ("setImmediate(() => { throw new TypeError('no'); })", 129, "TypeError"),
    ("", 13, "Runtime.NodeJsExit"),
])
def test_an_error_that_nobody_handles_ends_node(javascript, runtime, how, status, kind):
    source = f"exports.handler = async (event) => {{ if (event) return event; {how}; await new Promise(() => {{}}) }}"
    process = javascript(source, AWS_EXECUTION_ENV=f"AWS_Lambda_{runtime}").ready()
    assert process.call(1) == ("A", 1)
    answer = process.call()
    assert (answer[0], answer[1]["errorType"]) == ("E", kind)
    with pytest.raises(EOFError):
        process.receive()
    assert process.ended() == status


def test_an_exit_ends_node(javascript):
    runtime = javascript("exports.handler = async (event) => process.exit(event)").ready()
    runtime.send(event_frame(3))
    with pytest.raises(EOFError):
        runtime.receive()
    assert runtime.ended() == 3


def test_timers_count_from_their_event_on(javascript):
    runtime = javascript('''
exports.handler = async () => {
  const started = Date.now();
  await new Promise((resolve) => setTimeout(resolve, 100));
  return Date.now() - started;
};
''').ready()
    time.sleep(0.3)  # the clock of the event loop stands still
    assert runtime.call()[1] >= 95


def test_nodes_hooks_run_in_their_order(javascript):
    runtime = javascript('''
const done = [];
const soon = (what) => new Promise((resolve) => setTimeout(() => resolve(done.push(what)), 10));
awslambda.registerBeforeSnapshot(soon, "first");
awslambda.registerBeforeSnapshot((what) => done.push(what), "second");
awslambda.registerAfterRestore(async () => { await soon("third"); done.push(process.env.ADDED, Math.random()); });
awslambda.registerAfterRestore((...given) => done.push(given), 4, 5);
exports.handler = async (event, context) => [done, Math.random(), context.logStreamName];
''', AWS_LAMBDA_LOG_STREAM_NAME="of the template").ready()
    runtime.capture().resume(ADDED="1", AWS_LAMBDA_LOG_STREAM_NAME="of the copy")
    done, drawn, stream = runtime.call()[1]
    assert done[:4] == ["second", "first", "third", "1"] and done[5] == [4, 5] and 0 <= done[4] != drawn < 1
    assert stream == "of the copy" and runtime.output.read_text() == ""


@pytest.mark.parametrize("when", ["BeforeSnapshot", "AfterRestore"])
@pytest.mark.parametrize("hook, told", [
    ("() => { throw new Error('not now') }", "not now"),
    ("async () => { throw new Error('not now') }", "not now"),
    ("() => new Promise(() => {})", "A hook was never settled"),
])
def test_a_hook_that_fails_in_node_is_told(javascript, when, hook, told):
    runtime = javascript(f"awslambda.register{when}({hook}); exports.handler = async () => 1").ready()
    if when == "AfterRestore":
        runtime.capture()
    runtime.send(frame("S") if when == "BeforeSnapshot" else copy_frame())
    kind, error = runtime.said()
    assert (kind, error["errorMessage"]) == ("I", told) and "Hook Error" in runtime.output.read_text()


def test_copies_of_node_have_no_random_state_in_common(javascript):
    source = '''
const first = Math.random; // whoever has got hold of it early
const vm = [first(), first.name, first.length, Object.keys(Math).length];
Object.defineProperty(process, "pid", { value: 1, configurable: true });
exports.handler = async () => [vm, first(), Math.random(), process.pid];
'''
    drawn = []
    for _ in range(2):
        # V8 begins with the same state each time: the same memory, as far as that goes.
        runtime = javascript(source, node("--random-seed=1")).ready()
        before, *after, pid = runtime.capture().resume().call()[1]
        assert before[1:] == ["random", 0, 0] and pid == runtime.process.pid
        drawn.append((before[0], after))
    (one, ones), (other, others) = drawn
    assert one == other and len({*ones, *others}) == 4


def test_copies_of_node_draw_their_own_uuids(javascript):
    runtime = javascript('''
const crypto = require("crypto");
const { createHook } = require("async_hooks");
for (let i = 0; i < 5; i++) crypto.randomUUID(), crypto.randomInt(9);
exports.handler = async () => {
  const drawn = [];
  const hook = createHook({ init: (id, type) => type === "RANDOMBYTESREQUEST" && drawn.push(type) }).enable();
  const draw = (name, ...given) => (crypto[name](...given), drawn.splice(0).length);
  const told = [draw("randomUUID"), draw("randomUUID"), draw("randomInt", 9), draw("randomInt", 9)];
  hook.disable();
  return told;
};
''').ready()
    assert runtime.call() == ("A", [0, 0, 0, 0])  # Node has values in store, which copies would share
    assert runtime.capture().resume().call() == ("A", [1, 0, 1, 0])


def test_a_copy_of_node_notices_what_has_been_closed(javascript):
    with socket.create_server(("127.0.0.1", 0)) as server:
        runtime = javascript(f"""
let open = true;
const connection = require("net").connect({server.getsockname()[1]}, "127.0.0.1");
connection.on("error", () => {{}}).on("close", () => (open = false));
awslambda.registerBeforeSnapshot(() => new Promise((resolve) => connection.once("data", resolve)));
exports.handler = (event, context, callback) => callback(null, open);
""").ready()
        runtime.send(frame("S"))
        peer, _ = server.accept()
        peer.send(b"hello")
        assert runtime.said() == ("S", b"")
        peer.close()
    assert runtime.resume().call() == ("A", False)


def test_frames_that_come_together_are_told_apart_in_node(javascript):
    runtime = javascript("exports.handler = async (event) => event").ready()
    runtime.send(frame("S") + copy_frame() + event_frame(1) + event_frame("x" * 100_000) + event_frame(2))
    answers = [runtime.said() for _ in range(5)]
    assert answers == [("S", b""), ("R", b""), ("A", 1), ("A", "x" * 100_000), ("A", 2)]
