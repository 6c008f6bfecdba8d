"""Runs the mayfly program as a child: start, wait until it answers, stop, kill, start again.

For the tests and the examples' demos. Needs only the standard library.
"""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LISTENING = re.compile(r"http://127\.0\.0\.1:(\d+)")
OWN_GROUP = {"process_group": 0} if sys.version_info >= (3, 11) else {"preexec_fn": os.setpgrp}
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def binary() -> Path:
    """The program: $MAYFLY_BIN, or what `cargo build --release` makes."""
    return Path(os.environ.get("MAYFLY_BIN") or ROOT / "target/release/mayfly").resolve()


def wait_for(predicate, timeout: float, message: str, pause: float = 0.02):
    """Call predicate until it gives something true, and return that."""
    deadline = time.monotonic() + timeout
    while True:
        result = predicate()
        if result:
            return result
        if time.monotonic() > deadline:
            message = message() if callable(message) else message
            raise TimeoutError(f"waited {timeout:g} s for {message}")
        time.sleep(pause)


class MayflyProcess:
    """One server on a free loopback port. Its output is appended to the log file."""

    def __init__(self, data_dir, log, args=(), env=None):
        self.data_dir, self.log = Path(data_dir), Path(log)
        self.args, self.extra_env = list(args), dict(env or {})
        self.process, self.port = None, 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id while it runs."""
        return self.process.pid

    def start(self, timeout: float = 30) -> float:
        """Start it and wait until it answers; the seconds that took. A later start keeps the port."""
        # What the caller's shell says about AWS, or about a server of theirs, is not meant here.
        foreign = ("AWS_", "MAYFLY_")
        env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        env.update({"NO_COLOR": "1", **self.extra_env})
        command = [binary(), "serve", "--listen", f"127.0.0.1:{self.port}"]
        command += ["--data-dir", self.data_dir, *self.args]
        seen = self.log.stat().st_size if self.log.exists() else 0
        started = time.monotonic()
        with open(self.log, "ab") as log:
            # A process group of its own: Ctrl-C in the terminal reaches the caller, who stops the server. Not a session of
            # its own: Linux may share the processors out by session, and as in a terminal, server and client are in one.
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, **OWN_GROUP,
            )
        try:
            wait_for(lambda: self._answers(seen), timeout, "the server to listen", pause=0.002)
        except BaseException:
            self.kill()
            raise
        return time.monotonic() - started

    def _answers(self, seen: int) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"the server ended with {self.process.returncode}:\n{self.tail()}")
        listening = LISTENING.search(self.read_log(seen))
        if not listening:
            return False
        self.port = int(listening[1])
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as response:
                return response.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def running(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def stop(self, timeout: float = 15) -> int:
        """End it in order, or with force once the time is up; its exit status."""
        if self.running():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode if self.process else 0

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self.running():
            self.process.kill()
            self.process.wait(10)

    def read_log(self, offset: int = 0) -> str:
        """The log from a byte offset on, without colours."""
        if not self.log.exists():
            return ""
        with open(self.log, "rb") as log:
            log.seek(offset)
            return COLOUR.sub("", log.read().decode(errors="replace"))

    def tail(self, lines: int = 30) -> str:
        """The log's last lines."""
        return "\n".join(self.read_log().splitlines()[-lines:])


TROUBLE = re.compile(r"^(?:\S+\s+)?(?:WARN|ERROR)\b|panicked at")


def trouble(log: str) -> list:
    """The lines of a server's log that no healthy run has."""
    return [line for line in log.splitlines() if TROUBLE.search(line)]
