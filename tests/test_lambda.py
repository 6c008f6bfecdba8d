"""The Lambda API as its clients see it: boto3 and the aws CLI."""

import base64
import io
import json
import re
import stat
import struct
import urllib.error
import urllib.request
import uuid
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from conftest import ACCOUNT, REGION, ROLE, RUNTIME, AwsCliError, make_function, refused, zip_of
from mayfly_process import wait_for

ECHO = "def handler(event, context):\n    print('saw', event)\n    return event\n"
MB = 1 << 20


@pytest.fixture
def functions(server):
    return server.client("lambda")


@pytest.fixture
def name():
    """A function's name of the test's own."""
    return f"test-{uuid.uuid4().hex[:12]}"


def arn(name):
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def create(functions, name, zipped=None, **changes):
    """Create a function and nothing else; the answer."""
    settings = {"Runtime": RUNTIME, "Handler": "app.handler", "Role": ROLE, **changes}
    code = settings.pop("Code", {"ZipFile": zipped or zip_of({"app.py": ECHO})})
    return functions.create_function(FunctionName=name, Code=code, **settings)


def raw_zip(entries):
    """A zip of (name, mode with its type, content), with nothing checked."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        for entry, mode, content in entries:
            info = zipfile.ZipInfo(entry)
            info.create_system, info.external_attr = 3, mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(info, content)
    return buffer.getvalue()


def test_a_functions_life(functions, name):
    created = create(functions, name, Description="first", Environment={"Variables": {"AB": "1"}})
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (created["State"], created["StateReasonCode"]) == ("Pending", "Creating")
    assert created["FunctionArn"] == arn(name)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", created["LastModified"])
    for waiter in ["function_exists", "function_active", "function_active_v2", "function_updated_v2"]:
        functions.get_waiter(waiter).wait(FunctionName=name)

    found = functions.get_function(FunctionName=name)
    configuration = found["Configuration"]
    assert (configuration["State"], configuration["LastUpdateStatus"]) == ("Active", "Successful")
    assert configuration["RevisionId"] != created["RevisionId"]  # as AWS: it has become active since
    assert configuration["Environment"] == {"Variables": {"AB": "1"}}
    assert (configuration["Timeout"], configuration["MemorySize"]) == (3, 128)
    assert configuration["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"}
    assert "Concurrency" not in found and "Tags" not in found

    updated = functions.update_function_configuration(FunctionName=name, Timeout=7, MemorySize=256)
    assert updated["LastUpdateStatus"] == "InProgress"
    functions.get_waiter("function_updated").wait(FunctionName=name)
    assert functions.get_function_configuration(FunctionName=arn(name))["Timeout"] == 7
    message = refused(
        "PreconditionFailedException", functions.update_function_configuration, 412,
        FunctionName=name, Timeout=8, RevisionId=created["RevisionId"],
    )
    assert "Revision Id" in message

    deleted = functions.delete_function(FunctionName=name)
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    message = refused("ResourceNotFoundException", functions.get_function, 404, FunctionName=name)
    assert message == f"Function not found: {arn(name)}"


def test_code_can_be_downloaded_and_replaced(functions, name):
    first, second = (zip_of({"app.py": ECHO + comment}) for comment in ("# 1", "# 2"))
    created = create(functions, name, first)
    assert created["CodeSize"] == len(first)
    location = functions.get_function(FunctionName=name)["Code"]["Location"]
    with urllib.request.urlopen(location, timeout=10) as response:
        assert response.read() == first

    dry = functions.update_function_code(FunctionName=name, ZipFile=second, DryRun=True)
    assert functions.get_function_configuration(FunctionName=name)["CodeSha256"] == created["CodeSha256"]
    updated = functions.update_function_code(FunctionName=name, ZipFile=second)
    assert updated["CodeSha256"] == dry["CodeSha256"] != created["CodeSha256"]
    with urllib.request.urlopen(
        functions.get_function(FunctionName=name)["Code"]["Location"], timeout=10
    ) as response:
        assert response.read() == second
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(location, timeout=10)


def test_code_from_a_bucket(server, functions, name):
    s3 = server.client("s3")
    s3.create_bucket(Bucket=name)
    source = {"S3Bucket": name, "S3Key": "code.zip"}
    s3.put_object(Bucket=name, Key="other", Body=b"x")
    message = refused("InvalidParameterValueException", create, 400,
                      functions=functions, name=name, Code=source)
    assert "S3 Error Code: NoSuchKey" in message
    s3.put_object(Bucket=name, Key="code.zip", Body=zip_of({"app.py": ECHO}))
    create(functions, name, Code=source)
    s3.delete_object(Bucket=name, Key="code.zip")
    answer = functions.invoke(FunctionName=name, Payload=b"[1]")
    assert json.load(answer["Payload"]) == [1]


def test_functions_are_listed_in_pages(fresh_server):
    functions = fresh_server().client("lambda")
    names = [f"f{number:02}" for number in range(7)]
    for one in reversed(names):
        create(functions, one)
    pages = functions.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 3})
    listed = [[function["FunctionName"] for function in page["Functions"]] for page in pages]
    assert listed == [names[:3], names[3:6], names[6:]]
    usage = functions.get_account_settings()["AccountUsage"]
    assert usage["FunctionCount"] == 7


def test_what_cannot_be_is_refused_in_awss_words(functions, name):
    create(functions, name)
    cases = [
        ("ResourceConflictException", {"FunctionName": name}, f"Function already exist: {name}"),
        ("ValidationException", {"FunctionName": "no/slash"}, "1 validation error detected: Value 'no/slash'"),
        ("ValidationException", {"Role": "admin"}, "at 'role' failed to satisfy constraint"),
        ("ValidationException", {"Handler": "a b"}, "at 'handler'"),
        ("ValidationException", {"Timeout": 901}, "less than or equal to 900"),
        ("InvalidParameterValueException", {"Runtime": "nodejs22.x"}, RUNTIME),
        ("InvalidParameterValueException", {"PackageType": "Image"}, "PackageType"),
        ("ValidationException", {"TracingConfig": {"Mode": "On"}}, "[Active, PassThrough]"),
        ("InvalidParameterValueException",
         {"Layers": [f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:x:1"]}, "does not exist"),
        ("InvalidParameterValueException", {"VpcConfig": {"SubnetIds": ["subnet-1"]}}, "VpcConfig"),
        ("InvalidParameterValueException",
         {"FileSystemConfigs": [{"Arn": f"arn:aws:elasticfilesystem:{REGION}:{ACCOUNT}:access-point/fsap-"
                                        "01234567890123456", "LocalMountPath": "/mnt/x"}]}, "FileSystemConfigs"),
        ("InvalidParameterValueException",
         {"CodeSigningConfigArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:code-signing-config:csc-"
                                  "0123456789abcdef0"}, "CodeSigningConfigArn"),
        ("InvalidParameterValueException",
         {"Environment": {"Variables": {"AWS_REGION": "x"}}}, "Reserved keys used in this request: AWS_REGION"),
        ("InvalidParameterValueException", {"Environment": {"Variables": {"AB": "x" * 4096}}}, "4KB"),
        ("InvalidParameterValueException", {"Code": {"ZipFile": b"hello"}}, "Could not unzip uploaded file."),
    ]
    for code, changes, part in cases:
        other = changes.pop("FunctionName", f"{name}-other")
        message = refused(code, create, functions=functions, name=other, **changes)
        assert part in message, message
        if other != name and "/" not in other:
            refused("ResourceNotFoundException", functions.get_function, FunctionName=other)


def test_settings_that_change_nothing_are_taken(functions, name):
    create(
        functions, name, PackageType="Zip", Publish=False, Layers=[], KMSKeyArn="",
        VpcConfig={"SubnetIds": [], "SecurityGroupIds": []}, TracingConfig={"Mode": "PassThrough"},
        SnapStart={"ApplyOn": "None"}, DeadLetterConfig={"TargetArn": ""},
        EphemeralStorage={"Size": 512}, LoggingConfig={"LogFormat": "Text"},
    )


def test_hostile_packages_are_refused(functions, name):
    symlink, regular = stat.S_IFLNK | 0o777, stat.S_IFREG | 0o644
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as package:
        for number in range(100_001):
            package.writestr(zipfile.ZipInfo(str(number)), b"")
    overlap = bytearray(raw_zip([("one", regular, b"x"), ("two", regular, b"y")]))
    second = overlap.rindex(b"PK\x01\x02")
    overlap[second + 42:second + 46] = struct.pack("<I", 0)
    cases = [
        (raw_zip([("../evil", regular, b"x")]), "climbs out"),
        (raw_zip([("/etc/evil", regular, b"x")]), "absolute"),
        (raw_zip([("link", symlink, b"/etc/passwd")]), "link"),
        (raw_zip([("link", symlink, b"."), ("link/evil", regular, b"x")]), "below a file"),
        (raw_zip([("device", stat.S_IFCHR | 0o666, b"")]), "neither a file"),
        (raw_zip([("bomb", regular, bytes(251 * MB))]), "Unzipped size must be smaller than 262144000"),
        (many.getvalue(), "100000 files"),
        (bytes(overlap), "overlap"),
    ]
    for package, part in cases:
        message = refused("InvalidParameterValueException", create, 400,
                          functions=functions, name=name, zipped=package)
        assert part in message, message
    refused("ResourceNotFoundException", functions.get_function, FunctionName=name)


def test_a_package_keeps_links_and_what_may_be_run(functions, name):
    source = (
        "import os, subprocess\n"
        "def handler(event, context):\n"
        "    os.chdir('/var/task')\n"
        "    return [subprocess.check_output(['./bin/tool'], text=True), open('lib/link').read(),\n"
        "            oct(os.stat('bin/tool').st_mode), oct(os.stat('app.py').st_mode)]\n"
    )
    package = raw_zip([
        ("app.py", stat.S_IFREG | 0o600, source),
        ("bin/tool", stat.S_IFREG | 0o6755, "#!/bin/sh\necho ran\n"),
        ("lib/data", stat.S_IFREG | 0o644, "linked"),
        ("lib/link", stat.S_IFLNK | 0o777, "data"),
    ])
    create(functions, name, package)
    answer = functions.invoke(FunctionName=name)
    assert json.load(answer["Payload"]) == ["ran\n", "linked", "0o100755", "0o100644"]


def test_invoke(functions, name):
    make_function(functions, name, ECHO)
    for spelled in [name, f"{name}:$LATEST", f"{ACCOUNT}:function:{name}", arn(name)]:
        answer = functions.invoke(FunctionName=spelled, Payload=b'{"n": 1}', LogType="Tail")
        assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
        assert json.load(answer["Payload"]) == {"n": 1}
        log = base64.b64decode(answer["LogResult"]).decode()
        assert log.startswith("START RequestId: ") and "saw {'n': 1}" in log and "\nREPORT " in log
    assert json.load(functions.invoke(FunctionName=name)["Payload"]) == {}
    assert functions.invoke(FunctionName=name, InvocationType="DryRun")["StatusCode"] == 204


def test_a_functions_error_is_an_answer(functions, name):
    make_function(functions, name, "def handler(event, context):\n    raise ValueError('no')\n")
    answer = functions.invoke(FunctionName=name)
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    error = json.load(answer["Payload"])
    assert (error["errorMessage"], error["errorType"]) == ("no", "ValueError")


def test_client_context_reaches_the_function(functions, name):
    make_function(
        functions, name,
        "def handler(event, context):\n    return context.client_context.custom['k']\n",
    )
    context = base64.b64encode(json.dumps({"custom": {"k": "v"}}).encode()).decode()
    answer = functions.invoke(FunctionName=name, ClientContext=context)
    assert json.load(answer["Payload"]) == "v"
    refused("InvalidRequestContentException", functions.invoke, FunctionName=name, ClientContext="%%%")
    refused("InvalidParameterValueException", functions.invoke,
            FunctionName=name, ClientContext="a" * 3584)


def test_events_that_cannot_be(functions, name):
    make_function(functions, name, ECHO)
    message = refused("InvalidRequestContentException", functions.invoke, 400,
                      FunctionName=name, Payload=b"{not json")
    assert "Could not parse request body into json" in message
    refused("RequestTooLargeException", functions.invoke, 413,
            FunctionName=name, Payload=b'"' + b"a" * 6 * MB + b'"')
    refused("RequestTooLargeException", functions.invoke, 413,
            FunctionName=name, Payload=b'"' + b"a" * MB + b'"', InvocationType="Event")
    refused("ResourceNotFoundException", functions.invoke, 404, FunctionName=name, Qualifier="1")
    refused("ResourceNotFoundException", functions.invoke, 404, FunctionName=f"{name}-other")
    large = json.dumps("a" * (6 * MB - 1000)).encode()
    answer = functions.invoke(FunctionName=name, Payload=large)
    assert answer["Payload"].read() == large


def test_an_asynchronous_call_runs_later(server, functions, name):
    server.client("s3").create_bucket(Bucket=name)
    from inside import SOURCE
    make_function(functions, name, {
        "app.py": "import json\nfrom platform_api import put\n"
                  "def handler(event, context):\n"
                  f"    put({name!r}, 'done', json.dumps(event).encode())\n",
        "platform_api.py": SOURCE,
    })
    answer = functions.invoke(FunctionName=name, InvocationType="Event", Payload=b'{"n": 2}')
    assert (answer["StatusCode"], answer["Payload"].read()) == (202, b"")
    s3 = server.client("s3")
    wait_for(lambda: s3.list_objects_v2(Bucket=name)["KeyCount"], 20, "the function to run")
    assert json.load(s3.get_object(Bucket=name, Key="done")["Body"]) == {"n": 2}


def test_permissions(functions, name):
    create(functions, name)
    refused("ResourceNotFoundException", functions.get_policy, 404, FunctionName=name)
    permission = {
        "FunctionName": name, "StatementId": "uploads", "Action": "lambda:InvokeFunction",
        "Principal": "s3.amazonaws.com", "SourceArn": "arn:aws:s3:::uploads",
    }
    added = json.loads(functions.add_permission(**permission)["Statement"])
    assert added == {
        "Sid": "uploads", "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "lambda:InvokeFunction", "Resource": arn(name),
        "Condition": {"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::uploads"}},
    }
    refused("ResourceConflictException", functions.add_permission, 409, **permission)
    policy = functions.get_policy(FunctionName=name)
    assert json.loads(policy["Policy"])["Statement"] == [added]
    functions.remove_permission(
        FunctionName=name, StatementId="uploads", RevisionId=policy["RevisionId"]
    )
    refused("ResourceNotFoundException", functions.get_policy, 404, FunctionName=name)


def test_tags(functions, name):
    create(functions, name, Tags={"team": "a"})
    functions.tag_resource(Resource=arn(name), Tags={"stage": "b", "x": "y"})
    functions.untag_resource(Resource=arn(name), TagKeys=["team", "x"])
    assert functions.list_tags(Resource=arn(name))["Tags"] == {"stage": "b"}
    assert functions.get_function(FunctionName=name)["Tags"] == {"stage": "b"}


def test_of_many_creates_at_once_one_wins(server, name):
    def attempt(_):
        try:
            return create(server.client("lambda"), name)["State"]
        except ClientError as error:
            return error.response["Error"]["Code"]

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(attempt, range(8)))
    assert answers == ["Pending"] + ["ResourceConflictException"] * 7


def test_an_operation_that_is_missing_says_its_name(functions, name):
    message = refused("NotImplemented", functions.list_code_signing_configs, 501)
    assert "ListCodeSigningConfigs" in message


def test_functions_and_their_code_survive_a_restart(fresh_server, name):
    server = fresh_server()
    functions = server.client("lambda")
    make_function(functions, name, ECHO)
    server.restart()
    answer = functions.invoke(FunctionName=name, Payload=b'"again"')
    assert json.load(answer["Payload"]) == "again"


def test_the_aws_cli(server, name):
    package = server.directory / f"{name}.zip"
    package.write_bytes(zip_of({"app.py": ECHO}))
    created = server.aws(
        "lambda", "create-function", "--function-name", name, "--runtime", RUNTIME,
        "--handler", "app.handler", "--role", ROLE, "--zip-file", f"fileb://{package}",
    )
    assert created["FunctionName"] == name
    server.aws("lambda", "wait", "function-active-v2", "--function-name", name)
    answer = server.directory / f"{name}.json"
    server.aws(
        "lambda", "invoke", "--function-name", name, "--payload", '{"n": 3}', answer,
    )
    assert json.loads(answer.read_text()) == {"n": 3}
    server.aws("lambda", "delete-function", "--function-name", name)
    with pytest.raises(AwsCliError) as caught:
        server.aws("lambda", "get-function", "--function-name", name)
    assert "ResourceNotFoundException" in caught.value.stderr


def test_code_of_a_version_of_an_object(server):
    s3, functions = server.client("s3"), server.client("lambda")
    s3.create_bucket(Bucket="versioned-code")
    s3.put_bucket_versioning(Bucket="versioned-code", VersioningConfiguration={"Status": "Enabled"})
    versions = []
    for said in ("one", "two"):
        body = zip_of({"app.py": f"def handler(event, context):\n    return {said!r}\n"})
        versions.append(s3.put_object(Bucket="versioned-code", Key="code.zip", Body=body)["VersionId"])
    code = {"S3Bucket": "versioned-code", "S3Key": "code.zip"}
    functions.create_function(
        FunctionName="versioned", Runtime=RUNTIME, Handler="app.handler", Role=ROLE,
        Code={**code, "S3ObjectVersion": versions[0]})

    def said():
        return json.loads(functions.invoke(FunctionName="versioned")["Payload"].read())

    assert said() == "one"
    functions.update_function_code(FunctionName="versioned", **code)
    assert said() == "two"
    s3.put_object(Bucket="versioned-code", Key="another")
    s3.delete_object(Bucket="versioned-code", Key="code.zip")
    functions.update_function_code(FunctionName="versioned", **code, S3ObjectVersion=versions[0])
    assert said() == "one"
    assert "NoSuchKey" in refused("InvalidParameterValueException", functions.update_function_code, FunctionName="versioned", **code)
    assert "NoSuchVersion" in refused(
        "InvalidParameterValueException", functions.update_function_code, FunctionName="versioned", **code, S3ObjectVersion="null")
    layer = functions.publish_layer_version(LayerName="versioned", Content={**code, "S3ObjectVersion": versions[1]})
    assert layer["Version"] == 1


def test_a_location_of_code_is_signed(server):
    functions = server.client("lambda")
    make_function(functions, "located", "def handler(event, context):\n    return 1\n")
    location = functions.get_function(FunctionName="located")["Code"]["Location"]
    with urllib.request.urlopen(location) as answer:
        assert zipfile.ZipFile(io.BytesIO(answer.read())).namelist() == ["app.py"]
    for wrong in (location.split("?")[0], location[:-1] + ("0" if location[-1] != "0" else "1")):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(wrong)
        assert caught.value.code == 403 and b"<Code>AccessDenied</Code>" in caught.value.read()
