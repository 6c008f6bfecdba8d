"""Answers that are read while the function writes them."""

import http.client
import json
import urllib.parse
from urllib.request import urlopen

import pytest
from conftest import make_function, refused, zip_of

NODE = """
const signed = () => {
  const at = new Date().toISOString().replace(/[-:]|\\.\\d+/g, "");
  const scope = `test/${at.slice(0, 8)}/us-east-1/s3/aws4_request`;
  return { headers: { "x-amz-date": at,
    Authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0` } };
};
exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {
  if (event.http || event.rawPath) {
    stream = awslambda.HttpResponseStream.from(stream, {
      statusCode: 201, headers: {"content-type": "text/event-stream", "x-made": "here"}, cookies: ["a=1"],
    });
  } else stream.setContentType("text/plain");
  stream.write("first\\n");
  if (event.fail) { await new Promise((r) => setTimeout(r, 50)); throw new Error("half way"); }
  if (event.size) stream.write(Buffer.alloc(event.size, "x"));
  while (event.until && !(await fetch(process.env.AWS_ENDPOINT_URL + event.until, signed())).ok) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  stream.write("last\\n");
  stream.end();
});
"""


@pytest.fixture(scope="module")
def functions(server):
    return server.client("lambda")


@pytest.fixture(scope="module")
def node(server, functions):
    runtimes = [line for line in server.log.read_text().splitlines() if "runtime     nodejs" in line]
    if not runtimes:
        pytest.skip("this machine has no Node.js")
    runtime = runtimes[0].split()[1]
    make_function(functions, "streaming-node", {"app.js": NODE}, Runtime=runtime, MemorySize=256, Timeout=20)
    return "streaming-node"


def stream(functions, name, event=None, **arguments):
    answer = functions.invoke_with_response_stream(FunctionName=name, Payload=json.dumps(event or {}), **arguments)
    return answer, answer["EventStream"]


def gather(events):
    text, complete = b"", None
    for event in events:
        text += event.get("PayloadChunk", {}).get("Payload", b"")
        complete = event.get("InvokeComplete", complete)
    return text, complete


def test_the_first_byte_comes_before_the_function_ends(server, functions, node):
    s3 = server.client("s3")
    s3.create_bucket(Bucket="streaming")
    answer, events = stream(functions, node, {"until": "/streaming/read"})
    assert answer["ExecutedVersion"] == "$LATEST" and answer["StatusCode"] == 200
    events = iter(events)
    first = next(events)["PayloadChunk"]["Payload"]
    assert first == b"first\n"
    # The function waits until it hears that this was read; if nobody says so, it is ended at its time limit.
    s3.put_object(Bucket="streaming", Key="read", Body=b"")
    rest, complete = gather(events)
    assert rest == b"last\n" and complete == {}
    s3.delete_object(Bucket="streaming", Key="read")
    s3.delete_bucket(Bucket="streaming")


def test_a_stream_is_larger_than_an_answer_may_be(functions, node):
    _, events = stream(functions, node, {"size": 20 << 20})
    text, complete = gather(events)
    assert len(text) == (20 << 20) + 11 and complete == {}
    answer = functions.invoke(FunctionName=node, Payload=json.dumps({"size": 7 << 20}))
    assert json.loads(answer["Payload"].read())["errorType"] == "Function.ResponseSizeTooLarge"


def test_a_stream_that_fails_says_so_at_its_end(functions, node):
    _, events = stream(functions, node, {"fail": True}, LogType="Tail")
    text, complete = gather(events)
    assert text == b"first\n" and complete["ErrorCode"] == "Unhandled"
    assert "half way" in complete["ErrorDetails"] and complete["LogResult"]


def test_a_function_that_does_not_stream_answers_as_a_whole(functions):
    make_function(functions, "streaming-python", "def handler(event, context): return {'n': event['n'] + 1}")
    answer, events = stream(functions, "streaming-python", {"n": 1})
    assert gather(events) == (b'{"n": 2}', {})
    answer = functions.invoke_with_response_stream(FunctionName="streaming-python", InvocationType="DryRun")
    assert answer["StatusCode"] == 204
    refused("ResourceNotFoundException", functions.invoke_with_response_stream, 404, FunctionName="streaming-none")


def test_a_url_streams_status_headers_and_body(functions, node, server):
    url = functions.create_function_url_config(
        FunctionName=node, AuthType="NONE", InvokeMode="RESPONSE_STREAM"
    )["FunctionUrl"]
    with urlopen(url + "path", timeout=20) as response:
        assert response.status == 201 and response.headers["x-made"] == "here"
        assert response.headers["content-type"] == "text/event-stream"
        assert response.headers["set-cookie"] == "a=1"
        assert response.read() == b"first\nlast\n"
    functions.update_function_url_config(FunctionName=node, InvokeMode="BUFFERED")
    with urlopen(url + "path", timeout=20) as response:
        assert (response.status, response.read()) == (201, b"first\nlast\n")


BOOTSTRAP = """#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while true; do
  headers=$(mktemp)
  curl -sS -D "$headers" "$api/next" > /dev/null
  id=$(tr -d '\\r' < "$headers" | awk -F': ' 'tolower($1) == "lambda-runtime-aws-request-id" {print $2}')
  { echo one; sleep 0.3; echo two; } | curl -sS -X POST -T - -H 'Lambda-Runtime-Function-Response-Mode: streaming' \
    -H 'Transfer-Encoding: chunked' -H 'Content-Type: text/plain' "$api/$id/response" > /dev/null
done
"""


def test_a_custom_runtime_streams(functions):
    make_function(functions, "streaming-custom", {"bootstrap": BOOTSTRAP}, Runtime="provided.al2023", Handler="x",
                  MemorySize=256)
    _, events = stream(functions, "streaming-custom")
    assert gather(events) == (b"one\ntwo\n", {})
    answer = functions.invoke(FunctionName="streaming-custom")
    assert answer["Payload"].read() == b"one\ntwo\n"


def test_an_event_of_the_old_operation_is_taken(functions, server):
    make_function(functions, "streaming-async", "def handler(event, context): print('got', event)")
    answer = functions.invoke_async(FunctionName="streaming-async", InvokeArgs=b'{"a": 1}')
    assert answer["Status"] == 202
