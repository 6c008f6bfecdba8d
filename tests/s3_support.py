"""What the tests of S3 share: buckets that go with their test, and raw requests."""

import base64
import datetime
import hashlib
import http.client
import uuid
import zlib
from urllib.parse import urlsplit

MB = 1 << 20


def name(front="test"):
    return f"{front}-{uuid.uuid4().hex[:12]}"


def crc32(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def md5(data):
    return hashlib.md5(data).hexdigest()


def signed_now(access_key="test", at=None):
    """The headers of a signature of this moment, or of another; it is not verified, its time is looked at."""
    at = at or datetime.datetime.now(datetime.timezone.utc)
    scope = f"{access_key}/{at:%Y%m%d}/us-east-1/s3/aws4_request"
    return {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={'0' * 64}",
        "x-amz-date": f"{at:%Y%m%dT%H%M%SZ}",
    }


def raw(server, method, path, headers=None, body=b"", signed=False):
    """One request as it stands; status, headers by lower-case name, body."""
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    headers = dict(headers or {})
    if signed:
        headers = {**signed_now(), **headers}
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def empty(s3, bucket):
    """Remove a bucket and everything in it."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for one in page.get("Versions", []) + page.get("DeleteMarkers", []):
            s3.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"],
                             BypassGovernanceRetention=True)
    s3.delete_bucket(Bucket=bucket)
