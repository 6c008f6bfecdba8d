"""Large objects: an upload of 10 GB in parts, 200 downloads at once, and reads in pieces as file systems over S3 make them.

    make build && .venv/bin/python benches/s3_large.py [--gb 10]

Needs twice the size on the disk. The server's memory is told after each step. The peer, if it is installed, is nginx serving
one file of the object's bytes, in the same run. The load generator shares the machine's processors with the server.
"""

import argparse
import hashlib
import http.client
import os
import random
import re
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import nginx
from common import ROOT  # noqa: F401 (finds mayfly_process)
from mayfly_process import MayflyProcess

MB = 1 << 20
PART = 64 * MB


def signed():
    at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"b/{at[:8]}/us-east-1/s3/aws4_request"
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0", "x-amz-date": at,
            "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}


def memory(pid):
    """Megabytes now, and at most, of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    texts = [Path(f"/proc/{one}/status").read_text() for one in (pid, *children)]
    return [sum(int(re.search(rf"{name}:\s+(\d+)", text)[1]) for text in texts) // 1024 for name in ("VmRSS", "VmHWM")]


def run(count, work):
    """Runs `work` in so many threads; the seconds until the last is done."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - begun


class Server:
    """One that has the object under `path`, and how it is asked."""

    def __init__(self, name, port, path, pid, headers):
        self.name, self.port, self.path, self.pid, self.headers = name, port, path, pid, headers

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)

    def read(self, connection, first, length, take):
        """Reads a range; `take` gets its pieces."""
        connection.request("GET", self.path, headers={**self.headers(), "Range": f"bytes={first}-{first + length - 1}"})
        answer, got, buffer = connection.getresponse(), 0, bytearray(256 * 1024)
        while count := answer.readinto(buffer):
            take(memoryview(buffer)[:count])
            got += count
        if (answer.status, got) != (206, length):
            raise RuntimeError(f"{self.name}: {answer.status}, {got} of {length} bytes")

    def told(self, what, megabytes, seconds):
        now, most = memory(self.pid)
        print(f"  {self.name:7} {what:34} {megabytes / seconds:8,.0f} MB/s, memory {now} MB, at most {most} MB", flush=True)


def upload(server, gigabytes, data):
    """Puts the object in parts, four at a time, and completes it."""
    connection = server.connection()

    def ask(method, path, body=None):
        connection.request(method, path, body, server.headers())
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise RuntimeError(text)
        return text

    ask("PUT", "/big")
    upload = re.search("<UploadId>(.*?)<", ask("POST", f"{server.path}?uploads"))[1]
    parts, etags = gigabytes * 1024 * MB // PART, {}

    def send(thread):
        own = server.connection()
        for number in range(thread + 1, parts + 1, 4):
            body = number.to_bytes(8, "big") + data[8:]
            own.request("PUT", f"{server.path}?uploadId={upload}&partNumber={number}", body, server.headers())
            answer = own.getresponse()
            answer.read()
            etags[number] = answer.headers["ETag"]

    server.told(f"upload of {gigabytes} GB in {parts} parts", gigabytes * 1024, run(4, send))
    listed = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{etags[number]}</ETag></Part>"
                     for number in range(1, parts + 1))
    begun = time.monotonic()
    ask("POST", f"{server.path}?uploadId={upload}", f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>")
    print(f"  completed in {time.monotonic() - begun:.2f} s, memory {memory(server.pid)[0]} MB", flush=True)


def downloads(server, length):
    """200 connections, each reads 100 MB."""
    def get(number):
        first = number * 100 * MB % (length - 100 * MB)
        server.read(server.connection(), first, 100 * MB, lambda piece: None)

    server.told("200 connections x 100 MB", 200 * 100, run(200, get))


def pieces(server, expected):
    """One GB as a mounted bucket reads it: 8 MB one behind the other in 8 threads, then small pieces anywhere; all compared."""
    wrong = []

    def sequential(thread):
        connection = server.connection()
        for first in range(thread * 8 * MB, 1024 * MB, 64 * MB):
            digest = hashlib.md5()
            server.read(connection, first, 8 * MB, digest.update)
            if digest.digest() != hashlib.md5(expected(first, 8 * MB)).digest():
                wrong.append(first)

    server.told("1 GB, ranges of 8 MB, 8 threads", 1024, run(8, sequential))

    def anywhere(thread):
        connection, numbers = server.connection(), random.Random(thread)
        for _ in range(100):
            length = numbers.randrange(1, 256 * 1024)
            first, got = numbers.randrange(1024 * MB - length), bytearray()
            server.read(connection, first, length, got.extend)
            if got != expected(first, length):
                wrong.append(first)

    server.told("3,200 pieces of up to 256 KB anywhere", 3200 * 0.125, run(32, anywhere))
    if wrong:
        raise RuntimeError(f"{server.name}: wrong bytes at {wrong}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gb", type=int, default=10)
    gigabytes = parser.parse_args().gb
    data = os.urandom(PART)

    def expected(first, length):
        out = bytearray()
        while length:
            part, at = divmod(first, PART)
            head = (part + 1).to_bytes(8, "big")
            take = min(length, (8 if at < 8 else PART) - at)
            out += head[at:at + take] if at < 8 else data[at:at + take]
            first, length = first + take, length - take
        return bytes(out)

    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        mayfly = MayflyProcess(scratch / "data", scratch / "server.log")
        mayfly.start()
        peer = None
        try:
            servers = [Server("mayfly", urlsplit(mayfly.url).port, "/big/object", mayfly.process.pid, signed)]
            print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", flush=True)
            upload(servers[0], gigabytes, data)
            (scratch / "files").mkdir()
            peer, port = nginx.start(scratch)
            if peer:
                with open(scratch / "files" / "object", "wb") as file:
                    for number in range(1, gigabytes * 1024 * MB // PART + 1):
                        file.write(number.to_bytes(8, "big") + data[8:])
                servers.append(Server("nginx", port, "/object", peer.pid, dict))
            for server in servers:
                downloads(server, gigabytes * 1024 * MB)
            for server in servers:
                pieces(server, expected)
        finally:
            if peer:
                peer.terminate()
                peer.wait()
            mayfly.stop()


if __name__ == "__main__":
    main()
