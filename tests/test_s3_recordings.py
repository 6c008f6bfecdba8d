"""What S3 says of a refusal beside its code: the elements of its error documents, and answers at the edges, held against
recordings of its own answers."""

import datetime
import re

import pytest
from botocore.exceptions import ClientError
from s3_support import empty, name, raw


@pytest.fixture
def s3(server):
    return server.client("s3")


@pytest.fixture
def plain(server):
    """A client that adds no checksums."""
    return server.client("s3", request_checksum_calculation="when_required")


@pytest.fixture
def bucket(s3):
    made = name("recorded")
    s3.create_bucket(Bucket=made)
    s3.put_object(Bucket=made, Key="k", Body=b"0123456789")
    yield made
    empty(s3, made)


def error(call, **arguments):
    """Status, code and what else the document says, without ids and message."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    answer = refused.value.response
    details = {key: value for key, value in answer["Error"].items()
               if key not in ("Code", "Message", "RequestId", "HostId", "Resource")}
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], details


def tags(*pairs):
    return {"TagSet": [{"Key": key, "Value": value} for key, value in pairs]}


def told(queue, *rules):
    told = {"QueueArn": queue, "Events": ["s3:ObjectCreated:*"], "Filter": {"Key": {"FilterRules": list(rules)}}}
    return {"NotificationConfiguration": {"QueueConfigurations": [told]}}


QUEUE = "arn:aws:sqs:us-east-1:000000000000:none-of-this-name"
FOREIGN = "HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD"
COPY_RANGE = "x-amz-copy-source-range"


@pytest.mark.parametrize("call, arguments, expected", [
    ("get_object", {"Key": "none"}, (404, "NoSuchKey", {"Key": "none"})),
    ("get_object", {"Key": "k", "VersionId": FOREIGN},
     (400, "InvalidArgument", {"ArgumentName": "versionId", "ArgumentValue": FOREIGN})),
    ("get_object", {"Key": "k", "Range": "bytes=10-"},
     (416, "InvalidRange", {"ActualObjectSize": "10", "RangeRequested": "bytes=10-"})),
    ("get_object", {"Key": "k", "PartNumber": 2},
     (416, "InvalidPartNumber", {"ActualPartCount": "1", "PartNumberRequested": "2"})),
    ("get_object", {"Key": "k", "IfMatch": '"x"'}, (412, "PreconditionFailed", {"Condition": "If-Match"})),
    ("put_object", {"Key": "k", "IfMatch": "*"}, (501, "NotImplemented", {
        "Header": "If-Match",
        "additionalMessage": "We don't accept the provided value of If-Match header for this API"})),
    ("put_object", {"Key": "k", "IfMatch": '"x"', "IfNoneMatch": "*"}, (501, "NotImplemented", {
        "Header": "If-Match,If-None-Match",
        "additionalMessage": "Multiple conditional request headers present in the request"})),
    ("put_object", {"Key": "k", "Tagging": "a=b&a=c"},
     (400, "InvalidArgument", {"ArgumentName": "x-amz-tagging", "ArgumentValue": "a=b&a=c"})),
    ("put_object", {"Key": "k", "Tagging": "a=b,c=d"},
     (400, "InvalidArgument", {"ArgumentName": "x-amz-tagging", "ArgumentValue": "a=b,c=d"})),
    ("put_object", {"Key": "k", "StorageClass": "OUTPOSTS"},
     (400, "InvalidStorageClass", {"StorageClassRequested": "OUTPOSTS"})),
    ("put_object", {"Key": "k" * 1025}, (400, "KeyTooLongError", {"Size": "1025", "MaxSizeAllowed": "1024"})),
    ("put_object_tagging", {"Key": "k", "Tagging": tags(("a,b", "c"))}, (400, "InvalidTag", {"TagKey": "a,b"})),
    ("put_object_tagging", {"Key": "k", "Tagging": tags(("a", "b,c"))},
     (400, "InvalidTag", {"TagKey": "a", "TagValue": "b,c"})),
    ("put_bucket_tagging", {"Tagging": tags(("a", "b"), ("a", "c"))}, (400, "InvalidTag", {"TagKey": "a"})),
    ("list_parts", {"Key": "k", "UploadId": "none"}, (404, "NoSuchUpload", {"UploadId": "none"})),
    ("list_objects_v2", {"EncodingType": "x"},
     (400, "InvalidArgument", {"ArgumentName": "encoding-type", "ArgumentValue": "x"})),
    ("list_object_versions", {"VersionIdMarker": "x"},
     (400, "InvalidArgument", {"ArgumentName": "version-id-marker", "ArgumentValue": "x"})),
    ("put_bucket_acl", {"ACL": "none"}, (400, "InvalidArgument", {"ArgumentName": "x-amz-acl", "ArgumentValue": "none"})),
    ("put_bucket_acl", {}, (400, "MissingSecurityHeader", {"MissingHeaderName": "x-amz-acl"})),
    ("put_bucket_website", {"WebsiteConfiguration": {"IndexDocument": {"Suffix": "/a"}}},
     (400, "InvalidArgument", {"ArgumentName": "IndexDocument", "ArgumentValue": "/a"})),
    ("list_objects_v2", {"ExpectedBucketOwner": "x"}, (400, "InvalidBucketOwnerAWSAccountID", {})),
    ("put_bucket_notification_configuration", told("none"),
     (400, "InvalidArgument", {"ArgumentName": "Queue", "ArgumentValue": "none"})),
    ("put_bucket_notification_configuration", told(QUEUE), (400, "InvalidArgument", {
        "ArgumentName1": QUEUE, "ArgumentValue1": "The destination queue does not exist"})),
    ("put_bucket_notification_configuration", told(QUEUE, {"Name": "infix", "Value": "x"}),
     (400, "InvalidArgument", {"ArgumentName": "FilterRule.Name", "ArgumentValue": "infix"})),
])
def test_refusals_say_what_they_are_about(s3, bucket, call, arguments, expected):
    assert error(getattr(s3, call), Bucket=bucket, **arguments) == expected


@pytest.mark.parametrize("call, code", [
    ("get_bucket_tagging", "NoSuchTagSet"), ("get_bucket_policy", "NoSuchBucketPolicy"),
    ("get_bucket_website", "NoSuchWebsiteConfiguration"), ("get_bucket_cors", "NoSuchCORSConfiguration"),
    ("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration"),
    ("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError"),
    ("get_bucket_replication", "ReplicationConfigurationNotFoundError"), ("delete_bucket", "BucketNotEmpty"),
])
def test_refusals_name_their_bucket(s3, bucket, call, code):
    assert error(getattr(s3, call), Bucket=bucket)[1:] == (code, {"BucketName": bucket})


@pytest.mark.parametrize("headers, status, expected", [
    ({}, 400, ("BadRequest", None, None)),
    ({"Origin": "https://a"}, 403, ("AccessForbidden", "OPTIONS", "BUCKET")),
    ({"Origin": "https://a", "Access-Control-Request-Method": "PUT"}, 403, ("AccessForbidden", "PUT", "BUCKET")),
])
def test_preflights_are_refused_where_there_are_no_rules(server, bucket, headers, status, expected):
    got, _, body = raw(server, "OPTIONS", f"/{bucket}/k", headers)
    element = lambda name: re.search(f"<{name}>(.*?)</{name}>", body.decode())  # noqa: E731
    shown = tuple(found and found[1] for found in map(element, ("Code", "Method", "ResourceType")))
    assert (got, shown) == (status, expected)


def test_errors_about_a_source_name_the_source(s3, bucket):
    copy = lambda source: error(s3.copy_object, Bucket=bucket, Key="to", CopySource=source)  # noqa: E731
    assert copy(f"{bucket}/none") == (404, "NoSuchKey", {"Key": "none"})
    assert copy("no-such-bucket-here/k") == (404, "NoSuchBucket", {"BucketName": "no-such-bucket-here"})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="to")["UploadId"]
    part = {"Bucket": bucket, "Key": "to", "UploadId": upload, "PartNumber": 1}
    assert error(s3.upload_part_copy, **part, CopySource=f"{bucket}/none") == (404, "NoSuchKey", {"Key": "none"})
    for wanted in ("0-8", "bytes=1-0", "bytes=-5", "bytes=0-10"):
        about = {"ArgumentName": COPY_RANGE, "ArgumentValue": wanted}
        assert error(s3.upload_part_copy, **part, CopySource=f"{bucket}/k", CopySourceRange=wanted) == (
            400, "InvalidArgument", about)
    assert error(s3.upload_part_copy, **part, CopySource=f"{bucket}/k", CopySourceRange="bytes=10-20") == (
        400, "InvalidRequest", {})
    s3.abort_multipart_upload(Bucket=bucket, Key="to", UploadId=upload)


def test_digests_that_are_wrong_are_told(plain, bucket):
    put = lambda md5: error(plain.put_object, Bucket=bucket, Key="m", Body=b"x", ContentMD5=md5)  # noqa: E731
    assert put("none") == (400, "InvalidDigest", {"Content-MD5": "none"})
    assert put("7Qdih1MuhjZehB6Sv8UNjA==") == (400, "BadDigest", {
        "ExpectedDigest": "ed076287532e86365e841e92bfc50d8c", "CalculatedDigest": "ndTkYSaMgDT1yFZOFVxnpg=="})


def test_delete_markers_are_told_as_such(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="v")["VersionId"]
    marker = s3.delete_object(Bucket=bucket, Key="v")["VersionId"]
    for call, method in ((s3.get_object, "GET"), (s3.get_object_tagging, "GET"), (s3.delete_object_tagging, "DELETE")):
        assert error(call, Bucket=bucket, Key="v", VersionId=marker) == (
            405, "MethodNotAllowed", {"Method": method, "ResourceType": "DeleteMarker"})
    assert error(s3.get_object_tagging, Bucket=bucket, Key="v")[:2] == (405, "MethodNotAllowed")
    assert error(s3.copy_object, Bucket=bucket, Key="to",
                 CopySource={"Bucket": bucket, "Key": "v", "VersionId": marker})[:2] == (400, "InvalidRequest")
    s3.delete_object(Bucket=bucket, Key="v", VersionId=version)
    assert error(s3.get_object, Bucket=bucket, Key="v", VersionId=version) == (
        404, "NoSuchVersion", {"Key": "v", "VersionId": version})
    # Alone, it is no error that a version is gone; among many it is told.
    assert s3.delete_object(Bucket=bucket, Key="v", VersionId=version)["VersionId"] == version
    [told] = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "v", "VersionId": version}]})["Errors"]
    assert (told["Code"], told["VersionId"]) == ("NoSuchVersion", version)


def test_versions_are_listed_while_they_are_deleted(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    versions = [s3.put_object(Bucket=bucket, Key="v")["VersionId"] for _ in range(5)][::-1]
    page = s3.list_object_versions(Bucket=bucket, Prefix="v", MaxKeys=3)
    assert page["NextVersionIdMarker"] == versions[2]
    for version in versions[:3]:
        s3.delete_object(Bucket=bucket, Key="v", VersionId=version)
    rest = s3.list_object_versions(Bucket=bucket, Prefix="v", KeyMarker="v", VersionIdMarker=versions[2])["Versions"]
    assert [(one["VersionId"], one["IsLatest"]) for one in rest] == [(versions[3], True), (versions[4], False)]


def test_uploads_whose_key_was_changed_meanwhile_are_in_conflict(s3, bucket):
    def begun(key):
        upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        etag = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
        return {"Bucket": bucket, "Key": key, "UploadId": upload,
                "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": etag}]}}

    conflict = lambda condition: (409, "ConditionalRequestConflict", {"Condition": condition, "Key": "k"})  # noqa: E731
    upload = begun("k")
    assert error(s3.complete_multipart_upload, **upload, IfNoneMatch="*")[:2] == (412, "PreconditionFailed")
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"new")["ETag"]
    assert error(s3.complete_multipart_upload, **upload, IfMatch='"old"')[:2] == (412, "PreconditionFailed")
    assert error(s3.complete_multipart_upload, **upload, IfMatch=etag) == conflict("If-Match")
    s3.delete_object(Bucket=bucket, Key="k")
    assert error(s3.complete_multipart_upload, **upload, IfMatch=etag)[:2] == (404, "NoSuchKey")
    assert error(s3.complete_multipart_upload, **upload, IfNoneMatch="*") == conflict("If-None-Match")
    s3.complete_multipart_upload(**begun("k"), IfNoneMatch="*")


def test_parts_that_cannot_be_completed_are_named(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="p")["UploadId"]
    at = {"Bucket": bucket, "Key": "p", "UploadId": upload}
    etags = {number: s3.upload_part(**at, PartNumber=number, Body=b"data")["ETag"] for number in (1, 3)}
    complete = lambda *parts: error(s3.complete_multipart_upload, **at, MultipartUpload={  # noqa: E731
        "Parts": [{"PartNumber": number, "ETag": etag} for number, etag in parts]})
    bare = etags[1].strip('"')
    assert complete((3, etags[3]), (1, etags[1])) == (400, "InvalidPartOrder", {"UploadId": upload})
    assert complete((2, etags[1])) == (400, "InvalidPart", {"ETag": bare, "PartNumber": "2", "UploadId": upload})
    assert complete((1, etags[1]), (3, etags[3])) == (400, "EntityTooSmall", {
        "ETag": bare, "MinSizeAllowed": "5242880", "PartNumber": "1", "ProposedSize": "4"})
    # A checksum that nobody asked for is verified, and not told.
    assert "ChecksumCRC64NVME" not in s3.list_parts(**at)["Parts"][0]
    listed = s3.list_multipart_uploads(Bucket=bucket)
    assert (listed["NextKeyMarker"], listed["NextUploadIdMarker"]) == ("p", upload)
    s3.abort_multipart_upload(**at)
    listed = s3.list_multipart_uploads(Bucket=bucket)
    assert (listed["NextKeyMarker"], listed["NextUploadIdMarker"]) == ("", "")


def test_what_is_no_change_and_what_is_to_come(s3, bucket):
    itself = {"Bucket": bucket, "Key": "k", "CopySource": f"{bucket}/k"}
    assert error(s3.copy_object, **itself)[:2] == (400, "InvalidRequest")
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    s3.copy_object(Bucket=bucket, Key="to", CopySource=f"{bucket}/k", CopySourceIfModifiedSince=later)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.copy_object(**itself)
    whole = s3.get_object(Bucket=bucket, Key="k", Range="bytes=-15", ChecksumMode="ENABLED")
    assert whole["ResponseMetadata"]["HTTPStatusCode"] == 206 and whole["ChecksumCRC32"]


def test_an_answer_before_the_leave_to_send_ends_its_connection(server, bucket):
    """botocore takes the status of such an answer for that of the next request on the connection."""
    s3 = server.client("s3", max_pool_connections=1)
    for body in (b"", b"x" * 300_000):
        upload = s3.create_multipart_upload(Bucket=bucket, Key="c", ChecksumAlgorithm="SHA256")["UploadId"]
        at = {"Bucket": bucket, "Key": "c", "UploadId": upload, "PartNumber": 1}
        assert error(s3.upload_part, **at, Body=body)[:2] == (400, "InvalidRequest")
        s3.upload_part(**at, Body=body, ChecksumAlgorithm="SHA256")
        # An empty one that was taken, and then one that is refused.
        s3.put_object(Bucket=bucket, Key="empty", Body=b"")
        assert error(s3.upload_part, **at, Body=b"x")[:2] == (400, "InvalidRequest")
        s3.abort_multipart_upload(Bucket=bucket, Key="c", UploadId=upload)
