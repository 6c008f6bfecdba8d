"""Starts and calls: what a fresh process per event costs here, beside the same program started by others.

    make build && .venv/bin/python benches/starts.py [--rows S1,S4] [--json FILE]

Peers are measured in the same run, in turn with Mayfly where one event is in flight, so that a busy machine is busy for
all of them. They are the bare program, `bwrap` (Debian's package bubblewrap), `crun` and `runc` as far as they are
there, and for S5 ministack from PyPI, which is installed for the run. None of the sandboxes among them sets limits.

"prepared" tells how the processes came to be, by what the runs' records say: `cold`, started when the event came;
`ready`, started ahead; `clone`, copied from one that had initialised; `warm`, used by earlier events.

Rows of SPECIFICATION.md: S1, S2, S3, S4, S5, S7, P1, P3, P5; M is the memory of processes that wait.
"""

import argparse
import time
from pathlib import Path

from common import ROOT, functions, memory, quantiles
from common.load import Load, Work
from common.ministack import Ministack
from common.peers import sandboxed
from common.server import Server
from common.table import Row, measure
from mayfly_process import binary


class Bench:
    """What the rows share."""

    def __init__(self, scratch, options):
        self.scratch, self.options, self.load = scratch, options, Load(scratch)
        self.s1 = None

    def server(self, name):
        return Server(self.scratch / name)

    def peers(self, function, label, runtimes=("bwrap", "crun", "runc")):
        """The work of running the program without Mayfly, by name: bare, and in others' sandboxes."""
        commands = {label: function.command}
        commands |= sandboxed(label, function.command, self.scratch, function.directory, function.event,
                              function.expect, function.shown, runtimes)
        where = function.directory if function.directory.is_dir() else None
        return {name: Work(function.event, function.expect, command=command, directory=where)
                for name, command in commands.items()}

    def beside(self, row, server, function, peers, events):
        """One event in flight, in turn with the peers; Mayfly's median, and those of the peers."""
        samples = self.load.in_turn({"mayfly": server.calling(function), **peers}, events)
        for name, taken in samples.items():
            more = {"prepared": server.kinds(function, events)} if name == "mayfly" else {}
            row.samples(name, taken, **more)
        medians = {name: quantiles(taken)[0] for name, taken in samples.items()}
        return medians.pop("mayfly"), medians

    def deployed(self, server, function, **settings):
        server.deploy(function, **settings)
        server.prepare(function, self.options.patience)


def s1(bench):
    row = Row("S1", "fresh Python process per event, hello, one in flight", "p50 <= 1.5 ms, p99 <= 6 ms, bwrap / 10")
    function = functions.python(bench.scratch, "s1")
    with bench.server("server-s1") as server:
        bench.deployed(server, function)
        bench.s1, peers = bench.beside(row, server, function, bench.peers(function, "python -S"), bench.options.events)
        load = bench.load.run("closed", server.calling(function), seconds=bench.options.seconds)
        row.load("mayfly, one straight after another", load, prepared=server.kinds(function, load["calls"]))
        others = [taken for name, taken in peers.items() if name.startswith("bwrap")]
        row.judge(bench.s1 <= 1.5 and row.lines[0]["p99"] <= 6 and all(bench.s1 * 10 <= taken for taken in others))
    return row


def s2(bench):
    row = Row("S2", "the same for functions with imports of 400 ms or more", "p50 <= 2x that of hello")
    hello = functions.python(bench.scratch, "s2-hello")
    slow = {
        "boto3": functions.python(bench.scratch, "s2-boto3", functions.CLIENTS, ["boto3"]),
        "numpy and Pillow": functions.python(bench.scratch, "s2-pictures", functions.PICTURES, ["numpy", "pillow"]),
    }
    for name, function in slow.items():
        with bench.server(f"server-{function.name}") as server:
            bench.deployed(server, hello, memory=512)
            bench.deployed(server, function, memory=512)
            works = {f"mayfly, {name}": server.calling(function), "mayfly, hello": server.calling(hello),
                     f"python -S, {name}": bench.peers(function, "python -S", ())["python -S"]}
            events = max(10, bench.options.events // 5)
            samples = bench.load.in_turn(works, events)
            for each, taken in samples.items():
                of = {f"mayfly, {name}": function, "mayfly, hello": hello}.get(each)
                row.samples(each, taken, **({"prepared": server.kinds(of, events)} if of else {}))
            ours, plain = (quantiles(samples[f"mayfly, {each}"])[0] for each in (name, "hello"))
            row.judge(row.reached is not False and ours <= 2 * plain)
    return row


def s3(bench):
    row = Row("S3", "fresh Node.js and Java, events at a fixed rate", "p50 <= 5 ms")
    for function, label, rate, memory_mb in (
        (functions.node(bench.scratch), "node app.js", 20, 256),
        (java(bench.options), "java -jar", 5, 512),
    ):
        if not function:
            continue
        with bench.server(f"server-{function.name}") as server:
            bench.deployed(server, function, memory=memory_mb)
            seconds = 2 * bench.options.seconds
            load = bench.load.run("open", server.calling(function), threads=32, rate=rate, seconds=seconds)
            name = f"mayfly, {function.runtime}, {rate}/s"
            row.load(name, load, prepared=server.kinds(function, load["calls"]))
            row.judge(row.reached is not False and load["p50"] <= 5 and not load["failures"])
            peers = bench.peers(function, label, ("bwrap",) if "node" in label else ())
            try:
                samples = bench.load.in_turn(peers, max(5, bench.options.events // 20), warm_up=1)
            except RuntimeError as error:
                print(f"{label}: left out, {error}")
                continue
            for name, taken in samples.items():
                row.samples(name, taken)
    return row


def java(options):
    """The application that was named, or else the small one of the examples."""
    if options.jar:
        return functions.java(options.jar, options.java_handler, options.java_event, options.java_expect)
    order = '{"customer": "Ada", "lines": [{"article": "pencil", "quantity": 3, "price": 120}]}'
    return functions.java(ROOT / "examples/hello-java/target/hello.jar", "hello.Checkout", order, "greeting")


def s4(bench):
    row = Row("S4", "fresh Python events per second, 8 connections", ">= 600/s, 10x bwrap")
    function = functions.python(bench.scratch, "s4")
    with bench.server("server-s4") as server:
        bench.deployed(server, function)
        seconds = 2 * bench.options.seconds
        load = bench.load.run("closed", server.calling(function), threads=8, seconds=seconds)
        row.load("mayfly", load, prepared=server.kinds(function, load["calls"]))
        ours = load["per_second"]
        peers = {}
        for name, work in bench.peers(function, "python -S", ("bwrap",)).items():
            load = bench.load.run("closed", work, threads=8, seconds=bench.options.seconds)
            peers[name] = row.load(name, load)["per_second"]
        row.judge(ours >= 600 and all(ours >= 10 * rate for name, rate in peers.items() if name.startswith("bwrap")))
    return row


def s5(bench):
    row = Row("S5", "warm mode, Python, closed loops", ">= 5,000/s, p50 <= 0.4 ms, 50x ministack's rate")
    function, rates = functions.python(bench.scratch, "s5"), {}
    with bench.server("server-s5") as server:
        bench.deployed(server, function, mayfly_start="warm")
        for threads in (8, 2, 1):
            load = bench.load.run("closed", server.calling(function), threads=threads, seconds=bench.options.seconds)
            kinds = server.kinds(function, load["calls"])
            rates[threads] = row.load(f"mayfly, {threads} in flight", load, prepared=kinds)
    with Ministack(bench.scratch) as ministack:
        if ministack:
            work = ministack.deploy(function)
            bench.load.run("closed", work, threads=8, seconds=2)
            load = bench.load.run("closed", work, threads=8, seconds=bench.options.seconds)
            rates["ministack"] = row.load("ministack, 8 in flight", load)
    others = rates.get("ministack", {}).get("per_second", 0)
    ours = [rates[threads] for threads in (8, 2)]
    row.judge(any(load["per_second"] >= max(5000, 50 * others) and load["p50"] <= 0.4 for load in ours))
    return row


def s7(bench):
    row = Row("S7", "burst of 600 events at once on an idle function", "all served, the last within 1.5 s")
    function = functions.python(bench.scratch, "s7")
    with bench.server("server-s7") as server:
        bench.deployed(server, function)
        load = bench.load.run("burst", server.calling(function), threads=600)
        row.load("mayfly", load, last_ms=load["last"], served=load["calls"], prepared=server.kinds(function, 600))
        row.judge(load["calls"] == 600 and load["last"] <= 1500)
    return row


def platform(bench):
    row = Row("P", "start to first answer, idle memory, program", "100 ms, 40 MiB, 60 MiB")
    with bench.server("server-idle") as server:
        started, size = server.started * 1e3, binary().stat().st_size / 2**20
        held = memory.whole_mib(server.process.pid)
        row.line("mayfly", start_ms=started, MiB_idle=held, MiB_program=size)
        row.judge(started <= 100 and held <= 40 and size <= 60)
    return row


def m(bench):
    row = Row("M", "memory of processes that wait for their event, median of each", None)
    python, node = functions.python(bench.scratch, "m-python"), functions.node(bench.scratch, "m-node")
    for function in filter(None, [python, node, java(bench.options)]):
        with bench.server(f"server-m-{function.runtime}") as server:
            bench.deployed(server, function, memory=256)
            # Those that wait have the memory that earlier events used.
            bench.load.run("open", server.calling(function), threads=1, rate=5, seconds=4)
            time.sleep(1)
            row.line(f"mayfly, {function.runtime}", **memory.of_runtimes(server.process.pid),
                     prepared=server.kinds(function, 1))
    return row


ROWS = {"S1": s1, "S2": s2, "S3": s3, "S4": s4, "S5": s5, "S7": s7, "P": platform, "M": m}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--rows", default=",".join(ROWS), help="which, with commas between them")
    arguments.add_argument("--events", type=int, default=200, help="how many where one is in flight")
    arguments.add_argument("--seconds", type=float, default=5, help="how long a loop of calls lasts")
    arguments.add_argument("--patience", type=float, default=10,
                           help="how many seconds a function is given to have processes prepared")
    arguments.add_argument("--jar", type=Path, help="a Java application for S3; `java -jar` runs it once")
    arguments.add_argument("--java-handler", help="its handler")
    arguments.add_argument("--java-event", default="{}", help="its event, as JSON")
    arguments.add_argument("--java-expect", default="", help="a text that its answer contains")
    arguments.add_argument("--json", type=Path, help="a file to write the figures to")
    options = arguments.parse_args()
    measure(ROWS, lambda scratch: Bench(scratch, options), options)


if __name__ == "__main__":
    main()
