"""The small examples, deployed and used as their READMEs say, line by line."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CREDENTIALS
from mayfly_process import ROOT


def runtime(server, prefix: str) -> str:
    """The first runtime that the server found whose name begins like this."""
    found = re.search(rf"runtime +({re.escape(prefix)}\S*) ", server.read_log())
    if not found:
        pytest.skip(f"the server found no {prefix} on this machine")
    return found[1]


def follow(example: str, server, directory: Path, **replaced) -> Path:
    """Run the shell commands of an example's README in a copy of it, with some words replaced; the copy."""
    copy = directory / example
    shutil.copytree(ROOT / "examples" / example, copy)
    commands = "\n".join(re.findall(r"```sh\n(.*?)```", (copy / "README.md").read_text("utf-8"), re.DOTALL))
    for word, other in replaced.items():
        assert word in commands
        commands = commands.replace(word, other)
    env = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(directory), **CREDENTIALS,
        "AWS_ENDPOINT_URL": server.url, "AWS_PAGER": "", "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        ["bash", "-c", "set -euo pipefail\n" + commands], cwd=copy, env=env, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return copy


def test_hello_nodejs(server, tmp_path):
    name = runtime(server, "nodejs")
    directory = follow("hello-nodejs", server, tmp_path, **{"nodejs20.x": name})
    summary = json.loads((directory / "summary.json").read_text("utf-8"))
    promised = re.search(r"```json\n(.*?)```", (directory / "README.md").read_text("utf-8"), re.DOTALL)[1]
    same = {"orders", "revenue", "customers", "bestSeller", "busiestDay"}
    promised = json.loads(promised)
    assert {key: summary[key] for key in same} == {key: promised[key] for key in same}
    assert summary.keys() == promised.keys()
    refused = json.loads((directory / "refused.json").read_text("utf-8"))
    assert (refused["errorType"], refused["errorMessage"]) == ("InvalidOrder", "order 7 has no date")
