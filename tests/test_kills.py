"""The server is killed again and again under load: whatever it acknowledged is there afterwards.

MAYFLY_KILLS sets how often; row F1 of SPECIFICATION.md is measured with 200.
"""

import json
import os
import random
import threading
import time

from botocore.exceptions import BotoCoreError, ClientError
from conftest import make_function
from inside import SOURCE
from mayfly_process import wait_for

KILLS = int(os.environ.get("MAYFLY_KILLS", "6"))
SEED = int(os.environ.get("MAYFLY_SEED", random.randrange(1 << 30)))
CLUSTER = "arn:aws:rds:us-east-1:000000000000:cluster:kills"
SECRET = "arn:aws:secretsmanager:us-east-1:000000000000:secret:kills"

ANSWERS = '''
from platform_api import put

def handler(event, context):
    put("answers", event["name"], b"")
'''


def writer(server, run, acknowledged, stop):
    """Puts objects, rows and events until the server goes away; notes what was acknowledged."""
    s3, functions, sql = server.client("s3"), server.client("lambda"), server.client("rds-data")
    number = 0
    while not stop.is_set():
        number += 1
        name = f"{run}-{number}"
        try:
            s3.put_object(Bucket="kept", Key=name, Body=name.encode())
            acknowledged["objects"].add(name)
            sql.execute_statement(
                resourceArn=CLUSTER, secretArn=SECRET, sql="INSERT INTO kept VALUES (:name)",
                parameters=[{"name": "name", "value": {"stringValue": name}}],
            )
            acknowledged["rows"].add(name)
            if number % 4 == 0:
                functions.invoke(FunctionName="answers", InvocationType="Event", Payload=json.dumps({"name": name}))
                acknowledged["events"].add(name)
        except (BotoCoreError, ClientError):
            if not stop.is_set():
                raise


def keys(server, bucket):
    pages = server.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {entry["Key"] for page in pages for entry in page.get("Contents", [])}


def test_nothing_acknowledged_is_lost(fresh_server):
    print(f"MAYFLY_SEED={SEED}")
    chance = random.Random(SEED)
    server = fresh_server()
    make_function(server.client("lambda"), "answers", {"app.py": ANSWERS, "platform_api.py": SOURCE})
    for bucket in ("kept", "answers"):
        server.client("s3").create_bucket(Bucket=bucket)
    server.client("rds-data").execute_statement(
        resourceArn=CLUSTER, secretArn=SECRET, sql="CREATE TABLE kept (name TEXT PRIMARY KEY)"
    )
    acknowledged = {"objects": set(), "rows": set(), "events": set()}
    failures, starts = [], []
    for run in range(KILLS):
        stop = threading.Event()

        def work():
            try:
                writer(server, run, acknowledged, stop)
            except Exception as error:  # the test fails with it below
                failures.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(chance.uniform(0.1, 1.2))
        stop.set()
        server.kill()
        thread.join(60)
        assert not thread.is_alive() and not failures, failures
        begun = time.monotonic()
        server.start()
        starts.append(time.monotonic() - begun)
    print(f"{KILLS} kills; {({what: len(names) for what, names in acknowledged.items()})} acknowledged; "
          f"start again: median {sorted(starts)[len(starts) // 2]:.2f} s, longest {max(starts):.2f} s")

    assert acknowledged["objects"] and acknowledged["rows"]
    assert acknowledged["objects"] <= keys(server, "kept")
    s3 = server.client("s3")
    for name in chance.sample(sorted(acknowledged["objects"]), min(200, len(acknowledged["objects"]))):
        assert s3.get_object(Bucket="kept", Key=name)["Body"].read() == name.encode()
    answer = server.client("rds-data").execute_statement(
        resourceArn=CLUSTER, secretArn=SECRET, sql="SELECT name FROM kept ORDER BY name"
    )
    assert acknowledged["rows"] <= {row[0]["stringValue"] for row in answer["records"]}
    wait_for(lambda: acknowledged["events"] <= keys(server, "answers"), 120, "every event's answer")
