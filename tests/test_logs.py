"""Functions' logs through the CloudWatch Logs API, as `sam logs`, `serverless logs` and `aws logs tail` read them."""

import time

import boto3
import pytest
from conftest import ACCOUNT, REGION, ROLE, RUNTIME, refused, zip_of
from mayfly_process import wait_for

SOURCE = "def handler(event, context):\n    print('line', event['n'])\n    return event['n']"
NAME = "logs-api"
GROUP = f"/aws/lambda/{NAME}"


@pytest.fixture(scope="module")
def logs(server):
    functions, logs = server.client("lambda"), server.client("logs")
    functions.create_function(FunctionName=NAME, Runtime=RUNTIME, Handler="app.handler", Role=ROLE,
                              Code={"ZipFile": zip_of({"app.py": SOURCE})}, Publish=True)
    for n in range(3):
        functions.invoke(FunctionName=NAME, Payload=str({"n": n}).replace("'", '"'))
    wait_for(lambda: len(logs.filter_log_events(logGroupName=GROUP, filterPattern="REPORT")["events"]) == 3, 10,
             "the lines of three runs")
    return logs


def messages(answer):
    return [event["message"] for event in answer["events"]]


def test_groups_and_streams(logs):
    [group] = logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]
    assert group["arn"] == f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}:*" and group["logGroupName"] == GROUP
    found = [one["logGroupName"] for one in logs.describe_log_groups(logGroupNamePattern="GS-API")["logGroups"]]
    # Functions of other tests may be there, too.
    assert GROUP in found and all("gs-api" in name for name in found)
    names = [group["logGroupName"] for page in logs.get_paginator("describe_log_groups").paginate(
        PaginationConfig={"PageSize": 1}) for group in page["logGroups"]]
    assert GROUP in names and len(set(names)) == len(names)
    [stream] = logs.describe_log_streams(logGroupName=GROUP, orderBy="LastEventTime", descending=True)["logStreams"]
    assert stream["firstEventTimestamp"] <= stream["lastEventTimestamp"]
    assert logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="other")["logStreams"] == []


def test_events_are_filtered(logs):
    [stream] = logs.describe_log_streams(logGroupName=GROUP)["logStreams"]
    every = logs.filter_log_events(logGroupName=GROUP, logStreamNames=[stream["logStreamName"]], interleaved=True,
                                   startTime=int(time.time() * 1000) - 600_000)
    assert [line for line in messages(every) if line.startswith("line")] == ["line 0\n", "line 1\n", "line 2\n"]
    assert messages(every)[0].startswith("START RequestId: ") and len({one["eventId"] for one in every["events"]}) == 12
    for pattern, wanted in [("line", 3), ('"line 1"', 1), ("?START ?END", 6), ("-RequestId", 3), ("line 2", 1), ("none", 0)]:
        assert len(logs.filter_log_events(logGroupName=GROUP, filterPattern=pattern)["events"]) == wanted, pattern
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=GROUP, PaginationConfig={"PageSize": 5})
    assert [message for page in pages for message in messages(page)] == messages(every)
    assert logs.filter_log_events(logGroupName=GROUP, endTime=every["events"][0]["timestamp"])["events"] == []
    assert logs.filter_log_events(logGroupName=GROUP, startTime=int(time.time() * 1000) + 60_000)["events"] == []
    assert logs.filter_log_events(logGroupName=GROUP, logStreamNames=["other"])["events"] == []
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}"
    assert len(logs.filter_log_events(logGroupIdentifier=arn)["events"]) == 12


def test_events_are_read_forwards_and_backwards(logs):
    [stream] = logs.describe_log_streams(logGroupName=GROUP)["logStreams"]
    read = {"logGroupName": GROUP, "logStreamName": stream["logStreamName"]}
    every = messages(logs.get_log_events(**read))
    assert len(every) == 12
    head = logs.get_log_events(**read, startFromHead=True, limit=5)
    rest = logs.get_log_events(**read, nextToken=head["nextForwardToken"])
    end = logs.get_log_events(**read, nextToken=rest["nextForwardToken"])
    assert messages(head) + messages(rest) == every and end["events"] == []
    assert end["nextForwardToken"] == rest["nextForwardToken"]
    tail = logs.get_log_events(**read, limit=5)
    before = logs.get_log_events(**read, nextToken=tail["nextBackwardToken"])
    assert messages(before) + messages(tail) == every


def test_what_cannot_be_read(logs, server):
    missing = "The specified log group does not exist."
    for name in ("/aws/lambda/nobody", "/other", f"{GROUP}:1", "/aws/lambda/a b"):
        assert refused("ResourceNotFoundException", logs.filter_log_events, 400, logGroupName=name) == missing
    refused("ResourceNotFoundException", logs.get_log_events, 400, logGroupName=GROUP, logStreamName="other")
    for arguments in ({"filterPattern": "{ $.x = 1 }"}, {"filterPattern": '"open'}, {"nextToken": "x"}):
        refused("InvalidParameterException", logs.filter_log_events, 400, logGroupName=GROUP, **arguments)
    refused("NotImplemented", logs.create_log_group, 501, logGroupName="/other")
    elsewhere = boto3.session.Session("test", "test", region_name="eu-west-1").client("logs", endpoint_url=server.url)
    refused("ResourceNotFoundException", elsewhere.filter_log_events, 400, logGroupName=GROUP)
