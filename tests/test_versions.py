"""Versions, aliases, layers, accounts and regions: what runs is what was published."""

import io
import json
import threading
import urllib.request
import zipfile

import boto3
import pytest
from botocore.config import Config
from conftest import ACCOUNT, REGION, ROLE, RUNTIME, make_function, refused, wait_for, zip_of

TELL = """
import os
def handler(event, context):
    return {
        "said": "%s", "version": context.function_version, "arn": context.invoked_function_arn,
        "stream": context.log_stream_name, "variable": os.environ.get("STAGE"),
        "region": os.environ["AWS_REGION"],
    }
"""


@pytest.fixture(scope="module")
def functions(server):
    return server.client("lambda")


@pytest.fixture
def name(request):
    return request.node.name.replace("[", "-").replace("]", "")[:60]


def arn(name, qualifier=None):
    whole = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
    return f"{whole}:{qualifier}" if qualifier else whole


def call(functions, name, **arguments):
    answer = functions.invoke(FunctionName=name, **arguments)
    payload = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, payload
    return payload, answer["ExecutedVersion"]


def ready(config):
    return config if config["Status"] == "READY" else None


def deploy(functions, name, said):
    return functions.update_function_code(
        FunctionName=name, ZipFile=zip_of({"app.py": TELL % said}), Publish=True
    )


def test_each_version_runs_with_its_own_code_and_configuration(functions, name):
    make_function(functions, name, TELL % "one", Environment={"Variables": {"STAGE": "blue"}}, Publish=True)
    functions.update_function_configuration(
        FunctionName=name, Environment={"Variables": {"STAGE": "green"}}
    )
    second = deploy(functions, name, "two")
    assert (second["Version"], second["FunctionArn"]) == ("2", arn(name, "2"))
    functions.update_function_code(FunctionName=name, ZipFile=zip_of({"app.py": TELL % "three"}))
    functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    for target, qualifier, said, version, variable in [
        (name, None, "three", "$LATEST", "green"),
        (name, "$LATEST", "three", "$LATEST", "green"),
        (name, "1", "one", "1", "blue"),
        (f"{name}:2", None, "two", "2", "green"),
        (arn(name, "live"), None, "one", "1", "blue"),
        (name, "live", "one", "1", "blue"),
    ]:
        payload, executed = call(functions, target, **({"Qualifier": qualifier} if qualifier else {}))
        assert (payload["said"], payload["version"], payload["variable"]) == (said, version, variable)
        assert executed == version
        assert f"[{version}]" in payload["stream"]
        named = qualifier or (target.rsplit(":", 1)[1] if ":" in target else None)
        assert payload["arn"] == arn(name, named)
    functions.update_alias(FunctionName=name, Name="live", FunctionVersion="2")
    assert call(functions, name, Qualifier="live")[0]["said"] == "two"
    message = refused("ResourceNotFoundException", functions.invoke, 404, FunctionName=name, Qualifier="9")
    assert message == f"Function not found: {arn(name, '9')}"
    functions.delete_alias(FunctionName=name, Name="live")
    functions.delete_function(FunctionName=name, Qualifier="1")
    refused("ResourceNotFoundException", functions.invoke, 404, FunctionName=name, Qualifier="1")
    assert call(functions, name, Qualifier="2")[1] == "2"
    functions.delete_function(FunctionName=name)
    refused("ResourceNotFoundException", functions.invoke, 404, FunctionName=name, Qualifier="2")


def test_an_alias_splits_events_by_weight(functions, name):
    make_function(functions, name, TELL % "one", Publish=True)
    deploy(functions, name, "two")
    functions.create_alias(
        FunctionName=name, Name="live", FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.3}},
    )
    found = [call(functions, name, Qualifier="live")[1] for _ in range(200)]
    # Six standard deviations around 60.
    assert 20 < found.count("2") < 100 and set(found) == {"1", "2"}
    events = functions.invoke(FunctionName=name, Qualifier="live", InvocationType="Event")
    assert events["StatusCode"] == 202


def test_provisioned_processes_wait_for_a_version(functions, server, name):
    make_function(functions, name, TELL % "one", Publish=True)
    functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    asked = functions.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier="live", ProvisionedConcurrentExecutions=1
    )
    assert asked["Status"] == "IN_PROGRESS"
    listed = functions.list_provisioned_concurrency_configs(FunctionName=name)
    assert listed["ProvisionedConcurrencyConfigs"][0]["FunctionArn"] == arn(name, "live")
    found = wait_for(
        lambda: ready(functions.get_provisioned_concurrency_config(FunctionName=name, Qualifier="live")),
        30, "the process to be there",
    )
    assert found["RequestedProvisionedConcurrentExecutions"] == found["AvailableProvisionedConcurrentExecutions"] == 1
    assert call(functions, name, Qualifier="live")[1] == "1"
    functions.delete_provisioned_concurrency_config(FunctionName=name, Qualifier="live")
    refused("ProvisionedConcurrencyConfigNotFoundException", functions.get_provisioned_concurrency_config, 404,
            FunctionName=name, Qualifier="live")


def test_of_two_updates_at_once_one_wins_and_nothing_is_mixed(functions, server, name):
    make_function(functions, name, TELL % "one")
    big = io.BytesIO()
    with zipfile.ZipFile(big, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("app.py", TELL % "big")
        package.writestr("much", bytes(40 << 20))
    outcomes = []

    def update(client):
        try:
            client.update_function_code(FunctionName=name, ZipFile=big.getvalue())
            outcomes.append("updated")
        except client.exceptions.ResourceConflictException as error:
            assert "An update is in progress for resource" in str(error)
            outcomes.append("conflict")

    threads = [threading.Thread(target=update, args=[server.client("lambda")]) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join(timeout=60) for thread in threads]
    assert len(outcomes) == 4 and "updated" in outcomes, outcomes
    assert call(functions, name)[0]["said"] == "big"


USE = """
import json, os, shared, only
def handler(event, context):
    return {"shared": shared.NAME, "only": only.NAME, "data": open("/opt/data.txt").read(),
            "writable": os.access("/opt", os.W_OK)}
"""


def test_layers_are_laid_over_each_other(functions, name):
    def publish(layer, files):
        return functions.publish_layer_version(
            LayerName=layer, Content={"ZipFile": zip_of(files)}, CompatibleRuntimes=["python3.11"]
        )["LayerVersionArn"]

    lower = publish(f"{name}-lower", {
        "python/shared.py": "NAME = 'lower'", "python/only.py": "NAME = 'lower'", "data.txt": "lower",
    })
    upper = publish(f"{name}-upper", {"python/shared.py": "NAME = 'upper'", "data.txt": "upper"})
    made = make_function(functions, name, USE, Layers=[lower, upper], Publish=True)
    assert [layer["Arn"] for layer in made["Layers"]] == [lower, upper]
    expected = {"shared": "upper", "only": "lower", "data": "upper", "writable": False}
    assert call(functions, name)[0] == expected
    functions.update_function_configuration(FunctionName=name, Layers=[upper, lower])
    assert call(functions, name)[0]["shared"] == "lower"
    functions.delete_layer_version(LayerName=f"{name}-upper", VersionNumber=1)
    assert call(functions, name, Qualifier="1")[0] == expected
    message = refused(
        "InvalidParameterValueException", functions.update_function_configuration, 400,
        FunctionName=f"{name}", Layers=[upper.replace("upper:1", "upper:2")],
    )
    assert "does not exist" in message
    found = functions.get_layer_version_by_arn(Arn=lower)
    with urllib.request.urlopen(found["Content"]["Location"], timeout=10) as response:
        assert response.read()[:2] == b"PK"
    assert any(layer["LayerName"] == f"{name}-lower" for layer in functions.list_layers()["Layers"])


def test_accounts_and_regions_never_see_each_other(server, functions, name):
    def client(key, region):
        session = boto3.session.Session(aws_access_key_id=key, aws_secret_access_key="x", region_name=region)
        return session.client("lambda", endpoint_url=server.url, config=Config(retries={"total_max_attempts": 1}))

    places = {("test", REGION): ACCOUNT, ("123456789012", REGION): "123456789012", ("test", "eu-west-1"): ACCOUNT}
    clients = {place: client(*place) for place in places}
    for (key, region), one in clients.items():
        made = make_function(one, name, TELL % f"{key} {region}", Role=ROLE.replace(ACCOUNT, places[key, region]))
        assert made["FunctionArn"] == f"arn:aws:lambda:{region}:{places[key, region]}:function:{name}"
    for (key, region), one in clients.items():
        payload, _ = call(one, name)
        assert (payload["said"], payload["region"]) == (f"{key} {region}", region)
        mine = [f["FunctionArn"] for page in one.get_paginator("list_functions").paginate() for f in page["Functions"]]
        assert all(f":{region}:{places[key, region]}:" in found for found in mine)
    other = clients["123456789012", REGION]
    refused("AccessDeniedException", other.get_function, 403, FunctionName=arn(name))
    refused("ResourceNotFoundException", clients["test", "eu-west-1"].get_function, 404, FunctionName=arn(name))
    other.delete_function(FunctionName=name)
    assert call(functions, name)[0]["said"] == f"test {REGION}"
    with urllib.request.urlopen(
        clients["test", "eu-west-1"].get_function(FunctionName=name)["Code"]["Location"], timeout=10
    ) as response:
        assert b"eu-west-1" not in response.read()[:2]


def test_aliases_have_urls_and_policies(functions, server, name):
    make_function(functions, name, "def handler(event, context): return context.function_version", Publish=True)
    functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    config = functions.create_function_url_config(
        FunctionName=name, Qualifier="live", AuthType="NONE",
        Cors={"AllowOrigins": ["https://a.example"], "AllowMethods": ["GET"], "MaxAge": 60},
    )
    request = urllib.request.Request(config["FunctionUrl"], headers={"Origin": "https://a.example"})
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.read() == b"1"
        assert response.headers["Access-Control-Allow-Origin"] == "https://a.example"
    ask = urllib.request.Request(config["FunctionUrl"], method="OPTIONS", headers={
        "Origin": "https://a.example", "Access-Control-Request-Method": "GET",
    })
    with urllib.request.urlopen(ask, timeout=10) as response:
        assert response.headers["Access-Control-Allow-Methods"] == "GET"
        assert response.headers["Access-Control-Max-Age"] == "60"
    functions.add_permission(
        FunctionName=name, Qualifier="live", StatementId="s", Action="lambda:InvokeFunctionUrl",
        Principal="*", FunctionUrlAuthType="NONE",
    )
    policy = json.loads(functions.get_policy(FunctionName=name, Qualifier="live")["Policy"])
    assert policy["Statement"][0]["Resource"] == arn(name, "live")
    refused("ResourceNotFoundException", functions.get_policy, 404, FunctionName=name)


def test_versions_survive_a_restart(fresh_server, name):
    server = fresh_server()
    functions = server.client("lambda")
    layer = functions.publish_layer_version(LayerName="l", Content={"ZipFile": zip_of({"data.txt": "kept"})})
    read = "def handler(event, context): return open('/opt/data.txt').read() + context.function_version"
    other = zip_of({"other.txt": ""})
    second = functions.publish_layer_version(LayerName="m", Content={"ZipFile": other})
    layers = [layer["LayerVersionArn"], second["LayerVersionArn"]]
    make_function(functions, name, read, Layers=layers, Publish=True, Runtime=RUNTIME)
    functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    functions.update_function_code(FunctionName=name, ZipFile=zip_of({"app.py": "def handler(e, c): return 2"}))
    functions.update_function_configuration(FunctionName=name, Layers=[])
    server.restart()
    functions = server.client("lambda")
    assert call(functions, name, Qualifier="live")[0] == "kept1"
    assert call(functions, name)[0] == 2
