"""A function that draws random numbers from generators of every kind, and does one kind of work in each event."""

import asyncio
import concurrent.futures
import ctypes
import gc
import os
import queue
import random
import secrets
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import uuid

import platform_api

try:
    import numpy
except ImportError:  # the package has none
    numpy = None

own = random.Random()
own_seeded = random.Random(7)
first_uuid = uuid.uuid4()
ssl.RAND_bytes(8)
if numpy:
    numpy.random.random()
    generator, legacy = numpy.random.default_rng(), numpy.random.RandomState(3)
pool = concurrent.futures.ThreadPoolExecutor(4)
list(pool.map(abs, range(8)))
loop = asyncio.new_event_loop()
loop.run_until_complete(asyncio.sleep(0))
tasks, results = queue.Queue(), queue.Queue()
BIG = {n: [n] for n in range(20_000)}


def work():
    while True:
        results.put(tasks.get() + 1)


threading.Thread(target=work, daemon=True).start()
opened = open(__file__)
opened.readline()


def draw():
    drawn = {
        "random": random.random(), "randbits": random.getrandbits(64), "instance": own.random(), "seeded": own_seeded.random(),
        "gauss": random.gauss(0, 1), "uuid4": str(uuid.uuid4()), "uuid1": str(uuid.uuid1()), "secrets": secrets.token_hex(8),
        "urandom": os.urandom(8).hex(), "ssl": ssl.RAND_bytes(8).hex(), "system": random.SystemRandom().random(),
        "temporary": tempfile.mktemp(), "thread": pool.submit(random.random).result(),
    }
    if numpy:
        drawn |= {
            "numpy": numpy.random.random(), "numpy generator": generator.random(), "numpy legacy": legacy.random_sample(),
            "numpy new": numpy.random.default_rng().random(),
        }
    return drawn


def timers(event):
    said = []
    timer = threading.Timer(0.01, said.append, [1])
    timer.start()
    timer.join()
    return said + [loop.run_until_complete(asyncio.sleep(0.01, 2))]


def threads(event):
    tasks.put(41)
    more = [threading.Thread(target=lambda: tasks.put(1)) for _ in range(10)]
    for thread in more:
        thread.start()
    return [sum(pool.map(lambda n: n * n, range(100))), sum(results.get(timeout=30) for _ in range(11))]


def files(event):
    before = os.listdir("/tmp") + os.listdir("/dev/shm")
    with open("/tmp/file", "wb") as file:
        file.write(bytes(range(256)) * 4_000)
    with open("/tmp/file", "rb") as file:
        return [before, file.read() == bytes(range(256)) * 4_000, opened.readline() == "\n", opened.tell() > 0]


def network(event):
    platform_api.put("copies", event["key"], event["key"].encode())
    return platform_api.call("s3", "GET", f"/copies/{event['key']}").decode() == event["key"]


def children(event):
    done = subprocess.run(["/bin/sh", "-c", "echo $((6 * 7)); kill -9 $$"], capture_output=True)
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    return [done.stdout.decode(), done.returncode, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]


def garbage(event):
    for _ in range(20_000):
        one = []
        one.append(one)
    return [gc.collect() > 0, sum(len(one) for one in BIG.values())]


def fail(event):
    raise ValueError("as it should")


def crash(event):
    ctypes.string_at(0)


def leave(event):
    os._exit(3)


def hog(event):
    return len(bytearray(1 << 30))


def kill(event):
    os.kill(os.getpid(), signal.SIGKILL)


def handler(event, context):
    kind = os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]
    drawn = draw()
    did = globals()[event["do"]](event)
    return {"kind": kind, "drawn": drawn, "did": did, "pid": os.getpid(), "id": context.aws_request_id}
