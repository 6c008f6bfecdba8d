"""Drives the Java bootstrap itself, as the platform does, over a socket that it finds at descriptor 3.

So the frames of an event channel are tested one by one: what a process says when it is about to be copied, and
what the copies do before their events.
"""

import json
import os
import re
import shutil
import socket
import struct
import subprocess
from pathlib import Path

from mayfly_process import ROOT

JAR = ROOT / "runtimes/java/target/bootstrap.jar"
OPTION = re.compile(r'\("[^"]+", (?:ALL|(\d+)\.\.=(\d+|u32::MAX)), "(-[^"]+)"\)')


def options(version):
    """The options with which every function starts on that version of Java."""
    text = (ROOT / "crates/sandbox/src/runtimes/java.rs").read_text("utf-8")
    found = OPTION.findall(text)
    assert len(found) > 10
    return [
        option for first, last, option in found
        if int(first or 0) <= version and (not last.isdigit() or version <= int(last))
    ]


class Jvm:
    """A process with a function in it."""

    def __init__(self, package, handler, java="java", version=17, more=(), **env):
        ours, theirs = socket.socketpair()
        ours.settimeout(60)
        self.channel = ours
        home = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        settings = {
            "_HANDLER": handler, "LAMBDA_TASK_ROOT": str(package), "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_LOG_STREAM_NAME": "of the template",
        }
        command = [shutil.which(java), *options(version), "-Xms32m", "-Xmx436m", *more, "-cp", str(JAR), "mayfly.runtime.Bootstrap"]
        with theirs:
            self.process = subprocess.Popen(
                ["bash", "-c", f'exec 3<&{theirs.fileno()} {theirs.fileno()}<&-; exec "$@"', "bash", *command],
                cwd=package, env={**home, **settings, **env}, pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()
        self.process.kill()
        self.process.communicate()

    @property
    def pid(self):
        """The process id."""
        return self.process.pid

    def send(self, kind: str, body: bytes = b"") -> None:
        """Send one frame."""
        self.channel.sendall(kind.encode() + struct.pack(">I", len(body)) + body)

    def receive(self):
        """The next frame: its kind and its body."""
        head = self._exactly(5)
        return chr(head[0]), self._exactly(struct.unpack(">I", head[1:])[0])

    def _exactly(self, length: int) -> bytes:
        got = b""
        while len(got) < length:
            part = self.channel.recv(length - len(got))
            if not part:
                raise EOFError(f"the process has ended: {self.process.communicate()[0].decode()}")
            got += part
        return got

    def ready(self):
        """Wait until the function is loaded."""
        return self._expect("R")

    def capture(self):
        """Tell it that it is about to be copied."""
        self.send("S")
        return self._expect("S")

    def restore(self, **environment):
        """Tell it that it is a copy."""
        self.send("C", json.dumps({"environment": environment}).encode())
        return self._expect("R")

    def invoke(self, event=None, **said):
        """The kind of the answer to an event, and the answer."""
        header = {
            "request_id": "e1", "deadline_ms": 1 << 42, "trace_id": None, "client_context": None, "function_arn": "f",
            **said,
        }
        header = json.dumps(header).encode()
        self.send("V", struct.pack(">I", len(header)) + header + json.dumps(event).encode())
        kind, body = self.receive()
        return kind, json.loads(body)

    def _expect(self, kind):
        got, body = self.receive()
        assert got == kind, (got, body)
        return self

    def printed(self) -> str:
        """Close the channel; what the process has written to its log."""
        self.channel.close()
        return self.process.communicate(timeout=60)[0].decode()


def package_of(classes: dict, directory: Path) -> Path:
    """Write the files of a package."""
    for name, content in classes.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return directory
