"""Versions, delete markers, object lock and conditional writes, with real clients."""

import datetime

import pytest
from botocore.exceptions import ClientError
from conftest import refused
from s3_support import empty, md5, name


@pytest.fixture(scope="module")
def s3(server):
    return server.client("s3")


@pytest.fixture
def bucket(s3):
    made = name("versions")
    s3.create_bucket(Bucket=made)
    version(s3, made)
    yield made
    empty(s3, made)


def version(s3, bucket, status="Enabled"):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def put(s3, bucket, key, body):
    return s3.put_object(Bucket=bucket, Key=key, Body=body).get("VersionId")


def versions(s3, bucket, **more):
    page = s3.list_object_versions(Bucket=bucket, **more)
    return [(v["Key"], v["VersionId"], v["IsLatest"]) for v in page.get("Versions", [])], [
        (m["Key"], m["VersionId"], m["IsLatest"]) for m in page.get("DeleteMarkers", [])]


def read(s3, bucket, key, **more):
    return s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read()


def test_each_put_is_a_version(s3, bucket):
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    one, two = put(s3, bucket, "k", b"1"), put(s3, bucket, "k", b"2")
    assert one and two and one != two and read(s3, bucket, "k") == b"2"
    assert read(s3, bucket, "k", VersionId=one) == b"1"
    assert s3.head_object(Bucket=bucket, Key="k")["VersionId"] == two
    assert versions(s3, bucket)[0] == [("k", two, True), ("k", one, False)]
    gone = s3.delete_object(Bucket=bucket, Key="k")
    assert gone["DeleteMarker"] and gone["VersionId"] not in (one, two)
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="k")
    assert caught.value.response["Error"]["Code"] == "NoSuchKey"
    assert caught.value.response["ResponseMetadata"]["HTTPHeaders"]["x-amz-delete-marker"] == "true"
    refused("MethodNotAllowed", s3.get_object, 405, Bucket=bucket, Key="k", VersionId=gone["VersionId"])
    assert versions(s3, bucket) == ([("k", two, False), ("k", one, False)], [("k", gone["VersionId"], True)])
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    # The marker is removed, and the newest version is back.
    removed = s3.delete_object(Bucket=bucket, Key="k", VersionId=gone["VersionId"])
    assert removed["DeleteMarker"] and removed["VersionId"] == gone["VersionId"]
    assert read(s3, bucket, "k") == b"2"
    s3.delete_object(Bucket=bucket, Key="k", VersionId=two)
    assert read(s3, bucket, "k") == b"1"
    s3.delete_object(Bucket=bucket, Key="k", VersionId=one)
    assert versions(s3, bucket) == ([], [])
    refused("NoSuchVersion", s3.get_object, 404, Bucket=bucket, Key="k", VersionId=one)
    refused("InvalidArgument", s3.get_object, 400, Bucket=bucket, Key="k", VersionId="abc")
    # What is not there leaves a marker all the same.
    assert s3.delete_object(Bucket=bucket, Key="never")["DeleteMarker"]
    refused("BucketNotEmpty", s3.delete_bucket, 409, Bucket=bucket)


def test_the_null_version(s3):
    bucket = name("null")
    s3.create_bucket(Bucket=bucket)
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert put(s3, bucket, "k", b"old") is None
    assert versions(s3, bucket)[0] == [("k", "null", True)]
    version(s3, bucket)
    one = put(s3, bucket, "k", b"1")
    assert read(s3, bucket, "k", VersionId="null") == b"old"
    assert versions(s3, bucket)[0] == [("k", one, True), ("k", "null", False)]
    version(s3, bucket, "Suspended")
    assert put(s3, bucket, "k", b"suspended") == "null"
    assert put(s3, bucket, "k", b"suspended again") == "null"
    assert versions(s3, bucket)[0] == [("k", "null", True), ("k", one, False)]
    assert read(s3, bucket, "k", VersionId="null") == b"suspended again"
    gone = s3.delete_object(Bucket=bucket, Key="k")
    assert gone["DeleteMarker"] and gone["VersionId"] == "null"
    assert versions(s3, bucket) == ([("k", one, False)], [("k", "null", True)])
    s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
    assert read(s3, bucket, "k") == b"1"
    version(s3, bucket)
    assert put(s3, bucket, "k", b"2") not in (None, "null", one)
    empty(s3, bucket)


def test_versions_are_listed_by_pages(s3, bucket):
    for key in ["a", "b/1", "b/2", "c"]:
        for body in (b"1", b"2", b"3"):
            put(s3, bucket, key, body)
    s3.delete_object(Bucket=bucket, Key="c")
    wanted = versions(s3, bucket)
    assert [key for key, _, _ in wanted[0]] == ["a"] * 3 + ["b/1"] * 3 + ["b/2"] * 3 + ["c"] * 3
    for size in (1, 2, 3, 5, 13):
        found, markers = ([], []), {}
        while True:
            page = s3.list_object_versions(Bucket=bucket, MaxKeys=size, **markers)
            found[0].extend((v["Key"], v["VersionId"], v["IsLatest"]) for v in page.get("Versions", []))
            found[1].extend((v["Key"], v["VersionId"], v["IsLatest"]) for v in page.get("DeleteMarkers", []))
            if not page["IsTruncated"]:
                break
            markers = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
        assert found == wanted, size
    rolled = s3.list_object_versions(Bucket=bucket, Delimiter="/")
    assert [p["Prefix"] for p in rolled["CommonPrefixes"]] == ["b/"] and len(rolled["Versions"]) == 6
    assert len(versions(s3, bucket, Prefix="b/1")[0]) == 3
    assert [key for key, _, _ in versions(s3, bucket, KeyMarker="b/1")[0]] == ["b/2"] * 3 + ["c"] * 3
    refused("InvalidArgument", s3.list_object_versions, 400, Bucket=bucket, VersionIdMarker="x")


def test_many_versions_are_deleted_at_once(s3, bucket):
    one, two = put(s3, bucket, "k", b"1"), put(s3, bucket, "k", b"2")
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k", "VersionId": one}, {"Key": "k"}]})
    first, second = answer["Deleted"]
    assert first == {"Key": "k", "VersionId": one}
    assert second["DeleteMarker"] and second["DeleteMarkerVersionId"] and "VersionId" not in second
    assert versions(s3, bucket)[0] == [("k", two, False)]


def test_copies_of_versions(s3, bucket):
    one = put(s3, bucket, "k", b"1")
    put(s3, bucket, "k", b"2")
    copied = s3.copy_object(Bucket=bucket, Key="k", CopySource={"Bucket": bucket, "Key": "k", "VersionId": one})
    assert copied["CopySourceVersionId"] == one and copied["VersionId"]
    assert read(s3, bucket, "k") == b"1" and len(versions(s3, bucket)[0]) == 3
    gone = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    refused("NoSuchKey", s3.copy_object, 404, Bucket=bucket, Key="l", CopySource={"Bucket": bucket, "Key": "k"})
    with pytest.raises(ClientError):
        s3.copy_object(Bucket=bucket, Key="l", CopySource={"Bucket": bucket, "Key": "k", "VersionId": gone})


def test_tags_are_a_versions(s3, bucket):
    one = put(s3, bucket, "k", b"1")
    two = put(s3, bucket, "k", b"2")
    tags = [{"Key": "a", "Value": "b c"}, {"Key": "d", "Value": ""}]
    s3.put_object_tagging(Bucket=bucket, Key="k", VersionId=one, Tagging={"TagSet": tags})
    assert s3.get_object_tagging(Bucket=bucket, Key="k", VersionId=one)["TagSet"] == tags
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["VersionId"] == two
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    assert s3.delete_object_tagging(Bucket=bucket, Key="k", VersionId=one)["VersionId"] == one
    assert s3.get_object_tagging(Bucket=bucket, Key="k", VersionId=one)["TagSet"] == []


def test_conditional_writes(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    at = {"Bucket": bucket, "Key": "k"}
    refused("PreconditionFailed", s3.put_object, 412, Body=b"2", IfNoneMatch="*", **at)
    refused("PreconditionFailed", s3.put_object, 412, Body=b"2", IfMatch='"other"', **at)
    refused("NoSuchKey", s3.put_object, 404, Bucket=bucket, Key="none", Body=b"2", IfMatch=etag)
    refused("NotImplemented", s3.put_object, 501, Body=b"2", IfNoneMatch=etag, **at)
    s3.put_object(Body=b"2", IfMatch=etag, **at)
    refused("PreconditionFailed", s3.delete_object, 412, IfMatch=etag, **at)
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k", "ETag": etag}]})
    assert answer["Errors"][0]["Code"] == "PreconditionFailed"
    assert s3.delete_object(IfMatch=f'"{md5(b"2")}"', **at)["DeleteMarker"]
    s3.put_object(Body=b"3", IfNoneMatch="*", **at)


# --- object lock -----------------------------------------------------------------------------


@pytest.fixture
def locked(s3):
    made = name("locked")
    s3.create_bucket(Bucket=made, ObjectLockEnabledForBucket=True)
    return made


def later(seconds):
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    return now + datetime.timedelta(seconds=seconds)


def test_locked_versions_stay(s3, locked):
    assert s3.get_bucket_versioning(Bucket=locked)["Status"] == "Enabled"
    refused("InvalidBucketState", s3.put_bucket_versioning, 409, Bucket=locked,
            VersioningConfiguration={"Status": "Suspended"})
    until = later(3600)
    one = s3.put_object(Bucket=locked, Key="k", Body=b"1", ObjectLockMode="GOVERNANCE",
                        ObjectLockRetainUntilDate=until)["VersionId"]
    head = s3.head_object(Bucket=locked, Key="k")
    assert (head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]) == ("GOVERNANCE", until)
    at = {"Bucket": locked, "Key": "k", "VersionId": one}
    refused("AccessDenied", s3.delete_object, 403, **at)
    answer = s3.delete_objects(Bucket=locked, Delete={"Objects": [{"Key": "k", "VersionId": one}]})
    assert answer["Errors"][0]["Code"] == "AccessDenied"
    # Longer may be said by anybody, shorter only by who may bypass it.
    s3.put_object_retention(Retention={"Mode": "GOVERNANCE", "RetainUntilDate": later(7200)}, **at)
    refused("AccessDenied", s3.put_object_retention, 403,
            Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until}, **at)
    s3.put_object_retention(Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until},
                            BypassGovernanceRetention=True, **at)
    assert s3.get_object_retention(**at)["Retention"] == {"Mode": "GOVERNANCE", "RetainUntilDate": until}
    # A marker may be put on top.
    assert s3.delete_object(Bucket=locked, Key="k")["DeleteMarker"]
    s3.put_object_legal_hold(LegalHold={"Status": "ON"}, **at)
    assert s3.get_object_legal_hold(**at)["LegalHold"] == {"Status": "ON"}
    refused("AccessDenied", s3.delete_object, 403, BypassGovernanceRetention=True, **at)
    s3.put_object_legal_hold(LegalHold={"Status": "OFF"}, **at)
    s3.delete_object(BypassGovernanceRetention=True, **at)


def test_compliance_is_for_everybody(s3, locked):
    s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration={
        "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}})
    rule = s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"]["Rule"]
    assert rule == {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
    one = put(s3, locked, "k", b"1")
    assert s3.head_object(Bucket=locked, Key="k")["ObjectLockMode"] == "COMPLIANCE"
    refused("AccessDenied", s3.delete_object, 403, Bucket=locked, Key="k", VersionId=one,
            BypassGovernanceRetention=True)
    refused("AccessDenied", s3.put_object_retention, 403, Bucket=locked, Key="k", VersionId=one,
            Retention={"Mode": "GOVERNANCE", "RetainUntilDate": later(10**6)}, BypassGovernanceRetention=True)


def test_locks_that_cannot_be_are_refused(s3, bucket, locked):
    put(s3, bucket, "k", b"1")
    at = {"Bucket": bucket, "Key": "k"}
    refused("ObjectLockConfigurationNotFoundError", s3.get_object_lock_configuration, 404, Bucket=bucket)
    for call in (s3.get_object_retention, s3.get_object_legal_hold):
        refused("InvalidRequest", call, 400, **at)
    refused("InvalidRequest", s3.put_object, 400, Body=b"x", ObjectLockLegalHoldStatus="ON", **at)
    put(s3, locked, "k", b"1")
    for call in (s3.get_object_retention, s3.get_object_legal_hold):
        refused("NoSuchObjectLockConfiguration", call, 404, Bucket=locked, Key="k")
    refused("InvalidArgument", s3.put_object, 400, Bucket=locked, Key="k", Body=b"x", ObjectLockMode="GOVERNANCE",
            ObjectLockRetainUntilDate=later(-60))
    refused("InvalidArgument", s3.put_object, 400, Bucket=locked, Key="k", Body=b"x", ObjectLockMode="GOVERNANCE")
    for rule in [{"Mode": "GOVERNANCE", "Days": 1, "Years": 1}, {"Mode": "GOVERNANCE"}, {"Mode": "abc", "Days": 1}]:
        refused("MalformedXML", s3.put_object_lock_configuration, 400, Bucket=locked, ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": rule}})
    refused("InvalidArgument", s3.put_object_lock_configuration, 400, Bucket=locked, ObjectLockConfiguration={
        "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 0}}})
    unversioned = name("plain")
    s3.create_bucket(Bucket=unversioned)
    refused("InvalidBucketState", s3.put_object_lock_configuration, 409, Bucket=unversioned,
            ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})


def test_mfa_is_refused_by_name(s3, bucket):
    message = refused("NotImplemented", s3.put_bucket_versioning, 501, Bucket=bucket, MFA="serial 123456",
                      VersioningConfiguration={"Status": "Enabled", "MFADelete": "Enabled"})
    assert "mfa" in message.lower()
