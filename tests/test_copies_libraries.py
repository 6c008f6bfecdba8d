"""Real libraries in copies: loaded and used before, and used again in each copy, against the platform itself."""

import json
import shutil
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import make_function
from mayfly_process import wait_for
from test_nodejs import INSTALLED as NODE_RUNTIME

HERE = Path(__file__).parent / "copies" / "libraries"
LIBRARIES = Path(pytest.__file__).parent.parent
NEEDED = (
    "boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "requests", "certifi", "idna", "charset_normalizer",
    "numpy", "numpy.libs", "PIL", "pillow.libs",
)
UNNEEDED = ("/tests/", "__pycache__", "/include/", "/examples/")
EVENTS = 60


@pytest.fixture
def bucket(server):
    s3 = server.client("s3")
    s3.create_bucket(Bucket="libraries")
    s3.put_object(Bucket="libraries", Key="first", Body=b"the first")
    yield "libraries"
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="libraries"):
        for entry in page.get("Contents", []):
            s3.delete_object(Bucket="libraries", Key=entry["Key"])
    s3.delete_bucket(Bucket="libraries")


def answers(server, files, **config):
    """What copies answer, of which there are some; they run eight at a time."""
    functions = server.client("lambda", read_timeout=120)
    name = f"libraries-{uuid.uuid4().hex[:8]}"
    make_function(functions, name, files, MemorySize=512, Timeout=60, Tags={"mayfly:start": "clone"}, **config)

    def call(number):
        key = f"{name}-{number}"
        answer = functions.invoke(FunctionName=name, Payload=json.dumps({"key": key}))
        said = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, said
        return {**said, "key": key}

    def why():
        rows = map(json.loads, server.mayfly("starts", "--json", "--endpoint", server.url).splitlines())
        return f"a copy: {[row for row in rows if row['function'] == name]}"

    wait_for(lambda: call("x")["kind"] == "snap-start", 120, why, pause=0.05)
    with ThreadPoolExecutor(8) as pool:
        found = [one for one in pool.map(call, range(EVENTS)) if one["kind"] == "snap-start"]
    functions.delete_function(FunctionName=name)
    assert found
    return found


def test_boto3_requests_numpy_and_pillow(server, bucket):
    files = {"app.py": (HERE / "app.py").read_text(), "six.py": (LIBRARIES / "six.py").read_bytes()}
    for top in NEEDED:
        if not (LIBRARIES / top).is_dir():
            pytest.skip(f"{top} is not in {LIBRARIES}")
        for file in (LIBRARIES / top).rglob("*"):
            name = str(file.relative_to(LIBRARIES))
            models = name.startswith(("botocore/data/", "boto3/data/")) and name.count("/") > 2 and "/s3/" not in name
            if file.is_file() and not models and file.suffix not in (".a", ".pyi") and not any(one in name for one in UNNEEDED):
                files[name] = file.read_bytes()
    found = answers(server, files)
    for one in found:
        assert one["buckets"] and bucket in one["buckets"] and one["first"] == "the first"
        assert one["same"] and one["metadata"] == {"for": one["key"]} and one["large"] == 100_000
        assert one["listed"] == [one["key"] + "-large"]
        assert one["product"] and one["inverse"] == 0.25
        assert one["pixels"] == [[32, 32, 3], [255, 0, 0], [255, 255, 255]]
    numbers = [number for one in found for number in one["random"]]
    assert len(set(numbers)) == len(numbers)


def test_express_and_the_sdk_for_javascript(server, bucket, tmp_path):
    runtime = NODE_RUNTIME.search(server.read_log())
    if not runtime or not shutil.which("npm"):
        pytest.skip("there is no Node.js, or no npm, here")
    shutil.copy(HERE / "package.json", tmp_path)
    install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    try:
        subprocess.run(install, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"the packages cannot be installed: {error}")
    files = {"index.js": (HERE / "index.js").read_text()}
    for file in (tmp_path / "node_modules").rglob("*"):
        if file.is_file() and file.suffix in (".js", ".json", ".cjs", ".mjs") and "/dist-es/" not in str(file):
            files[str(file.relative_to(tmp_path))] = file.read_bytes()
    for one in answers(server, files, Runtime=runtime[1], Handler="index.handler"):
        assert bucket in one["buckets"] and one["same"]
        assert one["said"] == [201, "yes", {"id": "7", "what": "copies"}]
