"""A bootstrap without a sandbox: its process, and the platform's end of its event channel."""

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

RUNTIMES = Path(__file__).resolve().parent.parent / "runtimes"
PYTHON = [sys.executable, "-S", "-s", "-X", "utf8", str(RUNTIMES / "python/bootstrap.py")]
FORKED = [*PYTHON[:-1], str(Path(__file__).with_name("forked_bootstrap.py")), PYTHON[-1]]
HEADER = {
    "request_id": "one", "deadline_ms": 1 << 42, "client_context": None, "function_arn": "arn:f", "trace_id": "Root=1",
}


def node(*options) -> list:
    """The command of the Node.js bootstrap; none without a Node.js."""
    program = shutil.which("node") or shutil.which("nodejs")
    return program and [program, "--expose-gc", *options, str(RUNTIMES / "node/bootstrap.cjs")]


def frame(kind: str, body: bytes = b"") -> bytes:
    """A frame of the event channel."""
    return kind.encode() + struct.pack(">I", len(body)) + body


def event_frame(event=None, **header) -> bytes:
    """The frame of an event."""
    head = json.dumps({**HEADER, **header}).encode()
    return frame("V", struct.pack(">I", len(head)) + head + json.dumps(event).encode())


def copy_frame(**environment) -> bytes:
    """The frame that tells a process that it is a copy."""
    return frame("C", json.dumps({"environment": environment}).encode())


class Channel:
    """The platform's end of an event channel."""

    def __init__(self):
        self.platform, self.runtime = socket.socketpair()
        self.platform.settimeout(20)

    def send(self, frames: bytes) -> None:
        """Send frames as they are."""
        self.platform.sendall(frames)

    def receive(self) -> tuple:
        """The next frame: kind and body."""
        kind, length = struct.unpack(">cI", self._read(5))
        return kind.decode(), self._read(length)

    def _read(self, length: int) -> bytes:
        chunks = []
        while length:
            chunk = self.platform.recv(length)
            if not chunk:
                raise EOFError("the runtime has closed the channel")
            chunks.append(chunk)
            length -= len(chunk)
        return b"".join(chunks)

    def said(self) -> tuple:
        """The next frame: its kind, and what its body says."""
        kind, body = self.receive()
        return kind, body and json.loads(body)

    def call(self, event=None, **header) -> tuple:
        """Hand an event over: the kind of the answer and what it says."""
        self.send(event_frame(event, **header))
        return self.said()

    def ready(self):
        """Wait until it is ready for an event."""
        assert self.said() == ("R", b"")
        return self

    def capture(self):
        """Have it get ready to be copied."""
        self.send(frame("S"))
        assert self.said() == ("S", b"")
        return self

    def resume(self, **environment):
        """Tell it that it is a copy."""
        self.send(copy_frame(**environment))
        return self.ready()


class Bootstrap(Channel):
    """One process, of which FORKED makes copies, with channels of their own. All end with the `with` block."""

    def __init__(self, command, directory, handler, copies=0, **environment):
        super().__init__()
        self.copies = [Channel() for _ in range(copies)]
        ends = [self.runtime, *(copy.runtime for copy in self.copies)]
        language = "nodejs20.x" if str(command[-1]).endswith(".cjs") else "python3.12"
        self.output = Path(directory) / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                ["bash", "-c", f'exec "$@" 3<&{self.runtime.fileno()}', "bash", *command],
                pass_fds=[end.fileno() for end in ends],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=directory,
                env={
                    "PATH": os.environ["PATH"], "_HANDLER": handler, "TZ": ":UTC", "PYTHONDONTWRITEBYTECODE": "1",
                    "AWS_EXECUTION_ENV": f"AWS_Lambda_{language}", "LAMBDA_TASK_ROOT": str(directory),
                    "PYTHONPATH": str(directory), "COPIES": ",".join(str(end.fileno()) for end in ends[1:]),
                    **environment,
                },
            )
        for end in ends:
            end.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for channel in [self, *self.copies]:
            channel.platform.close()
        self.process.kill()
        self.process.wait()

    def ended(self) -> int:
        """Wait for its end: the status."""
        return self.process.wait(10)
