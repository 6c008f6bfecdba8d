"""The load generator, a small Rust program, so that what is measured is the server and not Python."""

import json
import os
import shutil
import subprocess
import time

from . import ROOT

# What a command finds: the caller's own variables may slow it, as certificates do that Node.js reads at its start.
ENVIRONMENT = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}


class Load:
    """Builds the generator in a directory, and runs it."""

    def __init__(self, directory):
        self.program = directory / "generator"
        compile_rust(ROOT / "benches/common/generator.rs", self.program)

    def run(self, mode, work, threads=1, seconds=None, rate=None):
        """One run of `closed`, `open` or `burst`; what the generator says of it."""
        flags = {"--threads": threads, "--seconds": seconds, "--rate": rate}
        flags = [str(word) for flag in flags.items() if flag[1] is not None for word in flag]
        ran = subprocess.run(
            [self.program, mode, *flags, *work.arguments], cwd=work.directory, env=ENVIRONMENT, capture_output=True,
            text=True)
        if ran.returncode:
            raise RuntimeError(f"the generator failed:\n{ran.stderr}")
        return json.loads(ran.stdout)

    def in_turn(self, works, events, pause=0.0, warm_up=2):
        """Milliseconds of each work, by its name: all of them once, then all once more, so that a machine that is busy
        is busy for all of them."""
        paces = {name: Pace(self.program, work) for name, work in works.items()}
        samples = {name: [] for name in works}
        try:
            for number in range(-warm_up, events):
                for name, pace in paces.items():
                    taken = pace.once(pause)
                    if number >= 0:
                        samples[name].append(taken)
        finally:
            for pace in paces.values():
                pace.end()
        return samples


class Work:
    """What is done again and again: a call of a function, or a command with the event as its standard input."""

    def __init__(self, event, expect, call=None, command=None, directory=None):
        arguments = ["--body", event, "--expect", expect]
        self.arguments = arguments + (["--call", *call] if call else ["--run", *command])
        self.directory = directory


class Pace:
    """A generator that does its work when told to."""

    def __init__(self, program, work):
        self.process = subprocess.Popen(
            [program, "lines", *work.arguments], cwd=work.directory, env=ENVIRONMENT, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def once(self, pause):
        """Milliseconds of one more time, after a pause in seconds."""
        if pause:
            # What an event leaves to be cleared away, or to be prepared, is not the next one's to bear.
            time.sleep(pause)
        self.process.stdin.write("\n")
        line = self.process.stdout.readline()
        if not line or line.startswith("failed"):
            raise RuntimeError(f"a call or a command {line.strip() or 'ended the generator'}")
        return float(line)

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def compile_rust(source, program, *flags):
    """Builds a program of one file."""
    rustc = shutil.which("rustc") or os.path.expanduser("~/.cargo/bin/rustc")
    subprocess.run([rustc, "-O", "--edition", "2024", *flags, "-o", program, source], check=True)
