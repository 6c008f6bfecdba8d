"""Unit tests of the example: the classifier, both handlers, and what deploys them.

The database is a real SQLite behind a small stand-in for the Data API client; the
bucket is a dictionary. No server is needed.
"""

import io
import json
import os
import sqlite3
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
os.environ.update({
    "CLUSTER_ARN": "cluster", "SECRET_ARN": "secret", "DATABASE": "demo",
    "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
})
import classify  # noqa: E402
import database  # noqa: E402
import deploy  # noqa: E402
import recognise  # noqa: E402
import results  # noqa: E402

LABELS = json.loads((HERE / "pictures/labels.json").read_text())
CONTEXT = types.SimpleNamespace(aws_request_id="request-1")


def fault(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


class FakeData:
    """The Data API over SQLite in memory, one transaction at a time; fails when it is told to."""

    def __init__(self):
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.open, self.faults, self.calls = False, {}, []

    def _call(self, name):
        self.calls.append(name)
        if self.faults.get(name):
            raise self.faults[name].pop(0)

    def begin_transaction(self, *, resourceArn, secretArn, database):
        self._call("begin")
        assert not self.open
        self.connection.execute("begin")
        self.open = True
        return {"transactionId": "t1"}

    def commit_transaction(self, *, resourceArn, secretArn, transactionId):
        self._call("commit")
        self.connection.execute("commit")
        self.open = False

    def rollback_transaction(self, *, resourceArn, secretArn, transactionId):
        self._call("rollback")
        self.connection.execute("rollback")
        self.open = False

    def execute_statement(self, *, resourceArn, secretArn, sql, parameters=(),
                          transactionId=None, database=None):
        self._call("execute")
        assert self.open == (transactionId is not None)
        values = {p["name"]: None if "isNull" in p["value"] else next(iter(p["value"].values()))
                  for p in parameters}
        cursor = self.connection.execute(sql, values)
        records = [[self._field(value) for value in row] for row in cursor]
        return {"numberOfRecordsUpdated": max(cursor.rowcount, 0), "records": records}

    @staticmethod
    def _field(value):
        names = {int: "longValue", float: "doubleValue", str: "stringValue"}
        return {"isNull": True} if value is None else {names[type(value)]: value}


class FakeBucket(dict):
    """get_object of a dictionary."""

    def get_object(self, *, Bucket, Key):
        if Key not in self:
            raise fault("NoSuchKey")
        return {"Body": io.BytesIO(self[Key])}


@pytest.fixture(autouse=True)
def data(monkeypatch):
    fake = FakeData()
    for statement in deploy.statements((HERE / "schema.sql").read_text()):
        fake.connection.execute(statement)
    monkeypatch.setattr(database, "client", fake)
    monkeypatch.setattr(database.time, "sleep", lambda seconds: None)
    return fake


@pytest.fixture(autouse=True)
def bucket(monkeypatch):
    fake = FakeBucket()
    monkeypatch.setattr(recognise, "s3", fake)
    return fake


def picture(name: str) -> bytes:
    return (HERE / "pictures" / name).read_bytes()


def event(key: str, sequencer: str = "0A", size: int = 1000) -> dict:
    thing = {"key": key, "size": size, "eTag": "e", "sequencer": sequencer}
    return {"Records": [{"s3": {"bucket": {"name": "pictures"}, "object": thing}}]}


def get(path: str, method: str = "GET") -> tuple:
    request = {"version": "2.0", "rawPath": path, "requestContext": {"http": {"method": method}}}
    response = results.handler(request, CONTEXT)
    return response["statusCode"], json.loads(response["body"])


def counter() -> int:
    return get("/results")[1]["count"]


@pytest.mark.parametrize("name", LABELS)
def test_reads_the_committed_pictures(name):
    answer = classify.Model().classify(picture(name))
    assert answer.digit == LABELS[name]
    assert 0.5 < answer.confidence <= 1


def test_the_model_is_small_and_as_good_as_promised():
    assert classify.MODEL.stat().st_size < 500_000
    measured = json.loads((HERE / "model.json").read_text())
    assert measured["accuracy_clean"] >= 0.97
    assert measured["accuracy_pictures"] >= 0.93


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_reads_every_kind_of_pixels(mode):
    original = Image.open(io.BytesIO(picture("two-320x240.jpg")))
    if mode == "I;16":
        changed = Image.fromarray(np.asarray(original.convert("L")).astype(np.uint16) * 257)
    else:
        changed = original.convert(mode)
    buffer = io.BytesIO()
    changed.save(buffer, "JPEG" if mode == "CMYK" else "PNG")
    assert classify.Model().classify(buffer.getvalue()).digit == 2


def test_transparent_ground_is_white():
    ink = Image.open(io.BytesIO(picture("two-320x240.jpg"))).convert("L").point(lambda v: 255 - v)
    clear = Image.new("RGBA", ink.size, (0, 0, 0, 0))
    clear.putalpha(ink)
    buffer = io.BytesIO()
    clear.save(buffer, "PNG")
    assert classify.Model().classify(buffer.getvalue()).digit == 2


def png(size, mode="1", colour=0) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("data,said", [
    (b"", "not a PNG or JPEG"),
    (b"just text", "not a PNG or JPEG"),
    (b"GIF89a", "not a PNG or JPEG"),
    (picture("five-900x700.jpg")[:3000], "damaged"),
    (picture("zero-28x28.png")[:400], "damaged"),
    (png((8000, 8000)), "megapixels"),
    (png((20000, 20000)), "megapixels"),
    (png((50, 50), "RGB", (200, 30, 30)), "blank"),
    (png((1, 1), "L", 7), "blank"),
])
def test_says_why_it_cannot_read(data, said):
    with pytest.raises(classify.Unreadable, match=said):
        classify.Model().classify(data)


def test_writes_a_row_and_counts(bucket, data, capsys):
    bucket["uploads/a b+ü.png"] = picture("three-480x480.jpg")
    [row] = recognise.handler(event("uploads/a+b%2B%C3%BC.png"), CONTEXT)
    assert (row["digit"], row["status"], row["counted"]) == (3, "ok", True)
    assert data.calls == ["begin", "execute", "execute", "execute", "commit"]
    printed = json.loads(capsys.readouterr().out)
    assert printed["request_id"] == "request-1" and printed["key"] == "uploads/a b+ü.png"
    status, found = get("/results/uploads/a%20b%2B%C3%BC.png")
    assert status == 200 and found["digit"] == 3 and found["milliseconds"] > 0
    assert counter() == 1


def test_the_same_event_again_counts_once(bucket):
    bucket["a.png"] = picture("zero-28x28.png")
    answers = [recognise.handler(event("a.png"), CONTEXT)[0]["counted"] for _ in range(3)]
    assert answers == [True, False, False]
    assert counter() == 1


def test_another_upload_replaces_the_row_and_an_older_one_does_not(bucket):
    for sequencer, name in [("0A", "zero-28x28.png"), ("0C", "one-64x96.png"),
                            ("0B", "two-320x240.jpg"), ("0A", "zero-28x28.png")]:
        bucket["a.png"] = picture(name)
        recognise.handler(event("a.png", sequencer), CONTEXT)
    assert get("/results/a.png")[1]["digit"] == 1
    assert counter() == 3
    assert len(get("/results")[1]["results"]) == 1


@pytest.mark.parametrize("content,size,said", [
    (b"text", 4, "not a PNG"),
    (None, 4, "gone"),
    (b"never read", 6 << 20, "too large: 6291456 bytes"),
    (bytes(6 << 20), 10, "too large"),
])
def test_wrong_input_becomes_a_row_that_says_so(bucket, content, size, said):
    if content is not None:
        bucket["bad.png"] = content
    recognise.handler(event("bad.png", size=size), CONTEXT)
    row = get("/results/bad.png")[1]
    assert row["status"] == "error" and said in row["error"]
    assert row["digit"] is None and row["confidence"] is None
    assert counter() == 1


def test_the_test_event_of_s3_is_no_picture():
    assert recognise.handler({"Service": "Amazon S3", "Event": "s3:TestEvent"}, CONTEXT) == []


@pytest.mark.parametrize("call", ["begin", "execute", "commit"])
@pytest.mark.parametrize("problem", [
    fault("BadRequestException", "database is locked"),
    fault("DatabaseErrorException", "SQLITE_BUSY: database is busy"),
    fault("InternalServerErrorException"),
    ReadTimeoutError(endpoint_url="http://x"),
])
def test_a_passing_fault_is_tried_again(bucket, data, call, problem):
    bucket["a.png"] = picture("zero-28x28.png")
    data.faults[call] = [problem, problem]
    assert recognise.handler(event("a.png"), CONTEXT)[0]["counted"]
    assert counter() == 1 and not data.open


def test_a_lasting_fault_is_rolled_back_and_raised(bucket, data):
    bucket["a.png"] = picture("zero-28x28.png")
    data.faults["execute"] = [fault("BadRequestException", "no such table")]
    with pytest.raises(ClientError, match="no such table"):
        recognise.handler(event("a.png"), CONTEXT)
    assert data.calls == ["begin", "execute", "rollback"]
    data.calls.clear()
    data.faults["begin"] = [fault("BadRequestException", "database is locked")] * 100
    with pytest.raises(ClientError, match="locked"):
        recognise.handler(event("a.png"), CONTEXT)
    assert data.calls == ["begin"] * database.ATTEMPTS
    assert counter() == 0


def test_a_commit_whose_answer_was_lost_counts_once(bucket, data, monkeypatch):
    bucket["a.png"] = picture("zero-28x28.png")
    commit, lost = data.commit_transaction, [True]

    def commit_and_lose(**arguments):
        commit(**arguments)
        if lost.pop() if lost else False:
            raise ReadTimeoutError(endpoint_url="http://x")

    monkeypatch.setattr(data, "commit_transaction", commit_and_lose)
    monkeypatch.setattr(data, "rollback_transaction", lambda **_: None)
    recognise.handler(event("a.png"), CONTEXT)
    assert counter() == 1


@pytest.mark.parametrize("path,method,status", [
    ("/results", "GET", 200), ("/results/", "GET", 200), ("/results", "POST", 405),
    ("/results/a.png", "DELETE", 405), ("/results/nothing.png", "GET", 404),
    ("/", "GET", 404), ("/resultsx", "GET", 404),
])
def test_answers_http(path, method, status):
    assert get(path, method)[0] == status


def test_the_list_has_count_and_results(bucket):
    assert get("/results") == (200, {"count": 0, "results": []})
    bucket["a.png"] = picture("nine-640x400.jpg")
    recognise.handler(event("a.png"), CONTEXT)
    _, listing = get("/results")
    assert listing["count"] == 1 and listing["results"][0]["digit"] == 9
