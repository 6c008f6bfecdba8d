"""What functions reach, by setting and by tag."""

import json
import socket
import threading

import pytest
from conftest import ROLE, RUNTIME, make_function, refused, zip_of
from test_program import run

TAG = "mayfly:network"
REACH = '''
import socket, urllib.request, os

def tries(what):
    try: return what()
    except OSError as error: return type(getattr(error, "reason", error)).__name__

def platform():
    with urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/health", timeout=10) as answer:
        return answer.status

def outside(host, port):
    with socket.create_connection((host, port), 10) as connection:
        connection.sendall(b"ping")
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile().read()

def handler(event, context):
    return [tries(platform), tries(lambda: outside(*event))]
'''


def own_address():
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
            address = probe.getsockname()[0]
        except OSError:
            address = "127.0.0.1"
    if address.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    return address


@pytest.fixture
def echo():
    """A server on this machine's own address that sends back what it gets: host and port."""
    with socket.create_server((own_address(), 0)) as server:

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(connection.makefile("rb").read())

        threading.Thread(target=serve, daemon=True).start()
        yield list(server.getsockname())
        server.shutdown(socket.SHUT_RDWR)


def call(client, name, event):
    """The function's answer."""
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event))
    payload = json.load(answer["Payload"])
    assert "FunctionError" not in answer, payload
    return payload


def with_settings(fresh_server, tmp_path, text):
    config = tmp_path / "mayfly.toml"
    config.write_text(text)
    return fresh_server(args=["--config", str(config)])


@pytest.mark.parametrize(
    "settings, message",
    [
        ('default = "all"', "unknown variant `all`"),
        ('default = "internet"\nmost = "none"', "network.most allows none"),
        ('open = ["10.0.0.1/8"]', "the range is 10.0.0.0/8"),
        ('open = ["127.0.0.1"]', "cannot be opened"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path, settings, message):
    config = tmp_path / "mayfly.toml"
    config.write_text(f"[network]\n{settings}")
    done = run("serve", "--config", str(config), "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 1
    assert message in done.stderr


def test_an_unknown_policy_is_refused(server):
    client = server.client("lambda")
    create = {
        "FunctionName": "network-policy", "Runtime": RUNTIME, "Handler": "app.handler", "Role": ROLE,
        "Code": {"ZipFile": zip_of({"app.py": REACH})},
    }
    message = refused(
        "InvalidParameterValueException", client.create_function, **create, Tags={TAG: "everything"}
    )
    assert "everything" in message and "none, platform, internet" in message
    arn = client.create_function(**create, Tags={TAG: "none"})["FunctionArn"]
    refused("InvalidParameterValueException", client.tag_resource, Resource=arn, Tags={TAG: "Internet"})
    assert client.list_tags(Resource=arn)["Tags"] == {TAG: "none"}


def test_no_function_gets_more_than_the_node_allows(fresh_server, tmp_path):
    server = with_settings(fresh_server, tmp_path, '[network]\nmost = "platform"')
    client = server.client("lambda")
    arn = make_function(client, "f", REACH)["FunctionArn"]
    message = refused(
        "InvalidParameterValueException", client.tag_resource, Resource=arn, Tags={TAG: "internet"}
    )
    assert "platform at the most" in message


def test_what_was_allowed_before_is_refused_at_the_event(fresh_server, tmp_path):
    server = fresh_server()
    client = server.client("lambda")
    make_function(client, "f", REACH, Tags={TAG: "internet"})
    config = tmp_path / "mayfly.toml"
    config.write_text('[network]\nmost = "none"\ndefault = "none"')
    server.restart(args=["--config", str(config)])
    answer = server.client("lambda").invoke(FunctionName="f", Payload=b"[\"127.0.0.1\", 1]")
    assert answer["FunctionError"]
    assert b"Runtime.NoNetwork" in (payload := answer["Payload"].read()), payload
    assert b"none at the most" in payload


def test_each_policy_reaches_what_it_may(fresh_server, tmp_path, echo):
    server = with_settings(fresh_server, tmp_path, f'[network]\nopen = ["{echo[0]}"]')
    if "internet    NOT available" in server.read_log():
        pytest.skip("no internet for sandboxes on this machine")
    client = server.client("lambda")
    for policy, expected in {
        "none": ["ConnectionRefusedError", "OSError"],
        "platform": [200, "OSError"],
        "internet": [200, "ping"],
    }.items():
        make_function(client, policy, REACH, Tags={TAG: policy})
        assert call(client, policy, echo) == expected
    arn = client.get_function(FunctionName="internet")["Configuration"]["FunctionArn"]
    client.untag_resource(Resource=arn, TagKeys=[TAG])
    assert call(client, "internet", echo) == [200, "OSError"]


def test_by_itself_this_machine_is_closed(fresh_server, echo):
    server = fresh_server()
    if "internet    NOT available" in server.read_log():
        pytest.skip("no internet for sandboxes on this machine")
    client = server.client("lambda")
    make_function(client, "f", REACH, Tags={TAG: "internet"})
    assert call(client, "f", echo) == [200, "ConnectionRefusedError"]
