"""The harness: starts the real program, gives real clients, and reads the server's log.

Fixtures: `server` (one for the whole run) and `fresh_server` (a factory: each call
starts another one, ended with the test). A line of WARN or ERROR in the log of any
server fails the test during which it was written, unless the test said before with
`server.expect_log(regex)` that it would come.
"""

import io
import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
from mayfly_process import MayflyProcess, binary, trouble, wait_for  # noqa: E402

REGION = "us-east-1"
ACCOUNT = "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/test"
RUNTIME = f"python{sys.version_info[0]}.{sys.version_info[1]}"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
}


class AwsCliError(Exception):
    """The aws CLI ended with an error: its exit status, and what it said."""

    def __init__(self, status: int, stderr: str):
        super().__init__(f"aws ended with {status}: {stderr.strip()}")
        self.status, self.stderr = status, stderr.strip()


class Server(MayflyProcess):
    """A mayfly server of the tests' own, on a free loopback port, below one directory."""

    def __init__(self, directory: Path):
        super().__init__(directory / "data", directory / "server.log")
        self.directory = directory
        self.expected, self.checked = [], 0

    def start(self, data_dir=None, args=(), env=None, timeout: float = 30) -> "Server":
        """Start it and wait until it answers. What is not told stays as it was."""
        if data_dir is not None:
            self.data_dir = Path(data_dir)
        self.args = list(args) or self.args
        self.extra_env = dict(env or {}) or self.extra_env
        super().start(timeout)
        return self

    def restart(self, **changes) -> "Server":
        """Stop it if it runs, and start it again: same data, same port."""
        self.stop()
        return self.start(**changes)

    def client(self, service: str, read_timeout: float = 30, **config):
        """A boto3 client for this server: short timeouts, no retries that would hide faults."""
        settings = Config(
            connect_timeout=5, read_timeout=read_timeout, max_pool_connections=32,
            retries={"total_max_attempts": 1},
            signature_version="s3v4" if service == "s3" else None,
        )
        # A session of its own per client: sessions must not be shared by threads.
        session = boto3.session.Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION
        )
        return session.client(
            service, endpoint_url=self.url, config=settings.merge(Config(**config))
        )

    def aws(self, *arguments, timeout: float = 60):
        """Run the aws CLI; what it prints, as JSON where it is JSON. AwsCliError if it fails."""
        env = {
            "PATH": os.environ["PATH"], "HOME": str(self.directory), "AWS_PAGER": "",
            "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1", **CREDENTIALS,
        }
        program = [sys.executable, "-m", "awscli", "--endpoint-url", self.url]
        done = subprocess.run(
            [*program, *map(str, arguments)], env=env, cwd=self.directory,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
        )
        if done.returncode:
            raise AwsCliError(done.returncode, done.stderr)
        try:
            return json.loads(done.stdout)
        except ValueError:
            return done.stdout

    def mayfly(self, *arguments, timeout: float = 60) -> str:
        """Run another command of the program, such as `mayfly logs`; what it prints."""
        return subprocess.run(
            [str(binary()), *map(str, arguments)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=True,
        ).stdout

    def expect_log(self, regex: str) -> None:
        """Within this test, lines of WARN or ERROR that match are right."""
        self.expected.append(re.compile(regex))

    def check_log(self) -> list:
        """The unexpected lines of WARN or ERROR since the last check; expectations end with it."""
        text = self.read_log(self.checked)
        self.checked = self.log.stat().st_size if self.log.exists() else 0
        expected, self.expected = self.expected, []
        return [
            line for line in trouble(text) if not any(regex.search(line) for regex in expected)
        ]


SERVERS = []  # every server of the run that has not been ended yet


@pytest.fixture(scope="session", autouse=True)
def orderly_end():
    """A run that is told to end still stops the servers that it started."""
    previous = signal.signal(signal.SIGTERM, lambda *_: pytest.exit("ended by a signal", 143))
    yield
    signal.signal(signal.SIGTERM, previous)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The server that most tests share: take names of your own in it."""
    shared = _new(tmp_path_factory.mktemp("server")).start()
    yield shared
    _assert_none(_end(shared))


@pytest.fixture
def fresh_server(tmp_path_factory):
    """A factory of servers with empty data directories, for tests that need one to themselves."""
    mine = []

    def start(data_dir=None, args=(), env=None, timeout: float = 30) -> Server:
        one = _new(tmp_path_factory.mktemp("fresh"))
        mine.append(one)
        return one.start(data_dir=data_dir, args=args, env=env, timeout=timeout)

    yield start
    _assert_none([line for one in mine for line in _end(one)])


@pytest.fixture(autouse=True)
def quiet_logs():
    """Fails the test during which a server wrote a WARN or ERROR that nobody expected."""
    yield
    _assert_none([line for one in SERVERS for line in one.check_log()])


def _new(directory: Path) -> Server:
    if not binary().exists():
        pytest.exit(f"{binary()} is missing: run `make build`, or set MAYFLY_BIN", 2)
    one = Server(directory)
    SERVERS.append(one)
    return one


def _end(one: Server) -> list:
    one.stop()
    SERVERS.remove(one)
    return one.check_log()


def _assert_none(problems: list) -> None:
    assert not problems, "in the server's log:\n" + "\n".join(problems)


def zip_of(files: dict) -> bytes:
    """A deployment package of the given texts or bytes, by file name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o755 if name == "bootstrap" else 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(info, content)
    return buffer.getvalue()


def make_function(client, name: str, source, **config) -> dict:
    """Create a function from the text of app.py, or from a dictionary of files, and wait until
    it is active; its configuration."""
    files = source if isinstance(source, dict) else {"app.py": source}
    settings = {"Runtime": RUNTIME, "Handler": "app.handler", "Role": ROLE, "Timeout": 10, **config}
    client.create_function(FunctionName=name, Code={"ZipFile": zip_of(files)}, **settings)
    client.get_waiter("function_active_v2").wait(
        FunctionName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600}
    )
    return client.get_function_configuration(FunctionName=name)


def refused(code, call, status=None, **arguments) -> str:
    """Call and expect the refusal `code`; its message."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response
    assert error["Error"]["Code"] == code, error
    if status:
        assert error["ResponseMetadata"]["HTTPStatusCode"] == status
    return error["Error"].get("Message", "")
