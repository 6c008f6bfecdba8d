"""Queues with a crowd before them: many who wait at once, each served once and in the order in which they came.

MAYFLY_WAITING says how many wait; 500 if it does not.
"""

import os

from long_polls import Crowd

WAITING = int(os.environ.get("MAYFLY_WAITING", "500"))


def send(sqs, url, count, start=0):
    for at in range(start, start + count, 10):
        sqs.send_message_batch(QueueUrl=url, Entries=[
            {"Id": str(n), "MessageBody": str(n)} for n in range(at, min(at + 10, start + count))])


def test_each_of_a_crowd_gets_one_message(server):
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName="crowd")["QueueUrl"]
    crowd = Crowd(server.port, url, WAITING)
    try:
        for turn in range(2):
            crowd.ask(range(WAITING))
            send(sqs, url, WAITING, turn * WAITING)
            answers = crowd.answers(WAITING, 60)
            # Whoever waited longest was served first, so nobody waited in vain or came twice.
            assert sorted(number for number, _ in answers) == list(range(WAITING))
            assert {int(body) for _, body in answers} == set(range(turn * WAITING, (turn + 1) * WAITING))
        # Others are served while they wait, and a message that comes meanwhile goes to one of them.
        crowd.ask(range(WAITING))
        other = sqs.create_queue(QueueName="crowd-other")["QueueUrl"]
        sqs.send_message(QueueUrl=other, MessageBody="beside")
        assert sqs.receive_message(QueueUrl=other)["Messages"][0]["Body"] == "beside"
        sqs.send_message(QueueUrl=url, MessageBody="one")
        assert crowd.answers(1, 30)[0][1] == "one"
    finally:
        crowd.end()
    # Those who went away took no message with them.
    sqs.send_message(QueueUrl=url, MessageBody="kept")
    assert sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"][0]["Body"] == "kept"
    sqs.delete_queue(QueueUrl=url)
