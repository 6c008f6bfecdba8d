"""Settings of buckets and what follows from them: tags, CORS, policies, encryption, websites, forms, lifecycles."""

import base64
import datetime
import json
import os

import pytest
from botocore.exceptions import ClientError
from conftest import make_function, refused
from mayfly_process import wait_for
from s3_support import MB, md5, name, raw


@pytest.fixture(scope="module")
def s3(server):
    return server.client("s3")


@pytest.fixture
def bucket(s3):
    made = name("set")
    s3.create_bucket(Bucket=made)
    return made


# --- what is set is given back, and what is not set is said ------------------------------------

CORS = {"CORSRules": [{"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["http://*.example.com"],
                       "AllowedHeaders": ["x-amz-*"], "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 60, "ID": "one"}]}
LIFECYCLE = {"Rules": [
    {"ID": "one", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 3},
     "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2}},
    {"ID": "two", "Status": "Disabled", "Filter": {"And": {"Prefix": "a", "Tags": [{"Key": "k", "Value": "v"}]}},
     "NoncurrentVersionExpiration": {"NoncurrentDays": 5, "NewerNoncurrentVersions": 2},
     "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]},
]}
WEBSITE = {"IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "error.html"}}
ENCRYPTION = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]}
BLOCK = {"BlockPublicAcls": True, "IgnorePublicAcls": False, "BlockPublicPolicy": False, "RestrictPublicBuckets": True}
TAGS = {"TagSet": [{"Key": "a", "Value": "b"}, {"Key": "c", "Value": ""}]}


@pytest.mark.parametrize("setting, argument, value, shown, missing", [
    ("bucket_cors", "CORSConfiguration", CORS, CORS["CORSRules"], "NoSuchCORSConfiguration"),
    ("bucket_lifecycle_configuration", "LifecycleConfiguration", LIFECYCLE, LIFECYCLE["Rules"],
     "NoSuchLifecycleConfiguration"),
    ("bucket_website", "WebsiteConfiguration", WEBSITE, WEBSITE["IndexDocument"], "NoSuchWebsiteConfiguration"),
    ("bucket_tagging", "Tagging", TAGS, TAGS["TagSet"], "NoSuchTagSet"),
    ("bucket_encryption", "ServerSideEncryptionConfiguration", ENCRYPTION, ENCRYPTION, None),
    ("public_access_block", "PublicAccessBlockConfiguration", BLOCK, BLOCK, "NoSuchPublicAccessBlockConfiguration"),
    ("bucket_ownership_controls", "OwnershipControls", {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]},
     {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}, "OwnershipControlsNotFoundError"),
])
def test_settings_come_and_go(s3, bucket, setting, argument, value, shown, missing):
    get, put = getattr(s3, f"get_{setting}"), getattr(s3, f"put_{setting}")
    delete = getattr(s3, "delete_" + setting.replace("lifecycle_configuration", "lifecycle"))
    put(Bucket=bucket, **{argument: value})
    assert shown in get(Bucket=bucket).values()
    assert delete(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    if missing:
        refused(missing, get, 404, Bucket=bucket)
    refused("NoSuchBucket", get, 404, Bucket=name("none"))
    refused("NoSuchBucket", put, 404, Bucket=name("none"), **{argument: value})


def test_a_new_bucket_has_the_defaults_of_s3(s3, bucket):
    rule = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    owner = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"][0]["ObjectOwnership"]
    assert owner == "BucketOwnerEnforced"
    assert set(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket=bucket)
    assert len(s3.get_bucket_acl(Bucket=bucket)["Grants"]) == 1
    for call, code in [(s3.get_bucket_policy, "NoSuchBucketPolicy"),
                       (s3.get_bucket_replication, "ReplicationConfigurationNotFoundError"),
                       (s3.get_bucket_policy_status, "NoSuchBucketPolicy")]:
        refused(code, call, 404, Bucket=bucket)
    refused("NoSuchConfiguration", s3.get_bucket_metrics_configuration, 404, Bucket=bucket, Id="x")
    assert not s3.list_bucket_inventory_configurations(Bucket=bucket)["IsTruncated"]


@pytest.mark.parametrize("call, argument, value, code", [
    ("put_bucket_cors", "CORSConfiguration",
     {"CORSRules": [{"AllowedMethods": ["PATCH"], "AllowedOrigins": ["*"]}]}, "InvalidRequest"),
    ("put_bucket_cors", "CORSConfiguration",
     {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*a*"]}]}, "InvalidRequest"),
    ("put_bucket_cors", "CORSConfiguration", {"CORSRules": []}, "MalformedXML"),
    ("put_bucket_lifecycle_configuration", "LifecycleConfiguration", {"Rules": []}, "MalformedXML"),
    ("put_bucket_lifecycle_configuration", "LifecycleConfiguration",
     {"Rules": [{"Status": "Enabled", "Filter": {}, "Expiration": {"Days": 0}}]}, "InvalidArgument"),
    ("put_bucket_lifecycle_configuration", "LifecycleConfiguration",
     {"Rules": [{"Status": "Enabled", "Filter": {}}]}, "InvalidRequest"),
    ("put_bucket_lifecycle_configuration", "LifecycleConfiguration",
     {"Rules": [{"Status": "Sometimes", "Filter": {}, "Expiration": {"Days": 1}}]}, "MalformedXML"),
    ("put_bucket_lifecycle_configuration", "LifecycleConfiguration",
     {"Rules": [{"ID": "x", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}] * 2}, "InvalidArgument"),
    ("put_bucket_lifecycle_configuration", "LifecycleConfiguration",
     {"Rules": [{"Status": "Enabled", "Filter": {}, "Expiration": {"Date": datetime.datetime(2030, 1, 1, 5)}}]},
     "InvalidArgument"),
    ("put_bucket_website", "WebsiteConfiguration", {"ErrorDocument": {"Key": "e"}}, "InvalidArgument"),
    ("put_bucket_website", "WebsiteConfiguration", {"IndexDocument": {"Suffix": "a/b"}}, "InvalidArgument"),
    ("put_bucket_encryption", "ServerSideEncryptionConfiguration",
     {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}, "NotImplemented"),
    ("put_bucket_ownership_controls", "OwnershipControls", {"Rules": []}, "MalformedXML"),
    ("put_bucket_tagging", "Tagging", {"TagSet": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]},
     "InvalidTag"),
    ("put_bucket_policy", "Policy", "{", "MalformedPolicy"),
    ("put_bucket_policy", "Policy", '{"Version": "2012-10-17", "Statement": []}', "MalformedPolicy"),
    ("put_bucket_acl", "ACL", "public-read", "AccessControlListNotSupported"),
])
def test_settings_that_cannot_be_are_refused(s3, bucket, call, argument, value, code):
    with pytest.raises(ClientError) as caught:
        getattr(s3, call)(Bucket=bucket, **{argument: value})
    assert caught.value.response["Error"]["Code"] == code


def test_tags_of_objects(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=b&c=d%20e")
    assert s3.get_object(Bucket=bucket, Key="k")["TagCount"] == 2
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [
        {"Key": "a", "Value": "b"}, {"Key": "c", "Value": "d e"}]
    for tags, code in [([{"Key": f"k{n}", "Value": ""} for n in range(11)], "BadRequest"),
                       ([{"Key": "k" * 129, "Value": ""}], "InvalidTag"),
                       ([{"Key": "k", "Value": "v" * 257}], "InvalidTag"),
                       ([{"Key": "aws:k", "Value": ""}], "InvalidTag")]:
        refused(code, s3.put_object_tagging, 400, Bucket=bucket, Key="k", Tagging={"TagSet": tags})
    at = {"Bucket": bucket, "CopySource": {"Bucket": bucket, "Key": "k"}}
    s3.copy_object(Key="copied", **at)
    s3.copy_object(Key="replaced", TaggingDirective="REPLACE", Tagging="z=1", **at)
    assert len(s3.get_object_tagging(Bucket=bucket, Key="copied")["TagSet"]) == 2
    assert s3.get_object_tagging(Bucket=bucket, Key="replaced")["TagSet"] == [{"Key": "z", "Value": "1"}]
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    refused("NoSuchKey", s3.get_object_tagging, 404, Bucket=bucket, Key="none")


# --- browsers ----------------------------------------------------------------------------------


def test_preflights_and_answers_to_other_origins(server, s3, bucket):
    ask = {"Origin": "http://www.example.com", "Access-Control-Request-Method": "PUT",
           "Access-Control-Request-Headers": "X-Amz-Date, x-amz-acl"}
    assert raw(server, "OPTIONS", f"/{bucket}/k", ask)[0] == 403
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration=CORS)
    status, headers, _ = raw(server, "OPTIONS", f"/{bucket}/k", ask)
    assert status == 200 and headers["access-control-allow-origin"] == "http://www.example.com"
    assert headers["access-control-allow-methods"] == "GET, PUT" and headers["access-control-max-age"] == "60"
    assert headers["access-control-allow-headers"] == "x-amz-date, x-amz-acl"
    assert headers["access-control-expose-headers"] == "ETag"
    for other in ({"Origin": "http://elsewhere.com"}, {"Access-Control-Request-Method": "DELETE"},
                  {"Access-Control-Request-Headers": "x-other"}):
        assert raw(server, "OPTIONS", f"/{bucket}/k", {**ask, **other})[0] == 403
    assert raw(server, "OPTIONS", f"/{bucket}/k", {})[0] == 400 or raw(server, "OPTIONS", f"/{bucket}/k", {})[0] == 403
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    status, headers, _ = raw(server, "GET", f"/{bucket}/k", {"Origin": "http://www.example.com"}, signed=True)
    assert status == 200 and headers["access-control-allow-origin"] == "http://www.example.com"
    _, headers, _ = raw(server, "GET", f"/{bucket}/k", {"Origin": "http://elsewhere.com"}, signed=True)
    assert "access-control-allow-origin" not in headers


def form(fields, file, file_name="a file.txt"):
    boundary = "----form"
    lines = [f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
             for key, value in fields.items()]
    lines.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{file_name}"\r\n'
                 "Content-Type: text/plain\r\n\r\n".encode() + file + f"\r\n--{boundary}--\r\n".encode())
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}, b"".join(lines)


def post(server, url, fields, file):
    headers, body = form(fields, file)
    return raw(server, "POST", url, headers, body)


def test_forms_upload(server, s3, bucket):
    made = s3.generate_presigned_post(
        bucket, "user/${filename}", Fields={"acl": "private", "Content-Type": "text/plain", "x-amz-meta-a": "b"},
        Conditions=[{"acl": "private"}, ["starts-with", "$Content-Type", "text/"], {"x-amz-meta-a": "b"},
                    ["content-length-range", 1, 2 * MB]])
    body = os.urandom(MB)
    status, headers, _ = post(server, f"/{bucket}", made["fields"], body)
    assert status == 204 and headers["etag"] == f'"{md5(body)}"'
    got = s3.get_object(Bucket=bucket, Key="user/a file.txt")
    assert got["Body"].read() == body and got["Metadata"] == {"a": "b"} and got["ContentType"] == "text/plain"
    for changed, file, code in [
        ({"acl": "public-read"}, b"x", b"AccessDenied"),
        ({"extra": "1"}, b"x", b"AccessDenied"),
        ({}, b"", b"EntityTooSmall"),
        ({}, b"x" * (2 * MB + 1), b"EntityTooLarge"),
        ({"policy": "e30="}, b"x", b"InvalidPolicyDocument"),
        ({"x-amz-algorithm": "AWS2"}, b"x", b"InvalidArgument"),
    ]:
        status, _, answer = post(server, f"/{bucket}", {**made["fields"], **changed}, file)
        assert status in (400, 403) and code in answer, (changed, answer)
    status, _, answer = post(server, f"/{bucket}", {"key": "k"}, b"x")
    assert status == 403 and b"AccessDenied" in answer
    for field, value, wanted in [("success_action_status", "201", 201), ("success_action_status", "200", 200),
                                 ("success_action_redirect", "http://example.com/x", 303)]:
        made = s3.generate_presigned_post(bucket, "k", Fields={field: value}, Conditions=[{field: value}])
        status, headers, answer = post(server, f"/{bucket}", made["fields"], b"x")
        assert status == wanted, answer
        if wanted == 201:
            assert b"<Key>k</Key>" in answer
        if wanted == 303:
            assert headers["location"].startswith("http://example.com/x?bucket=")


def allow(bucket, *actions, effect="Allow"):
    return json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": effect, "Principal": "*", "Action": list(actions),
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}]})


def test_what_nobody_signed_needs_a_policy(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"open")
    assert raw(server, "GET", f"/{bucket}/k")[0] == 403
    policy = allow(bucket, "s3:GetObject")
    refused("AccessDenied", s3.put_bucket_policy, 403, Bucket=bucket, Policy=policy)
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == json.loads(policy)
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"] == {"IsPublic": True}
    assert raw(server, "GET", f"/{bucket}/k")[::2] == (200, b"open")
    assert raw(server, "PUT", f"/{bucket}/k", body=b"x")[0] == 403
    assert raw(server, "GET", f"/{bucket}?list-type=2")[0] == 403
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"RestrictPublicBuckets": True})
    assert raw(server, "GET", f"/{bucket}/k")[0] == 403


def test_who_may_write_unsigned_may_not_read_by_a_copy(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="shut", Body=b"secret")
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=allow(bucket, "s3:PutObject"))
    source = {"x-amz-copy-source": f"/{bucket}/shut"}
    assert raw(server, "PUT", f"/{bucket}/mine", body=b"x")[0] == 200
    assert raw(server, "PUT", f"/{bucket}/copy", source)[0] == 403
    s3.put_bucket_policy(Bucket=bucket, Policy=allow(bucket, "s3:PutObject", "s3:GetObject"))
    assert raw(server, "PUT", f"/{bucket}/copy", source)[0] == 200
    assert raw(server, "GET", f"/{bucket}/copy")[::2] == (200, b"secret")


def test_public_acls_count_where_they_may(server, s3, bucket):
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    s3.put_object(Bucket=bucket, Key="open", Body=b"x", ACL="public-read")
    s3.put_object(Bucket=bucket, Key="shut", Body=b"x")
    assert raw(server, "GET", f"/{bucket}/open")[0] == 200 and raw(server, "GET", f"/{bucket}/shut")[0] == 403
    grants = s3.get_object_acl(Bucket=bucket, Key="open")["Grants"]
    assert [grant["Permission"] for grant in grants] == ["FULL_CONTROL", "READ"]
    s3.put_object_acl(Bucket=bucket, Key="open", ACL="private")
    assert raw(server, "GET", f"/{bucket}/open")[0] == 403
    assert raw(server, "GET", f"/{bucket}")[0] == 403
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    assert raw(server, "GET", f"/{bucket}")[0] == 200


def test_websites(server, s3, bucket):
    host = {"Host": f"{bucket}.s3-website.localhost:{server.port}"}
    assert raw(server, "GET", "/", host)[0] == 404
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=allow(bucket, "s3:GetObject"))
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration={**WEBSITE, "RoutingRules": [
        {"Condition": {"KeyPrefixEquals": "old/"}, "Redirect": {"ReplaceKeyPrefixWith": "new/"}}]})
    for key, body in [("index.html", b"home"), ("dir/index.html", b"inside"), ("error.html", b"oops"), ("a.txt", b"a")]:
        s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="text/html")
    s3.put_object(Bucket=bucket, Key="moved", Body=b"", WebsiteRedirectLocation="/a.txt")
    for path, status, body, location in [
        ("/", 200, b"home", None), ("/dir/", 200, b"inside", None), ("/a.txt", 200, b"a", None),
        ("/dir", 302, b"", "/dir/"), ("/none", 404, b"oops", None), ("/moved", 301, b"", "/a.txt"),
        ("/old/x", 301, b"", f"http://{host['Host']}/new/x"),
    ]:
        answer = raw(server, "GET", path, host)
        assert (answer[0], answer[2], answer[1].get("location")) == (status, body, location), path
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration={
        "RedirectAllRequestsTo": {"HostName": "example.com", "Protocol": "https"}})
    assert raw(server, "GET", "/x", host)[1]["location"] == "https://example.com/x"


# --- encryption --------------------------------------------------------------------------------


def customer(key, front="SSECustomer"):
    return {f"{front}Algorithm": "AES256", f"{front}Key": key}


def test_bytes_are_encrypted_at_rest(fresh_server):
    server = fresh_server()
    s3 = server.client("s3")
    s3.create_bucket(Bucket="secret")
    needle = b"the words that nobody shall find on the disk " * 3
    for key, body in [("few", needle), ("many", needle * 20000)]:
        assert s3.put_object(Bucket="secret", Key=key, Body=body)["ServerSideEncryption"] == "AES256"
    server.stop()
    for file in server.data_dir.rglob("*"):
        if file.is_file():
            assert needle[:45] not in file.read_bytes(), file
    server.start()
    s3 = server.client("s3")
    assert s3.get_object(Bucket="secret", Key="many")["Body"].read() == needle * 20000
    assert s3.get_object(Bucket="secret", Key="many", Range="bytes=65530-65545")["Body"].read() == (
        needle * 20000)[65530:65546]


def test_customers_keys(s3, bucket):
    mine, other = os.urandom(32), os.urandom(32)
    body = os.urandom(300_000)
    put = s3.put_object(Bucket=bucket, Key="k", Body=body, **customer(mine))
    assert put["SSECustomerAlgorithm"] == "AES256" and "ServerSideEncryption" not in put
    at = {"Bucket": bucket, "Key": "k"}
    assert s3.get_object(**at, **customer(mine))["Body"].read() == body
    refused("InvalidRequest", s3.get_object, 400, **at)
    refused("400", s3.head_object, 400, **at)
    refused("AccessDenied", s3.get_object, 403, **at, **customer(other))
    s3.put_object(Bucket=bucket, Key="plain", Body=b"x")
    refused("InvalidRequest", s3.get_object, 400, Bucket=bucket, Key="plain", **customer(mine))
    source = {"Bucket": bucket, "Key": "k"}
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, **customer(other),
                   **customer(mine, "CopySourceSSECustomer"))
    assert s3.get_object(Bucket=bucket, Key="copy", **customer(other))["Body"].read() == body
    s3.copy_object(Bucket=bucket, Key="open", CopySource=source, **customer(mine, "CopySourceSSECustomer"))
    assert s3.get_object(Bucket=bucket, Key="open")["Body"].read() == body
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", **customer(mine))["UploadId"]
    part = {"Bucket": bucket, "Key": "parts", "UploadId": upload, "PartNumber": 1, "Body": body}
    refused("InvalidRequest", s3.upload_part, 400, **part)
    refused("InvalidRequest", s3.upload_part, 400, **part, **customer(other))
    etag = s3.upload_part(**part, **customer(mine))["ETag"]
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload,
                                 MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    got = s3.get_object(Bucket=bucket, Key="parts", Range="bytes=200000-", **customer(mine))
    assert got["Body"].read() == body[200000:]


def test_keys_that_are_none_are_refused(server, bucket):
    key = base64.b64encode(b"k" * 32).decode()
    front = "x-amz-server-side-encryption-customer-"
    right = {f"{front}algorithm": "AES256", f"{front}key": key,
             f"{front}key-md5": base64.b64encode(bytes.fromhex(md5(b"k" * 32))).decode()}
    assert raw(server, "PUT", f"/{bucket}/k", right, b"x", signed=True)[0] == 200
    for changed in [{f"{front}algorithm": "DES"}, {f"{front}key": "abc"}, {f"{front}key-md5": "abc"},
                    {f"{front}key-md5": None}, {f"{front}key": None}, {f"{front}algorithm": None},
                    {"x-amz-server-side-encryption": "AES256"}]:
        headers = {name: value for name, value in {**right, **changed}.items() if value is not None}
        assert raw(server, "PUT", f"/{bucket}/k", headers, b"x", signed=True)[0] == 400, changed


# --- time and storage classes ------------------------------------------------------------------


def test_lifecycles_are_followed(fresh_server, tmp_path):
    server = fresh_server()
    s3 = server.client("s3")
    s3.create_bucket(Bucket="old")
    s3.put_bucket_versioning(Bucket="old", VersioningConfiguration={"Status": "Enabled"})
    for key in ("logs/a", "logs/b", "kept"):
        s3.put_object(Bucket="old", Key=key, Body=b"x")
    past = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    s3.put_bucket_lifecycle_configuration(Bucket="old", LifecycleConfiguration={"Rules": [
        {"ID": "gone", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Date": past}},
        {"ID": "moved", "Status": "Enabled", "Filter": {"Prefix": "kept"},
         "Transitions": [{"Date": past, "StorageClass": "GLACIER_IR"}]}]})
    assert 'rule-id="gone"' in s3.head_object(Bucket="old", Key="logs/a")["Expiration"]
    assert "Expiration" not in s3.head_object(Bucket="old", Key="kept")
    often = tmp_path / "mayfly.toml"
    often.write_text("[buckets]\nlifecycle_s = 1\n")
    server.restart(args=["--config", str(often)])
    s3 = server.client("s3")
    wait_for(lambda: len(s3.list_object_versions(Bucket="old").get("DeleteMarkers", [])) == 2, 30, "two markers")
    wait_for(lambda: s3.head_object(Bucket="old", Key="kept").get("StorageClass") == "GLACIER_IR", 30, "a transition")
    assert [one["Key"] for one in s3.list_objects_v2(Bucket="old")["Contents"]] == ["kept"]


def test_archived_objects_are_read_when_restored(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", StorageClass="GLACIER")
    refused("InvalidObjectState", s3.get_object, 403, Bucket=bucket, Key="k")
    assert s3.head_object(Bucket=bucket, Key="k")["StorageClass"] == "GLACIER"
    restored = s3.restore_object(Bucket=bucket, Key="k", RestoreRequest={"Days": 2})
    assert restored["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert 'ongoing-request="false"' in s3.head_object(Bucket=bucket, Key="k")["Restore"]
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    s3.put_object(Bucket=bucket, Key="l", Body=b"x")
    refused("InvalidObjectState", s3.restore_object, 403, Bucket=bucket, Key="l", RestoreRequest={"Days": 1})


def test_every_kind_of_event_is_told(server, s3, bucket):
    source = "import json\ndef handler(event, context):\n    print('TOLD ' + json.dumps(event['Records'][0]))\n"
    function = name("told")
    arn = make_function(server.client("lambda"), function, source)["FunctionArn"]
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    kinds = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*", "s3:ObjectAcl:Put", "s3:ObjectRestore:*"]
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={
        "LambdaFunctionConfigurations": [{"LambdaFunctionArn": arn, "Events": kinds}]})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    etag = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    done = s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload,
                                        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    made = s3.generate_presigned_post(bucket, "k")
    assert post(server, f"/{bucket}", made["fields"], b"x")[0] == 204
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": []})
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="private")
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_object(Bucket=bucket, Key="k", VersionId=done["VersionId"])
    wanted = ["ObjectCreated:CompleteMultipartUpload", "ObjectCreated:Post", "ObjectTagging:Put",
              "ObjectTagging:Delete", "ObjectAcl:Put", "ObjectRemoved:DeleteMarkerCreated", "ObjectRemoved:Delete"]

    def told():
        log = server.mayfly("logs", function, "--endpoint", server.url)
        records = [json.loads(line.split("TOLD ", 1)[1]) for line in log.splitlines() if "TOLD " in line]
        return records if len(records) >= len(wanted) else None

    everything = wait_for(told, 60, "all events")
    assert sorted(record["eventName"] for record in everything) == sorted(wanted)
    # What changes nothing but a record is told without its place among the changes of the key.
    of_record = [record for record in everything if record["eventName"].split(":")[0] in ("ObjectTagging", "ObjectAcl")]
    assert all(record["eventVersion"] == "2.3" and "size" not in record["s3"]["object"] for record in of_record)
    records = sorted((record for record in everything if "sequencer" in record["s3"]["object"]),
                     key=lambda record: record["s3"]["object"]["sequencer"])
    assert [record["eventName"] for record in records] == [
        kind for kind in wanted if not kind.startswith(("ObjectTagging", "ObjectAcl"))]
    assert records[0]["s3"]["object"]["versionId"] == done["VersionId"]
    assert records[-1]["s3"]["object"]["versionId"] == done["VersionId"]
