"""S3 as its clients see it: boto3, the aws CLI, and requests written by hand."""

import base64
import datetime
import hashlib
import http.client
import json
import re
import socket
import time
import urllib.error
import urllib.request
import uuid
import zlib
from concurrent.futures import ThreadPoolExecutor

from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from conftest import AwsCliError, make_function, refused
from mayfly_process import wait_for
from s3_support import signed_now


@pytest.fixture
def s3(server):
    return server.client("s3")


@pytest.fixture
def bucket(s3):
    """A bucket of the test's own."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


def raw(server, method, path, headers=None, body=b"", signed=True):
    """A request as it is written here: status, headers, body."""
    headers = dict(headers or {})
    if signed:
        headers = {**signed_now(), **headers}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def keys(listing):
    return [entry["Key"] for entry in listing.get("Contents", [])]


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


# --- buckets ---------------------------------------------------------------------------------


def test_buckets_are_made_found_listed_and_removed(s3, bucket):
    s3.create_bucket(Bucket=bucket)  # again: in us-east-1 that is no error
    assert s3.head_bucket(Bucket=bucket)["BucketRegion"] == "us-east-1"
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    listed = s3.list_buckets(Prefix=bucket)["Buckets"]
    assert [entry["Name"] for entry in listed] == [bucket]
    age = datetime.datetime.now(datetime.timezone.utc) - listed[0]["CreationDate"]
    assert abs(age) < datetime.timedelta(minutes=5)
    s3.get_waiter("bucket_exists").wait(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    refused("BucketNotEmpty", s3.delete_bucket, 409, Bucket=bucket)
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)
    refused("404", s3.head_bucket, 404, Bucket=bucket)
    refused("NoSuchBucket", s3.delete_bucket, 404, Bucket=bucket)
    refused("NoSuchBucket", s3.put_object, 404, Bucket=bucket, Key="k", Body=b"x")


def test_a_bucket_elsewhere_is_remembered_there(s3):
    name, where = f"test-{uuid.uuid4().hex[:12]}", {"LocationConstraint": "eu-central-1"}
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=where)
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == "eu-central-1"
    refused("BucketAlreadyOwnedByYou", s3.create_bucket, 409, Bucket=name, CreateBucketConfiguration=where)
    s3.delete_bucket(Bucket=name)


@pytest.mark.parametrize("name", ["ab", "Upper", "under_score", "10.0.0.1", "sthree-x", "a" * 64])
def test_names_that_are_none_are_refused(server, name):
    status, _, body = raw(server, "PUT", f"/{name}")
    assert status == 400 and b"<Code>InvalidBucketName</Code>" in body


def test_buckets_are_listed_by_pages(s3):
    prefix = f"page-{uuid.uuid4().hex[:8]}-"
    names = [f"{prefix}{n}" for n in range(5)]
    for name in names:
        s3.create_bucket(Bucket=name)
    pages = s3.get_paginator("list_buckets").paginate(Prefix=prefix, PaginationConfig={"PageSize": 2})
    assert [entry["Name"] for page in pages for entry in page["Buckets"]] == names
    for name in names:
        s3.delete_bucket(Bucket=name)


# --- objects ---------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [
    "plain", "with space", "a/b//c/", "größe/日本語", "a+b&c=d?e#f%41", "a/../up", "~tilde(1)'!*", "\\back", "/lead",
    "k" * 1024,
])
def test_keys_of_every_kind_come_back(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert keys(s3.list_objects_v2(Bucket=bucket)) == [key]
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == key.encode()
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}, {"Key": "copy"}]})
    assert {entry["Key"] for entry in answer["Deleted"]} == {key, "copy"}
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_an_object_keeps_what_was_said_of_it(s3, bucket):
    said = {
        "ContentType": "text/html; charset=utf-8", "CacheControl": "max-age=5", "ContentLanguage": "de",
        "ContentDisposition": 'attachment; filename="a.html"', "ContentEncoding": "gzip",
    }
    metadata = {"colour": "light red", "number": "7"}
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"hello", Metadata=metadata,
                        Expires=datetime.datetime(2030, 1, 2, 3, 4, 5), **said)
    etag = f'"{hashlib.md5(b"hello").hexdigest()}"'
    assert put["ETag"] == etag and put["ChecksumCRC32"] == crc32(b"hello")
    for answer in (s3.get_object(Bucket=bucket, Key="k"), s3.head_object(Bucket=bucket, Key="k")):
        assert {name: answer[name] for name in said} == said
        assert answer["Metadata"] == metadata and answer["ETag"] == etag
        assert answer["ContentLength"] == 5 and answer["AcceptRanges"] == "bytes"
        assert answer["ExpiresString"] == "Wed, 02 Jan 2030 03:04:05 GMT"
        assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"]
    s3.put_object(Bucket=bucket, Key="bare", Body=b"")
    assert s3.head_object(Bucket=bucket, Key="bare")["ContentType"] == "binary/octet-stream"


def test_the_same_key_again_is_the_newer_object(s3, bucket):
    for text in (b"one", b"two, longer", b""):
        s3.put_object(Bucket=bucket, Key="k", Body=text)
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == text
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_object(Bucket=bucket, Key="k")
    refused("NoSuchKey", s3.get_object, 404, Bucket=bucket, Key="k")
    refused("404", s3.head_object, 404, Bucket=bucket, Key="k")


def test_a_large_object_streams_both_ways(s3, bucket):
    body = bytes(range(256)) * 80_000  # 20 MB
    s3.put_object(Bucket=bucket, Key="large", Body=body)
    assert s3.get_object(Bucket=bucket, Key="large")["Body"].read() == body
    part = s3.get_object(Bucket=bucket, Key="large", Range="bytes=1000000-2000000")
    assert part["Body"].read() == body[1_000_000:2_000_001]


def test_many_clients_at_once(server, bucket):
    client = server.client("s3")

    def one(n):
        body = f"{n}-".encode() * 1000
        client.put_object(Bucket=bucket, Key=f"k{n}", Body=body)
        return client.get_object(Bucket=bucket, Key=f"k{n}")["Body"].read() == body

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, range(100)))
    assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 100


@pytest.mark.parametrize("wanted, status, body, content_range", [
    ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
    ("bytes=7-", 206, b"789", "bytes 7-9/10"),
    ("bytes=-2", 206, b"89", "bytes 8-9/10"),
    ("bytes=5-500", 206, b"56789", "bytes 5-9/10"),
    ("bytes=10-11", 416, None, "bytes */10"),
    ("bytes=-0", 416, None, "bytes */10"),
    ("bytes=3-2", 200, b"0123456789", None),
    ("bytes=0-1,4-5", 200, b"0123456789", None),
    ("lines=1-2", 200, b"0123456789", None),
])
def test_ranges(server, s3, bucket, wanted, status, body, content_range):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    got, headers, received = raw(server, "GET", f"/{bucket}/k", {"Range": wanted})
    assert (got, headers["Content-Range"]) == (status, content_range)
    assert b"InvalidRange" in received if status == 416 else received == body
    got, headers, received = raw(server, "HEAD", f"/{bucket}/k", {"Range": wanted})
    assert (got, headers["Content-Range"], received) == (status, content_range, b"")


def test_conditions(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    past, future = datetime.datetime(2001, 1, 1), datetime.datetime(2100, 1, 1)
    for call in (s3.get_object, s3.head_object):
        call(Bucket=bucket, Key="k", IfMatch=etag)
        call(Bucket=bucket, Key="k", IfMatch=etag, IfUnmodifiedSince=past)
        refused("304", call, 304, Bucket=bucket, Key="k", IfNoneMatch=etag)
        modified = call(Bucket=bucket, Key="k")["LastModified"]
        refused("304", call, 304, Bucket=bucket, Key="k", IfModifiedSince=modified)
        # A time to come is no condition.
        call(Bucket=bucket, Key="k", IfModifiedSince=future)
    refused("PreconditionFailed", s3.get_object, 412, Bucket=bucket, Key="k", IfMatch='"other"')
    refused("PreconditionFailed", s3.get_object, 412, Bucket=bucket, Key="k", IfUnmodifiedSince=past)
    refused("PreconditionFailed", s3.put_object, 412, Bucket=bucket, Key="k", Body=b"y", IfNoneMatch="*")
    refused("PreconditionFailed", s3.put_object, 412, Bucket=bucket, Key="k", Body=b"y", IfMatch='"other"')
    s3.put_object(Bucket=bucket, Key="k", Body=b"z", IfMatch=etag)
    s3.put_object(Bucket=bucket, Key="new", Body=b"z", IfNoneMatch="*")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"z"


def test_a_date_that_cannot_be_read_is_no_condition(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for header in ("If-Modified-Since", "If-Unmodified-Since"):
        assert raw(server, "GET", f"/{bucket}/k", {header: "yesterday"})[0] == 200


def test_response_overrides(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="text/plain")
    got = s3.get_object(Bucket=bucket, Key="k", ResponseContentType="image/png", ResponseCacheControl="no-store")
    assert (got["ContentType"], got["CacheControl"]) == ("image/png", "no-store")


def test_copies(s3, bucket):
    s3.put_object(Bucket=bucket, Key="from", Body=b"hello", Metadata={"a": "1"}, ContentType="text/plain")
    source = {"Bucket": bucket, "Key": "from"}
    copy = s3.copy_object(Bucket=bucket, Key="to", CopySource=source)
    assert copy["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    assert s3.head_object(Bucket=bucket, Key="to")["Metadata"] == {"a": "1"}
    s3.copy_object(Bucket=bucket, Key="to", CopySource=source, MetadataDirective="REPLACE",
                   Metadata={"b": "2"}, ContentType="text/html")
    head = s3.head_object(Bucket=bucket, Key="to")
    assert (head["Metadata"], head["ContentType"]) == ({"b": "2"}, "text/html")
    s3.delete_object(Bucket=bucket, Key="from")
    assert s3.get_object(Bucket=bucket, Key="to")["Body"].read() == b"hello"
    refused("NoSuchKey", s3.copy_object, 404, Bucket=bucket, Key="x", CopySource=source)
    same = {"Bucket": bucket, "Key": "to"}
    refused("InvalidRequest", s3.copy_object, 400, Bucket=bucket, Key="to", CopySource=same)
    refused("PreconditionFailed", s3.copy_object, 412, Bucket=bucket, Key="x", CopySource=same,
            CopySourceIfMatch='"other"')


def test_many_objects_are_deleted_at_once(s3, bucket):
    names = [f"k{n:04}" for n in range(50)]
    for name in names:
        s3.put_object(Bucket=bucket, Key=name, Body=b"same")
    wanted = {"Objects": [{"Key": name} for name in names + ["missing"]], "Quiet": True}
    answer = s3.delete_objects(Bucket=bucket, Delete=wanted)
    assert "Deleted" not in answer and "Errors" not in answer
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    many = {"Objects": [{"Key": f"k{n}"} for n in range(1001)]}
    refused("MalformedXML", s3.delete_objects, 400, Bucket=bucket, Delete=many)


# --- listings --------------------------------------------------------------------------------


def test_listings_are_in_binary_order_by_pages(s3, bucket):
    names = ["Z", "a", "a b", "a-1", "a/1", "a/2", "b", "ä", "日"]
    for name in reversed(names):
        s3.put_object(Bucket=bucket, Key=name, Body=b"x")
    for call in ("list_objects_v2", "list_objects"):
        for size in (1, 2, 4, 1000):
            pages = s3.get_paginator(call).paginate(Bucket=bucket, PaginationConfig={"PageSize": size})
            assert [key for page in pages for key in keys(page)] == names, (call, size)
    assert keys(s3.list_objects_v2(Bucket=bucket, Prefix="a", StartAfter="a-1")) == ["a/1", "a/2"]
    assert s3.list_objects_v2(Bucket=bucket, MaxKeys=0)["KeyCount"] == 0
    entry = s3.list_objects_v2(Bucket=bucket, Prefix="b", FetchOwner=True)["Contents"][0]
    assert entry["Size"] == 1 and entry["StorageClass"] == "STANDARD" and entry["Owner"]["ID"]
    assert entry["ChecksumAlgorithm"] == ["CRC32"]
    refused("InvalidArgument", s3.list_objects_v2, 400, Bucket=bucket, ContinuationToken="!")
    refused("NoSuchBucket", s3.list_objects_v2, 404, Bucket="missing-" + bucket)


def test_listings_roll_up(s3, bucket):
    for name in ["a", "d/1", "d/e/2", "d/e/3", "d2", "z/"] + [f"many/{n}" for n in range(40)]:
        s3.put_object(Bucket=bucket, Key=name, Body=b"x")

    def listed(call, size, **query):
        pages = s3.get_paginator(call).paginate(Bucket=bucket, PaginationConfig={"PageSize": size}, **query)
        entries = [(keys(page), [p["Prefix"] for p in page.get("CommonPrefixes", [])]) for page in pages]
        return sum((e[0] for e in entries), []), sum((e[1] for e in entries), [])

    for call in ("list_objects_v2", "list_objects"):
        for size in (1, 2, 3, 1000):
            assert listed(call, size, Delimiter="/") == (["a", "d2"], ["d/", "many/", "z/"])
            assert listed(call, size, Delimiter="/", Prefix="d/") == (["d/1"], ["d/e/"])
    assert listed("list_objects_v2", 5, Delimiter="/e/")[1] == ["d/e/"]


# --- what was sent is what is stored ---------------------------------------------------------


@pytest.mark.parametrize("algorithm, value", [
    ("CRC32", "NhCmhg=="),
    ("CRC32C", "mnG7TA=="),
    ("CRC64NVME", "M3eFcAZSQlc="),
    ("SHA1", "qvTGHdzF6KLavt4PO0gs2a6pQ00="),
    ("SHA256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="),
])
def test_checksums_are_kept_and_given_back(server, s3, bucket, algorithm, value):
    header = f"x-amz-checksum-{algorithm.lower()}"
    status, headers, answer = raw(server, "PUT", f"/{bucket}/k", {header: value}, b"hello")
    assert (status, headers[header]) == (200, value), answer
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"] == value and head["ChecksumType"] == "FULL_OBJECT"
    # boto3 holds the bytes against those that it can compute.
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"hello" and got[f"Checksum{algorithm}"] == value
    part = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED", Range="bytes=0-1")
    assert f"Checksum{algorithm}" not in part and part["Body"].read() == b"he"


@pytest.mark.parametrize("header, value, code", [
    ("Content-MD5", base64.b64encode(bytes(16)).decode(), "BadDigest"),
    ("Content-MD5", "nonsense", "InvalidDigest"),
    ("x-amz-content-sha256", "0" * 64, "XAmzContentSHA256Mismatch"),
    ("x-amz-content-sha256", "nonsense", "InvalidArgument"),
    ("x-amz-checksum-crc32", "AAAAAA==", "BadDigest"),
    ("x-amz-checksum-crc32", "AA", "InvalidRequest"),
    ("x-amz-checksum-sha256", base64.b64encode(bytes(32)).decode(), "BadDigest"),
    ("x-amz-sdk-checksum-algorithm", "CRC32", "InvalidRequest"),
])
def test_bytes_that_are_not_what_was_claimed_are_refused(server, s3, bucket, header, value, code):
    status, _, body = raw(server, "PUT", f"/{bucket}/k", {header: value}, b"hello")
    assert status == 400 and f"<Code>{code}</Code>".encode() in body, body
    refused("404", s3.head_object, 404, Bucket=bucket, Key="k")


SIGNATURE = "chunk-signature=" + "a" * 64


@pytest.mark.parametrize("kind, body, trailer", [
    ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:{crc}\r\n\r\n", True),
    ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "5;{sig}\r\nhello\r\n0;{sig}\r\n\r\n", False),
    ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
     "5;{sig}\r\nhello\r\n0;{sig}\r\nx-amz-checksum-crc32:{crc}\r\nx-amz-trailer-signature:ab\r\n\r\n", True),
])
def test_chunked_uploads(server, s3, bucket, kind, body, trailer):
    headers = {
        "x-amz-content-sha256": kind, "Content-Encoding": "aws-chunked", "x-amz-decoded-content-length": "5",
    }
    if trailer:
        headers["x-amz-trailer"] = "x-amz-checksum-crc32"
    text = body.format(sig=SIGNATURE, crc=crc32(b"hello")).encode()
    status, _, answer = raw(server, "PUT", f"/{bucket}/k", headers, text)
    assert status == 200, answer
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == b"hello" and "ContentEncoding" not in got
    broken = [text[:-6], b"5\r\nhello", b"zz\r\n", text.replace(b"\r\n", b"\n")]
    if trailer:
        broken += [text.replace(b"hello", b"help!"), text.replace(b"crc32:", b"crc32c:")]
    for wrong in broken:
        status, _, answer = raw(server, "PUT", f"/{bucket}/broken", headers, wrong)
        assert status == 400, (wrong, answer)
    refused("404", s3.head_object, 404, Bucket=bucket, Key="broken")


def test_a_client_that_goes_away_leaves_nothing(server, s3, bucket):
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        head = (
            f"PUT /{bucket}/half HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
            + "".join(f"{name}: {value}\r\n" for name, value in signed_now().items()) + "\r\n"
        )
        connection.sendall(head.encode() + b"x" * 500_000)
        time.sleep(0.2)
    temporary = server.data_dir / "blobs" / "tmp"
    wait_for(lambda: not list(temporary.iterdir()), 10, "the half-made blob to go")
    refused("404", s3.head_object, 404, Bucket=bucket, Key="half")


# --- presigned URLs --------------------------------------------------------------------------


def fetch(url, method="GET", data=None, headers=None):
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def test_presigned_put_and_get(s3, bucket):
    at = {"Bucket": bucket, "Key": "a picture.png"}
    put = s3.generate_presigned_url("put_object", {**at, "ContentType": "image/png"}, ExpiresIn=60)
    status, headers, _ = fetch(put, "PUT", b"picture", {"Content-Type": "image/png"})
    assert status == 200 and headers["ETag"]
    url = s3.generate_presigned_url("get_object", {**at, "ResponseContentDisposition": "attachment"})
    status, headers, body = fetch(url)
    assert (status, body, headers["Content-Type"]) == (200, b"picture", "image/png")
    assert headers["Content-Disposition"] == "attachment"
    assert fetch(s3.generate_presigned_url("head_object", at), "HEAD")[0] == 200
    assert fetch(s3.generate_presigned_url("delete_object", at), "DELETE")[0] == 204


def test_a_presigned_url_ends(s3, bucket):
    url = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "k"}, ExpiresIn=60)
    old = re.sub(r"X-Amz-Date=\d{8}", "X-Amz-Date=20200101", re.sub(r"%2F\d{8}%2F", "%2F20200101%2F", url))
    status, headers, body = fetch(old, "PUT", b"late")
    assert status == 403 and b"<Code>AccessDenied</Code>" in body and b"expired" in body
    assert headers["x-amz-request-id"]
    status, _, body = fetch(re.sub(r"X-Amz-Expires=60", "X-Amz-Expires=604801", url), "PUT", b"x")
    assert status == 400
    refused("404", s3.head_object, 404, Bucket=bucket, Key="k")


def test_headers_that_presigning_moved_to_the_query_count(server, s3, bucket):
    url = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "k"})
    # As the SDK for JavaScript presigns: metadata in the query, and the checksum of an empty body.
    moved = "&x-amz-meta-colour=red&x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32"
    assert fetch(url + moved, "PUT", b"hello")[0] == 200
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"colour": "red"}
    status, _, body = fetch(url + "&x-amz-acl=public-read", "PUT", b"hello")
    assert status == 400 and b"AccessControlListNotSupported" in body


# --- what is not supported is said -----------------------------------------------------------


@pytest.mark.parametrize("call, arguments, name", [
    ("get_object_torrent", {"Key": "k"}, "GetObjectTorrent"),
    ("put_bucket_accelerate_configuration", {"AccelerateConfiguration": {"Status": "Enabled"}},
     "PutBucketAccelerateConfiguration"),
    ("put_bucket_request_payment", {"RequestPaymentConfiguration": {"Payer": "Requester"}},
     "PutBucketRequestPayment"),
    ("rename_object", {"Key": "k", "RenameSource": "l"}, "RenameObject"),
    ("get_bucket_metadata_configuration", {}, "GetBucketMetadataConfiguration"),
    ("delete_bucket_replication", {}, "DeleteBucketReplication"),
])
def test_operations_that_are_missing_are_named(s3, bucket, call, arguments, name):
    if not hasattr(s3, call):
        pytest.skip("this boto3 does not know it")
    message = refused("NotImplemented", getattr(s3, call), 501, Bucket=bucket, **arguments)
    assert name in message


def test_every_operation_is_known(s3):
    """The page lists what boto3's own model of S3 has, except what has another name there."""
    page = (Path(__file__).parent.parent / "docs/s3.md").read_text()
    older = {"GetBucketLifecycle", "PutBucketLifecycle", "GetBucketNotification", "PutBucketNotification"}
    for operation in set(s3.meta.service_model.operation_names) - older:
        assert f"| {operation} |" in page, operation


@pytest.mark.parametrize("arguments, code, status, name", [
    ({"ACL": "public-read"}, "AccessControlListNotSupported", 400, "ACL"),
    ({"GrantRead": "id=1"}, "AccessControlListNotSupported", 400, "ACL"),
    ({"ServerSideEncryption": "aws:kms"}, "NotImplemented", 501, "aws:kms"),
    ({"StorageClass": "PAPER"}, "InvalidStorageClass", 400, "storage class"),
    ({"Tagging": "a=b&a=c"}, "InvalidArgument", 400, "duplicates"),
    ({"ObjectLockLegalHoldStatus": "ON"}, "InvalidRequest", 400, "Object Lock"),
    ({"WebsiteRedirectLocation": "x"}, "InvalidRedirectLocation", 400, "prefix"),
    ({"WriteOffsetBytes": 5}, "NotImplemented", 501, "x-amz-write-offset-bytes"),
])
def test_wishes_that_are_not_met_are_named(s3, bucket, arguments, code, status, name):
    message = refused(code, s3.put_object, status, Bucket=bucket, Key="k", Body=b"x", **arguments)
    assert name in message
    refused("404", s3.head_object, 404, Bucket=bucket, Key="k")


def test_wishes_for_the_default_are_met(s3, bucket):
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="private", StorageClass="STANDARD",
                        ExpectedBucketOwner="000000000000", RequestPayer="requester")
    assert put["ServerSideEncryption"] == "AES256"
    s3.get_object(Bucket=bucket, Key="k", VersionId="null")
    refused("InvalidArgument", s3.get_object, 400, Bucket=bucket, Key="k", VersionId="abc")
    refused("AccessDenied", s3.put_object, 403, Bucket=bucket, Key="k", Body=b"x",
            ExpectedBucketOwner="111111111111")


def test_limits(server, s3, bucket):
    refused("KeyTooLongError", s3.put_object, 400, Bucket=bucket, Key="k" * 1025, Body=b"x")
    refused("MetadataTooLarge", s3.put_object, 400, Bucket=bucket, Key="k", Body=b"x",
            Metadata={"a": "b" * 2048})
    headers = {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
               "x-amz-decoded-content-length": str(5 * 2**30 + 1)}
    status, _, body = raw(server, "PUT", f"/{bucket}/k", headers, b"")
    assert status == 400 and b"EntityTooLarge" in body
    status, _, body = raw(server, "POST", f"/{bucket}?delete", {}, b"<Delete>" + b" " * (9 << 20))
    assert status == 400 and b"MaxMessageLengthExceeded" in body
    status, _, body = raw(server, "POST", f"/{bucket}", {"Content-Type": "multipart/form-data; boundary=x"})
    assert status == 400 and b"MalformedPOSTRequest" in body
    for broken in (b"<Delete", b"<Other/>", b"\xff\xfe", b"<Delete><Object></Object></Delete>"):
        status, _, body = raw(server, "POST", f"/{bucket}?delete", {}, broken)
        assert status == 400 and b"<Code>MalformedXML</Code>" in body, body


def test_buckets_by_host_name(server, s3, bucket):
    for host in (f"{bucket}.localhost:{server.port}", f"{bucket}.s3.localhost:{server.port}"):
        status, _, answer = raw(server, "PUT", "/by/host", {"Host": host}, host.encode())
        assert status == 200, answer
        assert s3.get_object(Bucket=bucket, Key="by/host")["Body"].read() == host.encode()
    status, _, body = raw(server, "GET", f"/{bucket}/by/host", {"Host": f"localhost:{server.port}"})
    assert status == 200 and body


# --- the aws CLI -----------------------------------------------------------------------------


def test_the_cli(server, tmp_path):
    name = f"cli-{uuid.uuid4().hex[:12]}"
    source, back = tmp_path / "a file.txt", tmp_path / "back.txt"
    source.write_text("hello")
    server.aws("s3", "mb", f"s3://{name}")
    server.aws("s3", "cp", source, f"s3://{name}/in/a file.txt")
    server.aws("s3", "cp", f"s3://{name}/in/a file.txt", f"s3://{name}/copy.txt")
    server.aws("s3", "cp", f"s3://{name}/copy.txt", back)
    assert back.read_text() == "hello"
    listed = server.aws("s3", "ls", f"s3://{name}/")
    assert "PRE in/" in listed and "5 copy.txt" in listed
    server.aws("s3", "sync", f"s3://{name}", tmp_path / "all")
    assert (tmp_path / "all/in/a file.txt").read_text() == "hello"
    server.aws("s3", "mv", f"s3://{name}/copy.txt", f"s3://{name}/moved.txt")
    assert server.aws("s3api", "head-object", "--bucket", name, "--key", "moved.txt")["ContentType"] == "text/plain"
    with pytest.raises(AwsCliError, match="BucketNotEmpty"):
        server.aws("s3", "rb", f"s3://{name}")
    server.aws("s3", "rm", f"s3://{name}", "--recursive")
    server.aws("s3", "rb", f"s3://{name}")
    with pytest.raises(AwsCliError, match="NoSuchBucket"):
        server.aws("s3", "ls", f"s3://{name}")


# --- notifications ---------------------------------------------------------------------------


def rule(function, events=("s3:ObjectCreated:*",), **filters):
    one = {"LambdaFunctionArn": function, "Events": list(events)}
    if filters:
        rules = [{"Name": name, "Value": value} for name, value in filters.items()]
        one["Filter"] = {"Key": {"FilterRules": rules}}
    return one


@pytest.fixture(scope="module")
def function(server):
    """The ARN of a function that is there; it need not run."""
    name = f"told-{uuid.uuid4().hex[:8]}"
    source = "def handler(event, context):\n    print('told', event['Records'][0]['s3']['object']['key'])\n"
    return make_function(server.client("lambda"), name, source)["FunctionArn"]


def configure(s3, bucket, *rules):
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": list(rules)} if rules else {}
    )


def test_rules_are_kept_shown_and_removed(s3, bucket, function):
    configure(s3, bucket, rule(function, prefix="in/", Suffix=".png"), rule(function, ["s3:ObjectRemoved:Delete"]))
    shown = s3.get_bucket_notification_configuration(Bucket=bucket)["LambdaFunctionConfigurations"]
    assert [one["LambdaFunctionArn"] for one in shown] == [function, function]
    assert all(one["Id"] for one in shown) and shown[0]["Id"] != shown[1]["Id"]
    filters = shown[0]["Filter"]["Key"]["FilterRules"]
    assert filters == [{"Name": "Prefix", "Value": "in/"}, {"Name": "Suffix", "Value": ".png"}]
    assert shown[1]["Events"] == ["s3:ObjectRemoved:Delete"] and "Filter" not in shown[1]
    configure(s3, bucket)
    assert "LambdaFunctionConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)


@pytest.mark.parametrize("first, second", [
    ({}, {}),
    ({"prefix": "a"}, {}),
    ({"prefix": "a/"}, {"prefix": "a/b/"}),
    ({"suffix": ".png"}, {"suffix": "x.png"}),
    ({"prefix": "a"}, {"suffix": ".png"}),
])
def test_rules_that_overlap_are_refused(s3, bucket, function, first, second):
    with pytest.raises(ClientError, match="Configurations overlap"):
        configure(s3, bucket, rule(function, **first), rule(function, ["s3:ObjectCreated:Put"], **second))
    configure(s3, bucket, rule(function, **first), rule(function, ["s3:ObjectRemoved:*"], **second))


def test_rules_that_cannot_be_are_refused(s3, bucket, function):
    for wrong, message in [
        (rule(function.rsplit(":", 1)[0] + ":missing"), "Unable to validate the following destination"),
        (rule(function, ["s3:ObjectCreated:Never"]), "is not supported for notifications"),
        (rule(function, ["s3:ObjectTagging:Never"]), "is not supported for notifications"),
        (rule(function, prefix="a", Prefix="b"), "more than one prefix"),
    ]:
        with pytest.raises(ClientError, match=message):
            configure(s3, bucket, wrong)
    topic = {"TopicConfigurations": [{"TopicArn": "arn:aws:sns:us-east-1:000000000000:t",
                                      "Events": ["s3:ObjectCreated:*"]}]}
    for other in (topic, {"EventBridgeConfiguration": {}}):
        message = refused("NotImplemented", s3.put_bucket_notification_configuration, 501,
                          Bucket=bucket, NotificationConfiguration=other)
        assert next(iter(other)) in message
    assert "LambdaFunctionConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)


def test_a_queue_is_told_with_the_object(server, s3, bucket):
    sqs, name = server.client("sqs"), f"told-{uuid.uuid4().hex[:8]}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    told = [{"Id": "1", "QueueArn": f"arn:aws:sqs:us-east-1:000000000000:{name}", "Events": ["s3:ObjectCreated:*"]}]
    missing = [{**told[0], "QueueArn": told[0]["QueueArn"] + "-not"}]
    put = s3.put_bucket_notification_configuration
    for wrong, part in [({"QueueConfigurations": missing}, "Unable to validate"), (
            {"LambdaFunctionConfigurations": [{"LambdaFunctionArn": told[0]["QueueArn"],
                                               "Events": ["s3:ObjectCreated:*"]}]}, "could not be parsed")]:
        assert part in refused("InvalidArgument", put, Bucket=bucket, NotificationConfiguration=wrong)
    put(Bucket=bucket, NotificationConfiguration={"QueueConfigurations": told})
    shown = s3.get_bucket_notification_configuration(Bucket=bucket)
    assert shown["QueueConfigurations"] == told and "LambdaFunctionConfigurations" not in shown
    s3.put_object(Bucket=bucket, Key="a b", Body=b"x")
    got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    test, event = (json.loads(message["Body"]) for message in got)
    assert (test["Event"], test["Bucket"]) == ("s3:TestEvent", bucket)
    record = event["Records"][0]
    assert (record["eventName"], record["s3"]["object"]["key"]) == ("ObjectCreated:Put", "a+b")


def test_a_function_is_told_of_each_change_in_order(server, s3, bucket):
    source = """
import json

def handler(event, context):
    print("TOLD " + json.dumps(event))
"""
    name = f"teller-{uuid.uuid4().hex[:8]}"
    arn = make_function(server.client("lambda"), name, source)["FunctionArn"]
    configure(s3, bucket, rule(arn, prefix="in/"), rule(arn, ["s3:ObjectRemoved:*"], prefix="in/"))
    s3.put_object(Bucket=bucket, Key="out/a", Body=b"no")
    put = s3.put_object(Bucket=bucket, Key="in/red flower.jpg", Body=b"hello")
    s3.copy_object(Bucket=bucket, Key="in/copy", CopySource={"Bucket": bucket, "Key": "out/a"})
    s3.delete_object(Bucket=bucket, Key="in/copy")

    def events():
        lines = re.findall(r"TOLD (\{.*\})", server.mayfly("logs", name, "--endpoint", server.url))
        return [json.loads(line)["Records"][0] for line in lines] if len(lines) >= 3 else None

    records = sorted(wait_for(events, 60, "three events"), key=lambda r: r["s3"]["object"]["sequencer"])
    assert [(r["eventName"], r["s3"]["object"]["key"]) for r in records] == [
        ("ObjectCreated:Put", "in/red+flower.jpg"),
        ("ObjectCreated:Copy", "in/copy"),
        ("ObjectRemoved:Delete", "in/copy"),
    ]
    first = records[0]
    assert (first["eventVersion"], first["eventSource"], first["awsRegion"]) == ("2.1", "aws:s3", "us-east-1")
    assert first["s3"]["bucket"]["arn"] == f"arn:aws:s3:::{bucket}" and first["s3"]["object"]["size"] == 5
    assert f'"{first["s3"]["object"]["eTag"]}"' == put["ETag"]
    assert first["responseElements"]["x-amz-request-id"] == put["ResponseMetadata"]["RequestId"]
    assert "eTag" not in records[2]["s3"]["object"] and "size" not in records[2]["s3"]["object"]


def test_objects_survive_a_kill(fresh_server):
    server = fresh_server()
    s3 = server.client("s3")
    s3.create_bucket(Bucket="kept")
    for n in range(20):
        s3.put_object(Bucket="kept", Key=f"k{n:02}", Body=f"body {n}".encode())
    server.kill()
    server.restart()
    assert keys(s3.list_objects_v2(Bucket="kept")) == [f"k{n:02}" for n in range(20)]
    assert s3.get_object(Bucket="kept", Key="k07")["Body"].read() == b"body 7"
