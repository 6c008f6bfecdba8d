"""A Java process that is about to be copied, and what its copies do first: hooks, and new random numbers.

Each test talks to the bootstrap itself: see jvm.py.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from jvm import JAR, Jvm, package_of
from test_java import SOURCES, compiled

OPENED = (
    "java.base/java.lang", "java.base/java.util", "java.base/java.util.concurrent", "java.base/java.security",
    "java.base/sun.security.provider",
)


def found():
    """The JVMs of this machine, oldest first."""
    if not shutil.which("javac") or not JAR.exists():
        return {}
    programs = [Path(shutil.which("java")), *Path("/usr/lib/jvm").glob("*/bin/java")]
    versions = {}
    for program in programs:
        said = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30).stderr
        version = re.search(r'version "(\d+)', said)
        if version and int(version[1]) >= 11:
            versions.setdefault(int(version[1]), program)
    return versions


JVMS = found()
pytestmark = pytest.mark.skipif(not JVMS, reason="no JDK here, or scripts/java_runtime.sh has built no Java runtime")


@pytest.fixture(params=[min(JVMS), max(JVMS)] if len(JVMS) > 1 else list(JVMS))
def java(request):
    """The oldest and the newest Java."""
    return request.param


@pytest.fixture(scope="module")
def dice(tmp_path_factory):
    """A package full of generators of random numbers."""
    return package_of(compiled(tmp_path_factory.mktemp("classes"), "copies", JAR), tmp_path_factory.mktemp("dice"))


def start(package, handler, java, more=(), **env):
    """A process of that Java, loaded."""
    return Jvm(package, handler, java=str(JVMS[java]), version=java, more=more, **env).ready()


def rolls(dice, java, copied):
    """What the generators of one process give that was forced to a state, and then perhaps told that it is a copy."""
    modern = "jdk.random/jdk.random" if java < 23 else "java.base/jdk.internal.random"
    opened = [f"--add-opens={place}=ALL-UNNAMED" for place in OPENED + ((modern,) if java >= 17 else ())]
    with start(dice, "copies.Rolls", java, opened) as process:
        process.capture()
        process.invoke("force")
        if copied:
            process.restore()
        kind, rolled = process.invoke("roll")
        assert kind == "A", rolled
        return rolled


def test_copies_give_different_random_numbers(dice, java):
    one, other = (rolls(dice, java, copied=False) for _ in range(2))
    # Else the next comparison would say nothing.
    assert {name for name in one if one[name] != other[name]} == set()
    one, other = (rolls(dice, java, copied=True) for _ in range(2))
    assert {name for name in one if one[name] == other[name]} == set()
    assert len(one) >= 16


def test_a_copy_gets_an_environment_of_its_own(dice, java):
    with start(dice, "copies.Dice::environment", java) as process:
        process.capture().restore(AWS_LAMBDA_LOG_STREAM_NAME="of the copy", NEW="new")
        assert process.invoke("AWS_LAMBDA_LOG_STREAM_NAME") == ("A", ["of the copy"] * 3)
        assert process.invoke("NEW") == ("A", ["new"] * 3)


def test_secure_generators_go_on(dice, java):
    with start(dice, "copies.Dice::drbg", java) as process:
        process.capture().restore()
        assert process.invoke()[1] != process.invoke()[1]


def test_one_event_after_the_other(dice, java):
    with start(dice, "copies.Dice::roll", java) as process:
        first, second = process.invoke(request_id="a"), process.invoke(request_id="b")
        assert first[0] == second[0] == "A" and first[1]["UUID"] != second[1]["UUID"]


def test_nothing_is_printed_on_the_way(dice, java):
    with start(dice, "copies.Dice::drbg", java) as process:
        process.capture().restore()
        process.invoke()
        assert process.printed() == ""


def test_what_an_idle_process_holds(dice, java):
    with start(dice, "copies.Dice::drbg", java) as process:
        process.capture()
        shared = [line for line in Path(f"/proc/{process.pid}/maps").read_text().splitlines() if " rw-s " in line]
        assert shared == []
        for name in os.listdir(f"/proc/{process.pid}/fd"):
            target = os.readlink(f"/proc/{process.pid}/fd/{name}")
            flags = Path(f"/proc/{process.pid}/fdinfo/{name}").read_text()
            written = int(re.search(r"flags:\s+(\d+)", flags)[1], 8) & 3
            assert int(name) <= 3 or not written, target
            assert int(name) == 3 or not target.startswith("socket:"), target


def test_a_class_that_was_not_used_is_not_linked(dice, java, tmp_path):
    # The JVM would throw away all code that it compiled in the belief that no class like it exists.
    log, linked = tmp_path / "log", "Start class verification for: copies.Library"
    with start(dice, "copies.Library::name", java, more=(f"-Xlog:class+init=info:file={log}",)) as process:
        process.capture().restore()
        assert process.invoke()[1] == "copies.Library$Unused"
        told = [line.split("[class,init] ")[-1].strip() for line in log.read_text().splitlines()]
    assert linked in told and f"{linked}$Unused" not in told


# Hooks


@pytest.fixture(scope="module")
def hooks(tmp_path_factory):
    """A package with hooks, and the published library that it registers them with."""
    if not shutil.which("mvn"):
        pytest.skip("no Maven here")
    jars = tmp_path_factory.mktemp("jars")
    command = ["mvn", "-q", "-B", "-f", SOURCES / "pom.xml", "dependency:copy-dependencies", f"-DoutputDirectory={jars}"]
    subprocess.run([*command, "-DincludeArtifactIds=crac"], check=True, timeout=150)
    jar = next(jars.glob("crac-*.jar"))
    classes = compiled(tmp_path_factory.mktemp("classes"), "hooks", JAR, jar)
    return package_of({**classes, f"lib/{jar.name}": jar.read_bytes()}, tmp_path_factory.mktemp("hooks"))


def test_hooks_are_called_in_order(hooks, java):
    with start(hooks, "hooks.Hooks", java) as process:
        process.capture().restore(AWS_LAMBDA_LOG_STREAM_NAME="s")
        called = ["second before", "first before", "first after s", "second after s"]
        assert process.invoke() == ("A", called)


@pytest.mark.parametrize("when, kind", [("before", "CheckpointException"), ("after", "RestoreException")])
def test_a_hook_that_fails_is_an_error_of_loading(hooks, java, when, kind):
    with start(hooks, "hooks.Hooks", java, FAILS=f"{when} second") as process:
        if when == "after":
            process.capture()
        process.send(*(("S",) if when == "before" else ("C", b'{"environment":{}}')))
        got, document = process.receive()
        assert got == "I" and f'"errorType":"mayfly.crac.{kind}"' in document.decode(), document
        assert "java.lang.IllegalStateException: no " + when in process.printed()
