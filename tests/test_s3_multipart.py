"""Multipart uploads, with real clients."""

import base64
import hashlib
import io
import os

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from conftest import refused
from s3_support import MB, crc32, md5, name

PART = os.urandom(5 * MB)


@pytest.fixture(scope="module")
def s3(server):
    return server.client("s3", request_checksum_calculation="when_required",
                         response_checksum_validation="when_required")


@pytest.fixture(scope="module")
def bucket(s3):
    made = name("parts")
    s3.create_bucket(Bucket=made)
    return made


def start(s3, bucket, key="k", **more):
    return s3.create_multipart_upload(Bucket=bucket, Key=key, **more)["UploadId"]


def send(s3, bucket, upload, number, body, key="k", **more):
    return s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body, **more)["ETag"]


def complete(s3, bucket, upload, parts, key="k", **more):
    listed = [{"PartNumber": number, "ETag": etag} for number, etag in parts]
    return s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload,
                                        MultipartUpload={"Parts": listed}, **more)


def etag_of(*parts):
    digests = b"".join(hashlib.md5(part).digest() for part in parts)
    return f'"{md5(digests)}-{len(parts)}"'


def test_parts_become_an_object(s3, bucket):
    key = "whole/größe 1"
    upload = start(s3, bucket, key, ContentType="text/plain", Metadata={"colour": "red"}, Tagging="a=b",
                   StorageClass="STANDARD_IA")
    bodies = [PART, PART[::-1], b"end"]
    etags = [send(s3, bucket, upload, number, body, key) for number, body in zip((1, 3, 7), bodies)]
    assert etags == [f'"{md5(body)}"' for body in bodies]
    refused("404", s3.head_object, 404, Bucket=bucket, Key=key)
    listed = s3.list_parts(Bucket=bucket, Key=key, UploadId=upload)
    assert [(part["PartNumber"], part["Size"], part["ETag"]) for part in listed["Parts"]] == [
        (number, len(body), etag) for number, body, etag in zip((1, 3, 7), bodies, etags)]
    assert listed["StorageClass"] == "STANDARD_IA" and not listed["IsTruncated"]
    first = s3.list_parts(Bucket=bucket, Key=key, UploadId=upload, MaxParts=1)
    assert first["IsTruncated"] and first["NextPartNumberMarker"] == 1
    rest = s3.list_parts(Bucket=bucket, Key=key, UploadId=upload, PartNumberMarker=1)
    assert [part["PartNumber"] for part in rest["Parts"]] == [3, 7]

    done = complete(s3, bucket, upload, zip((1, 3, 7), etags), key)
    assert done["ETag"] == etag_of(*bodies) and done["Bucket"] == bucket and done["Key"] == key
    assert done["ChecksumType"] == "FULL_OBJECT" and done["ChecksumCRC64NVME"]
    # Sent again, it is answered as before.
    assert complete(s3, bucket, upload, zip((1, 3, 7), etags), key)["ETag"] == done["ETag"]
    got = s3.get_object(Bucket=bucket, Key=key)
    whole = b"".join(bodies)
    assert got["Body"].read() == whole and got["ContentType"] == "text/plain"
    assert got["Metadata"] == {"colour": "red"} and got["TagCount"] == 1 and got["StorageClass"] == "STANDARD_IA"
    for number, body, start_at in zip((1, 3, 7), bodies, (0, len(PART), 2 * len(PART))):
        part = s3.get_object(Bucket=bucket, Key=key, PartNumber=number)
        assert part["PartsCount"] == 3 and part["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert part["ContentRange"] == f"bytes {start_at}-{start_at + len(body) - 1}/{len(whole)}"
        assert part["Body"].read() == body
    refused("InvalidPartNumber", s3.get_object, 416, Bucket=bucket, Key=key, PartNumber=2)
    for first, last in [(0, 0), (len(PART) - 1, len(PART)), (100, 9 * MB), (len(whole) - 2, len(whole) - 1)]:
        got = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={first}-{last}")["Body"].read()
        assert got == whole[first:last + 1]
    attributes = s3.get_object_attributes(Bucket=bucket, Key=key, MaxParts=2,
                                          ObjectAttributes=["ObjectParts", "ObjectSize", "ETag", "Checksum"])
    assert attributes["ObjectSize"] == len(whole) and attributes["ETag"] == done["ETag"].strip('"')
    # Parts are told where they have checksums of their own.
    assert attributes["ObjectParts"] == {"TotalPartsCount": 3}
    refused("NoSuchUpload", s3.list_parts, 404, Bucket=bucket, Key=key, UploadId=upload)

    # A copy is an object that was put at once: its ETag is the MD5 of its bytes.
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert copied["CopyObjectResult"]["ETag"] == f'"{md5(whole)}"'
    s3.delete_object(Bucket=bucket, Key=key)
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == whole


def test_a_part_that_is_sent_again_counts(s3, bucket):
    upload = start(s3, bucket)
    send(s3, bucket, upload, 1, b"first try")
    second = send(s3, bucket, upload, 1, b"second try")
    complete(s3, bucket, upload, [(1, second)])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"second try"


def test_what_cannot_be_completed_is_refused(s3, bucket):
    upload = start(s3, bucket)
    small, other = send(s3, bucket, upload, 1, b"small"), send(s3, bucket, upload, 2, b"end")
    for parts, code in [
        ([(1, small), (2, other)], "EntityTooSmall"),
        ([(1, other)], "InvalidPart"),
        ([(3, small)], "InvalidPart"),
        ([(2, other), (1, small)], "InvalidPartOrder"),
        ([(1, small), (1, small)], "InvalidPartOrder"),
        ([], "MalformedXML"),
    ]:
        with pytest.raises(ClientError) as caught:
            complete(s3, bucket, upload, parts)
        assert caught.value.response["Error"]["Code"] == code, parts
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    refused("NoSuchUpload", s3.complete_multipart_upload, 404, Bucket=bucket, Key="other", UploadId=upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": small}]})
    for number in (0, 10001):
        refused("InvalidArgument", s3.upload_part, 400, Bucket=bucket, Key="k", UploadId=upload,
                PartNumber=number, Body=b"x")
    refused("NoSuchUpload", s3.upload_part, 404, Bucket=bucket, Key="k", UploadId="abc", PartNumber=1, Body=b"x")
    # Nothing of it was lost.
    complete(s3, bucket, upload, [(1, small)])


def test_an_aborted_upload_is_gone(s3, bucket):
    upload = start(s3, bucket)
    etag = send(s3, bucket, upload, 1, b"x")
    s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)
    for call, more in [(s3.abort_multipart_upload, {}), (s3.list_parts, {}),
                       (s3.upload_part, {"PartNumber": 1, "Body": b"x"}),
                       (s3.complete_multipart_upload,
                        {"MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": etag}]}})]:
        refused("NoSuchUpload", call, 404, Bucket=bucket, Key="k", UploadId=upload, **more)


def test_uploads_are_listed_by_key_and_age(s3):
    bucket = name("listed")
    s3.create_bucket(Bucket=bucket)
    wanted = [(key, start(s3, bucket, key)) for key in ["a", "b/1", "b/2", "c", "c"]]
    listed = s3.list_multipart_uploads(Bucket=bucket)
    assert sorted((u["Key"], u["UploadId"]) for u in listed["Uploads"]) == sorted(wanted)
    assert [u["Key"] for u in listed["Uploads"]] == ["a", "b/1", "b/2", "c", "c"]
    seen, markers = [], {}
    while True:
        page = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=2, **markers)
        seen += [u["UploadId"] for u in page["Uploads"]]
        if not page["IsTruncated"]:
            break
        markers = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
    assert seen == [u["UploadId"] for u in listed["Uploads"]]
    rolled = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [p["Prefix"] for p in rolled["CommonPrefixes"]] == ["b/"] and len(rolled["Uploads"]) == 3
    assert [u["Key"] for u in s3.list_multipart_uploads(Bucket=bucket, Prefix="b/")["Uploads"]] == ["b/1", "b/2"]
    s3.delete_bucket(Bucket=bucket)
    refused("NoSuchBucket", s3.list_multipart_uploads, 404, Bucket=bucket)


def test_parts_are_copied_from_objects(s3, bucket):
    source = PART + b"tail of the source"
    s3.put_object(Bucket=bucket, Key="source", Body=source)
    upload = start(s3, bucket, "target")
    at = {"Bucket": bucket, "Key": "target", "UploadId": upload, "CopySource": {"Bucket": bucket, "Key": "source"}}
    one = s3.upload_part_copy(PartNumber=1, **at)["CopyPartResult"]
    two = s3.upload_part_copy(PartNumber=2, CopySourceRange="bytes=1-9", **at)["CopyPartResult"]
    assert one["ETag"] == f'"{md5(source)}"' and two["ETag"] == f'"{md5(source[1:10])}"'
    for wrong in ("bytes=0-99999999", "bytes=5-1", "0-5", "bytes=1-"):
        refused("InvalidArgument", s3.upload_part_copy, 400, PartNumber=3, CopySourceRange=wrong, **at)
    refused("PreconditionFailed", s3.upload_part_copy, 412, PartNumber=3, CopySourceIfMatch='"other"', **at)
    complete(s3, bucket, upload, [(1, one["ETag"]), (2, two["ETag"])], "target")
    assert s3.get_object(Bucket=bucket, Key="target")["Body"].read() == source + source[1:10]


@pytest.mark.parametrize("algorithm, kind", [
    ("CRC32", "COMPOSITE"), ("CRC32", "FULL_OBJECT"), ("CRC32C", "FULL_OBJECT"), ("CRC64NVME", "FULL_OBJECT"),
    ("SHA1", "COMPOSITE"), ("SHA256", "COMPOSITE"),
])
def test_checksums_of_parts_and_of_the_whole(server, s3, bucket, algorithm, kind):
    if algorithm in ("CRC32C", "CRC64NVME"):
        pytest.importorskip("awscrt")
    field, key = f"Checksum{algorithm}", f"sums-{algorithm}-{kind}"
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, ChecksumAlgorithm=algorithm, ChecksumType=kind)
    assert (upload["ChecksumAlgorithm"], upload["ChecksumType"]) == (algorithm, kind)
    parts = []
    for number, body in enumerate([PART, b"end"], 1):
        sent = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload["UploadId"], PartNumber=number, Body=body,
                              ChecksumAlgorithm=algorithm)
        parts.append({"PartNumber": number, "ETag": sent["ETag"], field: sent[field]})
    wrong = [parts[0], {**parts[1], field: parts[0][field]}]
    at = {"Bucket": bucket, "Key": key, "UploadId": upload["UploadId"]}
    refused("InvalidPart", s3.complete_multipart_upload, 400, MultipartUpload={"Parts": wrong}, **at)
    done = s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **at)
    assert done["ChecksumType"] == kind
    if kind == "COMPOSITE":
        hasher = {"SHA1": hashlib.sha1, "SHA256": hashlib.sha256}.get(algorithm)
        digests = b"".join(base64.b64decode(part[field]) for part in parts)
        whole = base64.b64encode(hasher(digests).digest()).decode() if hasher else crc32(digests)
        assert done[field] == f"{whole}-2"
    elif algorithm == "CRC32":
        assert done[field] == crc32(PART + b"end")
    head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    assert head[field] == done[field] and head["ChecksumType"] == kind
    # With its checksum validated by the client.
    strict = server.client("s3")
    assert strict.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")["Body"].read() == PART + b"end"


def test_checksums_that_do_not_fit_are_refused(s3, bucket):
    for algorithm, kind in [("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE")]:
        refused("InvalidRequest", s3.create_multipart_upload, 400, Bucket=bucket, Key="k",
                ChecksumAlgorithm=algorithm, ChecksumType=kind)
    upload = start(s3, bucket, ChecksumAlgorithm="SHA256")
    refused("InvalidRequest", s3.upload_part, 400, Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x",
            ChecksumAlgorithm="CRC32")
    upload = start(s3, bucket, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    etag = send(s3, bucket, upload, 1, b"x", ChecksumAlgorithm="CRC32")
    refused("BadDigest", s3.complete_multipart_upload, 400, Bucket=bucket, Key="k", UploadId=upload,
            ChecksumCRC32="AAAAAA==", MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    refused("InvalidRequest", s3.complete_multipart_upload, 400, Bucket=bucket, Key="k", UploadId=upload,
            MpuObjectSize=5, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    complete(s3, bucket, upload, [(1, etag)], MpuObjectSize=1)


def test_a_completion_may_have_conditions(s3, bucket):
    s3.put_object(Bucket=bucket, Key="there", Body=b"x")
    upload = start(s3, bucket, "there")
    etag = send(s3, bucket, upload, 1, b"new", "there")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        complete(s3, bucket, upload, [(1, etag)], "there", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        complete(s3, bucket, upload, [(1, etag)], "there", IfMatch='"other"')
    complete(s3, bucket, upload, [(1, etag)], "there", IfMatch=f'"{md5(b"x")}"')
    assert s3.get_object(Bucket=bucket, Key="there")["Body"].read() == b"new"


def test_clients_move_large_files(server, tmp_path):
    s3, bucket = server.client("s3"), name("large")
    s3.create_bucket(Bucket=bucket)
    data = os.urandom(19 * MB + 11)
    config = TransferConfig(multipart_threshold=6 * MB, multipart_chunksize=6 * MB, max_concurrency=4)
    s3.upload_fileobj(io.BytesIO(data), bucket, "file", Config=config)
    back = io.BytesIO()
    s3.download_fileobj(bucket, "file", back, Config=config)
    assert back.getvalue() == data
    assert s3.head_object(Bucket=bucket, Key="file")["ETag"].endswith('-4"')
    s3.copy({"Bucket": bucket, "Key": "file"}, bucket, "copy", Config=config)
    assert s3.head_object(Bucket=bucket, Key="copy")["ContentLength"] == len(data)
    path = tmp_path / "file"
    path.write_bytes(data)
    server.aws("s3", "cp", path, f"s3://{bucket}/cli")
    server.aws("s3", "cp", f"s3://{bucket}/cli", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data
