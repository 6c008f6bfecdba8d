"""LoggingConfig, by the clients that people use: what is kept of a function's log, and in which form."""

import base64
import json

import pytest
from conftest import make_function, refused
from mayfly_process import wait_for

INVALID = "InvalidParameterValueException"
SOURCE = '''
import logging

log = logging.getLogger("mine")

def handler(event, context):
    print("raw")
    log.debug("fine")
    log.info("plain", extra={"order": 7})
    log.warning("odd")
    if event.get("raise"):
        raise ValueError("no")
    return "ok"
'''


@pytest.fixture(scope="module")
def functions(server):
    return server.client("lambda")


def logged(server, functions, name, **event):
    """The whole log of one event: what the Tail says and what `mayfly logs` says are the same."""
    answer = functions.invoke(FunctionName=name, Payload=json.dumps(event), LogType="Tail")
    id = answer["ResponseMetadata"]["RequestId"]
    tail = base64.b64decode(answer["LogResult"]).decode().splitlines()

    def kept():
        lines = server.mayfly("logs", name, "--endpoint", server.url).splitlines()
        mine = [line.split(" ", 2)[2] for line in lines if line[24:].startswith(f" {id} ")]
        return mine if len(mine) == len(tail) else None

    assert wait_for(kept, 20, "the log") == tail
    return id, tail


def records(lines):
    return [json.loads(line) for line in lines if line.startswith("{")]


def test_json_records_of_platform_and_function(server, functions):
    config = make_function(functions, "json-log", SOURCE, LoggingConfig={"LogFormat": "JSON"})
    assert config["LoggingConfig"] == {
        "LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", "LogGroup": "/aws/lambda/json-log",
    }
    id, lines = logged(server, functions, "json-log")
    start, plain, odd, report = records(lines)
    assert len(lines) == 5 and "raw" in lines
    assert (start["type"], start["record"]) == ("platform.start", {"requestId": id, "version": "$LATEST"})
    assert (plain["level"], plain["message"], plain["logger"], plain["order"]) == ("INFO", "plain", "mine", 7)
    assert plain["requestId"] == id and odd["level"] == "WARNING"
    assert report["type"] == "platform.report" and report["record"]["status"] == "success"
    metrics = report["record"]["metrics"]
    assert set(metrics) == {
        "durationMs", "billedDurationMs", "memorySizeMB", "maxMemoryUsedMB", "initDurationMs",
        "start", "queueDurationMs", "cpuTimeMs", "bytesIn", "bytesOut",
    }
    assert (metrics["memorySizeMB"], metrics["bytesIn"], metrics["bytesOut"]) == (128, 2, 4)
    assert metrics["durationMs"] + metrics["initDurationMs"] <= metrics["billedDurationMs"]


def test_levels_decide_what_is_kept(server, functions):
    levels = {"LogFormat": "JSON", "ApplicationLogLevel": "WARN", "SystemLogLevel": "WARN"}
    make_function(functions, "quiet", SOURCE, LoggingConfig=levels)
    _, lines = logged(server, functions, "quiet")
    assert [record["message"] for record in records(lines)] == ["odd"]
    assert "raw" not in lines  # what names no level counts as INFO
    # A failure is worth a warning.
    id, lines = logged(server, functions, "quiet", **{"raise": True})
    odd, error, done, report = records(lines)
    assert (error["level"], error["errorType"], error["requestId"]) == ("ERROR", "ValueError", id)
    assert "in handler" in error["stackTrace"][0] and error["timestamp"].endswith("Z")
    assert (done["type"], report["type"]) == ("platform.runtimeDone", "platform.report")
    assert (report["record"]["status"], report["record"]["errorType"]) == ("error", "ValueError")

    functions.update_function_configuration(
        FunctionName="quiet", LoggingConfig={"ApplicationLogLevel": "DEBUG", "SystemLogLevel": "DEBUG"}
    )
    _, lines = logged(server, functions, "quiet")
    messages = [record.get("message") or record["type"] for record in records(lines)]
    assert messages == ["platform.start", "fine", "plain", "odd", "platform.runtimeDone", "platform.report"]


def test_text_is_the_default_and_a_group_is_a_name(server, functions):
    source = "import os\ndef handler(event, context):\n    return [context.log_group_name, os.environ['AWS_LAMBDA_LOG_FORMAT']]\n"
    make_function(functions, "grouped", source, LoggingConfig={"LogGroup": "team/a"})
    config = functions.get_function_configuration(FunctionName="grouped")
    assert config["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": "team/a"}
    answer = functions.invoke(FunctionName="grouped")
    assert json.load(answer["Payload"]) == ["team/a", "Text"]
    # The log is by function all the same.
    assert "REPORT RequestId" in wait_for(
        lambda: server.mayfly("logs", "grouped", "--endpoint", server.url), 20, "the log"
    )


def test_what_cannot_be_is_refused(functions):
    make_function(functions, "text-log", SOURCE)
    update = functions.update_function_configuration
    message = refused(INVALID, update, 400, FunctionName="text-log", LoggingConfig={"SystemLogLevel": "DEBUG"})
    assert message == (
        'LogLevel is not supported when LogFormat is set to "Text". Remove LogLevel from your request or change the '
        'LogFormat to "JSON" and try again.'
    )
    message = refused("ValidationException", update, 400, FunctionName="text-log", LoggingConfig={"LogGroup": "a b"})
    assert "loggingConfig.logGroup" in message
    assert functions.get_function_configuration(FunctionName="text-log")["LoggingConfig"]["LogFormat"] == "Text"
