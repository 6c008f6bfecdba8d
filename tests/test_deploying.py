"""What deploying tools need around functions: IAM, STS, and the command line for versions."""

import base64
import json
import subprocess

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from conftest import ACCOUNT, REGION, RUNTIME, refused, zip_of
from mayfly_process import binary

TRUST = json.dumps({"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}


def test_roles_and_policies_are_kept(server):
    iam = server.client("iam")
    role = iam.create_role(
        RoleName="deploying", AssumeRolePolicyDocument=TRUST, Tags=[{"Key": "team", "Value": "a"}]
    )["Role"]
    assert role["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/deploying" and role["MaxSessionDuration"] == 3600
    assert role["AssumeRolePolicyDocument"] == json.loads(TRUST)
    iam.get_waiter("role_exists").wait(RoleName="deploying", WaiterConfig={"Delay": 1, "MaxAttempts": 3})
    policy = iam.create_policy(PolicyName="read", PolicyDocument=json.dumps(POLICY))["Policy"]
    iam.attach_role_policy(RoleName="deploying", PolicyArn=policy["Arn"])
    iam.put_role_policy(RoleName="deploying", PolicyName="own", PolicyDocument=json.dumps(POLICY))
    assert iam.get_role_policy(RoleName="deploying", PolicyName="own")["PolicyDocument"] == POLICY
    attached = iam.list_attached_role_policies(RoleName="deploying")["AttachedPolicies"]
    assert attached == [{"PolicyName": "read", "PolicyArn": policy["Arn"]}]
    assert iam.list_role_policies(RoleName="deploying")["PolicyNames"] == ["own"]
    version = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId="v1")["PolicyVersion"]
    assert version["Document"] == POLICY and version["IsDefaultVersion"]
    names = [role["RoleName"] for page in iam.get_paginator("list_roles").paginate() for role in page["Roles"]]
    assert "deploying" in names
    assert iam.list_role_tags(RoleName="deploying")["Tags"] == [{"Key": "team", "Value": "a"}]
    assert iam.get_policy(PolicyArn=policy["Arn"])["Policy"]["AttachmentCount"] == 1
    refused("DeleteConflict", iam.delete_role, 409, RoleName="deploying")
    described = iam.update_role_description(RoleName="deploying", Description="tells")["Role"]
    assert described["Description"] == "tells"
    iam.put_role_permissions_boundary(RoleName="deploying", PermissionsBoundary=policy["Arn"])
    boundary = iam.get_role(RoleName="deploying")["Role"]["PermissionsBoundary"]
    assert boundary == {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": policy["Arn"]}
    iam.delete_role_permissions_boundary(RoleName="deploying")
    assert "PermissionsBoundary" not in iam.get_role(RoleName="deploying")["Role"]
    iam.detach_role_policy(RoleName="deploying", PolicyArn=policy["Arn"])
    iam.delete_role_policy(RoleName="deploying", PolicyName="own")
    iam.delete_policy(PolicyArn=policy["Arn"])
    iam.delete_role(RoleName="deploying")
    refused("NoSuchEntity", iam.get_role, 404, RoleName="deploying")
    refused("MalformedPolicyDocument", iam.create_role, 400, RoleName="x", AssumeRolePolicyDocument="{")
    for tags, words in [
        ([{"Key": str(n), "Value": ""} for n in range(51)], "at 'tags' failed to satisfy constraint: Member must have "
         "length less than or equal to 50."),
        ([{"Key": "k" * 129, "Value": ""}], "at 'tags.1.member.key' failed to satisfy constraint: Member must have "
         "length less than or equal to 128."),
        ([{"Key": "k", "Value": "!"}], r"pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+"),
    ]:
        assert words in refused("ValidationError", iam.create_policy, 400, PolicyName="tagged",
                                PolicyDocument=json.dumps(POLICY), Tags=tags)


def test_a_role_of_another_account_is_assumed(server):
    sts = server.client("sts")
    assert sts.get_caller_identity()["Account"] == ACCOUNT
    assumed = sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/there", RoleSessionName="me")
    assert assumed["AssumedRoleUser"]["Arn"] == "arn:aws:sts::123456789012:assumed-role/there/me"
    given = assumed["Credentials"]
    session = boto3.session.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], REGION)
    there = session.client("sts", endpoint_url=server.url, config=Config(retries={"total_max_attempts": 1}))
    who = there.get_caller_identity()
    assert who["Account"] == "123456789012"
    assert {"AssumedRoleId": who["UserId"], "Arn": who["Arn"]} == assumed["AssumedRoleUser"]
    assert there.get_session_token()["Credentials"]["AccessKeyId"].startswith("ASIA")
    with pytest.raises(ClientError, match="NotImplemented"):
        sts.get_federation_token(Name="me")


@pytest.mark.parametrize("service, operation, code, status", [
    ("lambda", "list_functions", "ExpiredTokenException", 403), ("sqs", "list_queues", "ExpiredTokenException", 403),
    ("iam", "list_roles", "ExpiredToken", 403), ("sts", "get_caller_identity", "ExpiredToken", 403),
    ("s3", "list_buckets", "ExpiredToken", 400),
])
def test_credentials_whose_time_is_over(server, service, operation, code, status):
    given = server.client("sts").get_session_token()["Credentials"]

    def client(token):
        session = boto3.session.Session(given["AccessKeyId"], given["SecretAccessKey"], token, REGION)
        settings = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        return session.client(service, endpoint_url=server.url, config=settings)

    getattr(client(given["SessionToken"]), operation)()
    # Twelve hours are long: the token says its end, in milliseconds behind a mark.
    token = base64.b64decode(given["SessionToken"])
    over = base64.b64encode(token[:6] + (1_000_000).to_bytes(8, "big") + token[14:]).decode()
    message = refused(code, getattr(client(over), operation), status)
    assert "expired" in message


def test_services_that_are_not_there_say_so_in_the_clients_protocol(server):
    refused("UnknownService", server.client("sns").list_topics, 501)
    refused("UnknownService", server.client("dynamodb").list_tables, 501)
    assert "ListUsers" in refused("NotImplemented", server.client("iam").list_users, 501)


def test_versions_from_the_command_line(server, tmp_path):
    def mayfly(*arguments, status=0):
        done = subprocess.run(
            [str(binary()), *arguments, "--endpoint", server.url], capture_output=True, text=True, timeout=60,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    source = tmp_path / "source"
    source.mkdir()
    (source / "app.py").write_text("def handler(event, context): return 1")
    assert "name its --runtime" in mayfly("deploy", "by-hand", str(source), status=1)
    first = ["deploy", "by-hand", str(source), "--runtime", RUNTIME, "--handler", "app.handler", "--alias", "live"]
    assert "is at version 1" in mayfly(*first)
    assert "is at version 1" in mayfly("deploy", "by-hand", str(source))  # nothing has changed
    (source / "app.py").write_text("def handler(event, context): return 2")
    (source / "more.py").write_text("")
    told = mayfly("deploy", "by-hand", str(source), "--env", "STAGE=b", "-m", "second", "--alias", "live", "--percent", "10")
    assert "is at version 2" in told and "gives 10 % to version 2, the rest to 1" in told
    listed = mayfly("versions", "by-hand").splitlines()
    assert listed[1].startswith("2 ") and "live (10 %)" in listed[1] and listed[1].endswith("second")
    assert "live (90 %)" in listed[2] and listed[3].startswith("$LATEST")
    told = mayfly("compare", "by-hand", "1", "2")
    assert "~ app.py" in told and "+ more.py" in told and 'Environment: null -> {"Variables":{"STAGE":"b"}}' in told
    assert "no difference" in mayfly("compare", "by-hand", "2", "2")
    functions = server.client("lambda")
    assert "leads to version 2" in mayfly("shift", "by-hand", "live", "2")
    assert functions.get_alias(FunctionName="by-hand", Name="live")["FunctionVersion"] == "2"
    assert "leads to version 1 again" in mayfly("rollback", "by-hand", "live")
    alias = functions.get_alias(FunctionName="by-hand", Name="live")
    assert alias["FunctionVersion"] == "1" and "RoutingConfig" not in alias
    assert "no version before 1" in mayfly("rollback", "by-hand", "live", status=1)
    assert "Function not found" in mayfly("versions", "nobody", status=1)
