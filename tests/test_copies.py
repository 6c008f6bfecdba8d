"""Copies under stress: what each draws is its own, what each does is done, and what ends badly ends alone.

MAYFLY_CLONES sets how many events of each runtime are served by copies, 50 at a time; with 1,000 or more, what takes long is
tried more often too.
"""

import collections
import json
import os
import random
import shutil
import signal
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import make_function
from inside import SOURCE as PLATFORM_API
from mayfly_process import wait_for
from test_java import JAR, compiled
from test_java import runtimes as java_runtimes
from test_nodejs import INSTALLED as NODE_RUNTIME
from test_starts import processes_of

CLONES = int(os.environ.get("MAYFLY_CLONES", "200"))
LONG = CLONES >= 1_000
AT_ONCE = 50
SEED = int(os.environ.get("MAYFLY_SEED", random.randrange(1 << 30)))
HERE = Path(__file__).parent / "copies"
LIBRARIES = Path(pytest.__file__).parent.parent

ERROR = "error"
KILLED = (ERROR, "Runtime.ExitError", "signal: killed")
LEFT = (ERROR, "Runtime.ExitError", "exit status 3")
# What comes of each kind of work; the kinds that end badly are fewer.
PYTHON = {
    "timers": [1, 2], "threads": [328350, 62], "files": [[], True, True, True], "network": True,
    "children": ["42\n", -9, 7], "garbage": [True, 20_000],
    "fail": (ERROR, "ValueError", "as it should"), "crash": (ERROR, "Runtime.ExitError", "signal: segmentation fault"),
    "kill": KILLED, "leave": LEFT, "hog": KILLED,
}
NODE = {
    "timers": True, "threads": [12, 100_000], "files": [[], 1 << 20, None], "network": [200, True],
    "children": ["42\n", "SIGKILL", "later\n"], "garbage": [20_000, 19_999, True],
    "fail": (ERROR, "RangeError", "as it should"), "crash": (ERROR, "Runtime.ExitError", "signal: aborted"),
    "kill": KILLED, "leave": LEFT, "hog": KILLED,
}
JAVA = {
    "timers": ["said", True], "threads": [40_425, 499_500], "files": [False, 7, True], "network": [200, True],
    "children": ["42\n", 7], "garbage": [20_000, 19_999, True],
    "fail": (ERROR, "java.lang.IllegalStateException", "as it should"), "kill": KILLED, "leave": LEFT,
    "crash": (ERROR, "Runtime.ExitError", "signal: aborted"),
}
BAD_IN = 5  # one in so many


class Subject:
    """A function that is served by copies."""

    def __init__(self, server, files, expected, **config):
        self.server, self.expected = server, expected
        self.name = f"copies-{uuid.uuid4().hex[:8]}"
        self.functions = server.client("lambda", read_timeout=180, max_pool_connections=64)
        settings = {"MemorySize": 256, "Timeout": 60, "Tags": {"mayfly:start": "clone"}, **config}
        make_function(self.functions, self.name, files, **settings)

    def call(self, do, number=0):
        """What came of one event: the answer, or what is wrong with it."""
        event = {"do": do, "key": f"{self.name}-{number}"}
        answer = self.functions.invoke(FunctionName=self.name, Payload=json.dumps(event))
        said = json.loads(answer["Payload"].read())
        expected = self.expected[do]
        if "FunctionError" in answer:
            right = isinstance(expected, tuple) and said["errorType"] == expected[1] and expected[2] in said["errorMessage"]
            return {} if right else {"wrong": (do, said)}
        if said["id"] != answer["ResponseMetadata"]["RequestId"]:
            return {"wrong": (do, "the answer to another event", said)}
        if isinstance(expected, tuple) or not alike(said["did"], expected):
            return {"wrong": (do, said)}
        return said

    def copied(self):
        """Wait until events are served by copies."""
        wait_for(lambda: self.call("timers").get("kind") == "snap-start", 120, lambda: self.why(), pause=0.05)
        return self

    def why(self):
        rows = map(json.loads, self.server.mayfly("starts", "--json", "--endpoint", self.server.url).splitlines())
        return f"a copy: {[row for row in rows if row['function'] == self.name]}"

    def retire(self, **variables):
        """Replace what it is copied from."""
        self.functions.update_function_configuration(FunctionName=self.name, Environment={"Variables": variables})
        self.functions.get_waiter("function_updated_v2").wait(
            FunctionName=self.name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})

    def remove(self):
        self.functions.delete_function(FunctionName=self.name)


def alike(value, expected):
    if isinstance(expected, list):
        return isinstance(value, list) and len(value) == len(expected) and all(map(alike, value, expected))
    return expected is None or value == expected


def package_of_python():
    """The function, and numpy if it is here."""
    files = {"app.py": (HERE / "app.py").read_text(), "platform_api.py": PLATFORM_API}
    for top in ("numpy", "numpy.libs"):
        for file in (LIBRARIES / top).rglob("*"):
            name = str(file.relative_to(LIBRARIES))
            if file.is_file() and "/tests/" not in name and "__pycache__" not in name and file.suffix not in (".a", ".pyi", ".h"):
                files[name] = file.read_bytes()
    return files


def python(server, **config):
    return Subject(server, package_of_python(), PYTHON, **config)


def node(server, **config):
    installed = NODE_RUNTIME.findall(server.read_log())
    if not installed:
        pytest.skip("there is no Node.js here")
    return Subject(server, {"index.js": (HERE / "index.js").read_text()}, NODE, Runtime=installed[0][0], Handler="index.handler", **config)


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    if not shutil.which("javac") or not JAR.exists():
        pytest.skip("no JDK here, or scripts/java_runtime.sh has built no Java runtime")
    return compiled(tmp_path_factory.mktemp("classes"), "stress", JAR)


@pytest.fixture(params=["python", "node", "java"])
def subject(request, server):
    """Makes the function of each runtime."""
    if "copies" not in [bucket["Name"] for bucket in server.client("s3").list_buckets()["Buckets"]]:
        server.client("s3").create_bucket(Bucket="copies")
    made = []

    def make(of=server, **config):
        if request.param == "java":
            classes, offered = request.getfixturevalue("classes"), java_runtimes(of)
            if not offered:
                pytest.skip("the server offers no Java")
            config = {"MemorySize": 384, **config, "Runtime": offered[0], "Handler": "stress.Stress"}
            made.append(Subject(of, classes, JAVA, **config))
        else:
            made.append((python if request.param == "python" else node)(of, **config))
        return made[-1]

    yield make
    for one in made:
        if one.server.running():
            one.remove()


def serve(subject, copies, kinds, at_once=AT_ONCE):
    """Serves events of these kinds in turn until so many were served by copies: what these have drawn, and how many events of
    which start there were. Events that end badly say nothing; half of them are counted."""
    chance, lock = random.Random(SEED), threading.Lock()
    good = [kind for kind in kinds if not isinstance(subject.expected.get(kind, 1), tuple)]
    bad = [kind for kind in kinds if kind not in good]
    drawn, starts, wrong, numbers = [], collections.Counter(), [], iter(range(10 * copies + 1_000))

    def work():
        while True:
            with lock:
                number = next(numbers, None)
                do = chance.choice(bad if bad and number and number % BAD_IN == 0 else good)
                if number is None or wrong or starts["snap-start"] + starts["none"] // 2 >= copies:
                    return
            try:
                said = subject.call(do, number)
            except Exception as error:  # the test fails with it below
                said = {"wrong": (do, repr(error))}
            with lock:
                starts[said.get("kind", "none")] += 1
                if "wrong" in said:
                    wrong.append(said["wrong"])
                elif said.get("kind") == "snap-start":
                    drawn.append(said["drawn"])

    with ThreadPoolExecutor(at_once) as pool:
        for done in [pool.submit(work) for _ in range(at_once)]:
            done.result()
    assert not wrong, wrong[:5]
    return drawn, starts


def assert_unique(drawn):
    for name in drawn[0]:
        seen = collections.Counter(one[name] for one in drawn)
        assert len(seen) == len(drawn), (name, seen.most_common(3))


def test_copies_do_all_kinds_of_work_and_draw_numbers_of_their_own(subject):
    print(f"MAYFLY_SEED={SEED}")
    one = subject().copied()
    begun = time.monotonic()
    drawn, starts = serve(one, CLONES, list(one.expected))
    took = time.monotonic() - begun
    print(f"{sum(starts.values())} events in {took:.1f} s: {dict(starts)}")
    assert len(drawn) >= CLONES // 2
    assert_unique(drawn)


def test_templates_are_made_while_threads_are_busy(subject):
    one = subject(Environment={"Variables": {"BUSY": "0"}})
    do = "busy" if "stress" in str(one.expected.get("fail")) or one.expected is not PYTHON else "threads"
    one.expected = {**one.expected, "busy": [True, 0] if one.expected is JAVA else True}
    for turn in range(20 if LONG else 2):
        one.retire(BUSY=str(turn + 1))
        one.copied()
        serve(one, 5, [do], at_once=5)


def test_templates_are_used_after_a_rest(subject):
    one = subject().copied()
    time.sleep(60 if LONG else 2)
    said = one.call("threads")
    assert said["kind"] == "snap-start", said
    serve(one, 20, ["timers", "threads", "files", "network"], at_once=5)


def test_what_is_killed_at_any_moment_is_made_anew(fresh_server, subject):
    server = fresh_server()
    server.client("s3").create_bucket(Bucket="copies")
    one = subject(server).copied()
    one.expected = {**one.expected}
    chance, stop, killed = random.Random(SEED), threading.Event(), []

    def kill():
        while not stop.is_set():
            for pid, _ in chance.sample(found := processes_of(server), min(1, len(found))):
                try:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
                except ProcessLookupError:
                    pass
            time.sleep(chance.uniform(0.1, 0.8))  # time for another template

    came = collections.Counter()

    def call(number):
        said = one.call(("timers", "threads", "files")[number % 3], number)
        if "wrong" in said:
            came["killed" if said["wrong"][1].get("errorType") == "Runtime.ExitError" else "wrong"] += 1
            assert "killed" in said["wrong"][1]["errorMessage"], said
        else:
            came[said["kind"]] += 1

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(call, range(min(CLONES, 2_000))))
    finally:
        stop.set()
        killer.join()
    print(f"{len(killed)} killed: {dict(came)}")
    assert came["snap-start"] and not came["wrong"]
    # A failed template may be tried again after a pause only; nothing is lost meanwhile.
    for number in range(10):
        said = one.call("threads", number)
        assert "wrong" not in said, said


def test_a_server_that_is_killed_leaves_nothing(fresh_server, subject):
    server = fresh_server()
    server.client("s3").create_bucket(Bucket="copies")
    one = subject(server).copied()
    chance = random.Random(SEED)
    for _ in range(10 if LONG else 2):
        stop = threading.Event()

        def work():
            number = 0
            while not stop.is_set():
                number += 1
                try:
                    one.call(("timers", "threads", "files", "children")[number % 4], number)
                except Exception:  # the server is killed meanwhile
                    if not stop.is_set():
                        time.sleep(0.01)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(chance.uniform(0.2, 2.0))
        below = descendants(server.pid)
        assert below
        stop.set()
        server.kill()
        for thread in threads:
            thread.join(200)
        wait_for(lambda: not alive(below), 60, lambda: f"these to end: {alive(below)}")
        server.start()
        one.copied()


def descendants(of):
    """The process and all below it."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents.setdefault(int((entry / "stat").read_text().rpartition(")")[2].split()[1]), []).append(int(entry.name))
            except (OSError, IndexError):
                continue
    found = [of]
    for pid in found:
        found.extend(parents.get(pid, []))
    return found


def alive(pids):
    def lives(pid):
        try:
            return "mayfly" in Path(f"/proc/{pid}/cgroup").read_text() or "/mayfly" in os.readlink(f"/proc/{pid}/exe")
        except OSError:
            return False

    return [pid for pid in pids if lives(pid)]
