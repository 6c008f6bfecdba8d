"""Nothing accepted is lost: the server is killed at the worst moments and started again."""

import json
import os
import signal
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from conftest import REGION, ACCOUNT, make_function
from inside import SOURCE
from mayfly_process import wait_for

CONFIG = """
[events]
retry_delay_s = 1
"""

# Copies each uploaded key to the bucket of results, after the time that the key asks for.
COPY = '''
import time, urllib.parse
from platform_api import put

def handler(event, context):
    for record in event["Records"]:
        key = urllib.parse.unquote_plus(record["s3"]["object"]["key"])
        put("results", "began/" + key, b"")
        time.sleep(float(key.split("-")[1]))
        put("results", "ended/" + key, b"")
'''


@pytest.fixture
def watched(fresh_server, tmp_path):
    """A server with a function that runs for every object put into the bucket `uploads`."""
    config = tmp_path / "mayfly.toml"
    config.write_text(CONFIG)
    server = fresh_server(args=["--config", str(config)])
    make_function(
        server.client("lambda"), "copy", {"app.py": COPY, "platform_api.py": SOURCE}, Timeout=30
    )
    s3 = server.client("s3")
    s3.create_bucket(Bucket="uploads")
    s3.create_bucket(Bucket="results")
    s3.put_bucket_notification_configuration(
        Bucket="uploads",
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [
                {
                    "LambdaFunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:copy",
                    "Events": ["s3:ObjectCreated:*"],
                }
            ]
        },
    )
    return server


def results(server, prefix):
    """The keys that arrived below prefix."""
    pages = server.client("s3").get_paginator("list_objects_v2").paginate(Bucket="results", Prefix=prefix)
    return {entry["Key"][len(prefix):] for page in pages for entry in page.get("Contents", [])}


def test_killed_between_upload_and_run(watched):
    keys = {f"{number}-2" for number in range(40)}
    s3 = watched.client("s3")
    for key in keys:
        s3.put_object(Bucket="uploads", Key=key, Body=b"x")
    done = results(watched, "ended/")
    watched.kill()
    assert len(done) < len(keys), "some had not run yet when the server was killed"
    watched.start()
    wait_for(lambda: results(watched, "ended/") == keys, 60, "every upload's result")


def test_killed_while_a_function_runs(watched):
    watched.client("s3").put_object(Bucket="uploads", Key="0-3", Body=b"x")
    wait_for(lambda: "0-3" in results(watched, "began/"), 20, "the function to begin")
    watched.kill()
    watched.start()
    assert not results(watched, "ended/")
    wait_for(lambda: "0-3" in results(watched, "ended/"), 20, "the function to run again")


def test_without_its_launcher_the_server_ends_and_says_so(watched):
    """No sandbox can be made any more, so whoever supervises the server has to start it again."""
    children = Path(f"/proc/{watched.pid}/task/{watched.pid}/children").read_text().split()
    (launcher,) = [pid for pid in children if b"sandbox-launcher" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    watched.client("s3").put_object(Bucket="uploads", Key="0-1", Body=b"x")
    os.kill(int(launcher), signal.SIGKILL)
    wait_for(lambda: not watched.running(), 20, "the server to end")
    assert watched.process.returncode == 1
    assert "the process that creates sandboxes is gone" in watched.read_log()
    watched.expect_log("a run failed")
    watched.start()
    wait_for(lambda: "0-1" in results(watched, "ended/"), 20, "the function to run")


def test_a_stop_hands_work_back(watched):
    """SIGTERM: what does not finish within the grace period runs after the next start."""
    config = watched.directory / "short-grace.toml"
    config.write_text("grace_s = 0\n" + CONFIG)
    watched.restart(args=["--config", str(config)])
    watched.client("s3").put_object(Bucket="uploads", Key="0-3", Body=b"x")
    wait_for(lambda: "0-3" in results(watched, "began/"), 20, "the function to begin")
    assert watched.stop() == 0
    watched.start()
    assert not results(watched, "ended/")
    wait_for(lambda: "0-3" in results(watched, "ended/"), 20, "the function to run again")


def test_a_stop_lets_work_finish(watched):
    watched.client("s3").put_object(Bucket="uploads", Key="0-2", Body=b"x")
    wait_for(lambda: "0-2" in results(watched, "began/"), 20, "the function to begin")
    assert watched.stop() == 0
    watched.start()
    assert results(watched, "ended/") == {"0-2"}


def test_acknowledged_state_survives_a_kill(watched):
    s3, functions = watched.client("s3"), watched.client("lambda")
    for number in range(20):
        s3.put_object(Bucket="results", Key=f"kept/{number}", Body=str(number).encode())
    functions.update_function_configuration(FunctionName="copy", Description="kept")
    watched.kill()
    watched.start()
    s3, functions = watched.client("s3"), watched.client("lambda")
    for number in range(20):
        assert s3.get_object(Bucket="results", Key=f"kept/{number}")["Body"].read() == str(number).encode()
    assert functions.get_function_configuration(FunctionName="copy")["Description"] == "kept"


def test_failed_events_are_retried_twice_and_then_listed(watched):
    functions = watched.client("lambda")
    make_function(
        functions, "fails",
        {
            "app.py": "import time\n"
            "from platform_api import put\n"
            "def handler(event, context):\n"
            "    put('results', f\"tried/{event['n']}-{time.time_ns()}\", b'')\n"
            "    raise ValueError('always')\n",
            "platform_api.py": SOURCE,
        },
    )
    answer = functions.invoke(FunctionName="fails", InvocationType="Event", Payload=json.dumps({"n": 1}))
    assert answer["StatusCode"] == 202
    id = answer["ResponseMetadata"]["RequestId"]
    line = wait_for(
        lambda: next(
            (line for line in watched.mayfly("failed-events", "--endpoint", watched.url).splitlines()
             if "function:fails" in line), None,
        ),
        60, "the event to be given up",
    )
    assert "attempts=3 ValueError: always" in line
    assert id in line, "it keeps the request id that Invoke answered with"
    assert len(results(watched, "tried/")) == 3


def test_a_data_directory_belongs_to_one_server(watched, fresh_server):
    with pytest.raises(RuntimeError, match="in use by another process"):
        fresh_server(data_dir=watched.data_dir)
    with pytest.raises(ClientError):
        watched.client("s3").head_bucket(Bucket="nowhere")
