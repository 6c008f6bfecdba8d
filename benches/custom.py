"""Custom runtimes: a fresh process of a static program per event, beside the same program started by others.

    make build && .venv/bin/python benches/custom.py [--events 300] [--json FILE]

Peers are measured in the same run, in turn with Mayfly: the bare program, `bwrap` (Debian's package bubblewrap) and,
where they work on the machine, `crun` and `runc`, all with the same namespaces and none with limits. Mayfly is there
three times: as it is, with every start cold, and with nothing at all prepared for one (`standby = 0`). Its times are of
a whole Invoke over HTTP.
Row of SPECIFICATION.md: S6.
"""

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

from common import ROOT, quantiles
from common.functions import Function
from common.load import Load, Work, compile_rust
from common.peers import sandboxed
from common.server import Server
from common.table import Row, write
from mayfly_process import binary

STATIC = ["-C", "target-feature=+crt-static", "-C", "panic=abort", "-C", "strip=symbols"]


def peers(function, scratch):
    """The work of running the program without Mayfly."""
    commands = {"bare program": [str(function.directory / "bootstrap")]}
    commands |= sandboxed("program", function.command, scratch, function.directory, function.event, function.expect)
    return {name: Work(function.event, function.expect, command=command) for name, command in commands.items()}


def inside(row, server):
    """Adds where the calls' time went, as their REPORT lines say."""
    command = [binary(), "logs", "custom", "--endpoint", server.process.url]
    log = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    reports = re.findall(r"REPORT .*?\tDuration: ([\d.]+) ms.*?\tInit Duration: ([\d.]+) ms", log)
    for what, values in zip(("event handed over to its end", "start to the first `next`"), zip(*reports)):
        row.samples(f"  {what}", [float(value) for value in values])


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--events", type=int, default=300)
    arguments.add_argument("--patience", type=float, default=10,
                           help="how many seconds the function is given to have processes prepared")
    arguments.add_argument("--json", type=Path, help="a file to write the figures to")
    options = arguments.parse_args()
    target = "p50 <= 5 ms with nothing prepared, faster than bwrap"
    row = Row("S6", "custom runtime, fresh, one event in flight", target)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        scratch.chmod(0o755)
        code = scratch / "code"
        code.mkdir()
        compile_rust(ROOT / "benches/custom/bootstrap.rs", code / "bootstrap", *STATIC)
        function = Function("custom", "provided.al2023", "bootstrap", code, ["/var/task/bootstrap"], expect='"n"')
        with (
            Server(scratch / "ready") as ready,
            Server(scratch / "cold") as cold,
            Server(scratch / "nothing", "[functions]\nstandby = 0\n") as nothing,
        ):
            servers = {"mayfly": ready, "mayfly, cold": cold, "mayfly, cold, nothing prepared": nothing}
            ready.deploy(function)
            for server in (cold, nothing):
                server.deploy(function, mayfly_start="cold")
            ready.prepare(function, options.patience)
            works = {name: server.calling(function) for name, server in servers.items()}
            # What an event leaves to be cleared away, or to be prepared, is not the next one's to bear.
            samples = Load(scratch).in_turn(works | peers(function, scratch), options.events, pause=0.03, warm_up=5)
            for name, taken in samples.items():
                if name in servers:
                    row.samples(name, taken, prepared=servers[name].kinds(function, options.events))
                    inside(row, servers[name])
                else:
                    row.samples(name, taken)
    ours = quantiles(samples["mayfly, cold, nothing prepared"])[0]
    row.judge(ours <= 5 and all(ours < quantiles(samples[name])[0] for name in samples if name.startswith("bwrap")))
    row.show()
    if options.json:
        write([row], options.json)


if __name__ == "__main__":
    main()
