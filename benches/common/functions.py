"""The functions that are measured, each with the command that runs the same program once without Mayfly."""

import importlib.metadata
import io
import os
import shutil
import subprocess
import sys
import zipfile

RUNTIME = f"python{sys.version_info[0]}.{sys.version_info[1]}"
# The interpreter itself, not a virtual environment's link to it; without `site`, as the sandbox starts it.
PYTHON = [os.path.realpath(sys.executable), "-S", "-s"]
HELLO = "def handler(event, context):\n    return {'hello': event['n']}\n"
PYTHON_PEER = "import json, sys; from app import handler; print(json.dumps(handler(json.load(sys.stdin), None)))"
NODE = "exports.handler = async (event) => ({ hello: event.n });\n"
NODE_PEER = """\
const { handler } = require("./index.js");
handler(JSON.parse(require("fs").readFileSync(0))).then((answer) => console.log(JSON.stringify(answer)));
"""
# Modules that take their time, as real functions import them.
CLIENTS = "import boto3\ntable = boto3.client('dynamodb', region_name='us-east-1')\n"
PICTURES = """\
import numpy, numpy.linalg, numpy.random, numpy.fft
import PIL.Image, PIL.ImageDraw, PIL.ImageFilter, PIL.ImageFont, PIL.ImageOps
PIL.Image.init()
"""


class Function:
    """A directory with a program, what calls it, and the command that does the same without Mayfly."""

    def __init__(self, name, runtime, handler, directory, command, event='{"n": 1}', expect='"hello"', shown=()):
        self.name, self.runtime, self.handler = name, runtime, handler
        self.directory, self.command, self.shown = directory, command, shown
        self.event, self.expect = event, expect

    def package(self):
        """Its zip."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zip:
            for path in sorted(self.directory.rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    zip.write(path, path.relative_to(self.directory))
        return packed.getvalue()


class Jar(Function):
    """One whose package is a jar as it is."""

    def package(self):
        return self.directory.read_bytes()


def python(scratch, name="hello", top="", packages=()):
    """One in Python with so much before its handler, and these packages beside it."""
    directory = scratch / f"{name}-code"
    directory.mkdir()
    (directory / "app.py").write_text(top + HELLO)
    if packages:
        # The versions that are installed where this runs.
        wanted = [f"{package}=={importlib.metadata.version(package)}" for package in packages]
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        installed = subprocess.run([*pip, "--target", directory, *wanted], capture_output=True, text=True)
        if installed.returncode:
            sys.exit(f"{' and '.join(wanted)} cannot be installed:\n{installed.stderr}")
    return Function(name, RUNTIME, "app.handler", directory, [*PYTHON, "-c", PYTHON_PEER], shown=[sys.base_prefix])


def node(scratch, name="hello-node"):
    """One in Node.js, if it is there."""
    if not (program := shutil.which("node")):
        return print("node: not installed, left out")
    program = os.path.realpath(program)
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    directory = scratch / f"{name}-code"
    directory.mkdir()
    (directory / "index.js").write_text(NODE)
    (directory / "app.js").write_text(NODE_PEER)
    runtime = f"nodejs{version.lstrip('v').split('.')[0]}.x"
    return Function(name, runtime, "index.handler", directory, [program, "app.js"],
                    shown=[os.path.dirname(os.path.dirname(program))])


def java(jar, handler, event, expect, name="hello-java"):
    """One in Java, if it is there and the jar is built."""
    if not shutil.which("java") or not jar.exists():
        return print(f"java: not installed, or {jar} is not built (mvn -q package), left out")
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr
    runtime = f"java{said.split(chr(34))[1].split('.')[0]}"
    return Jar(name, runtime, handler, jar, ["java", "-jar", str(jar)], event, expect)
