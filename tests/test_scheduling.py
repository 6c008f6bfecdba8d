"""Limits, fairness and asynchronous events, as a client of the real server sees them."""

import json
import threading

import pytest
from botocore.exceptions import ClientError

from conftest import make_function, wait_for
from inside import SOURCE as PLATFORM_API

SLEEPER = """
import time
def handler(event, context):
    time.sleep(event.get("s", 0))
    return event
"""

# Ends when the object `gate/open` is there.
GATED = """
import time, urllib.error
from platform_api import call
def handler(event, context):
    until = time.monotonic() + 60
    while True:
        try:
            return call("s3", "GET", "/gate/open").decode()
        except urllib.error.HTTPError as error:
            if error.code != 404 or time.monotonic() > until:
                raise
        time.sleep(0.02)
"""

# Fails if it is told so; writes what it is told by a destination to its log.
TELLER = """
import json
def handler(event, context):
    if event.get("fail"):
        raise ValueError("as asked")
    print("heard " + json.dumps(event))
    return event
"""


@pytest.fixture
def quick(fresh_server, tmp_path):
    """A server on which nothing waits for long."""
    config = tmp_path / "mayfly.toml"
    config.write_text(
        "[functions]\nwait_ms = 400\nconcurrency = 102\n[events]\nretry_delay_s = 0\nleast_running = 2\n"
    )
    return fresh_server(args=["--config", str(config)])


def invoke(client, name, event, kind="RequestResponse"):
    return client.invoke(FunctionName=name, Payload=json.dumps(event), InvocationType=kind)


def refused(call):
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response


def test_a_function_at_its_reservation_waits_and_is_then_throttled(quick):
    client = quick.client("lambda")
    for name in ("r", "other"):
        make_function(client, name, SLEEPER)
    client.put_function_concurrency(FunctionName="r", ReservedConcurrentExecutions=1)
    limits = client.get_account_settings()["AccountLimit"]
    assert (limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]) == (102, 101)
    assert client.get_function(FunctionName="r")["Concurrency"]["ReservedConcurrentExecutions"] == 1
    busy = threading.Thread(target=invoke, args=(quick.client("lambda"), "r", {"s": 2}))
    busy.start()
    wait_for(lambda: any(row["function"] == "r" and row["running"] for row in starts(quick)), 30, "a run")
    response = refused(lambda: invoke(client, "r", {}))
    assert response["Error"]["Code"] == "TooManyRequestsException"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert invoke(client, "other", {})["StatusCode"] == 200
    busy.join(timeout=30)
    client.put_function_concurrency(FunctionName="r", ReservedConcurrentExecutions=0)
    assert refused(lambda: invoke(client, "r", {}))["Error"]["Code"] == "TooManyRequestsException"
    client.delete_function_concurrency(FunctionName="r")
    assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(FunctionName="r")
    assert invoke(client, "r", {})["StatusCode"] == 200


def starts(server):
    return [json.loads(line) for line in server.mayfly("starts", "--json", "--endpoint", server.url).splitlines()]


def heard(server, name, count):
    """The documents that the function `name` was sent, as soon as there are so many."""
    def lines():
        log = server.mayfly("logs", name, "--endpoint", server.url)
        found = [line.split("heard ", 1)[1] for line in log.splitlines() if "heard " in line]
        return found if len(found) >= count else None
    return [json.loads(line) for line in wait_for(lines, 30, f"{count} records in the log of {name}")]


def test_events_are_retried_as_told_and_records_go_to_their_destinations(quick):
    client = quick.client("lambda")
    arns = {name: make_function(client, name, TELLER)["FunctionArn"] for name in ("source", "yes", "no")}
    client.put_function_event_invoke_config(
        FunctionName="source", MaximumRetryAttempts=1, MaximumEventAgeInSeconds=3600,
        DestinationConfig={"OnSuccess": {"Destination": arns["yes"]}, "OnFailure": {"Destination": arns["no"]}},
    )
    shown = client.list_function_event_invoke_configs(FunctionName="source")["FunctionEventInvokeConfigs"]
    assert [one["FunctionArn"] for one in shown] == [arns["source"] + ":$LATEST"]
    invoke(client, "source", {"fail": True, "n": 1}, "Event")
    invoke(client, "source", {"n": 2}, "Event")
    [failed] = heard(quick, "no", 1)
    assert failed["requestContext"]["condition"] == "RetriesExhausted"
    assert failed["requestContext"]["approximateInvokeCount"] == 2
    assert failed["requestPayload"] == {"fail": True, "n": 1}
    assert failed["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
    assert failed["responsePayload"]["errorType"] == "ValueError"
    [done] = heard(quick, "yes", 1)
    assert done["requestContext"]["condition"] == "Success"
    assert done["responsePayload"] == {"n": 2}
    client.put_function_concurrency(FunctionName="source", ReservedConcurrentExecutions=0)
    invoke(client, "source", {"n": 3}, "Event")
    assert heard(quick, "no", 2)[1]["requestContext"]["condition"] == "ZeroReservedConcurrency"


def test_events_that_are_given_up_go_to_queues(quick):
    client, sqs = quick.client("lambda"), quick.client("sqs")
    queues = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("dead", "records")}
    arns = {name: f"arn:aws:sqs:us-east-1:000000000000:{name}" for name in queues}
    shown = make_function(client, "lost", TELLER, DeadLetterConfig={"TargetArn": arns["dead"]})
    assert shown["DeadLetterConfig"] == {"TargetArn": arns["dead"]}
    # A configuration without a target changes nothing.
    shown = client.update_function_configuration(FunctionName="lost", DeadLetterConfig={})
    assert shown["DeadLetterConfig"] == {"TargetArn": arns["dead"]}
    client.put_function_event_invoke_config(
        FunctionName="lost", MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": arns["records"]}}
    )
    invoke(client, "lost", {"fail": True}, "Event")

    def received(name):
        got = sqs.receive_message(QueueUrl=queues[name], WaitTimeSeconds=20, MessageAttributeNames=["All"])
        [message] = got["Messages"]
        return message
    letter = received("dead")
    assert json.loads(letter["Body"]) == {"fail": True}
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert attributes["ErrorMessage"] == "as asked" and attributes["ErrorCode"] == "200"
    record = json.loads(received("records")["Body"])
    assert record["requestContext"]["requestId"] == attributes["RequestID"]
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    gone = refused(lambda: client.update_function_configuration(
        FunctionName="lost", DeadLetterConfig={"TargetArn": arns["dead"] + "x"}))
    assert gone["Error"]["Code"] == "InvalidParameterValueException"


def test_functions_that_send_records_to_each_other_are_stopped(quick):
    client = quick.client("lambda")
    # What it returns is in the next record, so it returns little.
    source = "def handler(event, context):\n    return 1\n"
    arns = {name: make_function(client, name, source)["FunctionArn"] for name in ("ping", "pong")}
    for name, other in (("ping", "pong"), ("pong", "ping")):
        client.put_function_event_invoke_config(
            FunctionName=name, DestinationConfig={"OnSuccess": {"Destination": arns[other]}}
        )
    invoke(client, "ping", {}, "Event")
    def stopped():
        return [line for line in quick.mayfly("failed-events", "--endpoint", quick.url).splitlines()
                if "RecursionDetected" in line]
    wait_for(stopped, 30, "the loop to be stopped")
    runs = quick.mayfly("runs", "--json", "--endpoint", quick.url, "--limit", "100").splitlines()
    assert len(runs) == 32


def test_a_backlog_of_one_function_does_not_hold_up_another(fresh_server, tmp_path):
    config = tmp_path / "mayfly.toml"
    config.write_text("[functions]\nconcurrency = 2\n")
    server = fresh_server(args=["--config", str(config)])
    client, s3 = server.client("lambda"), server.client("s3")
    s3.create_bucket(Bucket="gate")
    make_function(client, "noisy", {"app.py": GATED, "platform_api.py": PLATFORM_API}, Timeout=90)
    make_function(client, "quiet", SLEEPER)
    for _ in range(100):
        invoke(client, "noisy", {}, "Event")
    invoke(client, "quiet", {}, "Event")
    # Two of the noisy ones hold all places, and no other of them has begun, when the quiet one is accepted.
    s3.put_object(Bucket="gate", Key="open", Body=b"yes")
    def order():
        lines = server.mayfly("runs", "--json", "--endpoint", server.url, "--limit", "400").splitlines()
        return [json.loads(line)["function"] for line in reversed(lines)] if len(lines) == 101 else None
    runs = wait_for(order, 60, "all runs")
    # It is among the next ones: a place is given when an event ends, and its run is noted later, so some may overtake it.
    assert runs.index("quiet") <= 6, runs


def test_a_second_server_takes_over_when_the_first_is_gone(fresh_server):
    first = fresh_server()
    client = first.client("lambda")
    make_function(client, "kept", TELLER)
    invoke(client, "kept", {"n": 1}, "Event")
    # Several times: what the first leaves is removed while the second begins.
    for n in range(2, 6):
        second = []
        thread = threading.Thread(
            target=lambda: second.append(fresh_server(data_dir=first.data_dir, args=["--standby"]))
        )
        thread.start()
        first.kill()
        thread.join(timeout=30)
        assert second, "no server took over"
        first = second[0]
        assert json.load(invoke(first.client("lambda"), "kept", {"n": n})["Payload"]) == {"n": n}
        assert heard(first, "kept", n)
