"""Runtimes by name: which version serves a function, and how it says so."""

import json
import re

import pytest
from conftest import make_function, refused
from mayfly_process import wait_for

# One Python at the most, so that other versions are missing.
LEAN = {"PATH": "/usr/bin:/bin"}
SOURCE = "import sys\ndef handler(event, context):\n    return list(sys.version_info[:2])\n"
INVALID = "InvalidParameterValueException"


def make(functions):
    """Makes a function of the source above."""
    return lambda name, Runtime: make_function(functions, name, SOURCE, Runtime=Runtime)


@pytest.fixture
def lean(fresh_server):
    """A server that finds only what the system brings, and the minor version of its Python."""
    server = fresh_server(env=LEAN)
    found = re.search(r"runtime +python3\.(\d+) ", server.read_log())
    if not found:
        pytest.skip("this system has no Python 3.9 or later in /usr/bin")
    return server, int(found[1])


def test_a_missing_version_runs_on_the_nearest_and_says_so(lean):
    server, minor = lean
    functions = server.client("lambda")
    make_function(server.client("lambda"), "other", SOURCE, Runtime=f"python3.{minor + 1}")
    state = functions.get_function_configuration(FunctionName="other")
    warning = rf"python3\.{minor + 1} is not on this machine; the function runs on Python 3\.{minor}\.\d+"
    assert state["State"] == "Active" and re.fullmatch(warning, state["StateReason"])
    answer = functions.invoke(FunctionName="other", LogType="Tail")
    assert json.load(answer["Payload"]) == [3, minor]
    # An answer does not wait for its log to be on disk.
    log = lambda: server.mayfly("logs", "other", "--endpoint", server.url)  # noqa: E731
    wait_for(lambda: re.search(rf"\[WARNING\] {warning}", log()), 20, "the warning in the log")
    make_function(server.client("lambda"), "same", SOURCE, Runtime=f"python3.{minor}")
    assert "StateReason" not in functions.get_function_configuration(FunctionName="same")


def test_strict_runtimes_refuse_instead_and_list_what_is_there(lean, tmp_path):
    server, minor = lean
    make_function(server.client("lambda"), "other", SOURCE, Runtime=f"python3.{minor + 1}")
    config = tmp_path / "mayfly.toml"
    config.write_text("[functions]\nstrict_runtimes = true\n")
    server.restart(args=["--config", str(config)])
    functions = server.client("lambda")
    message = refused(INVALID, make(functions), name="new", Runtime=f"python3.{minor + 1}")
    assert f"Available: python3.{minor}," in message and "provided.al2023" in message
    # One that was made before is told to have failed, and its events say why.
    state = functions.get_function_configuration(FunctionName="other")
    assert (state["State"], state["StateReasonCode"]) == ("Failed", "InvalidRuntime")
    assert f"Available: python3.{minor}," in state["StateReason"]
    answer = functions.invoke(FunctionName="other")
    error = json.load(answer["Payload"])
    assert answer["FunctionError"] == "Unhandled" and error["errorType"] == "Runtime.InvalidRuntime"
    assert f"python3.{minor + 1} is not available here" in error["errorMessage"]


def test_languages_without_a_bootstrap_are_refused(server):
    functions = server.client("lambda")
    message = refused(INVALID, make(functions), name="ruby", Runtime="ruby3.3")
    assert "ruby3.3 is not available here" in message
    message = refused(INVALID, make(functions), name="cobol", Runtime="cobol")
    assert "enum value set" in message
