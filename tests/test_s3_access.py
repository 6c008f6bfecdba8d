"""Who may do what with buckets and objects: accounts, ACLs with grants, policies with conditions, ownership of objects."""

import json
import uuid

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from conftest import ACCOUNT, REGION

OTHER, THIRD = "111111111111", "222222222222"
EVERYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"


def client(server, account):
    """A client that signs for an account; None signs nothing."""
    settings = Config(retries={"total_max_attempts": 1}, read_timeout=30,
                      signature_version=UNSIGNED if account is None else "s3v4")
    return boto3.session.Session(account or "x", "x", region_name=REGION).client(
        "s3", endpoint_url=server.url, config=settings)


@pytest.fixture
def mine(server):
    return client(server, ACCOUNT)


@pytest.fixture
def theirs(server):
    return client(server, OTHER)


@pytest.fixture
def nobodys(server):
    return client(server, None)


@pytest.fixture
def bucket(mine):
    """A bucket in which ACLs count and nothing is blocked."""
    name = f"access-{uuid.uuid4().hex[:12]}"
    mine.create_bucket(Bucket=name, ObjectOwnership="ObjectWriter")
    mine.delete_public_access_block(Bucket=name)
    return name


def code(call, **arguments):
    """The code with which a call is refused; None if it is not."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


def statement(bucket, **changes):
    return {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{bucket}/*", **changes}


def put_policy(s3, bucket, *statements):
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))


def test_accounts_have_buckets_of_their_own(mine, theirs, bucket):
    assert bucket in [one["Name"] for one in mine.list_buckets()["Buckets"]]
    listed = theirs.list_buckets()
    assert bucket not in [one["Name"] for one in listed["Buckets"]] and listed["Owner"]["ID"] == OTHER
    assert code(theirs.create_bucket, Bucket=bucket) == "BucketAlreadyExists"
    mine.put_object(Bucket=bucket, Key="k", Body=b"x")
    for call, arguments in [
        (theirs.head_bucket, {}), (theirs.list_objects_v2, {}), (theirs.get_bucket_acl, {}),
        (theirs.get_object, {"Key": "k"}), (theirs.get_object, {"Key": "none"}),
        (theirs.put_object, {"Key": "k", "Body": b"y"}), (theirs.delete_object, {"Key": "k"}),
        (theirs.delete_bucket, {}), (theirs.get_bucket_policy, {}), (theirs.put_object_tagging,
                                                                    {"Key": "k", "Tagging": {"TagSet": []}}),
        (theirs.copy_object, {"Key": "l", "CopySource": {"Bucket": bucket, "Key": "k"}}),
    ]:
        assert code(call, Bucket=bucket, **arguments) in ("AccessDenied", "403"), (call, arguments)
    deleted = theirs.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}]})
    assert deleted["Errors"][0]["Code"] == "AccessDenied"
    assert code(theirs.head_object, Bucket="nowhere-to-be-found", Key="k") == "404"
    # What somebody else owns is no source of a copy into one's own.
    own = f"theirs-{uuid.uuid4().hex[:12]}"
    theirs.create_bucket(Bucket=own)
    assert code(theirs.copy_object, Bucket=own, Key="l", CopySource={"Bucket": bucket, "Key": "k"}) == "AccessDenied"
    assert code(mine.head_bucket, Bucket=bucket, ExpectedBucketOwner=ACCOUNT) is None
    assert code(mine.head_bucket, Bucket=bucket, ExpectedBucketOwner=OTHER) == "403"
    assert theirs.get_bucket_acl(Bucket=own)["Owner"]["ID"] == OTHER


@pytest.mark.parametrize("header, may", [
    ("GrantRead", {"get_object"}),
    ("GrantReadACP", {"get_object_acl"}),
    ("GrantWriteACP", {"put_object_acl"}),
    ("GrantFullControl", {"get_object", "get_object_acl", "put_object_acl"}),
])
def test_grants_of_objects(mine, theirs, bucket, header, may):
    mine.put_object(Bucket=bucket, Key="k", Body=b"x", **{header: f'id="{OTHER}"'})
    granted = mine.get_object_acl(Bucket=bucket, Key="k")
    assert granted["Grants"][0]["Grantee"] == {"ID": OTHER, "Type": "CanonicalUser"}
    could = {name for name, more in [("get_object", {}), ("get_object_acl", {}), ("put_object_acl", {"ACL": "private"})]
             if code(getattr(theirs, name), Bucket=bucket, Key="k", **more) is None}
    assert could == may


def test_grants_of_buckets(mine, theirs, nobodys, bucket):
    mine.put_object(Bucket=bucket, Key="k", Body=b"x")
    owner = mine.get_bucket_acl(Bucket=bucket)["Owner"]
    whole = {"Grantee": {"Type": "CanonicalUser", "ID": ACCOUNT}, "Permission": "FULL_CONTROL"}
    for permission, may in [("READ", {"list_objects"}), ("WRITE", {"put_object"}), ("READ_ACP", {"get_bucket_acl"}),
                            ("FULL_CONTROL", {"list_objects", "put_object", "get_bucket_acl"})]:
        grant = {"Grantee": {"Type": "CanonicalUser", "ID": OTHER}, "Permission": permission}
        mine.put_bucket_acl(Bucket=bucket, AccessControlPolicy={"Owner": owner, "Grants": [whole, grant]})
        assert mine.get_bucket_acl(Bucket=bucket)["Grants"] == [whole, grant]
        calls = [("list_objects", {}), ("put_object", {"Key": "t", "Body": b""}), ("get_bucket_acl", {})]
        assert {name for name, more in calls if code(getattr(theirs, name), Bucket=bucket, **more) is None} == may
        assert code(nobodys.list_objects, Bucket=bucket) == "AccessDenied"
    mine.put_bucket_acl(Bucket=bucket, GrantRead=f'uri="{EVERYBODY}"', GrantWrite=f'id="{OTHER}",id="{THIRD}"')
    assert code(nobodys.list_objects, Bucket=bucket) is None
    assert code(nobodys.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    assert len(mine.get_bucket_acl(Bucket=bucket)["Grants"]) == 3
    for acl, others in [("aws-exec-read", 1), ("log-delivery-write", 2), ("authenticated-read", 1), ("private", 0)]:
        mine.put_bucket_acl(Bucket=bucket, ACL=acl)
        assert len(mine.get_bucket_acl(Bucket=bucket)["Grants"]) == 1 + others


@pytest.mark.parametrize("arguments, expected", [
    ({"GrantRead": 'id="nobody"'}, "InvalidArgument"),
    ({"GrantRead": 'uri="http://example.com/group"'}, "InvalidArgument"),
    ({"GrantRead": 'emailAddress="a@example.com"'}, "UnresolvableGrantByEmailAddress"),
    ({"GrantRead": f'id="{OTHER}"', "ACL": "private"}, "InvalidRequest"),
    ({"ACL": "for-friends"}, "InvalidArgument"),
    ({"AccessControlPolicy": {"Owner": {"ID": ACCOUNT}, "Grants": [
        {"Grantee": {"Type": "CanonicalUser", "ID": OTHER}, "Permission": "EVERYTHING"}]}}, "MalformedACLError"),
    ({"AccessControlPolicy": {"Owner": {"ID": OTHER}, "Grants": []}}, "AccessDenied"),
    ({"AccessControlPolicy": {"Owner": {"ID": "nobody"}, "Grants": []}}, "InvalidArgument"),
    ({"AccessControlPolicy": {"Grants": []}}, "MalformedACLError"),
])
def test_acls_that_are_refused(mine, bucket, arguments, expected):
    assert code(mine.put_bucket_acl, Bucket=bucket, **arguments) == expected


def test_objects_belong_to_their_writer_where_that_is_set(mine, theirs, bucket):
    mine.put_bucket_acl(Bucket=bucket, GrantWrite=f'id="{OTHER}"')
    theirs.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert theirs.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    assert code(mine.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    assert mine.list_objects(Bucket=bucket)["Contents"][0]["Owner"]["ID"] == OTHER
    theirs.put_object(Bucket=bucket, Key="k", Body=b"y", ACL="bucket-owner-full-control")
    assert mine.get_object(Bucket=bucket, Key="k")["Body"].read() == b"y"
    rules = {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    mine.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=rules)
    theirs.put_object(Bucket=bucket, Key="l", Body=b"z", ACL="bucket-owner-full-control")
    assert mine.get_object_acl(Bucket=bucket, Key="l")["Owner"]["ID"] == ACCOUNT
    mine.delete_object(Bucket=bucket, Key="k")


def test_public_acls_can_be_blocked(mine, nobodys, bucket):
    mine.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")
    assert code(nobodys.get_object, Bucket=bucket, Key="k") is None
    mine.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={
        "BlockPublicAcls": True, "IgnorePublicAcls": True})
    assert code(nobodys.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    assert code(mine.put_object, Bucket=bucket, Key="l", Body=b"", ACL="public-read") == "AccessDenied"
    assert code(mine.put_object_acl, Bucket=bucket, Key="k", GrantRead=f"uri={EVERYBODY}") == "AccessDenied"


def test_policies_speak_to_accounts(mine, theirs, nobodys, server, bucket):
    mine.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="kind=open")
    put_policy(mine, bucket, statement(bucket, Principal={"AWS": f"arn:aws:iam::{OTHER}:root"}))
    assert code(theirs.get_object, Bucket=bucket, Key="k") is None
    assert code(client(server, THIRD).get_object, Bucket=bucket, Key="k") == "AccessDenied"
    assert code(nobodys.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    # Who may not list does not learn what is not there.
    assert code(theirs.get_object, Bucket=bucket, Key="none") == "AccessDenied"
    put_policy(mine, bucket, statement(bucket, Principal={"AWS": OTHER}),
               statement(bucket, Action="s3:ListBucket", Resource=f"arn:aws:s3:::{bucket}"))
    assert code(theirs.get_object, Bucket=bucket, Key="none") == "NoSuchKey"
    put_policy(mine, bucket, statement(bucket, Principal={"AWS": OTHER}, Action=["s3:PutObject", "s3:DeleteObject"]))
    assert code(theirs.put_object, Bucket=bucket, Key="a", Body=b"") is None
    assert code(theirs.put_object, Bucket=bucket, Key="a", Body=b"", Tagging="a=b") == "AccessDenied"
    deleted = theirs.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}, {"Key": "k", "VersionId": "null"}]})
    assert [one["Key"] for one in deleted["Deleted"]] == ["a"] and deleted["Errors"][0]["Key"] == "k"


@pytest.mark.parametrize("condition, key, more, may", [
    ({"StringEquals": {"s3:ExistingObjectTag/kind": "open"}}, "open", {}, True),
    ({"StringEquals": {"s3:ExistingObjectTag/kind": "open"}}, "shut", {}, False),
    ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, "open", {}, True),
    ({"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, "open", {}, False),
    ({"Bool": {"aws:SecureTransport": "true"}}, "open", {}, False),
    ({"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, "open", {}, False),
    ({"StringLike": {"aws:UserAgent": "Boto3/*"}}, "open", {}, True),
])
def test_conditions_of_policies(mine, nobodys, bucket, condition, key, more, may):
    for name in ("open", "shut"):
        mine.put_object(Bucket=bucket, Key=name, Body=b"x", Tagging=f"kind={name}")
    put_policy(mine, bucket, statement(bucket, Condition=condition))
    assert (code(nobodys.get_object, Bucket=bucket, Key=key, **more) is None) == may


def test_denials_hold_for_the_owner_too(mine, bucket):
    deny = statement(bucket, Effect="Deny", Action="s3:PutObject",
                     Condition={"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}})
    put_policy(mine, bucket, deny)
    assert code(mine.put_object, Bucket=bucket, Key="k", Body=b"") == "AccessDenied"
    assert code(mine.put_object, Bucket=bucket, Key="k", Body=b"", ServerSideEncryption="AES256") is None
    put_policy(mine, bucket, statement(bucket, Effect="Deny", Action="s3:*", Resource=[
        f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]))
    assert code(mine.list_objects_v2, Bucket=bucket) == "AccessDenied"
    # Nobody locks themselves out for good.
    mine.delete_bucket_policy(Bucket=bucket)
    assert code(mine.list_objects_v2, Bucket=bucket) is None


@pytest.mark.parametrize("changes, expected", [
    ({"Principal": "me"}, "Invalid principal in policy"),
    ({"Principal": {"AWS": "me"}}, "Invalid principal in policy"),
    ({"Action": "s3:Nothing"}, "Policy has invalid action"),
    ({"Action": []}, "Policy has invalid action"),
    ({"Resource": "arn:aws:s3:::another/*"}, "Policy has invalid resource"),
    ({"Action": "s3:ListBucket"}, "Action does not apply to any resource(s) in statement"),
    ({"Effect": "Perhaps"}, "Invalid effect: Perhaps"),
    ({"Condition": {"Alike": {"aws:SourceIp": "10.0.0.1"}}}, "Invalid Condition type : Alike"),
    ({"Condition": {"IpAddress": {"aws:SourceIp": "ten"}}}, "Invalid IP address in Conditions"),
    ({"Condition": {"StringEquals": {"s3:colour": "red"}}}, "Policy has an invalid condition key"),
])
def test_policies_that_are_refused(mine, bucket, changes, expected):
    with pytest.raises(ClientError) as refused:
        put_policy(mine, bucket, statement(bucket, **changes))
    error = refused.value.response["Error"]
    assert (error["Code"], error["Message"]) == ("MalformedPolicy", expected)


def test_what_is_public(mine, bucket):
    for changes, public in [
        ({}, True), ({"Principal": {"AWS": OTHER}}, False),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, False),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}}, True),
        ({"Condition": {"StringLike": {"aws:UserAgent": "x"}}}, True),
    ]:
        put_policy(mine, bucket, statement(bucket, **changes))
        assert mine.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] == public, changes
    mine.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicPolicy": True})
    with pytest.raises(ClientError, match="AccessDenied"):
        put_policy(mine, bucket, statement(bucket))
