"""What a run is said to cost, beside what a handler of known cost does and measures itself.

Lower bounds are exact: a figure below what the handler saw for itself is wrong on any machine. Upper bounds come from
the caller's clock around the call, or from what the handler cannot have used, so a busy machine does not matter.
"""

import base64
import json
import re
import subprocess
import time
import uuid

import pytest
from conftest import make_function
from mayfly_process import wait_for

MB = 1 << 20

# The child's processor time is in `children_user` only once it was waited for.
SOURCE = '''
import os, subprocess, sys, time

BURN = "import time\\nwhile time.process_time() < {}: pass"

def hold(megabytes):
    """Memory that is really there: every page is written."""
    block = bytearray(megabytes << 20)
    for page in range(0, len(block), 4096):
        block[page] = 1
    return block

def handler(event, context):
    began = time.monotonic()
    do = event.get("do")
    if do == "raise":
        raise ValueError("x" * event["bytes"])
    if do == "exit":
        os._exit(3)
    if do == "sleep":
        time.sleep(event["seconds"])
    if do == "burn":
        while time.process_time() < event["own"]:
            pass
        subprocess.run([sys.executable, "-S", "-c", BURN.format(event["child"])], check=True)
    if do == "hold":
        hold(event["mb"])
    if do == "child":
        child = "block = bytearray({0} << 20)\\nfor page in range(0, len(block), 4096): block[page] = 1"
        subprocess.run([sys.executable, "-S", "-c", child.format(event["mb"])], check=True)
    if do == "file":
        with open("/tmp/file", "wb") as file:
            for _ in range(event["mb"]):
                file.write(b"x" * (1 << 20))
    if do == "answer":
        return "x" * event["bytes"]
    times = os.times()
    return {
        "own": times.user + times.system, "children": times.children_user + times.children_system,
        "seconds": time.monotonic() - began,
    }
'''

REPORT = re.compile(
    r"REPORT RequestId: (?P<id>\S+)\tDuration: (?P<duration>[\d.]+) ms\tBilled Duration: (?P<billed>\d+) ms\t"
    r"Memory Size: (?P<memory>\d+) MB\tMax Memory Used: (?P<peak>\d+) MB\tInit Duration: (?P<init>[\d.]+) ms\t"
    r"Start: (?P<start>\w+)\tQueue Duration: (?P<queue>[\d.]+) ms\tCPU Time: (?P<cpu>[\d.]+) ms\t"
    r"Bytes In: (?P<bytes_in>\d+)\tBytes Out: (?P<bytes_out>\d+)\t(?P<status>.*)"
)


class Cost:
    """One call: what the handler answered, what the caller saw, and what the platform says that it cost."""

    def __init__(self, server, name, event):
        payload = json.dumps(event)
        began = time.monotonic()
        answer = server.client("lambda", read_timeout=60).invoke(
            FunctionName=name, Payload=payload, LogType="Tail"
        )
        self.wall_ms = (time.monotonic() - began) * 1000
        self.id = answer["ResponseMetadata"]["RequestId"]
        self.body = answer["Payload"].read()
        self.answer = json.loads(self.body)
        self.sent = len(payload)
        self.report = REPORT.match(base64.b64decode(answer["LogResult"]).decode().splitlines()[-1])
        assert self.report and self.report["id"] == self.id
        self.row = wait_for(lambda: row_of(server, name, self.id), 20, "the run's row")
        self.agrees()

    def agrees(self):
        """The REPORT line and the row in the store state the same, as precisely as each can."""
        for field, key in [("duration", "durationMs"), ("init", "initMs"), ("queue", "queueMs"), ("cpu", "cpuMs")]:
            assert abs(float(self.report[field]) - self.row[key]) <= 0.0051, (field, self.report[0], self.row)
        assert int(self.report["billed"]) == self.row["billedMs"]
        assert int(self.report["memory"]) == self.row["memoryMB"]
        assert int(self.report["peak"]) == -(-self.row["peakMemoryBytes"] // MB)
        assert int(self.report["bytes_in"]) == self.row["bytesIn"] == self.sent
        assert int(self.report["bytes_out"]) == self.row["bytesOut"] == len(self.body)
        assert self.report["start"] == self.row["start"] == "cold"
        # Billed is initialisation and handler, and all of it lies within the call; 2 ms for clocks that differ.
        whole = self.row["initMs"] + self.row["durationMs"]
        assert whole <= self.row["billedMs"] < whole + 1
        assert self.row["queueMs"] + whole <= self.wall_ms + 2


def row_of(server, name, id):
    rows = server.mayfly("runs", name, "--json", "--endpoint", server.url).splitlines()
    return next((row for row in map(json.loads, rows) if row["requestId"] == id), None)


@pytest.fixture(scope="module")
def call(server):
    # The figures of other starts are compared in test_starts.py.
    cold = {"mayfly:start": "cold"}
    make_function(server.client("lambda"), "metered", SOURCE, MemorySize=512, Timeout=60, Tags=cold)
    return lambda do="nothing", **more: Cost(server, "metered", {"do": do, **more})


@pytest.fixture(scope="module")
def exact(server):
    """Whether this machine measures the whole tree."""
    return re.search(r"metering +cgroup", server.read_log()) is not None


def test_a_sleep_costs_time_but_no_processor(call):
    cost = call("sleep", seconds=0.5)
    assert cost.row["durationMs"] >= cost.answer["seconds"] * 1000 >= 500
    assert cost.row["initMs"] > 0 and cost.row["queueMs"] >= 0
    assert cost.row["status"] == "success" and "errorType" not in cost.row
    # Starting the interpreter takes some; half a second of sleep would be seen.
    assert cost.row["cpuMs"] < cost.row["initMs"] + cost.row["durationMs"] - 400


def test_processor_time_is_that_of_the_whole_tree(call, exact):
    idle = call()
    cost = call("burn", own=0.3, child=0.4)
    own, children = cost.answer["own"], cost.answer["children"]
    assert own >= 0.29 and children >= 0.39  # os.times() counts ticks of 10 ms
    if exact:
        assert cost.row["cpuMs"] >= 700
        # No more than the handler saw itself and what a start costs: making the sandbox, and a tick for each figure.
        assert cost.row["cpuMs"] <= (own + children) * 1000 + 5 * idle.row["cpuMs"] + 100
    assert cost.row["durationMs"] >= 700 - cost.row["initMs"]


@pytest.mark.parametrize("do", ["hold", "child", "file"])
def test_peak_memory_is_that_of_the_whole_tree(call, exact, do):
    """Of the handler, of a child that has ended, and of files in /tmp, which are memory."""
    if not exact:
        pytest.skip("no control group measures memory here")
    idle = call()
    cost = call(do, mb=200)
    assert cost.row["peakMemoryBytes"] >= 200 * MB
    # A child is one more interpreter; the rest is what the kernel hands out in advance.
    assert cost.row["peakMemoryBytes"] <= 200 * MB + 2 * idle.row["peakMemoryBytes"] + 32 * MB
    assert idle.row["peakMemoryBytes"] < 100 * MB


def test_bytes_are_those_of_event_and_answer(call):
    cost = call("answer", bytes=100_000, padding="y" * 50_000)
    assert cost.sent > 50_000 and cost.row["bytesIn"] == cost.sent
    assert cost.row["bytesOut"] == 100_002  # the quotes of a JSON string


def test_failed_runs_are_in_the_bill_too(call):
    cost = call("raise", bytes=1000)
    assert (cost.row["status"], cost.row["errorType"]) == ("error", "ValueError")
    assert cost.row["bytesOut"] == len(cost.body) > 1000
    cost = call("exit")
    assert (cost.row["status"], cost.row["errorType"]) == ("error", "Runtime.ExitError")
    assert cost.report["status"].startswith("Status: error")


def test_a_time_limit_is_paid_whole(server, exact):
    name = f"late-{uuid.uuid4().hex[:8]}"
    make_function(server.client("lambda"), name, SOURCE, Timeout=1, MemorySize=128, Tags={"mayfly:start": "cold"})
    cost = Cost(server, name, {"do": "burn", "own": 30, "child": 0})
    assert cost.row["status"] == "timeout" and cost.report["status"].startswith("Status: timeout")
    assert cost.row["durationMs"] >= 1000
    if exact:
        # It burned as much of that second as the machine gave it, and never more than one processor's.
        assert 0 < cost.row["cpuMs"] <= cost.row["initMs"] * 4 + cost.row["durationMs"] + 100


def test_durable_events_are_in_the_bill_with_every_attempt(fresh_server, tmp_path):
    config = tmp_path / "mayfly.toml"
    config.write_text("[events]\nretry_delay_s = 1\n")
    server = fresh_server(args=["--config", str(config)])
    client = server.client("lambda")
    make_function(client, "later", SOURCE)
    client.invoke(FunctionName="later", InvocationType="Event", Payload=json.dumps({"do": "raise", "bytes": 1}))

    def rows():
        lines = server.mayfly("runs", "later", "--json", "--endpoint", server.url).splitlines()
        return [json.loads(line) for line in lines] if len(lines) == 3 else None

    third, second, first = wait_for(rows, 60, "three attempts")
    assert [row["attempt"] for row in (first, second, third)] == [0, 1, 2]
    assert len({row["requestId"] for row in (first, second, third)}) == 1
    # The wait counts from the acceptance of the event.
    assert first["queueMs"] < second["queueMs"] < third["queueMs"] and second["queueMs"] >= 1000


def test_waiting_for_room_is_queue_time(fresh_server, tmp_path):
    config = tmp_path / "mayfly.toml"
    config.write_text("[functions]\nconcurrency = 1\n")
    server = fresh_server(args=["--config", str(config)])
    client = server.client("lambda")
    make_function(client, "slow", SOURCE)
    for _ in range(3):
        client.invoke(
            FunctionName="slow", InvocationType="Event", Payload=json.dumps({"do": "sleep", "seconds": 0.3})
        )

    def rows():
        lines = server.mayfly("runs", "slow", "--json", "--endpoint", server.url).splitlines()
        return [json.loads(line) for line in lines] if len(lines) == 3 else None

    third, second, first = wait_for(rows, 60, "three runs")
    # One after the other: the third waited for two sleeps, but for the moments between the acceptances.
    assert third["queueMs"] > second["queueMs"] > first["queueMs"]
    assert third["queueMs"] >= 300


def test_the_command_lists_runs_for_people_and_programs(server, call):
    cost = call("sleep", seconds=0)
    table = server.mayfly("runs", "metered", "--limit", "2", "--endpoint", server.url).splitlines()
    assert table[0].split()[:4] == ["ENDED", "FUNCTION", "REQUEST", "STATUS"] and len(table) == 3
    assert cost.id in table[1] and "success" in table[1]
    # All functions together; and a name that never was is a mistake.
    everything = server.mayfly("runs", "--json", "--endpoint", server.url).splitlines()
    assert any(json.loads(row)["requestId"] == cost.id for row in everything)
    with pytest.raises(subprocess.CalledProcessError) as error:
        server.mayfly("runs", "nobody", "--endpoint", server.url)
    assert "There is no function nobody" in error.value.stderr
