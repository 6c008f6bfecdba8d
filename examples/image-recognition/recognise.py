"""The function behind the bucket: reads the digit in each uploaded picture and writes it down.

S3 delivers an event at least once and in no sure order. An upload is known by its
key and sequencer: it raises the counter the first time only, and a row never goes
back to an older upload's result.
"""

import json
import time
from urllib.parse import unquote_plus

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

import classify
import database

MAX_BYTES = 5 * 1024 * 1024

RETRIES = {"total_max_attempts": 3, "mode": "standard"}

s3 = boto3.client("s3", config=Config(connect_timeout=3, read_timeout=10, retries=RETRIES))
model = classify.Model()


def handler(event, context):
    """Handle an S3 event notification; the test event, which has no records, too."""
    return [handle(record, context.aws_request_id) for record in event.get("Records", [])]


def handle(record: dict, request_id: str) -> dict:
    """One uploaded object, from its notification to its row."""
    thing = record["s3"]["object"]
    bucket, key = record["s3"]["bucket"]["name"], unquote_plus(thing["key"])
    started = time.monotonic()
    row = {
        "key": key,
        "sequencer": thing["sequencer"],
        "bytes": thing.get("size", 0),
        "request_id": request_id,
        **recognise(bucket, key, thing.get("size", 0)),
    }
    row["milliseconds"] = round((time.monotonic() - started) * 1000, 2)
    row["counted"] = database.in_transaction(lambda transaction: save(row, transaction))
    print(json.dumps(row))
    return row


def recognise(bucket: str, key: str, size: int) -> dict:
    """What the picture shows, or why that cannot be said."""
    try:
        if size > MAX_BYTES:
            raise classify.Unreadable(f"too large: {size} bytes, at most {MAX_BYTES} are read")
        answer = model.classify(fetch(bucket, key))
    except classify.Unreadable as problem:
        return {"status": "error", "digit": None, "confidence": None, "error": str(problem)}
    return {
        "status": "ok",
        "digit": answer.digit,
        "confidence": round(answer.confidence, 4),
        "error": None,
    }


def fetch(bucket: str, key: str) -> bytes:
    """The object's bytes. What lies under the key now may be larger than the event said."""
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchBucket", "404"):
            raise classify.Unreadable("the object is gone") from None
        raise
    with body:
        data = body.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise classify.Unreadable(f"too large: at most {MAX_BYTES} bytes are read")
    return data


def save(row: dict, transaction: str) -> bool:
    """Write the row and raise the counter; whether this upload was counted now."""
    key, sequencer = row["key"], row["sequencer"]
    first = database.execute(
        "insert into uploads (key, sequencer) values (:key, :sequencer) on conflict do nothing",
        transaction, key=key, sequencer=sequencer,
    )
    if first["numberOfRecordsUpdated"] == 0:
        return False
    database.execute(
        "update counters set value = value + 1 where name = 'pictures'", transaction
    )
    columns = list(row)
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns if name != "key")
    # Sequencers of one key are hexadecimal and compare as text.
    database.execute(
        f"insert into pictures ({', '.join(columns)}) values (:{', :'.join(columns)})"
        f" on conflict (key) do update set {changes},"
        " recognised = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
        " where excluded.sequencer > pictures.sequencer",
        transaction, **row,
    )
    return True
