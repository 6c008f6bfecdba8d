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


def node_command(*options) -> list:
    """The command of the Node.js bootstrap; none without a Node.js."""
    node = shutil.which("node")
    return node and [node, "--expose-gc", *options, str(RUNTIMES / "node/bootstrap.cjs")]


class Bootstrap:
    """One process. It ends with the `with` block."""

    def __init__(self, command, directory, handler, **environment):
        self.platform, runtime = socket.socketpair()
        self.platform.settimeout(20)
        language = "nodejs20.x" if "node" in command[-1] else "python3.12"
        self.log = Path(directory) / "log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["sh", "-c", f'exec "$@" 3<&{runtime.fileno()} {runtime.fileno()}<&-', "sh", *command],
                pass_fds=[runtime.fileno()], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory,
                env={
                    "PATH": os.environ["PATH"], "_HANDLER": handler, "TZ": ":UTC",
                    "AWS_EXECUTION_ENV": f"AWS_Lambda_{language}", "LAMBDA_TASK_ROOT": str(directory),
                    "PYTHONPATH": str(directory), "PYTHONDONTWRITEBYTECODE": "1",
                    "AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_LOG_STREAM_NAME": "the template's",
                    **environment,
                },
            )
        runtime.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.platform.close()
        self.process.kill()
        self.process.wait()

    def send(self, kind: str, body: bytes = b"") -> None:
        """Send one frame."""
        self.platform.sendall(kind.encode() + struct.pack(">I", len(body)) + body)

    def receive(self) -> tuple:
        """The next frame: kind and body."""
        kind, length = struct.unpack(">cI", self._read(5))
        return kind.decode(), self._read(length)

    def _read(self, length: int) -> bytes:
        chunks = []
        while length:
            chunk = self.platform.recv(length)
            if not chunk:
                raise EOFError(f"the channel is closed, status {self.process.wait(10)}: {self.log.read_text()}")
            chunks.append(chunk)
            length -= len(chunk)
        return b"".join(chunks)

    def ready(self) -> "Bootstrap":
        """Wait until it has initialised."""
        answer = self.receive()
        assert answer == ("R", b""), (answer, self.log.read_text())
        return self

    def capture(self) -> "Bootstrap":
        """Have it get ready to be copied."""
        self.send("S")
        answer = self.receive()
        assert answer == ("S", b""), (answer, self.log.read_text())
        return self

    def resume(self, **environment) -> "Bootstrap":
        """Tell it that it is a copy."""
        self.send("C", json.dumps({"environment": environment}).encode())
        return self.ready()

    def call(self, event=None, request_id="one", trace_id="Root=1", client_context=None, deadline_ms=1 << 42):
        """Hand an event over: the kind of the answer and what it says."""
        header = json.dumps({
            "request_id": request_id, "deadline_ms": deadline_ms, "client_context": client_context,
            "function_arn": "arn:f", "trace_id": trace_id,
        }).encode()
        self.send("V", struct.pack(">I", len(header)) + header + json.dumps(event).encode())
        kind, body = self.receive()
        return kind, json.loads(body)
