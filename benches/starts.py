"""Starts and calls: what a fresh process per event costs here, beside the same handler started by others.

    make build && .venv/bin/python benches/starts.py [--events 200]

Peers are measured in the same run, in turn with Mayfly, so that a busy machine is busy for all of them: the bare
interpreter, and `bwrap` (Debian's package bubblewrap) with the same namespaces; it sets no limits.
Rows of SPECIFICATION.md: S1, S4, S7, P1, P3, P5.
"""

import argparse
import base64
import http.client
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from mayfly_process import MayflyProcess, binary, wait_for  # noqa: E402

HANDLER = "def handler(event, context):\n    return {'hello': event['n']}\n"
PEER = "import json, sys; from app import handler; print(json.dumps(handler(json.load(sys.stdin), None)))"
RUNTIME = f"python{sys.version_info[0]}.{sys.version_info[1]}"
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=bench/20260101/us-east-1/lambda/aws4_request, "
          "SignedHeaders=host, Signature=0"}


def call(connection, method, path, body=b""):
    connection.request(method, path, body, SIGNED)
    response = connection.getresponse()
    answer = response.read()
    if response.status >= 300 or response.headers.get("x-amz-function-error"):
        sys.exit(f"{method} {path} answered {response.status}: {answer.decode()}")
    return answer


def invoke(connection, number):
    answer = json.loads(call(connection, "POST", "/2015-03-31/functions/hello/invocations", json.dumps({"n": number})))
    assert answer == {"hello": number}


def deploy(connection):
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as zip:
        zip.writestr("app.py", HANDLER)
    function = {
        "FunctionName": "hello", "Runtime": RUNTIME, "Handler": "app.handler", "Timeout": 60,
        "Role": "arn:aws:iam::000000000000:role/bench",
        "Code": {"ZipFile": base64.b64encode(package.getvalue()).decode()},
    }
    call(connection, "POST", "/2015-03-31/functions", json.dumps(function))


def peers(directory):
    """Commands that run the same handler once."""
    # The interpreter itself, not a virtual environment's link to it; without `site`, as the sandbox starts it.
    python = [os.path.realpath(sys.executable), "-S", "-s", "-c", PEER]
    found = {"bare python -S": python}
    if bwrap := shutil.which("bwrap"):
        binds = [word for path in ("/usr", "/lib", "/lib64", "/bin", sys.base_prefix) if os.path.exists(path)
                 for word in ("--ro-bind", path, path)]
        found["bwrap + python -S"] = [
            bwrap, "--unshare-all", "--die-with-parent", *binds, "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",
            "--ro-bind", str(directory), "/task", "--chdir", "/task", *python,
        ]
    else:
        print("bwrap is not installed (apt-get install bubblewrap): left out")
    return found


def timed(work):
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


def quantiles(samples):
    samples = sorted(samples)
    return statistics.median(samples), samples[min(len(samples) - 1, int(len(samples) * 0.99))]


def closed_loop(server, connections, seconds):
    """Calls per second with so many connections, each with one call in flight."""
    done, end = [0] * connections, time.monotonic() + seconds

    def work(index):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        while time.monotonic() < end:
            invoke(connection, index)
            done[index] += 1

    threads = [threading.Thread(target=work, args=(index,)) for index in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / seconds


def burst(server, size):
    """Milliseconds until the last of so many calls at once is answered."""
    connections = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=300) for _ in range(size)]
    for connection in connections:
        connection.connect()
    threads = [threading.Thread(target=invoke, args=(c, n)) for n, c in enumerate(connections)]

    def work():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return timed(work)


def memory_mib(pid):
    """Proportional set size of the server and what it started, in MiB."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pss = next(line for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))
    return int(pss.split()[1]) / 1024 + sum(memory_mib(child) for child in children)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--events", type=int, default=200)
    events = arguments.parse_args().events
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        (directory / "app.py").write_text(HANDLER)
        server = MayflyProcess(directory / "data", directory / "server.log")
        started = server.start()
        try:
            time.sleep(1)
            idle = memory_mib(server.pid)
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            deploy(connection)
            commands = peers(directory)
            samples = {"mayfly, fresh process": [], **{name: [] for name in commands}}
            for number in range(events):
                samples["mayfly, fresh process"].append(timed(lambda: invoke(connection, number)))
                for name, command in commands.items():
                    run = lambda: subprocess.run(  # noqa: E731
                        command, cwd=directory, input=b'{"n": 1}', capture_output=True, check=True)
                    samples[name].append(timed(run))
            print(f"{'one event, one in flight':28}{'p50 ms':>9}{'p99 ms':>9}")
            for name, values in samples.items():
                p50, p99 = quantiles(values)
                print(f"  {name:26}{p50:9.1f}{p99:9.1f}")
            print(f"calls per second, 8 connections        {closed_loop(server, 8, 10):8.0f}")
            print(f"burst of 600: last answer after        {burst(server, 600):8.0f} ms")
            print(f"start to first answered request        {started * 1e3:8.0f} ms")
            print(f"idle memory, all its processes (PSS)   {idle:8.1f} MiB")
            print(f"program, stripped                      {binary().stat().st_size / 2**20:8.1f} MiB")
            wait_for(server.running, 1, "the server to be there still")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
