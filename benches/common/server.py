"""A server of Mayfly's with functions, and what it says of their runs."""

import base64
import collections
import http.client
import json
import sys
import time

from . import ROOT  # noqa: F401 (finds mayfly_process)
from .load import Work
from mayfly_process import MayflyProcess

SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=bench/20260101/us-east-1/lambda/aws4_request, "
          "SignedHeaders=host, Signature=0"}
FUNCTIONS = "/2015-03-31/functions"
# How a process came to be that was there before its event.
PREPARED = {"clone", "ready", "warm"}


class Server:
    """Used with `with`: a server of its own below a directory, ended at the end."""

    def __init__(self, directory, settings=""):
        directory.mkdir()
        (directory / "mayfly.toml").write_text(settings)
        self.process = MayflyProcess(
            directory / "data", directory / "server.log", args=["--config", directory / "mayfly.toml"])

    def __enter__(self):
        self.started = self.process.start()
        self.connection = http.client.HTTPConnection("127.0.0.1", self.process.port, timeout=300)
        return self

    def __exit__(self, *failure):
        self.process.stop()

    def deploy(self, function, memory=128, **tags):
        """Creates it, and gives the work of calling it."""
        code = {"ZipFile": base64.b64encode(function.package()).decode()}
        call(self.connection, "POST", FUNCTIONS, {
            "FunctionName": function.name, "Runtime": function.runtime, "Handler": function.handler, "Timeout": 60,
            "Role": "arn:aws:iam::000000000000:role/bench", "Code": code, "MemorySize": memory,
            "Tags": {key.replace("_", ":"): value for key, value in tags.items()},
        })
        return self.calling(function)

    def calling(self, function):
        """The work of calling a function."""
        path = f"{FUNCTIONS}/{function.name}/invocations"
        return Work(function.event, function.expect, call=[str(self.process.port), path])

    def prepare(self, function, patience):
        """Calls the function until a process was there before its event, or for so many seconds."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            call(self.connection, "POST", f"{FUNCTIONS}/{function.name}/invocations", json.loads(function.event))
            if self.kinds(function, 1).keys() & PREPARED:
                break
            time.sleep(0.1)
        # As many as the server wants to hold are made meanwhile.
        time.sleep(1)

    def kinds(self, function, count):
        """How the processes of its last runs came to be, with their numbers."""
        page = call(self.connection, "GET", f"/_mayfly/runs?function={function.name}&limit={min(count, 10_000)}")
        return collections.Counter(run["start"] for run in page["runs"])


def call(connection, method, path, body=None):
    """The answer to a request; ends the bench with any that fails."""
    headers = {} if path.startswith("/_") else SIGNED
    connection.request(method, path, b"" if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    answer = response.read()
    # The next one may come long after, when the server has closed it.
    connection.close()
    if response.status >= 300 or response.headers.get("x-amz-function-error"):
        sys.exit(f"{method} {path} answered {response.status}: {answer.decode()}")
    return json.loads(answer)
