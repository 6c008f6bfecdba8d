"""SQS with boto3, and with a client of the older query protocol."""

import hashlib
import json
import re
import threading
import time
import uuid
from xml.etree import ElementTree

import boto3
import pytest
import requests
from conftest import ACCOUNT, REGION, refused

ARN = f"arn:aws:sqs:{REGION}:{ACCOUNT}:"
XMLNS = "{http://queue.amazonaws.com/doc/2012-11-05/}"
NOT_THERE = "AWS.SimpleQueueService.NonExistentQueue"


@pytest.fixture(scope="module")
def sqs(server):
    return server.client("sqs")


@pytest.fixture
def make(sqs):
    """A factory of queues of this test's own: the URL."""
    def create(fifo=False, tags=None, **attributes):
        name = f"q-{uuid.uuid4().hex[:12]}" + (".fifo" if fifo else "")
        if fifo:
            attributes["FifoQueue"] = "true"
        attributes = {name: str(value) for name, value in attributes.items()}
        return sqs.create_queue(QueueName=name, Attributes=attributes, tags=tags or {})["QueueUrl"]
    return create


def arn_of(url):
    return ARN + url.rsplit("/", 1)[1]


def bodies(answer):
    return [message["Body"] for message in answer.get("Messages", [])]


def attributes(sqs, url, *names):
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names) or ["All"]).get("Attributes", {})


def counts(sqs, url):
    told = attributes(sqs, url)
    return tuple(int(told[f"ApproximateNumberOfMessages{kind}"]) for kind in ("", "NotVisible", "Delayed"))


def test_a_queue_is_created_found_listed_and_deleted(server, sqs, make):
    name = f"life-{uuid.uuid4().hex}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    assert url == f"{server.url}/{ACCOUNT}/{name}"
    assert sqs.create_queue(QueueName=name, Attributes={"DelaySeconds": "0"})["QueueUrl"] == url
    message = refused("QueueAlreadyExists", sqs.create_queue, QueueName=name, Attributes={"DelaySeconds": "1"})
    assert message == "A queue already exists with the same name and a different value for attribute DelaySeconds"
    assert sqs.get_queue_url(QueueName=name)["QueueUrl"] == url
    assert sqs.list_queues(QueueNamePrefix=name)["QueueUrls"] == [url]
    assert "QueueUrls" not in sqs.list_queues(QueueNamePrefix="no-such-prefix")
    told = attributes(sqs, url)
    assert told.pop("CreatedTimestamp") == told.pop("LastModifiedTimestamp")
    assert told == {
        "QueueArn": ARN + name, "DelaySeconds": "0", "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600", "ReceiveMessageWaitTimeSeconds": "0", "VisibilityTimeout": "30",
        "SqsManagedSseEnabled": "true", "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesNotVisible": "0", "ApproximateNumberOfMessagesDelayed": "0",
    }
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=url)
    assert attributes(sqs, url, "QueueArn") == {"QueueArn": ARN + name}
    sqs.delete_queue(QueueUrl=url)
    assert refused(NOT_THERE, sqs.delete_queue, QueueUrl=url) == "The specified queue does not exist."
    refused(NOT_THERE, sqs.get_queue_url, QueueName=name)
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.send_message(QueueUrl=url, MessageBody="x")
    refused("AWS.SimpleQueueService.QueueDeletedRecently", sqs.create_queue, QueueName=name)


def test_lists_have_pages(sqs):
    prefix = f"page-{uuid.uuid4().hex[:8]}"
    urls = [sqs.create_queue(QueueName=f"{prefix}-{n}")["QueueUrl"] for n in range(5)]
    pages = list(sqs.get_paginator("list_queues").paginate(
        QueueNamePrefix=prefix, PaginationConfig={"PageSize": 2}
    ))
    assert [len(page["QueueUrls"]) for page in pages] == [2, 2, 1]
    assert [url for page in pages for url in page["QueueUrls"]] == urls
    refused("InvalidParameterValue", sqs.list_queues, MaxResults=1001)


BAD_ATTRIBUTES = [
    ({"DelaySeconds": "901"}, "InvalidAttributeValue", "Invalid value for the parameter DelaySeconds."),
    ({"MaximumMessageSize": "1023"}, "InvalidAttributeValue", "MaximumMessageSize"),
    ({"MessageRetentionPeriod": "59"}, "InvalidAttributeValue", "MessageRetentionPeriod"),
    ({"ReceiveMessageWaitTimeSeconds": "21"}, "InvalidAttributeValue", "ReceiveMessageWaitTimeSeconds"),
    ({"VisibilityTimeout": "43201"}, "InvalidAttributeValue", "VisibilityTimeout"),
    ({"VisibilityTimeout": "x"}, "InvalidAttributeValue", "VisibilityTimeout"),
    ({"Colour": "red"}, "InvalidAttributeName", "Unknown Attribute Colour."),
    ({"QueueArn": "x"}, "InvalidAttributeName", "Unknown Attribute QueueArn."),
    ({"FifoQueue": "false"}, "InvalidAttributeName", "Unknown Attribute FifoQueue."),
    ({"ContentBasedDeduplication": "true"}, "InvalidAttributeName", "Unknown Attribute Content"),
    ({"Policy": "{"}, "InvalidAttributeValue", "Policy"),
    ({"RedrivePolicy": "x"}, "InvalidParameterValue", "Redrive policy is not a valid JSON map."),
    ({"RedrivePolicy": '{"maxReceiveCount": 1}'}, "InvalidParameterValue", "mandatory attribute: deadLetterTargetArn"),
    ({"RedrivePolicy": json.dumps({"deadLetterTargetArn": "dummy", "maxReceiveCount": 42})},
     "InvalidParameterValue",
     'Value {"deadLetterTargetArn": "dummy", "maxReceiveCount": 42} for parameter RedrivePolicy is invalid. '
     "Reason: Invalid value for deadLetterTargetArn."),
    ({"RedrivePolicy": json.dumps({"deadLetterTargetArn": ARN + "none", "maxReceiveCount": 1})},
     "InvalidParameterValue", "Dead letter target does not exist."),
    ({"RedrivePolicy": json.dumps({"deadLetterTargetArn": ARN + "none", "maxReceiveCount": 1001})},
     "InvalidParameterValue", "valid values are from 1 to 1000 both inclusive."),
    ({"RedriveAllowPolicy": "{}"}, "InvalidParameterValue", "redrivePermission"),
    ({"KmsMasterKeyId": "k", "SqsManagedSseEnabled": "true"}, "InvalidAttributeName", "one type of server-side"),
]


@pytest.mark.parametrize("given, code, part", BAD_ATTRIBUTES)
def test_attributes_that_are_wrong(sqs, make, given, code, part):
    assert part in refused(code, sqs.create_queue, QueueName=f"bad-{uuid.uuid4().hex}", Attributes=given)
    assert part in refused(code, sqs.set_queue_attributes, QueueUrl=make(), Attributes=given)


@pytest.mark.parametrize("name, fifo", [("a b", False), ("", False), ("a" * 81, False), ("a.fifo", False), ("a", True)])
def test_names_that_are_wrong(sqs, name, fifo):
    given = {"FifoQueue": "true"} if fifo else {}
    refused("InvalidParameterValue", sqs.create_queue, QueueName=name, Attributes=given)


def test_attributes_are_set_and_told(sqs, make):
    url = make(VisibilityTimeout=20, MessageRetentionPeriod=604800)
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={
        "VisibilityTimeout": "69", "DelaySeconds": "420", "MaximumMessageSize": "2048", "Policy": policy,
        "KmsMasterKeyId": "testKeyId", "KmsDataKeyReusePeriodSeconds": "6000",
    })
    told = attributes(sqs, url)
    for name, value in {
        "VisibilityTimeout": "69", "DelaySeconds": "420", "MaximumMessageSize": "2048", "Policy": policy,
        "MessageRetentionPeriod": "604800", "KmsMasterKeyId": "testKeyId",
        "KmsDataKeyReusePeriodSeconds": "6000", "SqsManagedSseEnabled": "false",
    }.items():
        assert told[name] == value
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    assert attributes(sqs, url, "Policy") == {}
    refused("InvalidAttributeName", sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["Colour"])
    fifo = make(fifo=True, ContentBasedDeduplication="true")
    told = attributes(sqs, fifo)
    assert {name: told[name] for name in told if "Fifo" in name or "Dedup" in name} == {
        "FifoQueue": "true", "ContentBasedDeduplication": "true", "DeduplicationScope": "queue",
        "FifoThroughputLimit": "perQueue",
    }
    message = refused("InvalidAttributeValue", sqs.set_queue_attributes, QueueUrl=fifo,
                      Attributes={"FifoQueue": "false"})
    assert message.endswith("Modifying queue type is not supported.")
    refused("InvalidAttributeValue", sqs.set_queue_attributes, QueueUrl=fifo,
            Attributes={"FifoThroughputLimit": "perMessageGroupId"})


def test_a_message_with_all_that_it_can_have(sqs, make):
    url = make()
    given = {
        "General": {"DataType": "String", "StringValue": "Kenobi"},
        "Hello": {"DataType": "String", "StringValue": "There"},
        "Help.Me": {"DataType": "String", "StringValue": "Me"},
    }
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
    sent = sqs.send_message(QueueUrl=url, MessageBody="msg", MessageAttributes=given, MessageSystemAttributes=trace)
    assert sent["MD5OfMessageBody"] == "6e2baaf3b97dbeef01c0043275f9a0e7"
    assert sent["MD5OfMessageAttributes"] == "4c360f3fdafd970e05fae2f149d997f5"
    assert len(sent["MD5OfMessageSystemAttributes"]) == 32 and "SequenceNumber" not in sent
    for names, expected in [
        ([], None), (["All"], "4c360f3fdafd970e05fae2f149d997f5"), ([".*"], "4c360f3fdafd970e05fae2f149d997f5"),
        (["Foo"], None), (["General", "Hello"], "fca026605781cb4126a1e9044df24232"),
        (["Hel.*"], "83fee93c1bcd8b9a5a923ffacdc636c7"), (["Hello", "Foo"], "a311262e065454b75da111d535b8dacd"),
    ]:
        got = sqs.receive_message(QueueUrl=url, VisibilityTimeout=0, MessageAttributeNames=names)["Messages"][0]
        assert got.get("MD5OfMessageAttributes") == expected, names
        assert ("MessageAttributes" in got) == (expected is not None)
        assert "Attributes" not in got and got["MessageId"] == sent["MessageId"]
    got = sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"][0]["Attributes"]
    assert set(got) == {"SenderId", "SentTimestamp", "ApproximateReceiveCount",
                        "ApproximateFirstReceiveTimestamp", "AWSTraceHeader"}
    assert got["ApproximateReceiveCount"] == "8"
    refused("InvalidAttributeName", sqs.receive_message, QueueUrl=url, AttributeNames=["Colour"])


TEXT = {"DataType": "String", "StringValue": "v"}


@pytest.mark.parametrize("code, part, arguments", [
    ("MissingParameter", "MessageBody", {"MessageBody": ""}),
    ("InvalidMessageContents", "#x9 | #xA", {"MessageBody": "\x00"}),
    ("InvalidMessageContents", "#x9 | #xA", {"MessageBody": "a\ufffe"}),
    ("InvalidParameterValue", "DelaySeconds must be >= 0 and <= 900.", {"DelaySeconds": 901}),
    ("InvalidParameterValue", "DelaySeconds", {"DelaySeconds": -1}),
    ("InvalidParameterValue", "Message must be shorter than 1048576 bytes.", {"MessageBody": "x" * 1048577}),
    ("InvalidParameterValue", "[11] exceeds the allowed maximum [10]",
     {"MessageAttributes": {f"a{n}": TEXT for n in range(11)}}),
    ("InvalidParameterValue", "Attribute name can contain", {"MessageAttributes": {"a b": TEXT}}),
    ("InvalidParameterValue", "period", {"MessageAttributes": {".a": TEXT}}),
    ("InvalidParameterValue", "reserved", {"MessageAttributes": {"AWS.a": TEXT}}),
    ("InvalidParameterValue", "supported type prefixes is Binary, Number, and String.",
     {"MessageAttributes": {"a": {"DataType": "Float", "StringValue": "1"}}}),
    ("InvalidParameterValue", "to a number", {"MessageAttributes": {"a": {"DataType": "Number", "StringValue": "x"}}}),
    ("InvalidParameterValue", "non-empty message attribute value",
     {"MessageAttributes": {"a": {"DataType": "String", "StringValue": ""}}}),
    ("InvalidParameterValue", "non-empty message attribute type",
     {"MessageAttributes": {"a": {"DataType": "", "StringValue": "x"}}}),
    ("AWS.SimpleQueueService.UnsupportedOperation", "list values",
     {"MessageAttributes": {"a": {"DataType": "String", "StringListValues": ["x"]}}}),
    ("InvalidParameterValue", "MessageDeduplicationId", {"MessageDeduplicationId": "x"}),
])
def test_messages_that_are_wrong(sqs, make, code, part, arguments):
    assert part in refused(code, sqs.send_message, QueueUrl=make(), **{"MessageBody": "x", **arguments})


def test_any_character_that_is_allowed_comes_back(sqs, make):
    url = make()
    body = "\t\n\r <&>\"' \x7f \x85 \u2028 é \ud7ff \ue000 \ufffd \U0001f600 \U0010ffff"
    sent = sqs.send_message(QueueUrl=url, MessageBody=body)
    assert sent["MD5OfMessageBody"] == hashlib.md5(body.encode()).hexdigest()
    assert bodies(sqs.receive_message(QueueUrl=url)) == [body]
    large = "x" * 1048576
    sqs.send_message(QueueUrl=url, MessageBody=large)
    assert bodies(sqs.receive_message(QueueUrl=url)) == [large]


def test_visibility_and_delay(sqs, make):
    url = make(VisibilityTimeout=30)
    sqs.send_message(QueueUrl=url, MessageBody="a")
    sqs.send_message(QueueUrl=url, MessageBody="late", DelaySeconds=900)
    assert counts(sqs, url) == (1, 0, 1)
    got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [message["Body"] for message in got] == ["a"]
    assert counts(sqs, url) == (0, 1, 1)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    handle = got[0]["ReceiptHandle"]
    change = {"QueueUrl": url, "ReceiptHandle": handle}
    sqs.change_message_visibility(**change, VisibilityTimeout=0)
    refused("AWS.SimpleQueueService.MessageNotInflight", sqs.change_message_visibility, **change, VisibilityTimeout=5)
    again = sqs.receive_message(QueueUrl=url)["Messages"][0]
    assert again["ReceiptHandle"] != handle
    refused("InvalidParameterValue", sqs.change_message_visibility, **change, VisibilityTimeout=43201)
    refused("ReceiptHandleIsInvalid", sqs.change_message_visibility, QueueUrl=url, ReceiptHandle="x",
            VisibilityTimeout=1)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    assert 'receipt handle "x" is not' in refused(
        "ReceiptHandleIsInvalid", sqs.delete_message, QueueUrl=url, ReceiptHandle="x")
    other = make()
    refused("ReceiptHandleIsInvalid", sqs.delete_message, QueueUrl=other, ReceiptHandle=handle)
    assert counts(sqs, url) == (0, 0, 1)
    for name, value in [("MaxNumberOfMessages", 11), ("MaxNumberOfMessages", 0), ("WaitTimeSeconds", 21),
                        ("VisibilityTimeout", 43201)]:
        refused("InvalidParameterValue", sqs.receive_message, QueueUrl=url, **{name: value})


def test_a_long_poll_wakes_when_something_becomes_visible(server, sqs, make):
    url = make(ReceiveMessageWaitTimeSeconds=20)
    got = []

    def poll():
        got.append((bodies(server.client("sqs").receive_message(QueueUrl=url)), time.monotonic()))

    poller = threading.Thread(target=poll)
    poller.start()
    time.sleep(0.3)
    sent = time.monotonic()
    sqs.send_message(QueueUrl=url, MessageBody="now")
    poller.join(15)
    assert got[0][0] == ["now"] and got[0][1] >= sent
    # By delay, and by the end of a reception of somebody else's.
    sqs.send_message(QueueUrl=url, MessageBody="soon", DelaySeconds=1)
    assert bodies(sqs.receive_message(QueueUrl=url, VisibilityTimeout=1)) == ["soon"]
    assert bodies(sqs.receive_message(QueueUrl=url)) == ["soon"]
    assert "Messages" not in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)


def test_batches_fail_entry_by_entry(sqs, make):
    url = make()
    sent = sqs.send_message_batch(QueueUrl=url, Entries=[
        {"Id": "a", "MessageBody": "1", "MessageAttributes": {"k": TEXT}},
        {"Id": "b", "MessageBody": "\x01"}, {"Id": "c", "MessageBody": "3", "DelaySeconds": 1000},
    ])
    assert [(one["Id"], "MD5OfMessageAttributes" in one) for one in sent["Successful"]] == [("a", True)]
    assert [(one["Id"], one["Code"], one["SenderFault"]) for one in sent["Failed"]] == [
        ("b", "InvalidMessageContents", True), ("c", "InvalidParameterValue", True)]
    handle = sqs.receive_message(QueueUrl=url)["Messages"][0]["ReceiptHandle"]
    changed = sqs.change_message_visibility_batch(QueueUrl=url, Entries=[
        {"Id": "a", "ReceiptHandle": handle, "VisibilityTimeout": 60},
        {"Id": "b", "ReceiptHandle": handle, "VisibilityTimeout": 50000},
        {"Id": "c", "ReceiptHandle": "x", "VisibilityTimeout": 1},
    ])
    assert [one["Id"] for one in changed["Successful"]] == ["a"]
    assert [(one["Id"], one["Code"]) for one in changed["Failed"]] == [
        ("b", "InvalidParameterValue"), ("c", "ReceiptHandleIsInvalid")]
    deleted = sqs.delete_message_batch(QueueUrl=url, Entries=[
        {"Id": "a", "ReceiptHandle": handle}, {"Id": "b", "ReceiptHandle": "x"}])
    assert [one["Id"] for one in deleted["Successful"]] == ["a"] and "Failed" in deleted
    assert counts(sqs, url) == (0, 0, 0)
    batch = "AWS.SimpleQueueService."
    many = [{"Id": str(n), "MessageBody": "x"} for n in range(20)]
    for code, entries in [
        ("EmptyBatchRequest", []), ("TooManyEntriesInBatchRequest", many),
        ("BatchEntryIdsNotDistinct", [many[0], many[0]]), ("InvalidBatchEntryId", [{"Id": "a:b", "MessageBody": "x"}]),
        ("BatchRequestTooLong", [{"Id": str(n), "MessageBody": "x" * 600_000} for n in range(2)]),
    ]:
        message = refused(batch + code, sqs.send_message_batch, QueueUrl=url, Entries=entries)
        if code == "TooManyEntriesInBatchRequest":
            assert message == "Maximum number of entries per request are 10. You have sent 20."
    refused(batch + "EmptyBatchRequest", sqs.delete_message_batch, QueueUrl=url, Entries=[])
    refused(batch + "EmptyBatchRequest", sqs.change_message_visibility_batch, QueueUrl=url, Entries=[])


def test_fifo_order_doubles_and_handles(sqs, make):
    url = make(fifo=True)
    send = {"QueueUrl": url, "MessageGroupId": "g"}
    first = sqs.send_message(**send, MessageBody="1", MessageDeduplicationId="d1")
    double = sqs.send_message(**send, MessageBody="2", MessageDeduplicationId="d1")
    assert (double["MessageId"], double["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    second = sqs.send_message(**send, MessageBody="3", MessageDeduplicationId="d2")
    assert re.fullmatch(r"\d{20}", second["SequenceNumber"]) and second["SequenceNumber"] > first["SequenceNumber"]
    sqs.send_message(QueueUrl=url, MessageGroupId="h", MessageBody="other", MessageDeduplicationId="d3")
    one = sqs.receive_message(QueueUrl=url, AttributeNames=["All"], ReceiveRequestAttemptId="r")["Messages"][0]
    assert one["Body"] == "1" and {
        name: one["Attributes"][name] for name in ("MessageGroupId", "MessageDeduplicationId", "SequenceNumber")
    } == {"MessageGroupId": "g", "MessageDeduplicationId": "d1", "SequenceNumber": first["SequenceNumber"]}
    again = sqs.receive_message(QueueUrl=url, ReceiveRequestAttemptId="r")["Messages"][0]
    assert again["ReceiptHandle"] == one["ReceiptHandle"]
    assert bodies(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)) == ["other"]
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"], VisibilityTimeout=0)
    message = refused("InvalidParameterValue", sqs.delete_message, QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
    assert message.endswith("Reason: The receipt handle has expired.")
    assert bodies(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)) == ["1", "3"]
    assert refused("MissingParameter", sqs.send_message, QueueUrl=url, MessageBody="x") == (
        "The request must contain the parameter MessageGroupId.")
    assert "ContentBasedDeduplication enabled" in refused(
        "InvalidParameterValue", sqs.send_message, **send, MessageBody="x")
    assert "not valid for this queue type" in refused(
        "InvalidParameterValue", sqs.send_message, **send, MessageBody="x", DelaySeconds=2)
    refused("MissingParameter", sqs.send_message_batch, QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "x"}])
    by_content = make(fifo=True, ContentBasedDeduplication="true")
    for _ in range(2):
        sqs.send_message(QueueUrl=by_content, MessageGroupId="g", MessageBody="same")
    assert counts(sqs, by_content) == (1, 0, 0)


def test_poison_goes_to_the_dead_letters_and_is_replayed(sqs, make):
    dead = make()
    policy = json.dumps({"deadLetterTargetArn": arn_of(dead), "maxReceiveCount": "1"})
    url = make(RedrivePolicy=policy)
    assert json.loads(attributes(sqs, url)["RedrivePolicy"])["maxReceiveCount"] == 1
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [url]
    assert sqs.list_dead_letter_source_queues(QueueUrl=url).get("queueUrls", []) == []  # absent in XML
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    for _ in range(2):
        sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)
    got = sqs.receive_message(QueueUrl=dead, AttributeNames=["All"], VisibilityTimeout=0)["Messages"][0]
    assert got["Attributes"]["DeadLetterQueueSourceArn"] == arn_of(url)
    refused("InvalidParameterValue", sqs.start_message_move_task, SourceArn=arn_of(url))
    refused("ResourceNotFoundException", sqs.start_message_move_task, SourceArn=ARN + "none")
    sqs.start_message_move_task(SourceArn=arn_of(dead))
    back = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10, AttributeNames=["All"])["Messages"][0]
    assert back["Body"] == "poison" and back["Attributes"]["ApproximateReceiveCount"] == "1"
    assert back["MessageId"] != got["MessageId"]
    deadline = time.monotonic() + 10
    while (task := sqs.list_message_move_tasks(SourceArn=arn_of(dead))["Results"][0])["Status"] == "RUNNING":
        assert time.monotonic() < deadline
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 1)
    # Slowly, and stopped.
    for n in range(5):
        sqs.send_message(QueueUrl=dead, MessageBody=str(n))
    target = make()
    task = sqs.start_message_move_task(
        SourceArn=arn_of(dead), DestinationArn=arn_of(target), MaxNumberOfMessagesPerSecond=1)["TaskHandle"]
    refused("AWS.SimpleQueueService.UnsupportedOperation", sqs.start_message_move_task, SourceArn=arn_of(dead))
    sqs.cancel_message_move_task(TaskHandle=task)
    refused("InvalidParameterValue", sqs.cancel_message_move_task, TaskHandle="x")
    while counts(sqs, dead)[0] + counts(sqs, target)[0] < 5:
        assert time.monotonic() < deadline
    assert counts(sqs, dead)[0] >= 3
    sqs.set_queue_attributes(QueueUrl=dead, Attributes={
        "RedriveAllowPolicy": json.dumps({"redrivePermission": "denyAll"})})
    refused("InvalidParameterValue", sqs.create_queue, QueueName=f"x-{uuid.uuid4().hex}",
            Attributes={"RedrivePolicy": policy})


def test_tags_permissions_and_purge(sqs, make):
    url = make(tags={"a": "1"})
    sqs.tag_queue(QueueUrl=url, Tags={"b": "2", "a": "3"})
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"a": "3", "b": "2"}
    sqs.untag_queue(QueueUrl=url, TagKeys=["a", "b"])
    assert "Tags" not in sqs.list_queue_tags(QueueUrl=url)
    refused("MissingParameter", sqs.tag_queue, QueueUrl=url, Tags={})
    refused("InvalidParameterValue", sqs.untag_queue, QueueUrl=url, TagKeys=[])
    many = {f"k{n}": "" for n in range(51)}
    assert "Too many tags" in refused("InvalidParameterValue", sqs.tag_queue, QueueUrl=url, Tags=many)
    allow = {"QueueUrl": url, "Label": "one", "AWSAccountIds": [ACCOUNT], "Actions": ["ReceiveMessage"]}
    sqs.add_permission(**allow)
    policy = json.loads(attributes(sqs, url)["Policy"])
    assert policy == {
        "Version": "2008-10-17", "Id": f"{arn_of(url)}/SQSDefaultPolicy",
        "Statement": [{"Sid": "one", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                       "Action": "SQS:ReceiveMessage", "Resource": arn_of(url)}],
    }
    assert refused("InvalidParameterValue", sqs.add_permission, **allow).endswith("Already exists.")
    refused("InvalidParameterValue", sqs.add_permission, **{**allow, "Label": "2", "Actions": ["CreateQueue"]})
    refused("OverLimit", sqs.add_permission, **{**allow, "Label": "2", "Actions": ["SendMessage"] * 8})
    sqs.remove_permission(QueueUrl=url, Label="one")
    assert "Policy" not in attributes(sqs, url)
    assert refused("InvalidParameterValue", sqs.remove_permission, QueueUrl=url, Label="one").endswith(
        "can't find label on existing policy.")
    sqs.send_message(QueueUrl=url, MessageBody="x")
    handle = sqs.receive_message(QueueUrl=url)["Messages"][0]["ReceiptHandle"]
    sqs.send_message(QueueUrl=url, MessageBody="y")
    sqs.purge_queue(QueueUrl=url)
    assert counts(sqs, url) == (0, 0, 0)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    name = url.rsplit("/", 1)[1]
    assert refused("AWS.SimpleQueueService.PurgeQueueInProgress", sqs.purge_queue, QueueUrl=url) == (
        f"Only one PurgeQueue operation on {name} is allowed every 60 seconds.")


def test_every_form_of_a_url_names_the_queue(server, sqs, make):
    url = make()
    name = url.rsplit("/", 1)[1]
    for form in [f"https://queue.amazonaws.com/{ACCOUNT}/{name}", f"{server.url}/queue/{REGION}/{ACCOUNT}/{name}",
                 f"http://sqs.{REGION}.localhost:4566/{ACCOUNT}/{name}", f"/{ACCOUNT}/{name}", name]:
        assert attributes(sqs, form, "QueueArn")["QueueArn"] == ARN + name
    refused("InvalidAddress", sqs.get_queue_attributes, QueueUrl="http://localhost/x/y")


def test_accounts_and_regions_do_not_see_each_other(server, make):
    url = make()
    name = url.rsplit("/", 1)[1]
    config = {"aws_secret_access_key": "x", "endpoint_url": server.url}
    abroad = boto3.client("sqs", region_name="eu-west-1", aws_access_key_id="test", **config)
    other = boto3.client("sqs", region_name=REGION, aws_access_key_id="111111111111", **config)
    for client in (abroad, other):
        refused(NOT_THERE, client.get_queue_url, QueueName=name)
        assert "QueueUrls" not in client.list_queues(QueueNamePrefix=name)
    assert "/111111111111/" in other.create_queue(QueueName=name)["QueueUrl"]
    mine = abroad.create_queue(QueueName=name)["QueueUrl"]
    told = abroad.get_queue_attributes(QueueUrl=mine, AttributeNames=["QueueArn"])["Attributes"]
    assert told["QueueArn"] == f"arn:aws:sqs:eu-west-1:{ACCOUNT}:{name}"


class QueryClient:
    """What SDKs sent before they spoke JSON: a form, signed for SQS; XML comes back."""

    def __init__(self, url):
        self.url = url
        self.auth = (f"AWS4-HMAC-SHA256 Credential=test/20260131/{REGION}/sqs/aws4_request, "
                     "SignedHeaders=host, Signature=0")

    def __call__(self, action, url=None, status=200, **members):
        form = {"Action": action, "Version": "2012-11-05"}
        form.update({name.replace("_", "."): value for name, value in members.items()})
        answer = requests.post(url or self.url, data=form, headers={"Authorization": self.auth}, timeout=30)
        assert answer.status_code == status, answer.text
        assert answer.headers["Content-Type"] == "text/xml"
        return ElementTree.fromstring(answer.text)


def test_the_query_protocol(server):
    query = QueryClient(server.url + "/")
    name = f"query-{uuid.uuid4().hex}"

    def text(tree, path):
        return tree.findtext("/".join(XMLNS + part for part in path.split("/")))

    made = query("CreateQueue", QueueName=name, Attribute_1_Name="VisibilityTimeout", Attribute_1_Value="7",
                 Tag_1_Key="k", Tag_1_Value="v")
    url = text(made, "CreateQueueResult/QueueUrl")
    assert url.endswith(f"/{ACCOUNT}/{name}") and text(made, "ResponseMetadata/RequestId")
    told = query("GetQueueAttributes", url=url, AttributeName_1="VisibilityTimeout")
    assert text(told, "GetQueueAttributesResult/Attribute/Value") == "7"
    assert text(query("ListQueueTags", url=url), "ListQueueTagsResult/Tag/Value") == "v"
    body = "a <b> & \r\n c"
    sent = query("SendMessage", url=url, MessageBody=body, MessageAttribute_1_Name="n",
                 MessageAttribute_1_Value_DataType="String", MessageAttribute_1_Value_StringValue="x")
    assert text(sent, "SendMessageResult/MD5OfMessageBody") == hashlib.md5(body.encode()).hexdigest()
    got = query("ReceiveMessage", QueueUrl=url, AttributeName_1="All", MessageAttributeName_1="All",
                MaxNumberOfMessages="10")
    message = "ReceiveMessageResult/Message/"
    assert text(got, message + "Body") == body
    assert text(got, message + "MessageAttribute/Value/StringValue") == "x"
    handle = text(got, message + "ReceiptHandle")
    done = query("DeleteMessageBatch", url=url, DeleteMessageBatchRequestEntry_1_Id="a",
                 DeleteMessageBatchRequestEntry_1_ReceiptHandle=handle, DeleteMessageBatchRequestEntry_2_Id="b",
                 DeleteMessageBatchRequestEntry_2_ReceiptHandle="x")
    assert text(done, "DeleteMessageBatchResult/DeleteMessageBatchResultEntry/Id") == "a"
    assert text(done, "DeleteMessageBatchResult/BatchResultErrorEntry/Code") == "ReceiptHandleIsInvalid"
    assert text(query("ListQueues", QueueNamePrefix=name), "ListQueuesResult/QueueUrl") == url
    query("DeleteQueue", url=url)
    wrong = query("DeleteQueue", url=url, status=400)
    assert text(wrong, "Error/Code") == NOT_THERE and text(wrong, "Error/Type") == "Sender"
    assert text(query("Fly", status=400), "Error/Code") == "InvalidAction"


def test_everything_is_there_after_a_restart(fresh_server):
    server = fresh_server()
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName="q.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    for n in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=str(n), MessageGroupId="g", MessageDeduplicationId=str(n))
    held = sqs.receive_message(QueueUrl=url)["Messages"][0]["ReceiptHandle"]
    server.kill()
    sqs = server.start().client("sqs")
    url = sqs.get_queue_url(QueueName="q.fifo")["QueueUrl"]
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    sqs.send_message(QueueUrl=url, MessageBody="double", MessageGroupId="g", MessageDeduplicationId="1")
    sqs.delete_message(QueueUrl=url, ReceiptHandle=held)
    assert bodies(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)) == ["1", "2"]
