"""What deploying tools need around functions: IAM, STS, and the command line for versions."""

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
    iam.detach_role_policy(RoleName="deploying", PolicyArn=policy["Arn"])
    iam.delete_role_policy(RoleName="deploying", PolicyName="own")
    iam.delete_policy(PolicyArn=policy["Arn"])
    iam.delete_role(RoleName="deploying")
    refused("NoSuchEntity", iam.get_role, 404, RoleName="deploying")
    refused("MalformedPolicyDocument", iam.create_role, 400, RoleName="x", AssumeRolePolicyDocument="{")


def test_a_role_of_another_account_is_assumed(server):
    sts = server.client("sts")
    assert sts.get_caller_identity()["Account"] == ACCOUNT
    assumed = sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/there", RoleSessionName="me")
    assert assumed["AssumedRoleUser"]["Arn"] == "arn:aws:sts::123456789012:assumed-role/there/me"
    given = assumed["Credentials"]
    session = boto3.session.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], REGION)
    there = session.client("sts", endpoint_url=server.url, config=Config(retries={"total_max_attempts": 1}))
    assert there.get_caller_identity()["Account"] == "123456789012"
    assert there.get_session_token()["Credentials"]["AccessKeyId"].startswith("ASIA")
    with pytest.raises(ClientError, match="NotImplemented"):
        sts.get_federation_token(Name="me")


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
