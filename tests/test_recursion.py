"""Loops: functions whose events lead to more of their events are stopped, unless their owner allows it."""

import json
import uuid

import pytest
from conftest import ACCOUNT, REGION, make_function, wait_for

# What SDKs do inside of a function: the trace header goes with every call.
SOURCE = """
import json, os, time, urllib.request
def call(service, path, body, **headers):
    at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"] + path, json.dumps(body).encode(), method="POST", headers={
        "X-Amzn-Trace-Id": os.environ["_X_AMZN_TRACE_ID"],
        "x-amz-date": at, "Authorization": f"AWS4-HMAC-SHA256 Credential=f/{at[:8]}/us-east-1/{service}/aws4_request, "
                         "SignedHeaders=host, Signature=0", **headers})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read()
def sqs(url, text):
    call("sqs", "/", {"QueueUrl": url, "MessageBody": text},
         **{"X-Amz-Target": "AmazonSQS.SendMessage", "Content-Type": "application/x-amz-json-1.0"})
def handler(event, context):
    said = json.loads(event["Records"][0]["body"]) if "Records" in event else event
    turn = said["turn"] + 1
    sqs(os.environ["TOLD"], str(turn))
    if turn < said["most"]:
        said = dict(said, turn=turn)
        if said["by"] == "queue":
            sqs(said["queue"], json.dumps(said))
        else:
            path = f"/2015-03-31/functions/{context.function_name}/invocations"
            return json.loads(call("lambda", path, said, **{"X-Amz-Invocation-Type": said["by"]}) or b"null")
    return turn
"""
# So many events of a function lead to one that still runs.
STOPPED_AT = 16


@pytest.fixture
def looping(server):
    """A function that makes events for itself, the queue that tells of its turns, and what is called when with them."""
    sqs, lam, name = server.client("sqs"), server.client("lambda"), f"loop-{uuid.uuid4().hex[:8]}"
    told = sqs.create_queue(QueueName=f"{name}-told")["QueueUrl"]
    make_function(lam, name, SOURCE, Timeout=60, Environment={"Variables": {"TOLD": told}})
    seen = []

    def turns():
        got = sqs.receive_message(QueueUrl=told, MaxNumberOfMessages=10)
        for message in got.get("Messages", []):
            seen.append(int(message["Body"]))
            sqs.delete_message(QueueUrl=told, ReceiptHandle=message["ReceiptHandle"])
        return sorted(seen)

    return sqs, lam, name, turns


def queue(sqs, name, **attributes):
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def test_a_loop_through_a_queue_ends_in_its_dead_letters(looping):
    sqs, lam, name, turns = looping
    dead, dead_arn = queue(sqs, f"{name}-dead")
    policy = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 1})
    url, arn = queue(sqs, name, VisibilityTimeout="1", RedrivePolicy=policy)
    # A function's timeout is longer than the queue's: AWS wants it the other way round.
    lam.update_function_configuration(FunctionName=name, Timeout=1)
    lam.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.1})
    lam.create_event_source_mapping(FunctionName=name, EventSourceArn=arn, BatchSize=1)
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"by": "queue", "queue": url, "turn": 0, "most": 40}))
    wait_for(lambda: len(turns()) >= STOPPED_AT, 60, lambda: f"the loop's turns: {turns()}")
    got = sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=20, MessageSystemAttributeNames=["AWSTraceHeader"])
    assert turns() == list(range(1, STOPPED_AT + 1))
    message = got["Messages"][0]
    assert json.loads(message["Body"])["turn"] == STOPPED_AT
    assert f":{STOPPED_AT}" in message["Attributes"]["AWSTraceHeader"].split("Lineage=")[1]


def test_a_loop_of_asynchronous_calls_is_told_to_the_failure_destination(looping):
    sqs, lam, name, turns = looping
    failed, failed_arn = queue(sqs, f"{name}-failed")
    lam.put_function_event_invoke_config(
        FunctionName=name, DestinationConfig={"OnFailure": {"Destination": failed_arn}})
    lam.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps({"by": "Event", "turn": 0, "most": 40}))
    got = sqs.receive_message(QueueUrl=failed, WaitTimeSeconds=20)
    record = json.loads(got["Messages"][0]["Body"])
    assert record["requestContext"]["condition"] == "RecursionDetected"
    assert record["requestPayload"]["turn"] == STOPPED_AT
    wait_for(lambda: turns() == list(range(1, STOPPED_AT + 1)), 20, lambda: f"the loop's turns: {turns()}")


def test_a_loop_of_calls_is_refused_and_one_that_is_allowed_goes_on(looping):
    sqs, lam, name, turns = looping
    event = json.dumps({"by": "RequestResponse", "turn": 0, "most": 20})
    answer = lam.invoke(FunctionName=name, Payload=event)
    # The innermost fails, since its call is refused, and the others hand on what it is answered with.
    assert json.load(answer["Payload"])["errorMessage"] == "HTTP Error 400: Bad Request"
    wait_for(lambda: turns() == list(range(1, STOPPED_AT + 1)), 20, lambda: f"the loop's turns: {turns()}")
    lam.put_function_recursion_config(FunctionName=name, RecursiveLoop="Allow")
    assert json.load(lam.invoke(FunctionName=name, Payload=event)["Payload"]) == 20
