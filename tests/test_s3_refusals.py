"""What S3 refuses before it looks at an object, and what its refusals say: signatures, numbers, keys, forms, completions."""

import base64
import datetime
import json
import re
import uuid

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from s3_support import raw, signed_now


@pytest.fixture(scope="module")
def s3(server):
    return server.client("s3")


@pytest.fixture(scope="module")
def bucket(s3):
    """A bucket with one object, `k`, for all cases: none of them changes it."""
    name = f"refusals-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"hello")
    return name


def code_of(answer):
    """Status and code of a raw answer."""
    status, _, body = answer
    code = re.search(rb"<Code>(.*?)</Code>", body)
    return f"{status} {code[1].decode()}" if code else str(status)


def outcome(call, **arguments):
    """`ok`, or status and code."""
    try:
        call(**arguments)
    except ClientError as error:
        return f"{error.response['ResponseMetadata']['HTTPStatusCode']} {error.response['Error']['Code']}"
    return "ok"


def now():
    """Asked when a test runs: what is signed when tests are collected is too old by then if many run before it."""
    return datetime.datetime.now(datetime.timezone.utc)


V4 = ("Credential=test/{now:%Y%m%d}/us-east-1/s3/aws4_request", "SignedHeaders=host", "Signature=" + "0" * 64)
DATE = "{now:%Y%m%dT%H%M%SZ}"
LONG_AGO = "{ago:%Y%m%dT%H%M%SZ}"


def v4(*parts):
    return "AWS4-HMAC-SHA256 " + ", ".join(parts)


@pytest.mark.parametrize("authorization, date, expected", [
    (v4(*V4), DATE, "200"),
    (v4(*V4), None, "403 AccessDenied"),
    (v4(*V4), "yesterday", "403 AccessDenied"),
    (v4(*V4), LONG_AGO, "400 AuthorizationHeaderMalformed"),
    (v4(*V4).replace("{now", "{ago"), LONG_AGO, "403 RequestTimeTooSkewed"),
    (v4(V4[0], V4[2]), DATE, "400 AuthorizationHeaderMalformed"),
    (v4(*V4).replace("Signature=", "Signature"), DATE, "400 AuthorizationHeaderMalformed"),
    (v4(*V4).replace("/us-east-1", ""), DATE, "400 AuthorizationHeaderMalformed"),
    ("AWS key:signature", "{now:%a, %d %b %Y %H:%M:%S GMT}", "200"),
    ("AWS key:signature", "Tue, 07 Jul 2015 21:53:04 GMT", "403 RequestTimeTooSkewed"),
    ("AWS key:signature", "Fri, 07 Jul 1950 21:53:04 GMT", "403 AccessDenied"),
    ("AWS nothing", DATE, "400 InvalidArgument"),
    ("Bearer token", DATE, "400 InvalidArgument"),
    ("", DATE, "403 AccessDenied"),
])
def test_signatures_that_cannot_be_right(server, bucket, authorization, date, expected):
    times = {"now": now(), "ago": now() - datetime.timedelta(days=2)}
    headers = {"Authorization": authorization.format(**times), "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    if date:
        headers["x-amz-date"] = date.format(**times)
    assert code_of(raw(server, "GET", f"/{bucket}/k", headers)) == expected


@pytest.mark.parametrize("change, expected", [
    (("X-Amz-Expires=60", "X-Amz-Expires=soon"), "400 AuthorizationQueryParametersError"),
    (("X-Amz-Expires=60", "X-Amz-Expires=-1"), "400 AuthorizationQueryParametersError"),
    (("X-Amz-Expires=60", "X-Amz-Expires=604801"), "400 AuthorizationQueryParametersError"),
    (("&X-Amz-Expires=60", ""), "400 AuthorizationQueryParametersError"),
    ((r"X-Amz-Signature=\w+", "X-Amz-Signature="), "400 AuthorizationQueryParametersError"),
    ((r"X-Amz-SignedHeaders=\w+", "X-Amz-SignedHeaders="), "400 AuthorizationQueryParametersError"),
    (("HMAC-SHA256", "HMAC-MD5"), "400 AuthorizationQueryParametersError"),
    ((r"%2F\d{8}%2F", "%2F20200101%2F"), "400 AuthorizationQueryParametersError"),
    (("aws4_request", "aws5_request"), "400 AuthorizationQueryParametersError"),
    (("nothing", ""), "200"),
])
def test_presigned_urls_that_cannot_be_right(server, s3, bucket, change, expected):
    url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"}, ExpiresIn=60)
    path = re.sub(*change, url[url.index("/", 8):])
    assert code_of(raw(server, "GET", path)) == expected


@pytest.mark.parametrize("method, path, headers, expected", [
    ("GET", "/", {}, "403 AccessDenied"),
    ("GET", "/{bucket}-none", {}, "404 NoSuchBucket"),
    ("GET", "/{bucket}-none/k", {}, "404 NoSuchBucket"),
    ("PUT", "/{bucket}-none", {}, "403 AccessDenied"),
    ("GET", "/{bucket}/k", {}, "403 AccessDenied"),
    ("GET", "/{bucket}/k?response-content-type=a", {}, "400 InvalidRequest"),
    ("POST", "/{bucket}", {"Content-Type": "text/plain"}, "412 PreconditionFailed"),
    ("POST", "/{bucket}", {"Content-Type": "multipart/form-data"}, "400 MalformedPOSTRequest"),
])
def test_who_signs_nothing(server, bucket, method, path, headers, expected):
    assert code_of(raw(server, method, path.format(bucket=bucket), headers)) == expected


@pytest.mark.parametrize("method, path, headers, expected", [
    ("GET", "?max-keys=many", {}, "400 InvalidArgument"),
    ("GET", "?max-keys=-1", {}, "400 InvalidArgument"),
    ("GET", "?uploads&max-uploads=2147483648", {}, "400 InvalidArgument"),
    ("GET", "/k?partNumber=0", {}, "400 InvalidArgument"),
    ("GET", "/missing?partNumber=10001", {}, "400 InvalidArgument"),
    ("GET", "/k?versionId=", {}, "400 InvalidArgument"),
    ("GET", "/k?versionId=bogus", {}, "400 InvalidArgument"),
    ("GET", "/k?versionId=01BX5ZZKBKACTAV9WEVGEMMVRZ", {}, "400 InvalidArgument"),
    ("GET", "/" + "k" * 1025, {}, "400 KeyTooLongError"),
    ("DELETE", "/" + "k" * 1025, {}, "400 KeyTooLongError"),
    ("PUT", "/a/../../b", {}, "400 InvalidURI"),
    ("PUT", "/k", {"x-amz-copy-source": "bucket/%ZZ"}, "400 InvalidArgument"),
    ("PUT", "/k", {"x-amz-copy-source": "192.168.1.1/k"}, "400 InvalidArgument"),
    ("PUT", "/k", {"x-amz-checksum-crc16": "AAA="}, "400 InvalidRequest"),
    ("PUT", "/k", {"x-amz-server-side-encryption": "AES512"}, "400 InvalidArgument"),
    ("PUT", "/k", {"x-amz-server-side-encryption-aws-kms-key-id": "key"}, "400 InvalidArgument"),
    ("PUT", "/k", {"If-Match": '"a"', "If-None-Match": "*"}, "501 NotImplemented"),
    ("PUT", "/k?acl", {"x-amz-acl": "private", "x-amz-grant-read": 'id="111111111111"'}, "400 InvalidRequest"),
])
def test_requests_that_cannot_be(server, bucket, method, path, headers, expected):
    headers = {**headers, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    assert code_of(raw(server, method, f"/{bucket}{path}", headers, signed=True)) == expected


def test_refusals_say_what_was_wrong(server, bucket):
    for path, headers, elements in [
        ("/k?partNumber=0", {}, {"ArgumentName": "partNumber", "ArgumentValue": "0"}),
        ("?max-keys=x", {}, {"Message": "Provided max-keys not an integer or within integer range"}),
        ("/k", {"Range": "bytes=9-"}, {"ActualObjectSize": "5", "RangeRequested": "bytes=9-"}),
    ]:
        body = raw(server, "GET", f"/{bucket}{path}", headers, signed=True)[2].decode()
        for name, text in elements.items():
            assert f"<{name}>{text}</{name}>" in body, body


def test_chunks_that_others_follow_are_large(server, bucket):
    headers = {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x-amz-decoded-content-length": "5"}
    answer = raw(server, "PUT", f"/{bucket}/small", headers, b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", signed=True)
    assert code_of(answer) == "403 InvalidChunkSizeError"


@pytest.mark.parametrize("fields, policy, expected", [
    ({}, [{"bucket": "B"}, ["starts-with", "$key", "f"]], "204"),
    ({}, [["starts-with", "$key", "f"]], "403 AccessDenied"),
    ({}, [{"bucket": "B"}, ["starts-with", "$key", "f"], ["content-length-range", 0, 1]], "400 EntityTooLarge"),
    ({"x-amz-date": "today"}, [{"bucket": "B"}, ["starts-with", "$key", "f"]], "400 InvalidArgument"),
    ({"x-amz-date": "20200101T000000Z"}, [{"bucket": "B"}, ["starts-with", "$key", "f"]], "400 InvalidArgument"),
    ({"x-amz-signature": ""}, [{"bucket": "B"}, ["starts-with", "$key", "f"]], "400 InvalidArgument"),
    ({}, None, "400 InvalidArgument"),
    ({"key": "../f"}, [{"bucket": "B"}, ["starts-with", "$key", "f"]], "400 InvalidURI"),
])
def test_forms(server, bucket, fields, policy, expected):
    form = {"key": "form", "x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-date": DATE.format(now=now()),
            "x-amz-credential": f"k/{now():%Y%m%d}/us-east-1/s3/aws4_request", "x-amz-signature": "0" * 64, **fields}
    if policy:
        until = f"{now() + datetime.timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
        conditions = json.loads(json.dumps(policy).replace('"B"', f'"{bucket}"'))
        conditions += [["starts-with", f"${name}", ""] for name in form if name.startswith("x-amz-")]
        document = json.dumps({"expiration": until, "conditions": conditions})
        form["policy"] = base64.b64encode(document.encode()).decode()
    parts = "".join(f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
                    for name, value in form.items())
    body = parts + '--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nhello\r\n--x--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert code_of(raw(server, "POST", f"/{bucket}", headers, body.encode())) == expected


@pytest.mark.parametrize("rule, expected", [
    ({"Filter": {"Prefix": "a", "Tag": {"Key": "a", "Value": "b"}}, "Expiration": {"Days": 1}}, "400 MalformedXML"),
    ({"Filter": {"Prefix": ""}, "NoncurrentVersionTransitions": [{"StorageClass": "GLACIER"}]}, "400 MalformedXML"),
    ({"Filter": {"Prefix": ""}, "NoncurrentVersionTransitions": [{"NoncurrentDays": 3}]}, "400 MalformedXML"),
    ({"Filter": {"Prefix": "gone/"}, "Expiration": {"Days": 1}}, "ok"),
])
def test_rules_of_lifecycles(s3, bucket, rule, expected):
    rules = {"Rules": [{"ID": "one", "Status": "Enabled", **rule}]}
    assert outcome(s3.put_bucket_lifecycle_configuration, Bucket=bucket, LifecycleConfiguration=rules) == expected
    if expected == "ok":
        assert 'rule-id="one"' in s3.put_object(Bucket=bucket, Key="gone/a")["Expiration"]
        assert "Expiration" not in s3.put_object(Bucket=bucket, Key="kept")


@pytest.mark.parametrize("algorithm, part, whole, expected", [
    ("CRC32", {"ChecksumCRC32": True}, {}, "ok"),
    ("CRC32", {}, {}, "400 InvalidRequest"),
    ("CRC32", {"ChecksumCRC32": "AAAAAA=="}, {}, "400 InvalidPart"),
    ("CRC32", {"ChecksumCRC32": "short"}, {}, "400 InvalidArgument"),
    ("CRC32", {"ChecksumCRC32": True, "ChecksumSHA1": "2jmj7l5rSw0yVb/vlWAYkK/YBwk="}, {}, "400 InvalidArgument"),
    ("CRC32", {"ChecksumSHA1": "2jmj7l5rSw0yVb/vlWAYkK/YBwk="}, {}, "400 BadDigest"),
    ("CRC32", {"ChecksumCRC32": True}, {"ChecksumType": "FULL_OBJECT"}, "400 InvalidRequest"),
    ("CRC32", {"ChecksumCRC32": True}, {"ChecksumCRC32": "short"}, "400 InvalidRequest"),
    ("CRC32", {"ChecksumCRC32": True}, {"MpuObjectSize": 7}, "400 InvalidRequest"),
    (None, {}, {}, "ok"),
])
def test_completions(s3, bucket, algorithm, part, whole, expected):
    chosen = {"ChecksumAlgorithm": algorithm} if algorithm else {}
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", **chosen)
    assert upload.get("ChecksumAlgorithm") == algorithm
    at = {"Bucket": bucket, "Key": "parts", "UploadId": upload["UploadId"]}
    sent = s3.upload_part(**at, PartNumber=1, Body=b"hello", **chosen)
    assert s3.list_parts(**at).get("ChecksumAlgorithm") == algorithm
    listed = {name: sent[name] if value is True else value for name, value in part.items()}
    parts = {"Parts": [{"PartNumber": 1, "ETag": sent["ETag"], **listed}]}
    assert outcome(s3.complete_multipart_upload, **at, MultipartUpload=parts, **whole) == expected


def test_buckets_with_tags_in_their_place(server, s3):
    name = f"tagged-{uuid.uuid4().hex[:12]}"
    location = "<LocationConstraint>eu-west-1</LocationConstraint>"

    def make(body, region="us-east-1"):
        headers = signed_now()
        headers["Authorization"] = headers["Authorization"].replace("us-east-1", region)
        document = f"<CreateBucketConfiguration>{body}</CreateBucketConfiguration>"
        return raw(server, "PUT", f"/{name}", headers, document.encode())

    def tags(*pairs):
        return "<Tags>" + "".join(f"<Tag><Key>{k}</Key><Value>{v}</Value></Tag>" for k, v in pairs) + "</Tags>"

    for body, region, expected in [
        (tags(("a", "1"), ("a", "2")), "us-east-1", "400 InvalidTag"),
        ("<LocationConstraint>nowhere</LocationConstraint>", "us-east-1", "400 InvalidLocationConstraint"),
        (location, "eu-central-1", "400 IllegalLocationConstraintException"),
        ("", "eu-central-1", "400 IllegalLocationConstraintException"),
    ]:
        assert code_of(make(body, region)) == expected
    status, headers, _ = make(location + tags(("a", "1"), ("b", "&lt;")[:1] + ("2",)), "eu-west-1")
    assert (status, headers["x-amz-bucket-arn"]) == (200, f"arn:aws:s3:::{name}")
    assert s3.get_bucket_tagging(Bucket=name)["TagSet"] == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == "eu-west-1"
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": []})
    assert outcome(s3.get_bucket_tagging, Bucket=name) == "404 NoSuchTagSet"
    s3.delete_bucket(Bucket=name)


@pytest.mark.parametrize("action, condition", [
    ("s3:GetObject", {"StringEquals": {"s3:prefix": "a"}}),
    ("s3:GetObject", {"StringEquals": {"s3:x-amz-acl": "private"}}),
    ("s3:GetObject", {"StringEquals": {"aws:Nothing": "a"}}),
])
def test_conditions_that_cannot_be(s3, bucket, action, condition):
    policy = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Principal": "*", "Action": action, "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": condition}]}
    assert outcome(s3.put_bucket_policy, Bucket=bucket, Policy=json.dumps(policy)) == "400 MalformedPolicy"


def test_lists_for_who_signs_nothing(server, bucket):
    nobody = boto3.client("s3", endpoint_url=server.url, region_name="us-east-1", config=Config(
        signature_version=UNSIGNED, s3={"addressing_style": "path"}, retries={"max_attempts": 0}))
    assert outcome(nobody.list_objects_v2, Bucket=f"{bucket}-none") == "404 NoSuchBucket"
    assert outcome(nobody.list_buckets) == "403 AccessDenied"
    assert outcome(nobody.head_object, Bucket=bucket, Key="k") == "403 403"


def test_lists_answer_what_they_were_asked(s3, bucket):
    assert s3.list_objects(Bucket=bucket, Prefix="\n")["Prefix"] == "\n"
    assert "Delimiter" not in s3.list_objects(Bucket=bucket, Delimiter="")
    assert "Delimiter" not in s3.list_objects_v2(Bucket=bucket, Delimiter="")


def test_an_answer_before_the_end_of_a_body_ends_the_connection(server, bucket):
    early = raw(server, "PUT", f"/{bucket}-none/k", {}, b"x" * 100_000, signed=True)
    assert (code_of(early), early[1].get("connection")) == ("404 NoSuchBucket", "close")
    read = raw(server, "PUT", f"/{bucket}/k", {"Content-MD5": base64.b64encode(bytes(16)).decode()}, b"x", signed=True)
    assert code_of(read) == "400 BadDigest" and "connection" not in read[1]
