"""What deploying tools call, in their order: Terraform's provider, the Serverless Framework, SAM. Each step says what of
the answer its tool goes on with."""

import io
import json
import urllib.request
import zipfile

import pytest
from botocore.exceptions import ClientError
from conftest import ACCOUNT, REGION, ROLE, RUNTIME, zip_of

TRUST = json.dumps({"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
INLINE = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
LOGS = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
ONE, TWO = (zip_of({"app.py": f"def handler(event, context): return {n}"}) for n in (1, 2))
NOTHING = object()


def arn(name):
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def function(name, **more):
    return {"FunctionName": name, "Runtime": RUNTIME, "Handler": "app.handler", "Role": ROLE,
            "Code": {"ZipFile": ONE}, **more}


def ready(name, **more):
    """How tools wait for a function: they ask until it says this."""
    return ("lambda", "get_function", {"FunctionName": name, **more},
            {"Configuration": {"State": "Active", "LastUpdateStatus": "Successful"}})


def terraform_function(name):
    named = {"FunctionName": name}
    return [
        ("lambda", "create_function", function(name, Publish=True, Timeout=3, MemorySize=128, Tags={"a": "b"},
         PackageType="Zip", Architectures=["x86_64"], EphemeralStorage={"Size": 512}, TracingConfig={"Mode": "PassThrough"},
         LoggingConfig={"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"}, SnapStart={"ApplyOn": "None"},
         VpcConfig={"SubnetIds": [], "SecurityGroupIds": []}, Environment={"Variables": {"AB": "1"}}),
         {"FunctionArn": arn(name), "State": "Pending", "Version": "1"}),
        ready(name),
        ("lambda", "put_function_concurrency", {**named, "ReservedConcurrentExecutions": 2}, {}),
        ("lambda", "get_function", named, {"Tags": {"a": "b"}, "Concurrency": {"ReservedConcurrentExecutions": 2},
         "Code": {"RepositoryType": "S3"}, "Configuration": {"FunctionArn": arn(name), "Version": "$LATEST"}}),
        ("lambda", "list_versions_by_function", {**named, "MaxItems": 10_000},
         {"Versions": [{"Version": "$LATEST"}, {"Version": "1", "FunctionArn": arn(name) + ":1"}]}),
        ("lambda", "get_function_code_signing_config", named, {"CodeSigningConfigArn": NOTHING}),
        ("lambda", "update_function_configuration", {**named, "Timeout": 5, "DeadLetterConfig": {"TargetArn": ""},
         "Environment": {"Variables": {}}, "Layers": [], "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []}},
         {"LastUpdateStatus": "InProgress"}),
        ready(name),
        ("lambda", "update_function_code", {**named, "ZipFile": TWO, "Architectures": ["x86_64"]},
         {"LastUpdateStatus": "InProgress"}),
        ready(name),
        ("lambda", "publish_version", named, {"Version": "2", "State": "Active"}),
        ready(name, Qualifier="2"),
        ("lambda", "delete_function_concurrency", named, {}),
        ("lambda", "tag_resource", {"Resource": arn(name), "Tags": {"c": "d"}}, {}),
        ("lambda", "untag_resource", {"Resource": arn(name), "TagKeys": ["a"]}, {}),
        ("lambda", "list_tags", {"Resource": arn(name)}, {"Tags": {"c": "d"}}),
        ("lambda", "get_function_recursion_config", named, {"RecursiveLoop": "Terminate"}),
        ("lambda", "get_runtime_management_config", named, {"UpdateRuntimeOn": "Auto"}),
        ("lambda", "delete_function", named, {}),
        ("lambda", "get_function", named, "ResourceNotFoundException"),
    ]


def terraform_around_a_function(name):
    named, live = {"FunctionName": name}, {"FunctionName": name, "Qualifier": "live"}
    public = {**named, "StatementId": "FunctionURLAllowPublicAccess"}
    return [
        ("lambda", "create_function", function(name, Publish=True), {}),
        ready(name),
        ("lambda", "create_alias", {**named, "Name": "live", "FunctionVersion": "1", "Description": ""},
         {"AliasArn": arn(name) + ":live", "RoutingConfig": NOTHING}),
        ("lambda", "get_alias", {**named, "Name": "live"}, {"FunctionVersion": "1", "Description": ""}),
        ("lambda", "update_alias", {**named, "Name": "live", "FunctionVersion": "1", "RoutingConfig": {
            "AdditionalVersionWeights": {}}}, {"RoutingConfig": NOTHING}),
        ("lambda", "add_permission", {**live, "StatementId": "S3", "Action": "lambda:InvokeFunction",
         "Principal": "s3.amazonaws.com", "SourceArn": "arn:aws:s3:::b", "SourceAccount": ACCOUNT}, {}),
        ("lambda", "get_policy", live, {"Policy": {"Statement": [{
            "Sid": "S3", "Action": "lambda:InvokeFunction", "Effect": "Allow", "Resource": arn(name) + ":live",
            "Principal": {"Service": "s3.amazonaws.com"}, "Condition": {
                "StringEquals": {"AWS:SourceAccount": ACCOUNT}, "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::b"}}}]}}),
        ("lambda", "remove_permission", {**live, "StatementId": "S3"}, {}),
        ("lambda", "get_policy", live, "ResourceNotFoundException"),
        ("lambda", "create_function_url_config", {**named, "AuthType": "NONE", "InvokeMode": "BUFFERED",
         "Cors": {"AllowOrigins": ["*"]}}, {"FunctionArn": arn(name)}),
        ("lambda", "add_permission", {**public, "Action": "lambda:InvokeFunctionUrl", "Principal": "*",
         "FunctionUrlAuthType": "NONE"}, {}),
        ("lambda", "get_function_url_config", named, {"AuthType": "NONE", "InvokeMode": "BUFFERED",
         "Cors": {"AllowOrigins": ["*"]}}),
        ("lambda", "update_function_url_config", {**named, "AuthType": "AWS_IAM", "Cors": {}}, {"AuthType": "AWS_IAM"}),
        ("lambda", "remove_permission", public, {}),
        ("lambda", "delete_function_url_config", named, {}),
        ("lambda", "get_function_url_config", named, "ResourceNotFoundException"),
        ("lambda", "put_function_event_invoke_config", {**live, "MaximumRetryAttempts": 1,
         "MaximumEventAgeInSeconds": 60}, {"FunctionArn": arn(name) + ":live"}),
        ("lambda", "get_function_event_invoke_config", live, {"MaximumRetryAttempts": 1,
         "MaximumEventAgeInSeconds": 60}),
        ("lambda", "delete_function_event_invoke_config", live, {}),
        ("lambda", "get_function_event_invoke_config", live, "ResourceNotFoundException"),
        ("lambda", "put_provisioned_concurrency_config", {**live, "ProvisionedConcurrentExecutions": 1},
         {"Status": "IN_PROGRESS"}),
        ("lambda", "get_provisioned_concurrency_config", live, {"RequestedProvisionedConcurrentExecutions": 1}),
        ("lambda", "delete_provisioned_concurrency_config", live, {}),
        ("lambda", "get_provisioned_concurrency_config", live, "ProvisionedConcurrencyConfigNotFoundException"),
        ("sqs", "create_queue", {"QueueName": name}, {}),
        ("lambda", "create_event_source_mapping", {**named, "BatchSize": 1, "Enabled": True, "Tags": {"a": "b"},
         "EventSourceArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"}, {"State": "Creating", "UUID": "?mapping"}),
        ("lambda", "get_event_source_mapping", {"UUID": "?mapping"}, {"State": "Enabled", "FunctionArn": arn(name)}),
        ("lambda", "update_event_source_mapping", {"UUID": "?mapping", "Enabled": False}, {"BatchSize": 1}),
        ("lambda", "get_event_source_mapping", {"UUID": "?mapping"}, {"State": "Disabled"}),
        ("lambda", "delete_event_source_mapping", {"UUID": "?mapping"}, {"State": "Deleting"}),
        ("lambda", "get_event_source_mapping", {"UUID": "?mapping"}, "ResourceNotFoundException"),
        ("lambda", "delete_alias", {**named, "Name": "live"}, {}),
        ("lambda", "get_alias", {**named, "Name": "live"}, "ResourceNotFoundException"),
        ("lambda", "delete_function", named, {}),
    ]


def terraform_layer(name):
    return [
        ("lambda", "publish_layer_version", {"LayerName": name, "Content": {"ZipFile": ONE}, "Description": "d",
         "CompatibleRuntimes": [RUNTIME]}, {"Version": 1}),
        ("lambda", "get_layer_version", {"LayerName": name, "VersionNumber": 1},
         {"Description": "d", "CompatibleRuntimes": [RUNTIME], "LayerVersionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:"
          f"layer:{name}:1"}),
        ("lambda", "add_layer_version_permission", {"LayerName": name, "VersionNumber": 1, "StatementId": "s",
         "Action": "lambda:GetLayerVersion", "Principal": "*"}, {}),
        ("lambda", "get_layer_version_policy", {"LayerName": name, "VersionNumber": 1},
         {"Policy": {"Statement": [{"Sid": "s", "Principal": "*"}]}}),
        ("lambda", "remove_layer_version_permission", {"LayerName": name, "VersionNumber": 1, "StatementId": "s"}, {}),
        ("lambda", "delete_layer_version", {"LayerName": name, "VersionNumber": 1}, {}),
        ("lambda", "get_layer_version", {"LayerName": name, "VersionNumber": 1}, "ResourceNotFoundException"),
    ]


def terraform_role(name):
    role, inline = {"RoleName": name}, {"RoleName": name, "PolicyName": "own"}
    return [
        ("sts", "get_caller_identity", {}, {"Account": ACCOUNT}),
        ("iam", "create_role", {**role, "Path": "/", "AssumeRolePolicyDocument": TRUST, "MaxSessionDuration": 3600},
         {"Role": {"Arn": f"arn:aws:iam::{ACCOUNT}:role/{name}"}}),
        ("iam", "get_role", role, {"Role": {"AssumeRolePolicyDocument": json.loads(TRUST), "Path": "/"}}),
        ("iam", "list_role_policies", role, {"PolicyNames": []}),
        ("iam", "list_attached_role_policies", role, {"AttachedPolicies": []}),
        ("iam", "update_assume_role_policy", {**role, "PolicyDocument": TRUST}, {}),
        ("iam", "update_role", {**role, "MaxSessionDuration": 7200, "Description": "d"}, {}),
        ("iam", "put_role_policy", {**inline, "PolicyDocument": INLINE}, {}),
        ("iam", "get_role_policy", inline, {"PolicyDocument": json.loads(INLINE)}),
        ("iam", "attach_role_policy", {**role, "PolicyArn": LOGS}, {}),
        ("iam", "list_attached_role_policies", role,
         {"AttachedPolicies": [{"PolicyArn": LOGS, "PolicyName": "AWSLambdaBasicExecutionRole"}]}),
        ("iam", "get_policy", {"PolicyArn": LOGS}, {"Policy": {"DefaultVersionId": "v1", "Path": "/service-role/",
         "AttachmentCount": 1}}),
        ("iam", "get_policy_version", {"PolicyArn": LOGS, "VersionId": "v1"}, {"PolicyVersion": {"Document": {
            "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", "Action": [
                "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]}]}}}),
        ("iam", "list_policies", {"Scope": "AWS", "OnlyAttached": True}, {"Policies": [{"Arn": LOGS}]}),
        ("iam", "create_policy_version", {"PolicyArn": LOGS, "PolicyDocument": INLINE}, "AccessDenied"),
        ("iam", "delete_policy", {"PolicyArn": LOGS}, "AccessDenied"),
        ("iam", "detach_role_policy", {**role, "PolicyArn": LOGS}, {}),
        ("iam", "delete_role_policy", inline, {}),
        ("iam", "get_role_policy", inline, "NoSuchEntity"),
        ("iam", "list_instance_profiles_for_role", role, {"InstanceProfiles": []}),
        ("iam", "delete_role", role, {}),
        ("iam", "get_role", role, "NoSuchEntity"),
    ]


def serverless_deploy_function(name):
    named = {"FunctionName": name}
    return [
        ("lambda", "create_function", function(name), {}),
        ready(name),
        ("lambda", "get_function", named, {"Configuration": {"Handler": "app.handler", "Timeout": 3}}),
        ("lambda", "update_function_configuration", {**named, "Handler": "app.handler", "Timeout": 6,
         "MemorySize": 1024, "Role": ROLE, "Environment": {"Variables": {"STAGE": "dev"}}},
         {"LastUpdateStatus": "InProgress"}),
        ready(name),
        ("lambda", "update_function_code", {**named, "ZipFile": TWO}, {}),
        ready(name),
        ("lambda", "invoke", {**named, "InvocationType": "RequestResponse", "LogType": "None", "Payload": b"{}"},
         {"Payload": 2, "StatusCode": 200}),
        ("lambda", "delete_function", named, {}),
    ]


def sam_sync_code(name):
    named = {"FunctionName": name}
    layer = f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:{name}"
    return [
        ("lambda", "create_function", function(name), {}),
        ready(name),
        ("lambda", "update_function_code", {**named, "ZipFile": TWO}, {}),
        ready(name),
        ("lambda", "publish_version", named, {"Version": "1"}),
        ("lambda", "get_alias", {**named, "Name": "live"}, "ResourceNotFoundException"),
        ("lambda", "create_alias", {**named, "Name": "live", "FunctionVersion": "1"}, {}),
        ("lambda", "update_alias", {**named, "Name": "live", "FunctionVersion": "1"}, {}),
        ("lambda", "publish_layer_version", {"LayerName": name, "Content": {"ZipFile": ONE}}, {"Version": 1}),
        ("lambda", "list_layer_versions", {"LayerName": name}, {"LayerVersions": [{"Version": 1}]}),
        ("lambda", "get_function_configuration", named, {"Layers": NOTHING}),
        ("lambda", "update_function_configuration", {**named, "Layers": [f"{layer}:1"]},
         {"Layers": [{"Arn": f"{layer}:1"}]}),
        ready(name),
        ("lambda", "get_function_url_config", named, "ResourceNotFoundException"),
        ("lambda", "invoke", {"FunctionName": arn(name), "InvocationType": "RequestResponse", "LogType": "Tail",
         "Payload": b"{}"}, {"Payload": 2, "ExecutedVersion": "$LATEST"}),
        ("lambda", "delete_function", named, {}),
        ("lambda", "delete_layer_version", {"LayerName": name, "VersionNumber": 1}, {}),
    ]


def told(answer):
    """An answer with the documents in it read."""
    if hasattr(answer.get("Payload"), "read"):
        answer["Payload"] = json.loads(answer["Payload"].read())
    if isinstance(answer.get("Policy"), str):
        answer["Policy"] = json.loads(answer["Policy"])
    return answer


def fits(answer, wanted, kept):
    """Whether an answer has what is wanted of it; a word that begins with `?` stands for any text, and is kept."""
    if isinstance(wanted, dict):
        return isinstance(answer, dict) and all(
            key not in answer if part is NOTHING else key in answer and fits(answer[key], part, kept)
            for key, part in wanted.items())
    if isinstance(wanted, list):
        return len(answer) == len(wanted) and all(map(fits, answer, wanted, [kept] * len(wanted)))
    if isinstance(wanted, str) and wanted.startswith("?"):
        kept[wanted] = answer
        return True
    return answer == wanted


@pytest.mark.parametrize("steps", [terraform_function, terraform_around_a_function, terraform_layer, terraform_role,
                                   serverless_deploy_function, sam_sync_code], ids=lambda steps: steps.__name__)
def test_a_tools_calls(server, steps):
    clients = {service: server.client(service) for service in ("lambda", "iam", "sts", "sqs")}
    kept = {}
    for number, (service, operation, arguments, wanted) in enumerate(steps(steps.__name__.replace("_", "-"))):
        arguments = {name: kept.get(value, value) if isinstance(value, str) else value for name, value in arguments.items()}
        step = f"{number}: {operation}"
        try:
            answer = told(getattr(clients[service], operation)(**arguments))
        except ClientError as error:
            assert error.response["Error"]["Code"] == wanted, f"{step}: {error}"
        else:
            assert isinstance(wanted, dict) and fits(answer, wanted, kept), f"{step}: {answer}"


def test_serverless_rolls_a_function_back(server):
    functions, name = server.client("lambda"), "serverless-rollback"
    functions.create_function(**function(name, Publish=True))
    functions.update_function_code(FunctionName=name, ZipFile=TWO, Publish=True)
    old = functions.get_function(FunctionName=name, Qualifier="1")
    with urllib.request.urlopen(old["Code"]["Location"], timeout=10) as code:
        package = code.read()
    assert zipfile.ZipFile(io.BytesIO(package)).namelist() == ["app.py"]
    back = functions.update_function_code(FunctionName=name, ZipFile=package)
    assert back["CodeSha256"] == old["Configuration"]["CodeSha256"]
    assert functions.invoke(FunctionName=name)["Payload"].read() == b"1"
    functions.delete_function(FunctionName=name)


def test_waiters_see_every_state_pass(server):
    functions, name = server.client("lambda"), "waited-for"
    soon = {"Delay": 1, "MaxAttempts": 3}
    created = functions.create_function(**function(name, SnapStart={"ApplyOn": "PublishedVersions"}) | {
        "Runtime": "python3.12"})
    assert (created["State"], created["SnapStart"]["OptimizationStatus"]) == ("Pending", "Off")
    for waiter in ("function_exists", "function_active", "function_active_v2", "function_updated", "function_updated_v2"):
        functions.get_waiter(waiter).wait(FunctionName=name, WaiterConfig=soon)
    version = functions.publish_version(FunctionName=name)
    assert (version["State"], version["StateReasonCode"], version["Version"]) == ("Pending", "Creating", "1")
    functions.get_waiter("published_version_active").wait(FunctionName=name, Qualifier="1", WaiterConfig=soon)
    found = functions.get_function_configuration(FunctionName=name, Qualifier="1")
    assert (found["State"], found["LastUpdateStatus"], found["SnapStart"]["ApplyOn"]) == (
        "Active", "Successful", "PublishedVersions")
    again = functions.publish_version(FunctionName=name)
    assert (again["Version"], again["State"], again["RevisionId"]) == ("1", "Active", found["RevisionId"])
    updated = functions.update_function_code(FunctionName=name, ZipFile=TWO, Publish=True)
    assert (updated["Version"], updated["State"], updated["FunctionArn"]) == ("2", "Pending", arn(name) + ":2")
    before = functions.get_function_configuration(FunctionName=name)["RevisionId"]
    functions.update_function_configuration(FunctionName=name, Description="other words")
    assert functions.publish_version(FunctionName=name, Description="of the version")["Version"] == "3"
    assert functions.publish_version(FunctionName=name)["Version"] == "3"
    assert functions.get_function_configuration(FunctionName=name)["RevisionId"] != before
    functions.delete_function(FunctionName=name)
