"""Queues under SIGKILL: the server is killed at random moments while others send, receive, delete, change visibility and
redrive. No acknowledged message is lost, no deleted one comes back, order and deduplication hold.

MAYFLY_QUEUE_KILLS says how often it is killed; 10 times if it does not.
"""

import json
import os
import random
import threading
import time
from collections import defaultdict

from botocore.exceptions import BotoCoreError, ClientError
from conftest import ACCOUNT, REGION

KILLS = int(os.environ.get("MAYFLY_QUEUE_KILLS", "10"))
GROUPS = 8


class Ledger:
    """What clients know for certain, and what they do not."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sent = {}  # body -> the message's id, acknowledged
        self.tried = set()  # bodies that may have been accepted
        self.deleting, self.deleted = set(), set()  # ids: asked for, acknowledged
        self.ids = defaultdict(set)  # body -> every id that it was seen under
        self.order = defaultdict(list)  # group -> bodies in the order in which they were first received
        self.wrong = []

    def received(self, message, group=None):
        body, name = message["Body"], message["MessageId"]
        with self.lock:
            if name in self.deleted:
                self.wrong.append(f"{body} came back after it was deleted")
            self.ids[body].add(name)
            if group is not None and body not in self.order[group]:
                self.order[group].append(body)


class Clients:
    """Threads that work on the queues until they are stopped; faults of the connection are part of the game."""

    def __init__(self, server, urls, ledger):
        self.server, self.urls, self.ledger = server, urls, ledger
        self.stop = threading.Event()
        work = [self.send, self.send_fifo, self.consume, self.consume, self.consume_fifo, self.consume_fifo]
        self.threads = [threading.Thread(target=self.loop, args=(one, n)) for n, one in enumerate(work)]
        for thread in self.threads:
            thread.start()

    def loop(self, work, number):
        sqs = self.server.client("sqs", read_timeout=5)
        rng, turn = random.Random(number), 0
        while not self.stop.is_set():
            turn += 1
            try:
                work(sqs, rng, f"{number}-{turn}")
            except (BotoCoreError, ClientError):
                time.sleep(0.05)

    def send(self, sqs, rng, turn):
        bodies = [f"s-{turn}-{n}" for n in range(5)]
        with self.ledger.lock:
            self.ledger.tried.update(bodies)
        sent = sqs.send_message_batch(QueueUrl=self.urls["standard"], Entries=[
            {"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)])
        with self.ledger.lock:
            self.ledger.sent.update((bodies[int(one["Id"])], one["MessageId"]) for one in sent["Successful"])

    def send_fifo(self, sqs, rng, turn):
        """One message to each group; until it is acknowledged, the same one again."""
        for group in range(GROUPS):
            body = f"f-{group}-{int(turn.split('-')[1]):06}"
            with self.ledger.lock:
                self.ledger.tried.add(body)
            while not self.stop.is_set():
                try:
                    sent = sqs.send_message(QueueUrl=self.urls["fifo"], MessageBody=body, MessageGroupId=str(group),
                                            MessageDeduplicationId=body)
                except (BotoCoreError, ClientError):
                    time.sleep(0.05)
                    continue
                with self.ledger.lock:
                    self.ledger.sent[body] = sent["MessageId"]
                break

    def consume(self, sqs, rng, turn):
        url = self.urls[rng.choice(["standard", "standard", "dead"])]
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1, VisibilityTimeout=2)
        self.settle(sqs, rng, url, got.get("Messages", []))

    def consume_fifo(self, sqs, rng, turn):
        url = self.urls["fifo"]
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1, VisibilityTimeout=2)
        messages = got.get("Messages", [])
        for message in messages:
            self.ledger.received(message, message["Body"].split("-")[1])
        self.settle(sqs, rng, url, messages)

    def settle(self, sqs, rng, url, messages):
        for message in messages:
            self.ledger.received(message)
        if not messages:
            return
        if rng.random() < 0.2:
            sqs.change_message_visibility_batch(QueueUrl=url, Entries=[
                {"Id": str(n), "ReceiptHandle": one["ReceiptHandle"], "VisibilityTimeout": 0}
                for n, one in enumerate(messages)])
            return
        with self.ledger.lock:
            self.ledger.deleting.update(one["MessageId"] for one in messages)
        done = sqs.delete_message_batch(QueueUrl=url, Entries=[
            {"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(messages)])
        with self.ledger.lock:
            self.ledger.deleted.update(messages[int(one["Id"])]["MessageId"] for one in done.get("Successful", []))

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()


def drain(sqs, url):
    """Everything that is left: until more than a whole visibility timeout brought nothing."""
    left, deadline = [], time.monotonic() + 120
    while True:
        assert time.monotonic() < deadline
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=3, VisibilityTimeout=30)
        messages = got.get("Messages", [])
        if not messages:
            return left
        left += messages
        sqs.delete_message_batch(QueueUrl=url, Entries=[
            {"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(messages)])


def test_nothing_is_lost_and_nothing_comes_back(fresh_server):
    server, rng = fresh_server(), random.Random(7)
    sqs = server.client("sqs")
    urls = {"dead": sqs.create_queue(QueueName="dead")["QueueUrl"]}
    policy = json.dumps({"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:dead", "maxReceiveCount": 3})
    urls["standard"] = sqs.create_queue(QueueName="standard", Attributes={"RedrivePolicy": policy})["QueueUrl"]
    urls["fifo"] = sqs.create_queue(QueueName="q.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    ledger = Ledger()
    clients = Clients(server, urls, ledger)
    for _ in range(KILLS):
        time.sleep(rng.uniform(0.1, 0.8))
        server.kill()
        server.start()
    time.sleep(0.5)
    clients.end()

    sqs = server.client("sqs")
    left = {name: drain(sqs, url) for name, url in urls.items()}
    found = {message["MessageId"] for messages in left.values() for message in messages}
    for messages in left.values():
        for message in messages:
            ledger.received(message)
    for message in left["fifo"]:
        group = message["Body"].split("-")[1]
        if message["Body"] not in ledger.order[group]:
            ledger.order[group].append(message["Body"])
    assert not ledger.wrong, ledger.wrong[:5]
    lost = [body for body, name in ledger.sent.items() if name not in found and name not in ledger.deleting]
    assert not lost, (len(lost), lost[:5])
    assert set(ledger.ids) <= ledger.tried
    doubles = {body: ids for body, ids in ledger.ids.items() if len(ids) > 1}
    assert not doubles, doubles
    for group, bodies in ledger.order.items():
        assert bodies == sorted(bodies), (group, bodies)
    assert len(ledger.sent) > KILLS * 10
