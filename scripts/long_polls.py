"""Many long polls on one queue, without a thread for any. For the tests and benches of queues."""

import json
import selectors
import socket
import time

HEAD = ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.0\r\n"
        "X-Amz-Target: AmazonSQS.ReceiveMessage\r\nAuthorization: AWS4-HMAC-SHA256 "
        "Credential=test/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0\r\nContent-Length: ")


class Crowd:
    """Long polls, each on a connection of its own, without a thread for any."""

    def __init__(self, port, url, count):
        body = json.dumps({"QueueUrl": url, "WaitTimeSeconds": 20, "MaxNumberOfMessages": 1})
        self.request = f"{HEAD}{len(body)}\r\n\r\n{body}".encode()
        self.selector, self.got = selectors.DefaultSelector(), {}
        self.sockets = []
        for number in range(count):
            one = socket.create_connection(("127.0.0.1", port), timeout=30)
            self.sockets.append(one)
            self.selector.register(one, selectors.EVENT_READ, number)

    def ask(self, numbers):
        for number in numbers:
            self.sockets[number].sendall(self.request)

    def answers(self, count, seconds):
        """So many answers: who has them, in the order in which they come, and each one's message, or None."""
        found, partial, deadline = [], {}, time.monotonic() + seconds
        while len(found) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} were answered"
            for key, _ in self.selector.select(1):
                partial[key.data] = partial.get(key.data, b"") + self.sockets[key.data].recv(65_536)
                head, end, body = partial[key.data].partition(b"\r\n\r\n")
                length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
                               if line.startswith(b"content-length:")), None)
                if end and length is not None and len(body) >= length:
                    assert head.startswith(b"HTTP/1.1 200"), partial[key.data]
                    messages = json.loads(body).get("Messages", [])
                    found.append((key.data, messages[0]["Body"] if messages else None))
                    del partial[key.data]
        return found

    def end(self):
        for one in self.sockets:
            one.close()
