"""Queues: messages per second through their whole life, here and in moto's server, in the same run.

    make build && .venv/bin/python benches/queues.py [--seconds 10] [--connections 16] [--moto PYTHON] [--json FILE]

Each connection sends ten messages of 1 KiB, receives as many and deletes them, over and over; a message counts when it is
deleted. Clients are several processes that speak SQS's JSON protocol over plain sockets, so that what is measured is the
server. PYTHON is an interpreter that has moto[server]; without it, a virtual environment is made for the run.

`--waiting N` also opens so many long polls on one queue, and tells how long a message takes to one of them. `--queues N`
makes so many queues, and tells what they cost at rest; `--delayed N` does so for messages that are due in some minutes, and
tells how long a start takes with them.

Row of SPECIFICATION.md: D2.
"""

import argparse
import hashlib
import http.client
import json
import multiprocessing
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
from long_polls import Crowd  # noqa: E402
from mayfly_process import MayflyProcess  # noqa: E402

BODY = "x" * 1024
AUTHORIZATION = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0"


class Client:
    """One connection."""

    def __init__(self, url, timeout=60):
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)

    def __call__(self, operation, **members):
        self.connection.request("POST", "/", json.dumps(members), {
            "X-Amz-Target": f"AmazonSQS.{operation}", "Content-Type": "application/x-amz-json-1.0",
            "Authorization": AUTHORIZATION})
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return json.loads(body) if body else {}


def work(url, queue, until, done):
    """Whole lives until the time is over."""
    client, lives = Client(url), 0
    entries = [{"Id": str(n), "MessageBody": BODY} for n in range(10)]
    while time.time() < until:
        client("SendMessageBatch", QueueUrl=queue, Entries=entries)
        got = client("ReceiveMessage", QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        if got:
            client("DeleteMessageBatch", QueueUrl=queue, Entries=[
                {"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(got)])
            assert got[0]["MD5OfBody"] == hashlib.md5(BODY.encode()).hexdigest()
            lives += len(got)
    done.put(lives)


def rate(url, seconds, connections):
    queue = Client(url)("CreateQueue", QueueName=f"bench-{time.time_ns()}")["QueueUrl"]
    done, until = multiprocessing.Queue(), time.time() + seconds
    workers = [multiprocessing.Process(target=work, args=(url, queue, until, done)) for _ in range(connections)]
    began = time.time()
    for worker in workers:
        worker.start()
    lives = sum(done.get() for _ in workers)
    for worker in workers:
        worker.join()
    return lives / (time.time() - began)


def wake(url, waiting):
    """How long a message takes to one of so many long polls, in milliseconds: the median of 50."""
    client, taken = Client(url), []
    queue = client("CreateQueue", QueueName=f"wait-{time.time_ns()}")["QueueUrl"]
    crowd = Crowd(urlsplit(url).port, queue, waiting)
    crowd.ask(range(waiting))
    time.sleep(1 + waiting / 2_000)
    for n in range(50):
        began = time.perf_counter()
        client("SendMessage", QueueUrl=queue, MessageBody=str(n))
        (number, _), = crowd.answers(1, 30)
        taken.append((time.perf_counter() - began) * 1000)
        crowd.ask([number])
    crowd.end()
    return sorted(taken)[len(taken) // 2]


def held(server):
    """What the server holds now, and the processor time that it has used."""
    process = Path(f"/proc/{server.pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    times = (process / "stat").read_text().rsplit(")", 1)[1].split()
    return {"mb": int(status["VmRSS"].split()[0]) / 1024, "threads": int(status["Threads"]),
            "files": len(list((process / "fd").iterdir())), "cpu_ms": 10 * (int(times[11]) + int(times[12]))}


def rest(server, count):
    """What so many empty queues cost at rest: of memory, threads, files, and processor time in five seconds."""
    client, before, began = Client(server.url), held(server), time.time()
    for n in range(count):
        client("CreateQueue", QueueName=f"rest-{n}")
    made, after = time.time() - began, held(server)
    time.sleep(5)
    later = held(server)
    return {"queues": count, "created_per_second": round(count / made), "mb": round(after["mb"] - before["mb"], 1),
            "threads": after["threads"] - before["threads"], "files": after["files"] - before["files"],
            "cpu_ms_in_5_s": later["cpu_ms"] - after["cpu_ms"]}


def delay(server, count):
    """What so many timers cost, as messages that are due in some minutes; and a start with them, after a kill."""
    queue, before, began = Client(server.url)("CreateQueue", QueueName="delayed")["QueueUrl"], held(server), time.time()

    def send(batches):
        client = Client(server.url)
        entries = [{"Id": str(n), "MessageBody": BODY[:20], "DelaySeconds": 900 - n} for n in range(10)]
        for _ in range(batches):
            client("SendMessageBatch", QueueUrl=queue, Entries=entries)

    senders = [threading.Thread(target=send, args=(count // 160,)) for _ in range(16)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    took, after = time.time() - began, held(server)
    time.sleep(5)
    later = held(server)
    server.kill()
    return {"timers": count // 160 * 160, "per_second": round(count / took), "mb": round(after["mb"] - before["mb"], 1),
            "cpu_ms_in_5_s": later["cpu_ms"] - after["cpu_ms"], "start_again_ms": round(1000 * server.start())}


class Moto:
    """moto's server in a process of its own."""

    def __init__(self, python, scratch):
        if python is None:
            environment = scratch / "moto"
            subprocess.run([sys.executable, "-m", "venv", environment], check=True)
            python = environment / "bin" / "python"
            subprocess.run([python, "-m", "pip", "install", "-q", "moto[server]"], check=True)
        program = "from moto.server import main; main(['-H', '127.0.0.1', '-p', '4599'])"
        self.log = open(scratch / "moto.log", "w")
        self.process = subprocess.Popen([python, "-c", program], stdout=self.log, stderr=self.log)
        self.url = "http://127.0.0.1:4599"
        deadline = time.time() + 60
        while True:
            try:
                Client(self.url)("ListQueues")
                return
            except (OSError, AssertionError):
                assert time.time() < deadline, "moto's server does not answer"
                time.sleep(0.2)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--waiting", type=int, default=0)
    parser.add_argument("--queues", type=int, default=0)
    parser.add_argument("--delayed", type=int, default=0)
    parser.add_argument("--moto", type=Path)
    parser.add_argument("--alone", action="store_true", help="without moto")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        server = MayflyProcess(scratch / "data", scratch / "server.log")
        server.start()
        moto = None if options.alone else Moto(options.moto, scratch)
        try:
            found = {"mayfly": round(rate(server.url, options.seconds, options.connections))}
            if moto:
                found["moto"] = round(rate(moto.url, options.seconds, options.connections))
            if options.waiting:
                found["wake_ms"] = round(wake(server.url, options.waiting), 2)
            if options.queues:
                found["rest"] = rest(server, options.queues)
            if options.delayed:
                found["delayed"] = delay(server, options.delayed)
        finally:
            server.stop()
            if moto:
                moto.stop()
    print(json.dumps(found))
    if options.json:
        options.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
