"""Custom runtimes: a fresh process of a static program per event, beside the same program started by others.

    make build && .venv/bin/python benches/custom.py [--events 300]

Peers are measured in the same run, in turn with Mayfly: the bare program, `bwrap` (Debian's package bubblewrap) and,
where they work on the machine, `crun` and `runc`, all with the same namespaces and none with limits. Mayfly is there
twice: as it is, and with nothing prepared (`standby = 0`). Mayfly's times are of a whole Invoke over HTTP.
Row of SPECIFICATION.md: S6.
"""

import argparse
import base64
import http.client
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from starts import ROOT, MayflyProcess, binary, call, quantiles, timed

EVENT = b'{"n": 1}'
NAMESPACES = ["pid", "network", "ipc", "uts", "mount", "cgroup", "user"]


def build(directory):
    program = directory / "bootstrap"
    rustc = shutil.which("rustc") or os.path.expanduser("~/.cargo/bin/rustc")
    flags = ["-O", "--edition", "2024", "-C", "target-feature=+crt-static", "-C", "panic=abort", "-C", "strip=symbols"]
    subprocess.run([rustc, *flags, "-o", program, ROOT / "benches/custom/bootstrap.rs"], check=True)
    return program


def deploy(connection, program):
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as zip:
        zip.write(program, "bootstrap")
    function = {
        "FunctionName": "custom", "Runtime": "provided.al2023", "Handler": "bootstrap", "Timeout": 60,
        "Role": "arn:aws:iam::000000000000:role/bench",
        "Code": {"ZipFile": base64.b64encode(package.getvalue()).decode()},
    }
    call(connection, "POST", "/2015-03-31/functions", json.dumps(function))


def bwrap(directory):
    binds = [word for path in ("/usr", "/lib", "/lib64", "/bin") if os.path.exists(path)
             for word in ("--ro-bind", path, path)]
    return [
        "bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", *binds,
        "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",
        "--ro-bind", str(directory), "/var/task", "--chdir", "/var/task", "/var/task/bootstrap",
    ]


def oci(runtime, directory, program):
    """A command that runs the program in a bundle of its own."""
    bundle = directory / runtime
    (bundle / "rootfs").mkdir(parents=True)
    shutil.copy(program, bundle / "rootfs/bootstrap")
    subprocess.run([runtime, "spec"], cwd=bundle, check=True, capture_output=True)
    spec = json.loads((bundle / "config.json").read_text())
    spec["process"].update(terminal=False, args=["/bootstrap"], cwd="/")
    for kind in spec["process"]["capabilities"]:
        spec["process"]["capabilities"][kind] = []
    spec["linux"]["namespaces"] = [{"type": kind} for kind in NAMESPACES]
    one = [{"containerID": 0, "hostID": 0, "size": 65536}]
    spec["linux"].update(uidMappings=one, gidMappings=one)
    spec["linux"].pop("resources", None)
    (bundle / "config.json").write_text(json.dumps(spec))
    options = ["--cgroup-manager=disabled"] if runtime == "crun" else []
    return [runtime, *options, "run", "--bundle", str(bundle), f"bench-{os.getpid()}-{runtime}"]


def peers(directory, program):
    commands = {"bare program": [str(program)]}
    if shutil.which("bwrap"):
        commands["bwrap"] = bwrap(directory / "task")
    for runtime in ("crun", "runc"):
        if shutil.which(runtime):
            commands[runtime] = oci(runtime, directory, program)
    for name in list(commands):
        tried = subprocess.run(commands[name], input=EVENT, capture_output=True)
        if tried.stdout != EVENT:
            print(f"{name} does not work here and is left out: {tried.stderr.decode().strip()[-200:]}")
            del commands[name]
    for name in {"bwrap", "crun", "runc"} - {name for name in commands if shutil.which(name)}:
        if not shutil.which(name):
            print(f"{name} is not installed and is left out")
    return commands


def serve(directory, name, standby):
    """A server with the function, and a connection to it."""
    place = directory / name
    place.mkdir()
    config = place / "mayfly.toml"
    config.write_text("" if standby is None else f"[functions]\nstandby = {standby}\n")
    server = MayflyProcess(place / "data", place / "server.log", args=["--config", config])
    server.start()
    return server, http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--events", type=int, default=300)
    events = arguments.parse_args().events
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        directory.chmod(0o755)
        (directory / "task").mkdir()
        program = build(directory / "task")
        servers = []
        try:
            servers = [serve(directory, "prepared", None), serve(directory, "unprepared", 0)]
            for _, connection in servers:
                deploy(connection, program)
            work = {
                name: lambda connection=connection: call(
                    connection, "POST", "/2015-03-31/functions/custom/invocations", EVENT)
                for name, (_, connection) in zip(("mayfly", "mayfly, nothing prepared"), servers)
            }
            for name, command in peers(directory, program).items():
                work[name] = lambda command=command: subprocess.run(
                    command, input=EVENT, capture_output=True, check=True)
            samples = {name: [] for name in work}
            for number in range(events + 5):
                for name, one in work.items():
                    taken = timed(one)
                    if number >= 5:
                        samples[name].append(taken)
                    # What an event leaves to be cleared away, or to be prepared, is not the next one's to bear.
                    time.sleep(0.03)
            print(f"{'one event, one in flight':28}{'p50 ms':>9}{'p99 ms':>9}")
            for name, values in samples.items():
                p50, p99 = quantiles(values)
                print(f"  {name:26}{p50:9.2f}{p99:9.2f}")
            for server, _ in servers:
                inside(server)
        finally:
            for server, _ in servers:
                server.stop()


def inside(server):
    """Prints where the calls' time went, as their REPORT lines say."""
    command = [binary(), "logs", "custom", "--endpoint", server.url]
    log = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    reports = re.findall(r"REPORT .*?\tDuration: ([\d.]+) ms.*?\tInit Duration: ([\d.]+) ms", log)
    for what, values in zip(("event handed over to its end", "start to the first `next`"), zip(*reports)):
        p50, p99 = quantiles([float(value) for value in values])
        print(f"    {server.data_dir.parent.name}: {what:32}{p50:9.2f}{p99:9.2f}")


if __name__ == "__main__":
    main()
