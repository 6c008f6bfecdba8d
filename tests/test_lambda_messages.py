"""Refusals in AWS's words: code, status and message, operation by operation."""

import json

import pytest
from botocore.exceptions import ClientError
from conftest import ACCOUNT, REGION, ROLE, RUNTIME, zip_of

NAME = "messages"
ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{NAME}"
NONE = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:nobody"
ZIP = zip_of({"app.py": "def handler(event, context): return 1"})
LAYER = f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:messages"
INVALID, VALIDATION = "InvalidParameterValueException", "ValidationException"
MISSING, CONFLICT = "ResourceNotFoundException", "ResourceConflictException"
STALE = ("The Revision Id provided does not match the latest Revision Id. Call the {} API to retrieve the latest "
         "Revision Id")
NOT_THERE = "The resource you requested does not exist."
WHOLE = ("This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. "
         "Please specify either a function name or an unqualified function ARN.")
FAILED = "1 validation error detected: Value '{}' at '{}' failed to satisfy constraint: "
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:nothing"
MAPPING = f"arn:aws:lambda:{REGION}:{ACCOUNT}:event-source-mapping:12345678-1234-1234-1234-123456789012"
PERMISSION = {"FunctionName": NAME, "StatementId": "s", "Principal": "*", "Action": "lambda:InvokeFunction"}
RETRIES = {"MaximumRetryAttempts": 1}


def create(**changes):
    return {"Runtime": RUNTIME, "Handler": "app.handler", "Role": ROLE, "Code": {"ZipFile": ZIP},
            "FunctionName": "messages-other", **changes}


CASES = [
    ("create_function", create(FunctionName=NAME), CONFLICT, 409, f"Function already exist: {NAME}"),
    ("create_function", create(FunctionName="x" * 65), INVALID, 400,
     FAILED.format("x" * 65, "functionName") + "Member must have length less than or equal to 64"),
    ("create_function", create(Role="r1"), VALIDATION, 400,
     FAILED.format("r1", "role") + "Member must satisfy regular expression pattern: "
     r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"),
    ("create_function", create(Architectures=["x86_64", "arm64"]), VALIDATION, 400,
     FAILED.format("[x86_64, arm64]", "architectures") + "Member must have length less than or equal to 1"),
    ("create_function", create(Architectures=["z80"]), VALIDATION, 400,
     FAILED.format("[z80]", "architectures") + "Member must satisfy constraint: [Member must satisfy enum value "
     "set: [x86_64, arm64], Member must not be null]"),
    ("create_function", create(MemorySize=64), VALIDATION, 400,
     FAILED.format(64, "memorySize") + "Member must have value greater than or equal to 128"),
    ("create_function", create(Environment={"Variables": {"1A": "secret"}}), VALIDATION, 400,
     "1 validation error detected: Value at 'environment.variables' failed to satisfy constraint: Map keys must satisfy "
     "constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]"),
    ("create_function", create(Code={"ZipFile": b""}), INVALID, 400, "Uploaded file must be a non-empty zip"),
    ("create_function", create(SnapStart={"ApplyOn": "Always"}), VALIDATION, 400,
     FAILED.format("Always", "snapStart.applyOn") + "Member must satisfy enum value set: [PublishedVersions, None]"),
    ("create_function", create(Layers=[f"{LAYER}:7"]), INVALID, 400, f"Layer version {LAYER}:7 does not exist."),
    ("create_function", create(Layers=[f"{LAYER}:1"] * 6), INVALID, 400, "Cannot reference more than 5 layers."),
    ("create_function", create(Layers=[f"{LAYER}:1", f"{LAYER}:1"]), INVALID, 400,
     "Two different versions of the same layer are not allowed to be referenced in the same function. "
     f"{LAYER}:1 and {LAYER}:1 are versions of the same layer."),
    ("get_function", {"FunctionName": "nobody"}, MISSING, 404, f"Function not found: {NONE}"),
    ("get_function", {"FunctionName": NAME, "Qualifier": "9"}, MISSING, 404, f"Function not found: {ARN}:9"),
    ("get_function", {"FunctionName": f"{NAME}:dead"}, MISSING, 404, f"Function not found: {ARN}:dead"),
    ("get_function", {"FunctionName": f"{NAME}:1", "Qualifier": "2"}, INVALID, 400,
     "The derived qualifier from the function name does not match the specified qualifier."),
    ("get_function", {"FunctionName": ARN.replace(REGION, "eu-west-1")}, MISSING, 404,
     f"Functions from 'eu-west-1' are not reachable in this region ('{REGION}')"),
    ("delete_function", {"FunctionName": NAME, "Qualifier": "$LATEST"}, INVALID, 400,
     "$LATEST version cannot be deleted without deleting the function."),
    ("list_functions", {"FunctionVersion": "1"}, VALIDATION, 400,
     FAILED.format(1, "functionVersion") + "Member must satisfy enum value set: [ALL]"),
    ("update_function_code", {"FunctionName": NAME, "ZipFile": ZIP, "RevisionId": "x"},
     "PreconditionFailedException", 412, STALE.format("GetFunction/GetAlias")),
    ("publish_version", {"FunctionName": NAME, "RevisionId": "x"}, "PreconditionFailedException", 412,
     STALE.format("GetFunction/GetAlias")),
    ("create_alias", {"FunctionName": NAME, "Name": "1", "FunctionVersion": "1"}, VALIDATION, 400,
     FAILED.format(1, "name") + "Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"),
    ("create_alias", {"FunctionName": NAME, "Name": "live", "FunctionVersion": "1"}, CONFLICT, 409,
     f"Alias already exists: {ARN}:live"),
    ("create_alias", {"FunctionName": NAME, "Name": "a", "FunctionVersion": "9"}, MISSING, 404,
     f"Function not found: {ARN}:9"),
    ("create_alias", {"FunctionName": NAME, "Name": "a", "FunctionVersion": "$LATEST",
                      "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.5}}}, INVALID, 400,
     "$LATEST is not supported for an alias pointing to more than 1 version"),
    ("create_alias", {"FunctionName": NAME, "Name": "a", "FunctionVersion": "1",
                      "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.5}}}, INVALID, 400,
     "Invalid function version 1. Function version 1 is already included in routing configuration."),
    ("get_alias", {"FunctionName": NAME, "Name": "dead"}, MISSING, 404, f"Cannot find alias arn: {ARN}:dead"),
    ("add_permission", {"FunctionName": NAME, "Qualifier": "$LATEST", "StatementId": "s", "Principal": "*",
                        "Action": "lambda:InvokeFunction"}, INVALID, 400,
     "We currently do not support adding policies for $LATEST."),
    ("add_permission", {"FunctionName": NAME, "StatementId": "s", "Principal": "nobody",
                        "Action": "lambda:InvokeFunction"}, INVALID, 400,
     "The provided principal was invalid. Please check the principal and try again."),
    ("add_permission", {**PERMISSION, "Principal": "invalid.nonaws.com"}, INVALID, 400,
     "The provided principal was invalid. Please check the principal and try again."),
    ("add_permission", {**PERMISSION, "Qualifier": "with-$-inside"}, MISSING, 404,
     f"Function not found: {ARN}:with-$-inside"),
    ("add_permission", {**PERMISSION, "Qualifier": "dead"}, MISSING, 404, f"Cannot find alias arn: {ARN}:dead"),
    ("add_permission", {**PERMISSION, "Qualifier": "live", "RevisionId": "x"}, "PreconditionFailedException", 412,
     STALE.format("GetFunction/GetAlias")),
    ("add_permission", {**PERMISSION, "FunctionUrlAuthType": "NONE"}, INVALID, 400,
     "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action"),
    ("get_policy", {"FunctionName": NAME}, MISSING, 404, NOT_THERE),
    ("get_policy", {"FunctionName": NAME, "Qualifier": "77"}, MISSING, 404, NOT_THERE),
    ("get_policy", {"FunctionName": "nobody"}, MISSING, 404, f"Function not found: {NONE}"),
    ("remove_permission", {"FunctionName": "nobody", "StatementId": "s"}, MISSING, 404, f"No policy found for: {NONE}"),
    ("remove_permission", {"FunctionName": NAME, "StatementId": "s", "Qualifier": "dead"}, MISSING, 404,
     f"Cannot find alias arn: {ARN}:dead"),
    ("remove_permission", {"FunctionName": NAME, "StatementId": "s"}, MISSING, 404,
     "No policy is associated with the given resource."),
    ("create_function_url_config", {"FunctionName": "nobody", "AuthType": "NONE"}, MISSING, 404,
     "Function does not exist"),
    ("create_function_url_config", {"FunctionName": NAME, "AuthType": "NONE", "Qualifier": "1"}, VALIDATION, 400,
     FAILED.format(1, "qualifier") + r"Member must satisfy regular expression pattern: ((?!^\d+$)^[0-9a-zA-Z-_]+$)"),
    ("get_function_url_config", {"FunctionName": NAME}, MISSING, 404, NOT_THERE),
    ("update_function_url_config", {"FunctionName": "nobody", "AuthType": "NONE"}, MISSING, 404,
     "Function does not exist"),
    ("update_function_url_config", {"FunctionName": NAME, "AuthType": "NONE"}, MISSING, 404, NOT_THERE),
    ("put_function_concurrency", {"FunctionName": "nobody", "ReservedConcurrentExecutions": 1}, MISSING, 404,
     f"Function not found: {NONE}:$LATEST"),
    *[(f"{verb}_function_event_invoke_config{s}", {"FunctionName": "nobody", **more}, MISSING, 404,
       "The function doesn't exist.")
      for verb, s, more in [("put", "", RETRIES), ("update", "", RETRIES), ("list", "s", {})]],
    ("get_function_event_invoke_config", {"FunctionName": "nobody"}, MISSING, 404,
     f"The function {NONE}:$LATEST doesn't have an EventInvokeConfig"),
    ("put_function_event_invoke_config", {"FunctionName": NAME, "Qualifier": "dead", **RETRIES}, MISSING, 404,
     "The function doesn't exist."),
    ("put_function_event_invoke_config", {"FunctionName": NAME, "DestinationConfig": {
        "OnSuccess": {"Destination": "arn:aws:iam:us-east-1:000000000000:x"}}}, INVALID, 400,
     "The provided destination config DestinationConfig(onSuccess=OnSuccess(destination=arn:aws:iam:us-east-1:"
     "000000000000:x), onFailure=null) is invalid."),
    ("put_function_event_invoke_config", {"FunctionName": NAME, "DestinationConfig": {
        "OnFailure": {"Destination": "arn:aws:_/!lambda:x"}}}, VALIDATION, 400,
     FAILED.format("arn:aws:_/!lambda:x", "destinationConfig.onFailure.destination") + "Member must satisfy regular "
     r"expression pattern: $|kafka://([^.]([a-zA-Z0-9\-_.]{0,248}))|arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:"
     r"((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?"
     r":(\d{12})?:(.*)"),
    ("create_event_source_mapping", {"FunctionName": NAME}, INVALID, 400, "Unrecognized event source."),
    ("create_event_source_mapping", {"FunctionName": "nobody", "EventSourceArn": QUEUE}, INVALID, 400,
     "Function does not exist"),
    ("create_event_source_mapping", {"FunctionName": NAME, "EventSourceArn": QUEUE, "StartingPosition": "0"}, VALIDATION,
     400, FAILED.format(0, "startingPosition") + "Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, "
     "TRIM_HORIZON]"),
    ("create_event_source_mapping", {"FunctionName": NAME, "EventSourceArn": QUEUE, "StartingPosition": "LATEST"},
     INVALID, 400, "StartingPosition is not valid for SQS event sources."),
    ("put_provisioned_concurrency_config",
     {"FunctionName": NAME, "Qualifier": "$LATEST", "ProvisionedConcurrentExecutions": 1}, INVALID, 400,
     "Provisioned Concurrency Configs cannot be applied to unpublished function versions."),
    ("get_provisioned_concurrency_config", {"FunctionName": NAME, "Qualifier": "$LATEST"}, INVALID, 400,
     "The function resource provided must be an alias or a published version."),
    ("get_provisioned_concurrency_config", {"FunctionName": NAME, "Qualifier": "1"},
     "ProvisionedConcurrencyConfigNotFoundException", 404, "No Provisioned Concurrency Config found for this function"),
    ("get_layer_version", {"LayerName": "messages", "VersionNumber": 9}, MISSING, 404, NOT_THERE),
    ("get_layer_version", {"LayerName": "messages", "VersionNumber": 0}, INVALID, 400,
     "Layer Version Cannot be less than 1"),
    ("get_layer_version_by_arn", {"Arn": LAYER}, VALIDATION, 400,
     FAILED.format(LAYER, "arn") + "Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:"
     r"(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:"
     "lambda:::awslayer:[a-zA-Z0-9-_]+)"),
    ("get_layer_version_policy", {"LayerName": "messages", "VersionNumber": 1}, MISSING, 404,
     "No policy is associated with the given resource."),
    ("add_layer_version_permission", {"LayerName": "messages", "VersionNumber": 9, "StatementId": "s",
                                      "Action": "lambda:GetLayerVersion", "Principal": "*"}, MISSING, 404,
     f"Layer version {LAYER}:9 does not exist."),
    ("publish_layer_version", {"LayerName": "x", "Content": {"ZipFile": ZIP}, "CompatibleArchitectures": ["z80", "arm64"]},
     VALIDATION, 400, FAILED.format("[z80, arm64]", "compatibleArchitectures") + "Member must satisfy constraint: "
     "[Member must satisfy enum value set: [x86_64, arm64]]"),
    ("tag_resource", {"Resource": "arn:aws:something", "Tags": {"a": "b"}}, VALIDATION, 400,
     FAILED.format("arn:aws:something", "resource") + "Member must satisfy regular expression pattern: "
     r"arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:(function:[a-zA-Z0-9-_]+(:(\$LATEST"
     "|[a-zA-Z0-9-_]+))?|layer:([a-zA-Z0-9-_]+)|code-signing-config:csc-[a-z0-9]{17}|event-source-mapping:[0-9a-fA-F]"
     "{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|capacity-provider:[a-zA-Z0-9-_]+)"),
    ("list_tags", {"Resource": MAPPING}, MISSING, 404, NOT_THERE),
    ("tag_resource", {"Resource": f"{ARN}:1", "Tags": {"a": "b"}}, INVALID, 400,
     "Tags on function aliases and versions are not supported. Please specify a function ARN."),
    ("tag_resource", {"Resource": ARN, "Tags": {}}, INVALID, 400,
     "An error occurred and the request cannot be processed."),
    ("list_tags", {"Resource": NONE}, MISSING, 404, f"Function not found: {NONE}"),
    *[(operation, {"FunctionName": f"{NAME}:1", **more}, INVALID, 400,
       "Current operation does not support versions other than $LATEST")
      for operation, more in [("update_function_configuration", {"Timeout": 5}), ("publish_version", {}),
                              ("update_function_code", {"ZipFile": ZIP})]],
    ("update_function_code", {"FunctionName": NAME, "ImageUri": "1.dkr.ecr.us-east-1.amazonaws.com/x:1"}, INVALID, 400,
     "Please don't provide ImageUri when updating a function with packageType Zip."),
    ("delete_function", {"FunctionName": NAME, "Qualifier": "live"}, INVALID, 400,
     "Deletion of aliases is not currently supported."),
    ("create_function", create(Environment={"Variables": {"LARGE_VAR": "x" * 4081}}), INVALID, 400,
     "Lambda was unable to configure your environment variables because the environment variables you have provided "
     'exceeded the 4KB limit. String measured: {"LARGE_VAR":"' + "x" * 4081 + '"}'),
    ("create_alias", {"FunctionName": "nobody", "Name": "a", "FunctionVersion": "1"}, MISSING, 404,
     f"Function not found: {NONE}:1"),
    ("put_function_recursion_config", {"FunctionName": NAME, "RecursiveLoop": "x"}, VALIDATION, 400,
     FAILED.format("x", "recursiveLoop") + "Member must satisfy enum value set: [Terminate, Allow]"),
    *[("invoke", {"FunctionName": "nobody", "InvocationType": kind}, MISSING, 404, f"Function not found: {NONE}:$LATEST")
      for kind in ("RequestResponse", "Event", "DryRun")],
    ("get_function", {"FunctionName": NAME, "Qualifier": "a.b"}, VALIDATION, 400, FAILED.format("a.b", "qualifier") +
     r"Member must satisfy regular expression pattern: \$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+"),
    ("get_function", {"FunctionName": "no.body"}, MISSING, 404, f"Function not found: {NONE.replace('nobody', 'no.body')}"),
    ("create_function", create(FunctionName="x" * 141), INVALID, 400,
     FAILED.format("x" * 141, "functionName") + "Member must have length less than or equal to 64"),
    ("invoke", {"FunctionName": NAME, "InvocationType": "Later"}, VALIDATION, 400,
     FAILED.format("Later", "invocationType") + "Member must satisfy enum value set: [Event, RequestResponse, DryRun]"),
    ("invoke", {"FunctionName": "a b"}, VALIDATION, 400, FAILED.format("a b", "functionName") +
     "Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?"
     r"((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)"
     r"(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"),
]


@pytest.fixture(scope="module")
def functions(server):
    client = server.client("lambda", parameter_validation=False)
    client.create_function(**create(FunctionName=NAME, Publish=True))
    client.create_alias(FunctionName=NAME, Name="live", FunctionVersion="1")
    client.publish_layer_version(LayerName="messages", Content={"ZipFile": ZIP})
    return client


@pytest.mark.parametrize("operation, arguments, code, status, message", CASES,
                         ids=[f"{case[0]}-{number}" for number, case in enumerate(CASES)])
def test_refusals(functions, operation, arguments, code, status, message):
    with pytest.raises(ClientError) as caught:
        getattr(functions, operation)(**arguments)
    answer = caught.value.response
    assert (answer["Error"]["Code"], answer["Error"]["Message"]) == (code, message)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == status


def test_a_configuration_has_awss_members(functions):
    made = functions.create_function(**create(FunctionName="messages-members"))
    made.pop("ResponseMetadata")
    constant = {
        "Architectures", "CodeSha256", "CodeSize", "Description", "EphemeralStorage", "FunctionArn", "FunctionName",
        "Handler", "LastModified", "LoggingConfig", "MemorySize", "PackageType", "RevisionId", "Role", "Runtime",
        "RuntimeVersionConfig", "SnapStart", "State", "Timeout", "TracingConfig", "Version",
    }
    assert made.keys() == constant | {"StateReason", "StateReasonCode"}
    functions.get_waiter("function_active_v2").wait(FunctionName="messages-members")
    found = functions.get_function(FunctionName="messages-members")
    found["Configuration"].pop("StateReason", None)  # it may tell of the interpreter
    assert found["Configuration"].keys() == constant | {"LastUpdateStatus"}
    assert found["Code"].keys() == {"RepositoryType", "Location"}
    listed = next(f for f in functions.list_functions()["Functions"] if f["FunctionName"] == "messages-members")
    assert listed.keys() == constant - {"State", "RuntimeVersionConfig"}
    assert json.dumps(found["Configuration"]["SnapStart"], sort_keys=True) == (
        '{"ApplyOn": "None", "OptimizationStatus": "Off"}'
    )


def test_a_url_has_awss_members(functions):
    functions.create_function(**create(FunctionName="messages-url"))
    made = functions.create_function_url_config(FunctionName="messages-url", AuthType="NONE")
    made.pop("ResponseMetadata")
    members = {"FunctionUrl", "FunctionArn", "AuthType", "CreationTime"}
    # What the request did not say, the answer does not either.
    assert made.keys() == members
    changed = functions.update_function_url_config(FunctionName="messages-url", InvokeMode="RESPONSE_STREAM")
    changed.pop("ResponseMetadata")
    assert changed.keys() == members | {"LastModifiedTime", "InvokeMode"}
    found = functions.get_function_url_config(FunctionName="messages-url")
    found.pop("ResponseMetadata")
    assert found.keys() == changed.keys()
    assert "FunctionName" not in functions.get_function_code_signing_config(FunctionName="messages-url")


def test_a_mapping_has_tags(server, functions):
    server.client("sqs").create_queue(QueueName="messages-tags")
    functions.create_function(**create(FunctionName="messages-tags"))
    mapping = functions.create_event_source_mapping(
        FunctionName="messages-tags", EventSourceArn=QUEUE.replace("nothing", "messages-tags"), Tags={"a": "1"})
    arn = mapping["EventSourceMappingArn"]
    functions.tag_resource(Resource=arn, Tags={"b": "2"})
    assert functions.list_tags(Resource=arn)["Tags"] == {"a": "1", "b": "2"}
    functions.untag_resource(Resource=arn, TagKeys=["a", "c"])
    assert functions.list_tags(Resource=arn)["Tags"] == {"b": "2"}
    functions.delete_event_source_mapping(UUID=mapping["UUID"])
