"""`mayfly bench`: load on functions, queues and buckets, and what it says of targets that are not there."""

import json
import subprocess

import pytest
from conftest import make_function
from mayfly_process import binary

SHORT = ["--seconds", "0.5", "--warm-up", "0", "--connections", "2"]


def bench(server, *arguments):
    """The sides of the comparison that it prints."""
    return json.loads(server.mayfly("bench", *arguments, *SHORT, "--endpoint", server.url, "--json"))["sides"]


@pytest.fixture(scope="module")
def targets(server):
    make_function(server.client("lambda"), "bench-f", "def handler(event, context):\n    return event\n")
    server.client("sqs").create_queue(QueueName="bench-q")
    server.client("s3").create_bucket(Bucket="bench-b")


@pytest.mark.parametrize("target", [
    ["function", "bench-f", "--payload", '{"n": 1}', "--expect", '"n"'],
    ["function", "bench-f", "--event"],
    ["queue", "bench-q"],
    ["bucket", "bench-b", "--size", "1000"],
    ["bucket", "bench-b", "--size", "1000", "--read"],
], ids=lambda target: f"{target[0]}{target[-1] if target[-1].startswith('--') else ''}")
def test_load_is_answered_and_told(server, targets, target):
    side, = bench(server, *target)
    assert side["answered"] > 0 and not side["failures"], side
    assert sum(count for _, count in side["histogramMicros"]) > 0
    assert 0 < side["p50Ms"] <= side["p99Ms"] <= side["maxMs"]
    assert side["server"]["memoryBytes"] > 1 << 20


def test_a_peer_gets_the_same_load(server, targets):
    mine, peer = bench(server, "queue", "bench-q", "--vs", server.url)
    assert mine["answered"] > 0 and peer["answered"] > 0
    assert peer["endpoint"] == server.url


def test_what_is_not_there_is_told(server, targets):
    for target, said in [
        (["queue", "no-queue"], "has no queue no-queue; make it first: 400 "),
        (["bucket", "no-bucket"], "takes no object into the bucket no-bucket; make it first: 404 NoSuchBucket"),
        (["function", "no-function"], "404 ResourceNotFoundException"),
    ]:
        done = subprocess.run(
            [str(binary()), "bench", *target, *SHORT, "--endpoint", server.url], capture_output=True, text=True, timeout=60)
        assert done.returncode != 0
        assert said.lower() in (done.stdout + done.stderr).lower()
