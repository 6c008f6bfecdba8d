"""A soak: messages go through a queue, a function and a second queue while functions crash and the server is killed; every
one is accounted for.

MAYFLY_SOAK says how many messages; 2,000 if it does not. MAYFLY_SOAK_PAUSE says how long the server lives between two kills,
in seconds.
"""

import http.client
import json
import os
import random
import threading
import time

import pytest
from conftest import ACCOUNT, REGION, make_function

MESSAGES = int(os.environ.get("MAYFLY_SOAK", "2000"))
PAUSE = float(os.environ.get("MAYFLY_SOAK_PAUSE", "1"))
# A minute for whatever waits for its next attempt, and time for the messages themselves.
SECONDS = 90 + MESSAGES / 100

# Sends on what it gets, and dies now and then: before, in the middle, or when all is done and nobody knows.
SOURCE = """
import http.client, json, os, random, urllib.parse
PLATFORM = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL"])
HEADERS = {"X-Amz-Target": "AmazonSQS.SendMessageBatch", "Content-Type": "application/x-amz-json-1.0",
           "Authorization": "AWS4-HMAC-SHA256 Credential=f/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0"}
def handler(event, context):
    chance = random.random()
    records = event["Records"]
    if chance < 0.02:
        os._exit(1)
    connection = http.client.HTTPConnection(PLATFORM.hostname, PLATFORM.port, timeout=20)
    for at in range(0, len(records), 10):
        if chance < 0.04 and at >= len(records) // 2:
            raise RuntimeError("in the middle")
        connection.request("POST", "/", json.dumps({"QueueUrl": os.environ["NEXT"], "Entries": [
            {"Id": str(n), "MessageBody": one["body"]} for n, one in enumerate(records[at:at + 10])]}), HEADERS)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200 or json.loads(body).get("Failed"):
            raise RuntimeError(body.decode())
    if chance < 0.06:
        os._exit(1)
"""
HEADERS = {"Content-Type": "application/x-amz-json-1.0", "Authorization":
           "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0"}


class Client:
    """One connection that is made anew when the server was killed."""

    def __init__(self, server):
        self.server, self.connection = server, None

    def __call__(self, operation, **members):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        try:
            self.connection.request("POST", "/", json.dumps(members), {"X-Amz-Target": f"AmazonSQS.{operation}", **HEADERS})
            answer = self.connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            raise
        if answer.status != 200:
            raise OSError(body.decode())
        return json.loads(body) if body else {}


class Soak:
    """Who sends, who collects, and what they know."""

    def __init__(self, server, first, last):
        self.server, self.first, self.last = server, first, last
        self.next, self.lock = 0, threading.Lock()
        self.arrived, self.doubles, self.foreign = bytearray(MESSAGES), 0, []
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.loop, args=(work,)) for work in
                        [self.send] * 4 + [self.collect] * 4]
        for thread in self.threads:
            thread.start()

    def loop(self, work):
        client, state = Client(self.server), {}
        while not self.ended.is_set():
            try:
                if not work(client, state):
                    return
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)

    def send(self, client, state):
        """Ten messages, again and again until they are acknowledged; False when all are."""
        if "batch" not in state:
            with self.lock:
                state["batch"] = range(self.next, min(self.next + 10, MESSAGES))
                self.next += len(state["batch"])
        if not state["batch"]:
            return False
        answer = client("SendMessageBatch", QueueUrl=self.first, Entries=[
            {"Id": str(n), "MessageBody": str(n)} for n in state["batch"]])
        accepted = {int(one["Id"]) for one in answer["Successful"]}
        state["batch"] = [n for n in state["batch"] if n not in accepted]
        if not state["batch"]:
            del state["batch"]
        return True

    def collect(self, client, state):
        got = client("ReceiveMessage", QueueUrl=self.last, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
        with self.lock:
            for one in got:
                number = int(one["Body"]) if one["Body"].isdigit() else MESSAGES
                if number >= MESSAGES:
                    self.foreign.append(one["Body"])
                elif self.arrived[number]:
                    self.doubles += 1
                else:
                    self.arrived[number] = 1
        # After they are counted: the server may delete them and die before it says so.
        if got:
            client("DeleteMessageBatch", QueueUrl=self.last, Entries=[
                {"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(got)])
        return True

    def missing(self):
        with self.lock:
            return MESSAGES - sum(self.arrived)

    def end(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()


@pytest.mark.timeout(SECONDS + 60)
def test_every_message_is_accounted_for(fresh_server):
    server, rng = fresh_server(), random.Random(11)
    sqs, lam = server.client("sqs"), server.client("lambda")
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:"
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    first = sqs.create_queue(QueueName="first", Attributes={"VisibilityTimeout": "15", "RedrivePolicy": json.dumps(
        {"deadLetterTargetArn": f"{arn}dead", "maxReceiveCount": 100})})["QueueUrl"]
    last = sqs.create_queue(QueueName="last", Attributes={"VisibilityTimeout": "15"})["QueueUrl"]
    make_function(lam, "onwards", SOURCE, Timeout=15, Environment={"Variables": {"NEXT": last}})
    lam.create_event_source_mapping(
        EventSourceArn=f"{arn}first", FunctionName="onwards", BatchSize=100, MaximumBatchingWindowInSeconds=1)
    soak = Soak(server, first, last)
    deadline, kills = time.monotonic() + SECONDS, 0
    try:
        while soak.missing():
            assert time.monotonic() < deadline, f"{soak.missing()} of {MESSAGES} are missing after {kills} kills"
            # Towards the end it is left alone, so that there is one.
            if soak.missing() > MESSAGES / 10:
                time.sleep(rng.uniform(0.5, 1.5) * PAUSE)
                server.kill()
                server.start()
                kills += 1
                print(f"{MESSAGES - soak.missing()} of {MESSAGES} arrived after {kills} kills", flush=True)
            else:
                time.sleep(0.1)
    finally:
        soak.end()
    assert not soak.foreign, soak.foreign[:5]
    assert kills > 0
    left = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["All"])["Attributes"]
    assert left["ApproximateNumberOfMessages"] == "0"
    print(f"{MESSAGES} messages, {kills} kills, {soak.doubles} came more than once")
