"""`make demo`, as a user runs it: the image recognition example from build to results."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mayfly_process import ROOT, binary, wait_for

DEMO = ROOT / "examples/image-recognition/demo.py"


def run(tmp_path: Path) -> subprocess.Popen:
    env = {**os.environ, "MAYFLY_BIN": str(binary()), "TMPDIR": str(tmp_path), "KEEP": ""}
    env["PYTHONUTF8"] = "1"
    return subprocess.Popen(
        [sys.executable, "-u", DEMO], env=env, stdin=subprocess.DEVNULL,
        stdout=open(tmp_path / "out", "wb"), stderr=subprocess.STDOUT,
    )


def finish(process: subprocess.Popen) -> int:
    try:
        return process.wait(400)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


@pytest.mark.timeout(480)
def test_the_demo_comes_out_right(tmp_path):
    status = finish(run(tmp_path))
    out = (tmp_path / "out").read_text("utf-8")
    assert status == 0, out
    rows = re.findall(r"^  (.+\.(?:png|jpg)) +[\d,]+ +(\d) +(\d) +[01]\.\d{3} ", out, re.M)
    assert len(rows) == 14, out
    assert all(truth == result for _, truth, result in rows), out
    assert "All came out right" in out
    assert [path.name for path in tmp_path.iterdir()] == ["out"], "it leaves nothing behind"


@pytest.mark.timeout(480)
def test_an_interrupted_demo_stops_its_server(tmp_path):
    process = run(tmp_path)
    out = tmp_path / "out"
    try:
        started = wait_for(
            lambda: re.search(r"server .*pid (\d+)", out.read_text("utf-8")), 300, "the demo's server"
        )
        process.send_signal(signal.SIGINT)
    finally:
        assert finish(process) == 130, out.read_text("utf-8")
    assert not Path(f"/proc/{started[1]}").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"], "it leaves nothing behind"
