"""The harness itself: a server that stays silent must not pass for one that is well."""

import os
import signal
import subprocess

import pytest
from mayfly_process import binary, trouble, wait_for


def test_finds_trouble_in_a_log():
    log = """mayfly listening on http://127.0.0.1:9000
2026-11-23T10:00:00.000000Z  INFO mayfly: an ERROR told of in passing
2026-11-23T10:00:00.000000Z  WARN mayfly::pool: refilled late
2026-11-23T10:00:00.000000Z ERROR mayfly: lost
WARN no time in front
thread 'main' panicked at crates/mayfly/src/main.rs:1:1:
"""
    assert [line.split()[-1] for line in trouble(log)] == [
        "late", "lost", "front", "crates/mayfly/src/main.rs:1:1:",
    ]


def test_waits_until_the_deadline():
    answers = iter([0, "", "done"])
    assert wait_for(lambda: next(answers), 5, "an answer") == "done"
    with pytest.raises(TimeoutError, match="waited 0.05 s for rain"):
        wait_for(lambda: False, 0.05, "rain")


def test_a_server_starts_again_at_the_same_port(fresh_server):
    server = fresh_server()
    port = server.port
    os.kill(server.pid, signal.SIGKILL)
    server.restart()
    assert server.port == port and server.running()
    assert server.stop() == 0, "SIGTERM ends it in order"
    assert not server.running()


def test_a_signal_as_soon_as_it_listens_stops_it_in_order(tmp_path):
    for _ in range(5):
        command = [binary(), "serve", "--data-dir", tmp_path, "--listen", "127.0.0.1:0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
            assert "listens on" in server.stdout.readline()
            server.terminate()
            told = server.stdout.read()
            assert server.wait(timeout=60) == 0
        assert "stopping: work under way has" in told


def test_an_expected_line_is_no_trouble_and_others_are(fresh_server):
    server = fresh_server()
    with open(server.log, "a") as log:
        log.write("ERROR disk full\nWARN slow disk\n")
    server.expect_log("slow")
    assert server.check_log() == ["ERROR disk full"]
    assert server.check_log() == [], "each line is told once"
