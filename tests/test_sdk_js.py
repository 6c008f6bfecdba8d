"""AWS's SDK for JavaScript, version 3, deploys and calls functions: a streaming chat, an API behind a URL."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import zip_of

HERE = Path(__file__).parent / "sdk-js"

CHAT = """
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  for (const word of ["A", event.ask, "lives", "for", "a", "day."]) {
    stream.write(word + " ");
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  stream.end();
});
"""

API = """
const routes = {
  "POST /orders": (body, query) => ({ ordered: query.item, pieces: body.pieces }),
};
exports.handler = async ({ requestContext, rawPath, queryStringParameters, body, isBase64Encoded }) => {
  const route = routes[`${requestContext.http.method} ${rawPath}`];
  if (!route) return { statusCode: 404, body: JSON.stringify({ missing: rawPath }), headers: { "content-type": "application/json" } };
  const read = JSON.parse(isBase64Encoded ? Buffer.from(body, "base64") : body);
  return {
    statusCode: 201, headers: { "content-type": "application/json", "x-api": "yes" },
    body: JSON.stringify(route(read, queryStringParameters)),
  };
};
"""


@pytest.mark.timeout(300)
def test_the_sdk_for_javascript(server, tmp_path):
    runtime = re.search(r"runtime +(nodejs\S+) ", server.read_log())
    if not runtime or not shutil.which("npm"):
        pytest.skip("there is no Node.js, or no npm, here")
    for file in HERE.iterdir():
        shutil.copy(file, tmp_path)
    install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--prefer-offline"]
    try:
        subprocess.run(install, cwd=tmp_path, check=True, capture_output=True, timeout=200)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"the packages cannot be installed: {error}")
    (tmp_path / "chat.zip").write_bytes(zip_of({"index.js": CHAT}))
    (tmp_path / "api.zip").write_bytes(zip_of({"index.js": API}))
    done = subprocess.run(
        ["node", "script.js", server.url, runtime[1]], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert "".join(seen.pop("words")) == "A mayfly lives for a day. "
    assert seen == {
        "complete": True, "version": "$LATEST", "runtime": True, "code": 200, "listed": 2,
        "order": [201, "yes", {"ordered": "spoons", "pieces": 12}], "missing": [404, {"missing": "/nowhere"}],
        "failed": ["Unhandled", "TypeError"], "unknown": ["ResourceNotFoundException", 404],
        "twice": ["ResourceConflictException", 409],
    }
