"""The scheduler's promises: latency that load does not spoil, fairness, and what bookkeeping costs.

    make build && .venv/bin/python benches/scheduling.py [--rows S8,S9] [--seconds 20] [--json FILE]

The load is that of `mayfly bench` (docs/bench.md). Rows of SPECIFICATION.md: S4, S5, S7, S8, S9, D1; T is the take-over; L is the queueing
delay at 80 % of the measured capacity (open loop), G the goodput at twice the capacity.
"""

import argparse
import json
import subprocess
import threading
import time
from pathlib import Path

from common import functions
from common.server import Server, call
from common.table import Row, measure
from mayfly_process import MayflyProcess, binary


class Bench:
    """What the rows share."""

    def __init__(self, scratch, options):
        self.scratch, self.options, self.servers = scratch, options, 0

    def server(self, settings=""):
        self.servers += 1
        return Server(self.scratch / f"server-{self.servers}", settings)

    def deployed(self, server, name, **tags):
        function = functions.python(self.scratch, name)
        server.deploy(function, **tags)
        server.prepare(function, 10)
        return function

    def load(self, server, function, seconds=None, **flags):
        """What `mayfly bench` says of a load on the function."""
        command = [binary(), "bench", "function", function.name, "--payload", function.event, "--json",
                   "--endpoint", server.process.url, "--seconds", str(seconds or self.options.seconds)]
        for flag, value in flags.items():
            command += [f"--{flag.replace('_', '-')}"] + ([] if value is True else [str(value)])
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)["sides"][0]


def told(row, name, side, **more):
    """A line of what the load generator says."""
    failures = {"failures": side["failures"]} if side["failures"] else {}
    row.line(name, p50=side["p50Ms"], p99=side["p99Ms"], per_second=side["perSecond"],
             us_of_processor_per_call=side["server"]["cpuMicrosPerCall"], **failures, **more)
    return side


def s4(bench):
    row = Row("S4", "fresh Python events per second, 8 connections", ">= 600/s")
    with bench.server() as server:
        side = told(row, "mayfly", bench.load(server, bench.deployed(server, "s4"), connections=8))
    row.judge(side["perSecond"] >= 600)
    return row


def s5(bench):
    row = Row("S5", "warm mode, Python, 8 connections", ">= 5,000/s")
    with bench.server() as server:
        function = bench.deployed(server, "s5", mayfly_start="warm")
        side = told(row, "mayfly", bench.load(server, function, connections=8))
    row.judge(side["perSecond"] >= 5000)
    return row


def s7(bench):
    row = Row("S7", "burst of 600 events at once", "all served, the last within 1.5 s")
    with bench.server() as server:
        side = told(row, "mayfly", bench.load(server, bench.deployed(server, "s7"), burst=600))
    row.judge(side["answered"] == 600 and side["maxMs"] <= 1500)
    return row


def s8(bench):
    row = Row("S8", "a function's calls beside another one's backlog of 10,000 events", "p99 <= 10x its p99 alone")
    with bench.server() as server:
        quiet, noisy = bench.deployed(server, "quiet"), bench.deployed(server, "noisy")
        slow = {"connections": 8, "rate": 10, "warm_up": 0}
        alone = told(row, "alone", bench.load(server, quiet, **slow))
        backlog = 0
        while backlog < 10_000:
            backlog += bench.load(server, noisy, seconds=1, event=True, connections=64, warm_up=0)["answered"]
        before = done(server, noisy)
        beside = told(row, "beside the backlog", bench.load(server, quiet, seconds=min(8, bench.options.seconds), **slow))
        row.line("the backlog", accepted=backlog, run_meanwhile=done(server, noisy) - before)
    row.judge(beside["p99Ms"] <= 10 * alone["p99Ms"])
    return row


def done(server, function):
    """How many of its asynchronous events have been run."""
    page = call(server.connection, "GET", "/_mayfly/latency")["latency"]
    return sum(one["events"] for one in page
               if one["function"].endswith(f":{function.name}") and one["lane"] == "event")


def s9(bench):
    row = Row("S9", "an event's bookkeeping: processor time of the server per synchronous call", "<= 150 us")
    with bench.server() as server:
        function = bench.deployed(server, "s9", mayfly_start="warm")
        side = told(row, "mayfly, warm (no process is made)", bench.load(server, function, connections=1))
        fresh = bench.deployed(server, "s9-fresh")
        told(row, "mayfly, fresh (a copy is made)", bench.load(server, fresh, connections=1))
    row.judge(side["server"]["cpuMicrosPerCall"] <= 150)
    return row


def d1(bench):
    row = Row("D1", "durable asynchronous events accepted per second, 64 connections", ">= 10,000/s")
    with bench.server() as server:
        function = bench.deployed(server, "d1")
        side = told(row, "mayfly, accepted events run meanwhile",
                    bench.load(server, function, seconds=min(5, bench.options.seconds), event=True, connections=64))
    row.judge(side["perSecond"] >= 10_000)
    return row


def capacity(bench, server, function):
    """Calls per second that are answered in a closed loop."""
    return bench.load(server, function, connections=8)["perSecond"]


def latency(bench):
    row = Row("L", "queueing delay at 80 % of the capacity, fresh Python, open loop", "p99 < 10 ms")
    with bench.server() as server:
        most = capacity(bench, server, bench.deployed(server, "peak"))
        rate = round(0.8 * most)
        function = bench.deployed(server, "l")
        side = told(row, f"mayfly, {rate} calls/s", bench.load(server, function, rate=rate, connections=256))
        # The server keeps the histogram; nothing is asked of it during the load.
        kept = call(server.connection, "GET", "/_mayfly/latency")["latency"]
        waited = next(one["waitMs"] for one in kept if one["function"].endswith(f":{function.name}"))
        row.line("of that, until it has a process", **{point: waited[point] for point in ("p50", "p99", "p999")})
    row.judge(waited["p99"] < 10)
    assert side
    return row


def goodput(bench):
    row = Row("G", "calls answered at twice the capacity, fresh Python, open loop", ">= 90 % of the peak")
    with bench.server("[functions]\nwait_ms = 2000\n") as server:
        function = bench.deployed(server, "g")
        most = capacity(bench, server, function)
        told(row, "mayfly, at its peak", {**bench.load(server, function, connections=8)})
        side = told(row, f"mayfly, {round(2 * most)} calls/s due",
                    bench.load(server, function, rate=2 * most, connections=1024))
    row.judge(side["perSecond"] >= 0.9 * most)
    return row


def takeover(bench):
    row = Row("T", "a second server takes over from one that is killed while events are accepted", "first answer < 1 s")
    times = []
    for turn in range(5):
        with bench.server() as server:
            function = bench.deployed(server, f"t{turn}")
            bench.load(server, function, seconds=1, event=True, connections=8)
            first = server.process
            second = MayflyProcess(first.data_dir, first.log.with_name("second.log"), args=["--standby"])
            starting = threading.Thread(target=second.start)
            starting.start()
            time.sleep(1)
            killed = time.monotonic()
            first.kill()
            starting.join()
            times.append(1000 * (time.monotonic() - killed))
            second.stop()
    times.sort()
    row.line("mayfly, from the kill to the second's first answer", p50=times[2], most=times[-1])
    row.judge(times[-1] < 1_000)
    return row


ROWS = {"S4": s4, "S5": s5, "S7": s7, "S8": s8, "S9": s9, "D1": d1, "L": latency, "G": goodput, "T": takeover}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--rows", default=",".join(ROWS), help="which, with commas between them")
    arguments.add_argument("--seconds", type=float, default=20, help="how long a load lasts")
    arguments.add_argument("--json", type=Path, help="a file to write the figures to")
    options = arguments.parse_args()
    measure(ROWS, lambda scratch: Bench(scratch, options), options)


if __name__ == "__main__":
    main()
