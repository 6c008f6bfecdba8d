"""Function URLs: an HTTP request becomes an event of format 2.0, and the answer a response."""

import base64
import http.client
import json
import uuid

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from conftest import REGION, make_function

ECHO = "def handler(event, context):\n    return event\n"

# Answers with whatever the request's body says.
PUPPET = "import json\ndef handler(event, context):\n    return json.loads(event['body'])\n"

MB = 1 << 20


class Url:
    """A function with a URL, and requests to it."""

    def __init__(self, server, source, auth="NONE"):
        self.server, self.functions = server, server.client("lambda")
        self.name = f"url-{uuid.uuid4().hex[:12]}"
        make_function(self.functions, self.name, source)
        config = self.functions.create_function_url_config(FunctionName=self.name, AuthType=auth)
        self.url = config["FunctionUrl"]
        assert self.url.startswith(f"{server.url}/lambda-url/") and self.url.endswith("/")
        self.id = self.url.rstrip("/").rsplit("/", 1)[1]

    def send(self, method="GET", path="/", body=None, headers=(), host=None):
        """One request by path, or by host name; status, headers and body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        try:
            base = "" if host else f"/lambda-url/{self.id}"
            # skip_host: the header is ours to set.
            connection.putrequest(method, base + path, skip_host=bool(host))
            headers = list(headers) + ([("Host", host)] if host else [])
            if body is not None:
                headers.append(("Content-Length", str(len(body))))
            for name, value in headers:
                connection.putheader(name, value)
            try:
                connection.endheaders(body)
            except (BrokenPipeError, ConnectionResetError):
                pass  # A body that is too large is answered before its end.
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def event(self, *arguments, **more):
        """The event that a request became."""
        status, _, body = self.send(*arguments, **more)
        assert status == 200, body
        return json.loads(body)

    def puppet(self, answer):
        """The response that a function's answer becomes."""
        return self.send(
            "POST", "/", json.dumps(answer).encode(), [("Content-Type", "application/json")]
        )


@pytest.fixture(scope="module")
def echo(server):
    return Url(server, ECHO)


@pytest.fixture(scope="module")
def puppet(server):
    return Url(server, PUPPET)


def test_a_request_becomes_an_event(echo):
    event = echo.event(
        "POST", "/a%20b/c?x=1&x=2&y=%C3%A9", b'{"n": 1}',
        [("Content-Type", "application/json"), ("Cookie", "a=1; b=2"), ("X-Thing", "one"),
         ("X-Thing", "two"), ("User-Agent", "test")],
    )
    assert event["version"] == "2.0" and event["routeKey"] == "$default"
    assert event["rawPath"] == "/a%20b/c"
    assert event["rawQueryString"] == "x=1&x=2&y=%C3%A9"
    assert event["queryStringParameters"] == {"x": "1,2", "y": "é"}
    assert event["cookies"] == ["a=1", "b=2"]
    assert event["headers"]["x-thing"] == "one,two" and "cookie" not in event["headers"]
    assert (event["body"], event["isBase64Encoded"]) == ('{"n": 1}', False)
    context = event["requestContext"]
    assert context["apiId"] == echo.id and context["stage"] == "$default"
    assert context["http"] == {
        "method": "POST", "path": "/a b/c", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1",
        "userAgent": "test",
    }


def test_by_host_name_the_whole_path_is_the_functions(echo):
    host = f"{echo.id}.lambda-url.{REGION}.localhost:{echo.server.port}"
    event = echo.event("GET", "/lambda-url/x?q", host=host)
    assert event["rawPath"] == "/lambda-url/x" and event["rawQueryString"] == "q"
    assert event["requestContext"]["domainPrefix"] == echo.id
    assert "body" not in event and "cookies" not in event


def test_binary_bodies_travel_in_base64(echo, puppet):
    content = bytes(range(256))
    event = echo.event("PUT", "/", content, [("Content-Type", "image/png")])
    assert event["isBase64Encoded"] and base64.b64decode(event["body"]) == content
    status, headers, body = puppet.puppet({
        "statusCode": 200, "headers": {"Content-Type": "image/png"},
        "body": base64.b64encode(content).decode(), "isBase64Encoded": True,
    })
    assert (status, headers["content-type"], body) == (200, "image/png", content)


def test_answers(puppet):
    status, headers, body = puppet.puppet({
        "statusCode": 201, "headers": {"X-Thing": "1"}, "cookies": ["a=1", "b=2; Secure"], "body": "hi",
    })
    assert (status, headers["x-thing"], body) == (201, "1", b"hi")
    assert headers.get_all("set-cookie") == ["a=1", "b=2; Secure"]
    status, headers, body = puppet.puppet({"some": "thing"})
    assert (status, headers["content-type"], json.loads(body)) == (200, "application/json", {"some": "thing"})
    status, _, body = puppet.puppet("just text")
    assert (status, body) == (200, b'just text')
    status, _, body = puppet.puppet({"statusCode": 204})
    assert (status, body) == (204, b"")


def test_answers_that_are_none_become_502(server, puppet):
    for answer in [{"statusCode": 99}, {"statusCode": "x"}, {"statusCode": 200, "headers": {"a b": "c"}}]:
        assert puppet.puppet(answer)[0] == 502
    broken = Url(server, "def handler(event, context):\n    raise ValueError('secret')\n")
    status, _, body = broken.send()
    assert status == 502 and b"Internal Server Error" in body and b"secret" not in body


def test_head_and_options_reach_the_function(echo):
    status, _, body = echo.send("HEAD", "/x")
    assert (status, body) == (200, b"")
    assert echo.event("OPTIONS", "/x")["requestContext"]["http"]["method"] == "OPTIONS"


def test_what_is_not_served(server, echo):
    assert echo.send("POST", "/", b"a" * (6 * MB + 1))[0] == 413
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    status, _, body = echo.send("GET", "/", headers=upgrade)
    assert status == 501 and b"WebSocket" in body
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/lambda-url/nobody/")
    response = connection.getresponse()
    assert (response.status, json.load(response)["Message"][:10]) == (403, "Forbidden.")


def test_with_aws_iam_a_request_must_be_signed(server):
    signed = Url(server, ECHO, "AWS_IAM")
    assert signed.send()[0] == 403
    request = AWSRequest("GET", signed.url)
    SigV4Auth(Credentials("test", "test"), "lambda", REGION).add_auth(request)
    assert signed.send(headers=list(request.headers.items()))[0] == 200


def test_the_url_goes_with_its_function_and_when_told(server):
    url = Url(server, ECHO)
    assert url.functions.get_function_url_config(FunctionName=url.name)["FunctionUrl"] == url.url
    listed = url.functions.list_function_url_configs(FunctionName=url.name)["FunctionUrlConfigs"]
    assert [config["FunctionUrl"] for config in listed] == [url.url]
    updated = url.functions.update_function_url_config(FunctionName=url.name, AuthType="AWS_IAM")
    assert updated["AuthType"] == "AWS_IAM" and url.send()[0] == 403
    with pytest.raises(ClientError, match="FunctionUrlConfig exists"):
        url.functions.create_function_url_config(FunctionName=url.name, AuthType="NONE")
    changed = url.functions.update_function_url_config(FunctionName=url.name, InvokeMode="RESPONSE_STREAM")
    assert changed["InvokeMode"] == "RESPONSE_STREAM"
    url.functions.delete_function_url_config(FunctionName=url.name)
    assert url.send()[0] == 403
    again = url.functions.create_function_url_config(FunctionName=url.name, AuthType="NONE")
    assert again["FunctionUrl"] != url.url
    url.functions.delete_function(FunctionName=url.name)
    url.id = again["FunctionUrl"].rstrip("/").rsplit("/", 1)[1]
    assert url.send()[0] == 403
