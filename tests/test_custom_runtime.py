"""Custom runtimes through boto3, and AWS's own runtime interface clients, unchanged from their registries."""

import base64
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import uuid
from pathlib import Path

import pytest
from conftest import ROLE, make_function, zip_of
from test_examples import make, tool

# A shell that speaks HTTP by itself, so that no machine is without it.
SHELL = r'''#!/bin/bash
LC_ALL=C
call() {
    exec 4<>/dev/tcp/127.0.0.1/9001
    printf '%s /2018-06-01/runtime/%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' \
        "$1" "$2" ${#3} "$3" >&4
    whole=$(cat <&4)
    exec 4>&-
    body=${whole#*$'\r\n\r\n'}
}
'''
ECHO = SHELL + r'''
call GET invocation/next ''
[[ $whole =~ Request-Id:\ ([0-9a-f-]+) ]] && id=${BASH_REMATCH[1]}
echo "event $id, handler $_HANDLER"
call POST invocation/$id/response "{\"event\": $body, \"colour\": \"$COLOUR\"}"
echo "heard: $body"
call GET invocation/next ''
'''


def run(client, name, event=None, **more):
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event), LogType="Tail", **more)
    answer["value"] = json.loads(answer["Payload"].read())
    answer["log"] = base64.b64decode(answer["LogResult"]).decode()
    answer["id"] = answer["ResponseMetadata"]["RequestId"]
    return answer


@pytest.mark.parametrize("runtime", ["provided", "provided.al2", "provided.al2023"])
def test_a_function_that_brings_its_own_program(server, runtime):
    client, name = server.client("lambda"), f"custom-{runtime.replace('.', '-')}"
    made = make_function(
        client, name, {"bootstrap": ECHO}, Runtime=runtime, Handler="my.handler",
        Environment={"Variables": {"COLOUR": "red"}},
    )
    assert (made["Runtime"], made["Handler"]) == (runtime, "my.handler")
    answer = run(client, name, {"n": 1})
    assert answer["value"] == {"event": {"n": 1}, "colour": "red"} and "FunctionError" not in answer
    lines = answer["log"].splitlines()
    assert lines[1:3] == [f"event {answer['id']}, handler my.handler", 'heard: {"status":"OK"}']
    assert "Init Duration" in lines[-1] and "Status" not in lines[-1]


def test_code_and_configuration_change(server):
    client = server.client("lambda")
    make_function(client, "custom-changes", "def handler(event, context): return 'python'")
    client.update_function_code(FunctionName="custom-changes", ZipFile=zip_of({"bootstrap": ECHO}))
    changed = client.update_function_configuration(
        FunctionName="custom-changes", Runtime="provided.al2023", Handler="any",
        Environment={"Variables": {"COLOUR": "blue"}},
    )
    assert changed["Runtime"] == "provided.al2023"
    client.get_waiter("function_updated_v2").wait(FunctionName="custom-changes")
    assert run(client, "custom-changes", [1])["value"] == {"event": [1], "colour": "blue"}
    # AWS asks for a handler with every zip.
    with pytest.raises(client.exceptions.ClientError, match="[Hh]andler"):
        client.create_function(
            FunctionName="custom-none", Runtime="provided.al2023", Role=ROLE, Code={"ZipFile": zip_of({"bootstrap": ECHO})})
    with pytest.raises(client.exceptions.ClientError, match="AWS_LAMBDA_RUNTIME_API"):
        client.update_function_configuration(
            FunctionName="custom-changes", Environment={"Variables": {"AWS_LAMBDA_RUNTIME_API": "elsewhere"}})


@pytest.mark.parametrize(
    "files, type, message",
    [
        ({"main": "#!/bin/sh"}, "Runtime.InvalidEntrypoint",
         "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"),
        ({"bootstrap": "neither a script nor a program"}, "Runtime.InvalidEntrypoint",
         "fork/exec /var/task/bootstrap: exec format error"),
        ({"bootstrap": "#!/bin/sh\nexit 3"}, "Runtime.ExitError", "Runtime exited with error: exit status 3"),
    ],
)
def test_programs_that_fail(server, files, type, message):
    client, name = server.client("lambda"), f"custom-{uuid.uuid4().hex}"
    make_function(client, name, files, Runtime="provided.al2023")
    answer = run(client, name)
    assert answer["FunctionError"] == "Unhandled"
    assert answer["value"] == {"errorType": type, "errorMessage": f"RequestId: {answer['id']} Error: {message}"}
    assert f"Status: error\tError Type: {type}" in answer["log"].splitlines()[-1]


def files_below(directory: Path) -> dict:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def in_bucket(server, bucket: str, directory: Path) -> dict:
    """A package of a directory, files executable as they are, by way of a bucket: it may be large."""
    archive = shutil.make_archive(str(directory), "zip", directory)
    s3 = server.client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="package.zip", Body=Path(archive).read_bytes())
    return {"S3Bucket": bucket, "S3Key": "package.zip"}


def create(server, name: str, directory: Path, **config):
    client = server.client("lambda", read_timeout=90)
    client.create_function(
        FunctionName=name, Role=ROLE, Runtime="provided.al2023", Timeout=60, MemorySize=512,
        Code=in_bucket(server, name, directory), **config)
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.2, "MaxAttempts": 200})
    return client


@pytest.mark.timeout(400)
def test_awslambdaric(server, tmp_path):
    """AWS's client for Python, with the interpreter in the package: a custom runtime is shown none of the host's."""
    package = tmp_path / "package"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
    make(tmp_path, *pip, "--target", str(package), "awslambdaric==4.2.2", fetches=True)
    library = Path(sysconfig.get_path("stdlib"))
    unwanted = shutil.ignore_patterns(
        "test", "tests", "site-packages", "dist-packages", "__pycache__", "config-*", "idlelib", "ensurepip", "*.a", "turtle*")
    shutil.copytree(library, package / "python/lib" / library.name, ignore=unwanted, symlinks=False)
    (package / "python/bin").mkdir()
    shutil.copy(os.path.realpath(sys.executable), package / "python/bin/python3")
    for shared in Path(sysconfig.get_config_var("LIBDIR") or "/none").glob("libpython3.*.so*"):
        shutil.copy(shared, package / "python/lib")
    (package / "bootstrap").write_text(
        "#!/bin/sh\nexport PYTHONHOME=/var/task/python LD_LIBRARY_PATH=/var/task/python/lib\n"
        "exec /var/task/python/bin/python3 -m awslambdaric app.handler\n")
    (package / "bootstrap").chmod(0o755)
    (package / "app.py").write_text(
        "def handler(event, context):\n"
        "    if event['fail']: raise KeyError('missing thing')\n"
        "    return {'id': context.aws_request_id, 'arn': context.invoked_function_arn,\n"
        "            'left': context.get_remaining_time_in_millis(), 'custom': context.client_context.custom}\n")
    client = create(server, "awslambdaric", package, Handler="app.handler")
    context = base64.b64encode(json.dumps({"custom": {"a": "ü"}}).encode()).decode()
    answer = run(client, "awslambdaric", {"fail": False}, ClientContext=context)
    assert "FunctionError" not in answer, (answer["value"], answer["log"])
    assert 0 < answer["value"].pop("left") <= 60_000
    assert answer["value"].pop("arn").endswith(":function:awslambdaric")
    assert answer["value"] == {"id": answer["id"], "custom": {"a": "ü"}}
    answer = run(client, "awslambdaric", {"fail": True})
    assert answer["FunctionError"] == "Unhandled"
    assert (answer["value"]["errorType"], answer["value"]["errorMessage"]) == ("KeyError", "'missing thing'")
    assert answer["value"]["requestId"] == answer["id"] and len(answer["value"]["stackTrace"]) == 1
    # An error of loading.
    (package / "app.py").write_text("import nothing_like_it")
    client.update_function_code(FunctionName="awslambdaric", **in_bucket(server, "awslambdaric-2", package))
    client.get_waiter("function_updated_v2").wait(FunctionName="awslambdaric")
    error = run(client, "awslambdaric", {})["value"]
    assert error["errorType"] == "Runtime.ImportModuleError" and "nothing_like_it" in error["errorMessage"]


POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>test</groupId><artifactId>function</artifactId><version>1</version>
<dependencies><dependency><groupId>com.amazonaws</groupId>
<artifactId>aws-lambda-java-runtime-interface-client</artifactId><version>2.6.0</version></dependency></dependencies>
</project>"""
JAVA = """
import com.amazonaws.services.lambda.runtime.Context;
import java.util.Map;
public class App {
    public Map<String, Object> handle(Map<String, Object> event, Context context) {
        if (Boolean.TRUE.equals(event.get("fail"))) throw new IllegalStateException("no luck");
        context.getLogger().log("logged\\n");
        return Map.of("id", context.getAwsRequestId(), "event", event);
    }
}
"""


@pytest.mark.timeout(600)
def test_javas_runtime_interface_client(server, tmp_path):
    """AWS's client for Java, on an image of the host's JDK made by jlink."""
    package, maven, javac, jlink = tmp_path / "package", tool("mvn"), tool("javac"), tool("jlink")
    (tmp_path / "pom.xml").write_text(POM)
    (tmp_path / "App.java").write_text(JAVA)
    copy = ("dependency:copy-dependencies", f"-DoutputDirectory={package}/lib")
    make(tmp_path, maven, "--batch-mode", "--quiet", *copy, fetches=True)
    make(tmp_path, javac, "-cp", f"{package}/lib/*", "-d", str(package), "App.java")
    modules = "java.base,java.desktop,java.logging,java.management,java.naming,java.sql,java.xml,jdk.unsupported"
    make(tmp_path, jlink, "--add-modules", modules, "--strip-debug", "--no-man-pages", "--no-header-files",
         "--output", f"{package}/jre")
    (package / "bootstrap").write_text(
        '#!/bin/sh\nexec /var/task/jre/bin/java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "/var/task:/var/task/lib/*" '
        'com.amazonaws.services.lambda.runtime.api.client.AWSLambda "$_HANDLER"\n')
    (package / "bootstrap").chmod(0o755)
    client = create(server, "java-client", package, Handler="App::handle")
    answer = run(client, "java-client", {"n": 1})
    assert answer["value"] == {"id": answer["id"], "event": {"n": 1}}, answer["log"]
    assert "\nlogged\n" in answer["log"]
    answer = run(client, "java-client", {"fail": True})
    assert (answer["value"]["errorType"], answer["value"]["errorMessage"]) == ("java.lang.IllegalStateException", "no luck")
    assert answer["value"]["stackTrace"]
