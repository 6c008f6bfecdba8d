"""How processes come to be: copies, processes that wait ready, ones that are used again, and cold starts."""

import base64
import contextlib
import json
import os
import signal
import subprocess
import uuid

import pytest
from botocore.exceptions import ClientError
import conftest
from mayfly_process import wait_for

# Tells apart processes, and events within one: what a module holds is as old as its process.
SOURCE = """
import os, uuid
me, events = uuid.uuid4().hex, []
print("initialised")
def handler(event, context):
    events.append(context.aws_request_id)
    if event.get("do") == "raise":
        raise ValueError("no")
    if event.get("do") == "exit":
        os._exit(3)
    with open("/tmp/mark", "a") as file:
        file.write("x")
    return {
        "me": me, "before": len(events) - 1, "mark": os.path.getsize("/tmp/mark"),
        "kind": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], "setting": os.environ.get("SETTING"),
        "stream": context.log_stream_name,
    }
"""


def make_function(server, source, mode=None, floor=None):
    """A function with these tags; its name."""
    tags = {"mayfly:start": mode, "mayfly:ahead": floor}
    tags = {key: value for key, value in tags.items() if value is not None}
    name = f"starts-{uuid.uuid4().hex[:8]}"
    conftest.make_function(server.client("lambda"), name, source, Tags=tags)
    return name


def call(server, name, **event):
    """What the handler answers, and the row of its run."""
    answer = server.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    payload = json.loads(answer["Payload"].read())
    id = answer["ResponseMetadata"]["RequestId"]
    return payload, wait_for(lambda: find_run(server, name, id), 20, "the run to be in the list")


def find_run(server, name, id):
    lines = server.mayfly("runs", name, "--json", "--limit", "50", "--endpoint", server.url).splitlines()
    return next((row for row in map(json.loads, lines) if row["requestId"] == id), None)


def call_until(server, name, start, **event):
    """Calls until an event is served by a process that came to be in this way."""
    def try_once():
        payload, row = call(server, name, **event)
        return (payload, row) if row["start"] == start else None

    return wait_for(try_once, 60, f"an event to be served by a process that is {start}", pause=0.05)


def processes_of(server):
    """Process ids and commands of what runs functions' code for this server."""
    listed = subprocess.run(
        ["ps", "-eww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    below, found = {str(server.pid)}, []
    grown = True
    while grown:
        grown = False
        for pid, parent, *arguments in rows:
            if parent in below and pid not in below:
                below.add(pid)
                found.append((int(pid), " ".join(arguments)))
                grown = True
    return [(pid, arguments) for pid, arguments in found if "/var/runtime/" in arguments]


def test_ready_processes_are_used_once_each(server):
    name = make_function(server, SOURCE, "ready")
    call(server, name)
    seen = set()
    for _ in range(5):
        payload, row = call_until(server, name, "ready")
        assert payload["before"] == 0 and payload["mark"] == 1
        assert payload["me"] not in seen
        seen.add(payload["me"])
        assert payload["kind"] == "provisioned-concurrency"
        assert row["initMs"] == 0 and row["billedMs"] <= row["durationMs"] + 1
        assert row["cpuMs"] > 0 and row["peakMemoryBytes"] > 1 << 20


def test_what_is_printed_before_the_event_is_in_its_log(server):
    name = make_function(server, SOURCE, "ready")
    call_until(server, name, "ready")
    answer = server.client("lambda").invoke(FunctionName=name, Payload="{}", LogType="Tail")
    lines = base64.b64decode(answer["LogResult"]).decode().splitlines()
    assert "initialised" in lines
    if "Start: ready" in lines[-1]:
        assert "Init Duration" not in lines[-1]


def test_a_warm_process_keeps_its_state_and_serves_one_event_after_another(server):
    name = make_function(server, SOURCE, "warm")
    first, row = call(server, name)
    assert row["start"] == "cold" and first["before"] == 0 and first["kind"] == "on-demand"
    for before in range(1, 6):
        payload, row = call(server, name)
        assert (payload["me"], payload["before"], payload["mark"]) == (first["me"], before, before + 1)
        assert payload["stream"] == first["stream"]
        assert row["start"] == "warm" and row["initMs"] == 0
    # An exception leaves it; an end does not.
    call(server, name, do="raise")
    payload, _ = call(server, name)
    assert (payload["me"], payload["before"]) == (first["me"], 7)
    call(server, name, do="exit")
    payload, row = call(server, name)
    assert payload["me"] != first["me"] and row["start"] == "cold"


def test_warm_metering_is_each_event_s_own(server):
    source = """
import time
def handler(event, context):
    end = time.process_time() + event["burn"]
    while time.process_time() < end:
        pass
"""
    name = make_function(server, source, "warm")
    call(server, name, burn=0)
    _, heavy = call(server, name, burn=0.4)
    _, light = call(server, name, burn=0)
    assert heavy["start"] == light["start"] == "warm"
    assert heavy["cpuMs"] >= 400 > light["cpuMs"] + 200


@pytest.mark.parametrize("mode", ["fresh", "cold", "ready", "clone"])
def test_a_fresh_process_keeps_nothing(server, mode):
    name = make_function(server, SOURCE, mode)
    seen = set()
    for _ in range(6):
        payload, row = call(server, name)
        assert payload["before"] == 0 and payload["mark"] == 1
        seen.add(payload["stream"])
        if mode == "cold":
            assert row["start"] == "cold" and row["initMs"] > 0
    assert len(seen) == 6


def test_settings_that_make_no_sense_are_refused(server):
    for mode, floor, part in [
        ("hot", None, "none of the ways to start"),
        (None, "many", "whole number"),
        ("cold", "2", "exclude each other"),
    ]:
        with pytest.raises(ClientError, match=part) as refused:
            make_function(server, SOURCE, mode, floor)
        assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"


@pytest.mark.parametrize("mode", ["fresh", "ready", "warm"])
def test_a_change_retires_what_waits(server, mode):
    name = make_function(server, SOURCE, mode)
    for _ in range(3):
        call(server, name)
    server.client("lambda").update_function_configuration(
        FunctionName=name, Environment={"Variables": {"SETTING": "new"}})
    for _ in range(5):
        assert call(server, name)[0]["setting"] == "new"


def test_after_the_idle_period_no_process_is_left(fresh_server, tmp_path):
    settings = tmp_path / "mayfly.toml"
    settings.write_text("[ahead]\nidle_s = 1\n")
    server = fresh_server(args=["--config", str(settings)])
    for mode in ["fresh", "ready", "warm"]:
        name = make_function(server, SOURCE, mode)
        call(server, name)
    wait_for(lambda: not processes_of(server), 30, lambda: f"these to end: {processes_of(server)}")
    payload, row = call(server, name)
    assert payload["before"] == 0 and row["start"] == "cold"


def test_a_floor_is_kept_without_any_event(fresh_server, tmp_path):
    settings = tmp_path / "mayfly.toml"
    settings.write_text("[ahead]\nidle_s = 1\n")
    server = fresh_server(args=["--config", str(settings)])
    name = make_function(server, SOURCE, "ready", "2")
    wait_for(lambda: len(processes_of(server)) == 2, 30, "two processes to wait")
    # They are there, and may still be initialising.
    wait_for(lambda: call(server, name)[1]["start"] == "ready", 30, "an event to be served by one of them")
    server.restart()
    wait_for(lambda: len(processes_of(server)) == 2, 30, "two processes to wait after a restart")
    server.client("lambda").delete_function(FunctionName=name)
    wait_for(lambda: not processes_of(server), 30, "the processes of a deleted function to end")


def test_a_process_that_dies_while_it_waits_is_replaced(fresh_server):
    server = fresh_server()
    name = make_function(server, SOURCE, "ready", "1")
    for _ in range(3):
        found = wait_for(lambda: processes_of(server), 30, "a process to wait")
        for pid, _ in found:
            with contextlib.suppress(ProcessLookupError):  # ends with another that was killed
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not set(processes_of(server)) & set(found), 20, "them to end")
        payload, _ = call(server, name)
        assert payload["before"] == 0
        wait_for(lambda: set(processes_of(server)) - set(found), 60, "another process to wait")
    call_until(server, name, "ready")


def test_a_function_that_fails_to_initialise_says_so_at_each_event(server):
    name = make_function(server, "raise RuntimeError('never')\n")
    for _ in range(4):
        answer = server.client("lambda").invoke(FunctionName=name, Payload="{}")
        payload = json.loads(answer["Payload"].read())
        assert payload["errorType"] == "RuntimeError", payload
        assert payload["requestId"] == "", "as in Lambda, it is no event's"


def test_why_a_function_is_not_cloned_can_be_seen(server):
    source = """
held = open("/tmp/held", "w")
def handler(event, context):
    return 1
"""
    name = make_function(server, source)
    call_until(server, name, "ready")
    state = lambda: next(row for row in starts(server) if row["function"] == name)  # noqa: E731
    reason = wait_for(lambda: state().get("reason"), 20, "a reason")
    assert "/tmp/held" in reason or state()["template"] == "none"
    if state()["template"] == "refused":
        log = server.mayfly("logs", name, "--endpoint", server.url)
        assert log.count(f"This function is not cloned: {reason}") == 1
        shown = server.client("lambda").get_function_configuration(FunctionName=name)
        assert reason in shown["StateReason"] and shown["SnapStart"]["OptimizationStatus"] == "Off"


def test_what_waits_is_listed(server):
    name = make_function(server, SOURCE, "ready", "1")
    row = wait_for(
        lambda: next((row for row in starts(server) if row["function"] == name and row["ahead"] >= 1), None),
        30, "a process to wait",
    )
    assert (row["start"], row["template"]) == ("ready", "none") and row["memoryBytes"] > 0
    table = server.mayfly("starts", "--endpoint", server.url)
    assert table.splitlines()[0].split()[:3] == ["FUNCTION", "START", "TEMPLATE"] and name in table


def starts(server):
    return [json.loads(line) for line in server.mayfly("starts", "--json", "--endpoint", server.url).splitlines()]
