"""ministack, another server with AWS's APIs: from PyPI, with its local executor, which reuses processes."""

import base64
import http.client
import os
import signal
import socket
import subprocess
import sys

from . import ROOT  # noqa: F401 (finds mayfly_process)
from .load import Work
from .server import FUNCTIONS, call
from mayfly_process import wait_for


class Ministack:
    """Used with `with`: installed into a directory, run, and ended at the end. False if it cannot be had."""

    def __init__(self, scratch):
        self.place, self.process = scratch / "ministack", None

    def __enter__(self):
        self.place.mkdir()
        pip = [self.place / "venv/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        try:
            subprocess.run([sys.executable, "-m", "venv", self.place / "venv"], check=True, capture_output=True)
            subprocess.run([*pip, "ministack"], check=True, capture_output=True)
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"ministack: cannot be installed, left out: {error}")
            return None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        settings = {"GATEWAY_PORT": str(self.port), "LAMBDA_EXECUTOR": "local", "HOME": str(self.place)}
        with open(self.place / "log", "wb") as log:
            self.process = subprocess.Popen(
                [self.place / "venv/bin/ministack"], cwd=self.place, env=os.environ | settings, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True)
        wait_for(self.answers, 60, "ministack to answer", pause=0.1)
        return self

    def answers(self):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", "/_ministack/health")
            return connection.getresponse().status == 200
        except OSError:
            return False

    def deploy(self, function):
        """Creates a function, and gives the work of calling it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        code = {"ZipFile": base64.b64encode(function.package()).decode()}
        call(connection, "POST", FUNCTIONS, {
            "FunctionName": function.name, "Runtime": function.runtime, "Handler": function.handler, "Timeout": 60,
            "Role": "arn:aws:iam::000000000000:role/bench", "Code": code})
        path = f"{FUNCTIONS}/{function.name}/invocations"
        return Work(function.event, function.expect, call=[str(self.port), path])

    def __exit__(self, *failure):
        if self.process:
            # Its workers are in the session that was made for it.
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(10)
