"""The server is killed again and again under puts, completions, copies and deletes of objects.

Afterwards every acknowledged object is there and right, every other one is whole or absent, the data directory is
sound, and each change that committed was told. MAYFLY_KILLS sets how often; F1 of SPECIFICATION.md is measured with 200.
"""

import hashlib
import os
import random
import threading
import time

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from conftest import make_function
from inside import SOURCE
from mayfly_process import wait_for
from s3_support import MB

KILLS = int(os.environ.get("MAYFLY_KILLS", "6"))
SEED = int(os.environ.get("MAYFLY_SEED", random.randrange(1 << 30)))

TELLER = '''
from urllib.parse import unquote_plus
from platform_api import put

def handler(event, context):
    put("told", unquote_plus(event["Records"][0]["s3"]["object"]["key"]), b"")
'''


def body(key):
    """What lies under a key can be told from its name: some bytes, from few to many."""
    size = int(hashlib.md5(key.encode()).hexdigest(), 16) % 7
    return hashlib.sha256(key.encode()).digest() * [1, 20, 600, 3000, 9000, 20000, 40000][size]


class Writer:
    """Changes objects until the server goes away; what was acknowledged is noted."""

    def __init__(self, server, front):
        self.s3, self.front = server.client("s3"), front
        self.there, self.gone, self.maybe, self.failure = set(), set(), set(), None
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.work)

    def work(self):
        number = 0
        try:
            while not self.stop.is_set():
                number += 1
                self.one(f"{self.front}-{number}", number)
        except (BotoCoreError, ClientError) as error:
            if not self.stop.is_set():
                self.failure = error

    def one(self, key, number):
        self.maybe.add(key)
        if number % 5 == 3:
            upload = self.s3.create_multipart_upload(Bucket="kept", Key=key)["UploadId"]
            parts = []
            for at, part in enumerate([body("first") * (5 * MB // len(body("first")) + 1), body(key)], 1):
                etag = self.s3.upload_part(Bucket="kept", Key=key, UploadId=upload, PartNumber=at, Body=part)["ETag"]
                parts.append({"PartNumber": at, "ETag": etag})
            self.s3.complete_multipart_upload(Bucket="kept", Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
        else:
            self.s3.put_object(Bucket="kept", Key=key, Body=body(key))
        self.there.add(key)
        if number % 5 == 0:
            copy = f"copy-{key}"
            self.maybe.add(copy)
            self.s3.copy_object(Bucket="kept", Key=copy, CopySource={"Bucket": "kept", "Key": key})
            self.there.add(copy)
        if number % 4 == 0:
            self.there.discard(key)
            self.s3.delete_object(Bucket="kept", Key=key)
            self.gone.add(key)


def right(key):
    """The bytes that may lie under a key."""
    original = key.removeprefix("copy-")
    return {body(original), body("first") * (5 * MB // len(body("first")) + 1) + body(original)}


def keys(s3, bucket):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {entry["Key"] for page in pages for entry in page.get("Contents", [])}


@pytest.mark.timeout(240 + 30 * KILLS)
def test_objects_are_whole_or_absent(fresh_server):
    print(f"MAYFLY_SEED={SEED}")
    chance = random.Random(SEED)
    server = fresh_server()
    s3 = server.client("s3")
    for bucket in ("kept", "told"):
        s3.create_bucket(Bucket=bucket)
    arn = make_function(server.client("lambda"), "teller", {"app.py": TELLER, "platform_api.py": SOURCE})["FunctionArn"]
    s3.put_bucket_notification_configuration(Bucket="kept", NotificationConfiguration={
        "LambdaFunctionConfigurations": [{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}]})
    there, gone, starts = set(), set(), []
    for run in range(KILLS):
        writers = [Writer(server, f"{run}-{number}") for number in range(3)]
        for writer in writers:
            writer.thread.start()
        time.sleep(chance.uniform(0.2, 1.2))
        for writer in writers:
            writer.stop.set()
        server.kill()
        for writer in writers:
            writer.thread.join(60)
            assert not writer.thread.is_alive() and not writer.failure, writer.failure
            there |= writer.there
            gone |= writer.gone
        begun = time.monotonic()
        server.start()
        starts.append(time.monotonic() - begun)
    print(f"{KILLS} kills; {len(there)} objects and {len(gone)} removals acknowledged; "
          f"start again: median {sorted(starts)[len(starts) // 2]:.2f} s, longest {max(starts):.2f} s")

    s3 = server.client("s3")
    found = keys(s3, "kept")
    assert there and there <= found and not gone & found
    # The others may be there; then they are whole.
    for key in sorted(found - there) + chance.sample(sorted(there), min(150, len(there))):
        assert s3.get_object(Bucket="kept", Key=key)["Body"].read() in right(key), key
    # A change that committed is told, whether it was acknowledged or not.
    wait_for(lambda: found <= keys(s3, "told"), 180, "every change's event")
    # While the server runs, and when it does not.
    for _ in range(2):
        assert " 0 problems" in server.mayfly("fsck", "--data-dir", server.data_dir)
        server.stop()
