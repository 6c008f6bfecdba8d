"""Event source mappings: queues that start functions."""

import hashlib
import json
import time
import uuid

import pytest
from conftest import ACCOUNT, REGION, make_function, refused, wait_for

ARN = f"arn:aws:sqs:{REGION}:{ACCOUNT}:"

# Tells each batch to a queue of its own, and fails as the messages say.
SOURCE = """
import json, os, time, urllib.request
def tell(text):
    urllib.request.urlopen(urllib.request.Request(
        os.environ["AWS_ENDPOINT_URL"], method="POST",
        data=json.dumps({"QueueUrl": os.environ["TOLD"], "MessageBody": text}).encode(),
        headers={"X-Amz-Target": "AmazonSQS.SendMessage", "Content-Type": "application/x-amz-json-1.0",
                 "Authorization": "AWS4-HMAC-SHA256 Credential=f/20260101/us-east-1/sqs/aws4_request, "
                                  "SignedHeaders=host, Signature=0"}), timeout=10).read()
def handler(event, context):
    bodies = [json.loads(record["body"]) for record in event["Records"]]
    tell(json.dumps(event))
    time.sleep(max(body.get("sleep", 0) for body in bodies))
    if any(body.get("fail") for body in bodies):
        raise RuntimeError("as asked")
    return {"batchItemFailures": [
        {"itemIdentifier": record["messageId"]}
        for record, body in zip(event["Records"], bodies) if body.get("bad")
    ]}
"""


@pytest.fixture(scope="module")
def clients(server):
    return server.client("lambda"), server.client("sqs")


class Wired:
    """A queue, a function that it starts, and a queue that tells what the function got."""

    def __init__(self, clients, attributes=None, fifo=False, timeout=3, **mapping):
        self.lam, self.sqs = clients
        self.name = f"es-{uuid.uuid4().hex[:10]}"
        suffix = ".fifo" if fifo else ""
        attributes = dict(attributes or {}, **({"FifoQueue": "true"} if fifo else {}))
        self.queue = self.sqs.create_queue(QueueName=self.name + suffix, Attributes=attributes)["QueueUrl"]
        self.told = self.sqs.create_queue(QueueName=f"{self.name}-told")["QueueUrl"]
        make_function(self.lam, self.name, SOURCE, Timeout=timeout,
                      Environment={"Variables": {"TOLD": self.told}})
        self.arn = ARN + self.name + suffix
        self.made = self.lam.create_event_source_mapping(
            EventSourceArn=self.arn, FunctionName=self.name, **mapping)
        self.uuid = self.made["UUID"]

    def send(self, *bodies, group=None):
        for at in range(0, len(bodies), 10):
            self.sqs.send_message_batch(QueueUrl=self.queue, Entries=[
                {"Id": str(n), "MessageBody": json.dumps(body),
                 **({"MessageGroupId": group or body["group"], "MessageDeduplicationId": uuid.uuid4().hex}
                    if group or "group" in body else {})}
                for n, body in enumerate(bodies[at:at + 10])])

    def batches(self, records, timeout=20):
        """Events until so many records were told."""
        events, seen, deadline = [], 0, time.monotonic() + timeout
        while seen < records:
            assert time.monotonic() < deadline, (seen, events)
            got = self.sqs.receive_message(QueueUrl=self.told, WaitTimeSeconds=2, MaxNumberOfMessages=10)
            for message in got.get("Messages", []):
                self.sqs.delete_message(QueueUrl=self.told, ReceiptHandle=message["ReceiptHandle"])
                events.append(json.loads(message["Body"])["Records"])
                seen += len(events[-1])
        return events

    def left(self, queue=None):
        told = self.sqs.get_queue_attributes(QueueUrl=queue or self.queue, AttributeNames=["All"])["Attributes"]
        return sum(int(told[f"ApproximateNumberOfMessages{kind}"]) for kind in ("", "NotVisible", "Delayed"))

    def wait_until_empty(self):
        wait_for(lambda: self.left() == 0, 20, "the queue is not emptied")

    def end(self):
        self.lam.delete_event_source_mapping(UUID=self.uuid)


@pytest.fixture
def wired(clients):
    made = []

    def wire(*args, **kwargs):
        made.append(Wired(clients, *args, **kwargs))
        return made[-1]

    yield wire
    for one in made:
        one.end()


def numbers(records):
    return [json.loads(record["body"])["n"] for record in records]


def test_messages_start_the_function_with_the_event_that_aws_sends(wired):
    one = wired()
    one.sqs.send_message(
        QueueUrl=one.queue, MessageBody='{"n": 1}',
        MessageAttributes={"t": {"DataType": "String", "StringValue": "v"},
                           "b": {"DataType": "Binary", "BinaryValue": b"\x00\x01"}})
    record = one.batches(1)[0][0]
    assert len(record.pop("receiptHandle")) > 40 and len(record.pop("messageId")) == 36
    attributes = record.pop("attributes")
    assert set(attributes) == {"ApproximateReceiveCount", "SentTimestamp", "SenderId",
                               "ApproximateFirstReceiveTimestamp"}
    assert attributes["ApproximateReceiveCount"] == "1"
    assert len(record.pop("md5OfMessageAttributes")) == 32
    assert record == {
        "body": '{"n": 1}', "md5OfBody": hashlib.md5(b'{"n": 1}').hexdigest(),
        "messageAttributes": {
            "t": {"stringValue": "v", "stringListValues": [], "binaryListValues": [], "dataType": "String"},
            "b": {"binaryValue": "AAE=", "stringListValues": [], "binaryListValues": [], "dataType": "Binary"},
        },
        "eventSource": "aws:sqs", "eventSourceARN": one.arn, "awsRegion": REGION,
    }
    one.wait_until_empty()


def test_batches_gather_within_their_window_and_filters_hold(wired):
    one = wired(BatchSize=100, MaximumBatchingWindowInSeconds=2, FilterCriteria={"Filters": [
        {"Pattern": json.dumps({"body": {"n": [{"numeric": [">=", 10]}]}})}]})
    one.send(*({"n": n} for n in range(40)))
    events = one.batches(30)
    assert sorted(n for records in events for n in numbers(records)) == list(range(10, 40))
    assert len(events) <= 3
    one.wait_until_empty()


def test_failures_come_back_alone_and_end_in_the_dead_letters(wired, clients):
    sqs = clients[1]
    dead = sqs.create_queue(QueueName=f"dead-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    policy = json.dumps({"deadLetterTargetArn": ARN + dead.rsplit("/", 1)[1], "maxReceiveCount": 2})
    one = wired({"RedrivePolicy": policy, "VisibilityTimeout": "3"}, timeout=3,
                FunctionResponseTypes=["ReportBatchItemFailures"])
    one.send({"n": 1}, {"n": 2, "bad": True}, {"n": 3})
    got = one.batches(4)
    told = [n for records in got for n in numbers(records)]
    assert sorted(told) == [1, 2, 2, 3]
    wait_for(lambda: one.left(dead) == 1, 20, "the poison is not in the dead-letter queue")
    one.wait_until_empty()


def test_a_failed_message_holds_its_own_group_only(wired):
    one = wired({"VisibilityTimeout": "3"}, fifo=True, timeout=3, BatchSize=1)
    one.send({"n": 1, "group": "a", "fail": True}, {"n": 2, "group": "a"}, {"n": 3, "group": "b"},
             {"n": 4, "group": "b"})
    told = [n for records in one.batches(4) for n in numbers(records)]
    assert [n for n in told if n > 2] == [3, 4]
    assert [n for n in told if n <= 2] == [1] * told.count(1) and told.count(1) >= 1


def test_concurrency_is_bounded_and_a_batch_never_runs_twice_at_once(wired):
    one = wired({"VisibilityTimeout": "2"}, timeout=2, BatchSize=1, ScalingConfig={"MaximumConcurrency": 2})
    began = time.monotonic()
    one.send(*({"n": n, "sleep": 0.5} for n in range(6)))
    told = [n for records in one.batches(6) for n in numbers(records)]
    assert sorted(told) == list(range(6))
    assert time.monotonic() - began > 1
    one.wait_until_empty()


def test_the_operations_and_what_they_refuse(clients, wired):
    lam, sqs = clients
    one = wired(Enabled=False, BatchSize=5, Tags={"k": "v"})
    made = one.made
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert {name: made[name] for name in ("State", "BatchSize", "EventSourceArn", "StateTransitionReason",
                                          "MaximumBatchingWindowInSeconds", "FunctionResponseTypes")} == {
        "State": "Creating", "BatchSize": 5, "EventSourceArn": one.arn,
        "StateTransitionReason": "USER_INITIATED", "MaximumBatchingWindowInSeconds": 0,
        "FunctionResponseTypes": []}
    assert lam.get_event_source_mapping(UUID=one.uuid)["State"] == "Disabled"
    one.send({"n": 1})
    listed = lam.list_event_source_mappings(EventSourceArn=one.arn)["EventSourceMappings"]
    assert [mapping["UUID"] for mapping in listed] == [one.uuid]
    listed = lam.list_event_source_mappings(FunctionName=one.name)["EventSourceMappings"]
    assert [mapping["UUID"] for mapping in listed] == [one.uuid]
    assert lam.list_event_source_mappings(EventSourceArn=ARN + "none")["EventSourceMappings"] == []
    assert one.left() == 1
    updated = lam.update_event_source_mapping(UUID=one.uuid, Enabled=True, BatchSize=1)
    assert (updated["State"], updated["BatchSize"]) == ("Enabling", 1)
    assert lam.get_event_source_mapping(UUID=one.uuid)["State"] == "Enabled"
    one.batches(1)
    make = {"EventSourceArn": one.arn, "FunctionName": one.name}
    assert one.uuid in refused("ResourceConflictException", lam.create_event_source_mapping, 409, **make)
    slow = sqs.create_queue(QueueName=f"slow-{uuid.uuid4().hex}", Attributes={"VisibilityTimeout": "1"})["QueueUrl"]
    slow = ARN + slow.rsplit("/", 1)[1]
    fifo = sqs.create_queue(QueueName=f"f-{uuid.uuid4().hex}.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    fifo = ARN + fifo.rsplit("/", 1)[1]
    bad = "InvalidParameterValueException"
    for code, part, changes in [
        ("InvalidParameterValueException", "Function does not exist", {"FunctionName": "none"}),
        (bad, "NonExistentQueue", {"EventSourceArn": ARN + "none"}),
        (bad, "Unrecognized event source", {"EventSourceArn": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s"}),
        (bad, "is less than Function timeout: 3 seconds", {"EventSourceArn": slow}),
        (bad, "StartingPosition", {"StartingPosition": "LATEST"}),
        (bad, "MaximumRetryAttempts", {"MaximumRetryAttempts": 1}),
        (bad, "must be greater than 0", {"BatchSize": 11}),
        (bad, "FIFO", {"EventSourceArn": fifo, "BatchSize": 11, "MaximumBatchingWindowInSeconds": 1}),
        (bad, "FIFO", {"EventSourceArn": fifo, "MaximumBatchingWindowInSeconds": 1}),
        (bad, "Invalid filter pattern", {"FilterCriteria": {"Filters": [{"Pattern": '{"a": "b"}'}]}}),
        (bad, "Invalid filter pattern", {"FilterCriteria": {"Filters": [{"Pattern": "{"}]}}),
        ("ValidationException", "batchSize", {"BatchSize": 10_001}),
        ("ValidationException", "maximumConcurrency", {"ScalingConfig": {"MaximumConcurrency": 1001}}),
    ]:
        message = refused(code, lam.create_event_source_mapping, **{**make, **changes})
        assert part in message, (part, message)
    for call in (lam.get_event_source_mapping, lam.update_event_source_mapping, lam.delete_event_source_mapping):
        refused("ResourceNotFoundException", call, 404, UUID=str(uuid.uuid4()))


def test_a_batch_that_the_server_died_on_runs_again(fresh_server):
    server = fresh_server()
    one = Wired((server.client("lambda"), server.client("sqs")), {"VisibilityTimeout": "3"}, timeout=3)
    one.send({"n": 1, "sleep": 2})
    one.batches(1)
    server.kill()
    server.start()
    again = one.batches(1, timeout=60)
    assert again[0][0]["attributes"]["ApproximateReceiveCount"] == "2"
    one.wait_until_empty()
