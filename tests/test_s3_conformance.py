"""What conformance suites ask of S3 beside the breadth of the other files: codes, messages and small print."""

import pytest
from botocore.exceptions import ClientError
from conftest import make_function
from mayfly_process import wait_for
from s3_support import empty, name, raw, signed_now


@pytest.fixture
def s3(server):
    return server.client("s3")


@pytest.fixture
def bucket(s3):
    made = name("conform")
    s3.create_bucket(Bucket=made)
    yield made
    empty(s3, made)


def error(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    answer = refused.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"].get("Message")


RULE = {"Condition": {"KeyPrefixEquals": "a/"}, "Redirect": {"ReplaceKeyPrefixWith": "b/"}}


def website(**rule):
    return {"WebsiteConfiguration": {"IndexDocument": {"Suffix": "index.html"}, "RoutingRules": [{**RULE, **rule}]}}


@pytest.mark.parametrize("call, arguments, expected", [
    ("put_object", {"Key": "k", "IfNoneMatch": "abc"},
     (501, "NotImplemented", "A header you provided implies functionality that is not implemented")),
    ("put_object", {"Key": "k", "Tagging": "a=1&a=2"}, (400, "InvalidArgument", None)),
    ("put_object", {"Key": "k", "Metadata": {"a": "b" * 2048}},
     (400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size")),
    ("get_object_attributes", {"Key": "k", "ObjectAttributes": []}, (400, "InvalidRequest", None)),
    ("list_multipart_uploads", {"KeyMarker": "k", "UploadIdMarker": "x"},
     (400, "InvalidArgument", "Invalid uploadId marker")),
    ("put_bucket_website", website(Redirect={"HttpRedirectCode": "300"}),
     (400, "InvalidRequest", "The provided HTTP redirect code (300) is not valid. Valid codes are 3XX except 300.")),
    ("put_bucket_website", website(Condition={"HttpErrorCodeReturnedEquals": "399"}),
     (400, "InvalidRequest", "The provided HTTP error code (399) is not valid. Valid codes are 4XX or 5XX.")),
    ("put_bucket_website", website(Redirect={"Protocol": "ftp", "HostName": "h"}), (400, "InvalidRequest", None)),
    ("put_bucket_website", website(Redirect={}), (400, "MalformedXML", None)),
    ("put_bucket_website", website(Condition={}), (400, "InvalidRequest", None)),
])
def test_refusals_are_those_of_s3(s3, bucket, call, arguments, expected):
    status, code, message = error(getattr(s3, call), Bucket=bucket, **arguments)
    assert (status, code) == expected[:2]
    assert expected[2] is None or message == expected[2]


@pytest.mark.parametrize("call, arguments", [
    ("put_bucket_policy", {"Policy": "{"}), ("put_bucket_acl", {"ACL": "private"}), ("get_object", {"Key": "k"}),
    ("put_object_retention", {"Key": "k"}), ("put_object_legal_hold", {"Key": "k"}), ("list_objects", {}),
    ("delete_bucket_website", {}), ("get_bucket_tagging", {}),
])
def test_a_bucket_that_is_not_there_is_said_first(s3, call, arguments):
    assert error(getattr(s3, call), Bucket="no-such-bucket-here", **arguments) == (
        404, "NoSuchBucket", "The specified bucket does not exist")


def test_etags_of_conditions_need_no_quotes(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"].strip('"')
    assert s3.get_object(Bucket=bucket, Key="k", IfMatch=etag)["ContentLength"] == 1
    assert error(s3.get_object, Bucket=bucket, Key="k", IfNoneMatch=etag)[0] == 304
    assert error(s3.get_object, Bucket=bucket, Key="k", IfMatch="other")[1] == "PreconditionFailed"
    copy = {"Bucket": bucket, "Key": "l", "CopySource": f"{bucket}/k"}
    assert error(s3.copy_object, CopySourceIfMatch="other", **copy)[1] == "PreconditionFailed"
    s3.copy_object(CopySourceIfMatch=etag, **copy)


def test_plus_in_the_source_of_a_copy_is_a_space(server, s3, bucket):
    for key in ("a b", "c+d"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for source, expected in [("a+b", b"a b"), ("a%20b", b"a b"), ("c%2Bd", b"c+d")]:
        headers = {"x-amz-copy-source": f"/{bucket}/{source}"}
        assert raw(server, "PUT", f"/{bucket}/copy", headers, signed=True)[0] == 200
        assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == expected


def test_metadata_of_one_name_is_joined(server, s3, bucket):
    import http.client
    from urllib.parse import urlsplit
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    connection.putrequest("PUT", f"/{bucket}/k")
    for header in [*signed_now().items(), ("Content-Length", "0"),
                   ("x-amz-meta-a", "1"), ("x-amz-meta-a", "2")]:
        connection.putheader(*header)
    connection.endheaders()
    assert connection.getresponse().status == 200
    connection.close()
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"a": "1,2"}


def test_preflights_that_ask_for_nothing(server, s3, bucket):
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={
        "CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]})
    for headers, message in [({}, "Insufficient information. Origin request header needed."),
                             ({"Origin": "http://a"}, "Invalid Access-Control-Request-Method: null"),
                             ({"Origin": "http://a", "Access-Control-Request-Method": "LOOK"},
                              "Invalid Access-Control-Request-Method: LOOK")]:
        status, _, body = raw(server, "OPTIONS", f"/{bucket}/k", headers)
        assert status == 400 and b"BadRequest" in body and message.encode() in body


def test_notifications_start_versions_and_aliases(server, s3, bucket):
    functions = server.client("lambda")
    function = name("qualified")
    make_function(functions, function, "def handler(event, context):\n    print('RAN ' + context.invoked_function_arn)\n")
    version = functions.publish_version(FunctionName=function)["FunctionArn"]
    alias = functions.create_alias(FunctionName=function, Name="live", FunctionVersion="1")["AliasArn"]
    rule = lambda arn, prefix: {"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"], "Filter": {
        "Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}}}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={
        "LambdaFunctionConfigurations": [rule(version, "v/"), rule(alias, "a/")]})
    s3.put_object(Bucket=bucket, Key="v/k", Body=b"")
    s3.put_object(Bucket=bucket, Key="a/k", Body=b"")
    log = lambda: server.mayfly("logs", function, "--endpoint", server.url)
    wait_for(lambda: f"RAN {version}" in log() and f"RAN {alias}" in log(), 60, "both to run", pause=0.2)
    gone = {"LambdaFunctionConfigurations": [rule(alias.replace("live", "dead"), "a/")]}
    assert error(s3.put_bucket_notification_configuration, Bucket=bucket, NotificationConfiguration=gone)[1] == (
        "InvalidArgument")


def test_errors_name_what_they_are_about(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a b", Body=b"1")
    for call, arguments, named in [
        ("put_object", {"Key": "a b", "IfNoneMatch": "*"}, {"Condition": "If-None-Match"}),
        ("put_object", {"Key": "a b", "IfMatch": '"x"'}, {"Condition": "If-Match"}),
        ("get_object", {"Key": "no thing"}, {"Key": "no thing"}),
        ("delete_bucket", {}, {"BucketName": bucket}),
    ]:
        with pytest.raises(ClientError) as refused:
            getattr(s3, call)(Bucket=bucket, **arguments)
        told = refused.value.response["Error"]
        assert {name: told.get(name) for name in named} == named, told


def test_ranges_that_are_none_are_passed_over(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    for given in ("bytes=1-0", "bytes=-1-", "bytes=0--1", "bytes=0-1,3-4"):
        got = s3.get_object(Bucket=bucket, Key="k", Range=given)
        assert (got["Body"].read(), got["ResponseMetadata"]["HTTPStatusCode"]) == (b"0123456789", 200), given
    assert s3.get_object(Bucket=bucket, Key="k", Range="bytes=-700")["Body"].read() == b"0123456789"


def test_behind_a_token_a_list_starts_nowhere_else(s3, bucket):
    for key in "abc":
        s3.put_object(Bucket=bucket, Key=key)
    first = s3.list_objects_v2(Bucket=bucket, StartAfter="a", MaxKeys=1)
    assert (first["Contents"][0]["Key"], first["StartAfter"]) == ("b", "a")
    next = s3.list_objects_v2(Bucket=bucket, StartAfter="a", ContinuationToken=first["NextContinuationToken"])
    assert [one["Key"] for one in next["Contents"]] == ["c"] and "StartAfter" not in next
    assert error(s3.list_objects_v2, Bucket=bucket, ContinuationToken="") == (
        400, "InvalidArgument", "The continuation token provided is incorrect")
