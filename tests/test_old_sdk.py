"""The tests of queues once more with an SDK from before SQS spoke JSON: it sends the query protocol and reads XML."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def test_queues_serve_an_sdk_of_old():
    old = HERE.parent / ".venv/old-sdk"
    env = {**os.environ, "PYTHONPATH": str(old)}
    protocol = "import botocore.session as s; print(s.get_session().get_service_model('sqs').metadata['protocol'])"
    done = subprocess.run([sys.executable, "-c", protocol], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "query"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / "test_sqs.py")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-1_000:]
    assert " passed" in done.stdout
