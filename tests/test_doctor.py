"""`mayfly doctor`: what it says of this machine, as root and as an ordinary user, with and without a server."""

import json
import os
import re
import shutil
import subprocess

import pytest
from conftest import make_function
from mayfly_process import binary

SOURCE = "def handler(event, context):\n    return event\n"
LEAN = {"PATH": "/usr/bin:/bin"}


def doctor(*arguments, env=None, prefix=(), program=None):
    return subprocess.run(
        [*prefix, str(program or binary()), "doctor", *map(str, arguments)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=110,
        env={**LEAN, "HOME": "/nonexistent", **(env or {})},
    )


def findings(done) -> dict:
    """The findings by feature."""
    return {one["feature"]: one for one in json.loads(done.stdout)["findings"]}


def test_everything_is_in_the_table(tmp_path):
    done = doctor("--data-dir", tmp_path / "data")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split("  ")[0] == "FEATURE" and "WHAT TO DO" in lines[0]
    assert lines[-1] == "Functions can run safely here."
    for feature in (
        "kernel", "root", "control groups", "data directory", "memory", "processors", "clock", "namespaces",
        "seccomp", "landlock", "/proc", "memory limit", "process limit", "processor share", "metering",
        "network policies", "network policy internet", "provided.al2023",
    ):
        assert any(line.startswith(feature + "  ") for line in lines), f"{feature}:\n{done.stdout}"
    # Nothing is made where the data will be.
    assert not (tmp_path / "data").exists()


def test_json_says_the_same_and_every_runtime_was_tried(tmp_path):
    done = doctor("--data-dir", tmp_path, "--json", env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stdout + done.stderr
    diagnosis = json.loads(done.stdout)
    assert diagnosis["safe"] is True
    assert {one["state"] for one in diagnosis["findings"]} <= {"used", "present", "missing"}
    runtimes = [
        one for one in diagnosis["findings"]
        if re.fullmatch(r"(python|nodejs|java|provided)[\d.]*.*", one["feature"]) and one["state"] == "used"
    ]
    assert any(one["feature"].startswith("python3.") for one in runtimes)
    assert all(re.search(r"answered in \d+ ms", one["detail"]) for one in runtimes), runtimes
    # What is missing says what to do, unless another version serves.
    for one in diagnosis["findings"]:
        assert one["whatToDo"] or one["state"] != "missing", one


def test_functions_that_get_another_version_are_named_with_and_without_their_server(fresh_server):
    server = fresh_server(env=LEAN)
    python = re.search(r"runtime +python3\.(\d+) ", server.read_log())
    if not python:
        pytest.skip("this system has no Python 3.9 or later in /usr/bin")
    other = f"python3.{int(python[1]) + 1}"
    make_function(server.client("lambda"), "elsewhere", SOURCE, Runtime=other)
    asked = rf"runs? on Python 3\.{python[1]}\.\d+, with a warning; asked for by elsewhere$"

    there = findings(doctor("--data-dir", server.data_dir, "--endpoint", server.url, "--json"))
    assert there[other]["state"] == "present" and re.search(asked, there[other]["detail"])
    assert there[other]["whatToDo"].startswith(f"install {other}")
    assert "functions" not in there
    # A directory whose server cannot be asked is left alone.
    unknown = findings(doctor("--data-dir", server.data_dir, "--endpoint", "http://127.0.0.1:9", "--json"))
    assert "in use" in unknown["functions"]["detail"] and "--endpoint" in unknown["functions"]["whatToDo"]

    server.stop()
    before = sorted(path.name for path in server.data_dir.iterdir())
    here = findings(doctor("--data-dir", server.data_dir, "--json"))
    assert re.search(asked, here[other]["detail"])
    after = sorted(path.name for path in server.data_dir.iterdir())
    assert set(after) - set(before) <= {"mayfly.sqlite-wal", "mayfly.sqlite-shm"}


def test_strict_runtimes_are_taken_strictly(tmp_path):
    config = tmp_path / "mayfly.toml"
    config.write_text("[functions]\nstrict_runtimes = true\n")
    found = findings(doctor("--data-dir", tmp_path, "--config", config, "--json"))
    missing = [one for name, one in found.items() if name.startswith("python3.") and one["state"] == "missing"]
    assert missing and all("strict_runtimes is set" in one["detail"] for one in missing)


def test_a_machine_without_languages_still_has_custom_runtimes(tmp_path):
    done = doctor("--data-dir", tmp_path, "--json", env={"PATH": str(tmp_path)})
    found = findings(done)
    for language in ("Python", "Node.js"):
        if language in found:
            assert found[language]["state"] == "missing" and "apt install" in found[language]["whatToDo"]
    assert found["provided.al2023"]["state"] in ("used", "present")


def test_bad_settings_are_an_error_and_no_diagnosis(tmp_path):
    config = tmp_path / "mayfly.toml"
    config.write_text("colour = 1\n")
    done = doctor("--config", config)
    assert done.returncode == 1 and "unknown field `colour`" in done.stderr and not done.stdout


def test_a_directory_that_cannot_be_written_is_not_safe():
    """On the kernel's own file system not even root may write."""
    done = doctor("--data-dir", "/proc/mayfly", "--json")
    assert done.returncode == 1
    found = findings(done)["data directory"]
    assert (found["state"], found["unsafeWithout"]) == ("missing", True)
    assert "--data-dir" in found["whatToDo"]


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")
def test_as_an_ordinary_user(tmp_path):
    # The program and its directories have to be within that user's reach.
    program = shutil.copy(binary(), tmp_path / "mayfly")
    home = tmp_path / "home"
    home.mkdir()
    user = 65534
    os.chown(home, user, user)
    path = tmp_path
    while path != path.parent:
        path.chmod(path.stat().st_mode | 0o055)
        path = path.parent
    done = doctor(
        "--data-dir", home / "data", "--json", program=program, env={"HOME": str(home), "TMPDIR": str(home)},
        prefix=("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--inh-caps=-all"),
    )
    diagnosis = json.loads(done.stdout)
    found = findings(done)
    assert found["root"]["state"] == "missing" and "sudo mayfly serve" in found["root"]["whatToDo"]
    assert done.returncode == (0 if diagnosis["safe"] else 1)
    if "sandboxes" in found:
        # This machine does not let ordinary users make namespaces.
        assert found["sandboxes"]["unsafeWithout"] and found["sandboxes"]["whatToDo"] and not diagnosis["safe"]
    else:
        assert any(name.startswith("python3.") and one["state"] == "used" for name, one in found.items())
