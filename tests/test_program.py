"""The program itself: its command line, its settings, its health, its logs."""

import json
import os
import signal
import subprocess
import threading
import urllib.request

import pytest
from conftest import make_function
from mayfly_process import binary, wait_for


def run(*arguments, env=None):
    return subprocess.run(
        [str(binary()), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=30, env={"PATH": os.environ["PATH"], **(env or {})},
    )


def test_help_names_every_command():
    done = run("--help")
    assert done.returncode == 0
    for word in ("serve", "logs", "failed-events", "AWS_ENDPOINT_URL"):
        assert word in done.stdout
    assert "sandbox-launcher" not in done.stdout


@pytest.mark.parametrize(
    "settings, message",
    [
        ("colour = 1", "unknown field `colour`"),
        ("[functions]\nsize = 1", "unknown field `size`"),
        ('listen = "0.0.0.0:4566"', "only loopback addresses"),
        ("listen = 7", "mayfly.toml"),
    ],
)
def test_bad_settings_are_refused_by_name(tmp_path, settings, message):
    config = tmp_path / "mayfly.toml"
    config.write_text(settings)
    done = run("serve", "--config", str(config), "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 1
    assert message in done.stderr
    assert not (tmp_path / "data").exists()


def test_settings_come_from_flags_environment_and_file_in_that_order(fresh_server, tmp_path):
    config = tmp_path / "mayfly.toml"
    config.write_text(f'listen = "127.0.0.1:1"\ndata_dir = "{tmp_path / "from-file"}"\n')
    server = fresh_server(
        args=["--config", str(config)], env={"MAYFLY_DATA_DIR": str(tmp_path / "from-environment")}
    )
    # The harness gives --listen and --data-dir: flags win over both.
    assert server.port != 1
    assert server.data_dir.exists()
    assert not (tmp_path / "from-file").exists() and not (tmp_path / "from-environment").exists()


def test_the_banner_tells_what_was_found(server):
    log = server.read_log()
    for word in ("listens on http://127.0.0.1:", "data ", "runtime ", "python3", "namespaces", "memory"):
        assert word in log


def test_health(server):
    with urllib.request.urlopen(f"{server.url}/health", timeout=5) as response:
        assert response.status == 200
        assert response.headers["content-type"] == "application/json"
        assert json.load(response)["status"] == "ok"


@pytest.mark.parametrize(
    "path, status, text",
    [
        ("/_mayfly/nothing", 404, "nothing"),
        ("/_mayfly/logs", 400, "function"),
        ("/_mayfly/logs?function=nobody", 404, "There is no function nobody"),
        ("/2015-03-31/functions", 403, "not signed"),
    ],
)
def test_other_paths_get_a_clear_answer(server, path, status, text):
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{server.url}{path}", timeout=5)
    assert error.value.code == status
    assert text in error.value.read().decode()


def test_logs_are_printed_and_followed(server):
    functions = server.client("lambda")
    make_function(
        functions, "talks",
        "def handler(event, context):\n    print('said', event['n'])\n    print('twice\\nlines')\n",
    )
    id = functions.invoke(FunctionName="talks", Payload=b'{"n": 1}')["ResponseMetadata"]["RequestId"]
    log = wait_for(
        lambda: (text := server.mayfly("logs", "talks", "--endpoint", server.url)) if "REPORT" in
        server.mayfly("logs", "talks", "--endpoint", server.url) else None, 20, "the log",
    )
    messages = [line.split(" ", 2)[2] for line in log.splitlines()]
    assert messages[0] == f"START RequestId: {id} Version: $LATEST"
    assert messages[1:4] == ["said 1", "twice", "lines"]
    assert messages[4] == f"END RequestId: {id}"
    for part in ("Duration: ", "Billed Duration: ", "Memory Size: 128 MB", "Max Memory Used: ", "Init Duration: "):
        assert part in messages[5]
    assert {line.split(" ")[1] for line in log.splitlines()} == {id}

    follower = subprocess.Popen(
        [str(binary()), "logs", "talks", "--follow", "--endpoint", server.url],
        stdout=subprocess.PIPE, text=True,
    )
    try:
        seen = []
        reader = threading.Thread(target=lambda: seen.extend(iter(follower.stdout.readline, "")), daemon=True)
        reader.start()
        wait_for(lambda: any("said 1" in line for line in seen), 20, "what was logged before")
        functions.invoke(FunctionName="talks", Payload=b'{"n": 2}')
        wait_for(lambda: any("said 2" in line for line in seen), 20, "what is logged now")
        assert follower.poll() is None
    finally:
        follower.send_signal(signal.SIGINT)
        follower.wait(10)


def test_the_log_of_no_function_is_said_so(server):
    done = run("logs", "nobody", "--endpoint", server.url)
    assert done.returncode == 1
    assert done.stderr.strip() == "mayfly: There is no function nobody, and no log of one."


def test_a_missing_server_is_said_so(tmp_path):
    done = run("logs", "f", "--endpoint", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "no server answers at http://127.0.0.1:9" in done.stderr
