"""The tour of the README works, line by line."""

import os
import re
import subprocess
import sys
from pathlib import Path

from conftest import CREDENTIALS, RUNTIME
from mayfly_process import ROOT, binary, wait_for


def blocks(language: str) -> list:
    """The code blocks of the tour behind the one that starts a server."""
    tour = (ROOT / "README.md").read_text().split("## A tour")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", tour.split("In another terminal")[1], re.DOTALL)


def test_the_tour(fresh_server, tmp_path):
    server = fresh_server()
    (tmp_path / "target/release").mkdir(parents=True)
    (tmp_path / "target/release/mayfly").symlink_to(binary())
    env = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path), **CREDENTIALS,
        "AWS_ENDPOINT_URL": server.url, "AWS_PAGER": "",
    }
    settings, *steps = blocks("sh")
    for name in ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert name in settings
    script = "set -euo pipefail\n" + "\n".join(steps).replace("python3.11", RUNTIME)
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for expected in (
        '"you": {"name": "you"}'.replace('"', '\\"'), "hello from hello", '{"you": "name=you"}', '[{\\"id\\":1,\\"text\\":\\"hello\\"}]',
    ):
        assert expected in done.stdout, f"{expected!r} is not in:\n{done.stdout}"
    wait_for(
        lambda: server.mayfly("logs", "hello", "--endpoint", server.url).count("hello from hello") == 3, 20,
        "the function to run for the call, the request and the upload",
    )
    (python,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", python], cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=60,
    )
    assert "'body': '{\"you\": {\"name\": \"you\"}}'" in done.stdout, done.stdout + done.stderr
