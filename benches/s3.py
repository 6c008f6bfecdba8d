"""Objects under a closed loop: durable PUT and GET of 1 MiB, GET and PUT of 1 KiB, beside plain files and nginx.

    make build && .venv/bin/python benches/s3.py [--seconds 8]

Needs wrk (Debian's package of that name). The peers are measured in the same run: files written and fsynced one after
another on the same disk, and, if it is installed, nginx serving the same bytes. Rows D3 and D4 of SPECIFICATION.md. The
load generator shares the machine's processors with the server.
"""

import argparse
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

import boto3
import nginx
from botocore.config import Config
from common import ROOT  # noqa: F401 (finds mayfly_process)
from mayfly_process import MayflyProcess

MB = 1 << 20
# A signature has a time, of which S3 takes fifteen minutes on either side: a run is shorter.
AT = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
AUTHORIZATION = f"AWS4-HMAC-SHA256 Credential=b/{AT[:8]}/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"

PUT = """
local file = io.open("%s", "rb"); local body = file:read("*all"); file:close()
wrk.headers["Authorization"] = "%s"; wrk.headers["x-amz-date"] = "%s"
local thread = 0
function setup(t) t:set("id", thread); thread = thread + 1 end
local count = 0
function request()
  count = count + 1
  return wrk.format("PUT", "/bench/put-" .. id .. "-" .. count %% 200, nil, body)
end
"""

GET = 'wrk.headers["Authorization"] = "%s"; wrk.headers["x-amz-date"] = "%s"\n'


def wrk(url, script, connections, seconds, threads=1):
    """Requests a second, and the median in milliseconds."""
    out = subprocess.run(["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}", "--latency", "-s", script, url],
                         capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Requests/sec" not in out:
        raise RuntimeError(out)
    median = re.search(r"50%\s+([\d.]+)(us|ms|s)", out)
    scale = {"us": 1e-3, "ms": 1, "s": 1e3}[median[2]]
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), float(median[1]) * scale


def plain_files(directory, size, seconds):
    """Files of `size` a second, each written to a temporary name, fsynced and renamed, its directory fsynced."""
    body, count, end = os.urandom(size), 0, time.monotonic() + seconds
    parent = os.open(directory, os.O_RDONLY)
    while time.monotonic() < end:
        with open(directory / "tmp", "wb") as file:
            file.write(body)
            os.fsync(file.fileno())
        os.rename(directory / "tmp", directory / f"f{count % 200}")
        os.fsync(parent)
        count += 1
    os.close(parent)
    return count / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=8)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        server = MayflyProcess(scratch / "data", scratch / "server.log")
        server.start()
        peer, port = None, None
        try:
            s3 = boto3.client(
                "s3", endpoint_url=server.url, region_name="us-east-1", aws_access_key_id="bench",
                aws_secret_access_key="bench", config=Config(s3={"addressing_style": "path"}))
            s3.create_bucket(Bucket="bench")
            (scratch / "files").mkdir()
            bodies = {}
            for name, size in [("small", 1024), ("large", MB)]:
                bodies[name] = scratch / "files" / name
                bodies[name].write_bytes(os.urandom(size))
                s3.put_object(Bucket="bench", Key=name, Body=bodies[name].read_bytes())
            get = scratch / "get.lua"
            get.write_text(GET % (AUTHORIZATION, AT))
            peer, port = nginx.start(scratch)
            print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
            for name, size, connections in [("large", MB, 8), ("small", 1024, 32)]:
                rate, median = wrk(f"{server.url}/bench/{name}", get, connections, seconds)
                print(f"GET {size:8}: {rate:9,.0f}/s {rate * size / 1e6:8,.0f} MB/s, median {median:.2f} ms")
                if port:
                    rate, median = wrk(f"http://127.0.0.1:{port}/{name}", get, connections, seconds)
                    print(f"  nginx     : {rate:9,.0f}/s {rate * size / 1e6:8,.0f} MB/s, median {median:.2f} ms")
            for name, size, connections in [("large", MB, 8), ("small", 1024, 32)]:
                script = scratch / f"put-{name}.lua"
                script.write_text(PUT % (bodies[name], AUTHORIZATION, AT))
                rate, median = wrk(server.url, script, connections, seconds)
                print(f"PUT {size:8}: {rate:9,.0f}/s {rate * size / 1e6:8,.0f} MB/s, median {median:.2f} ms")
                rate = plain_files(scratch / "files", size, seconds)
                print(f"  files     : {rate:9,.0f}/s {rate * size / 1e6:8,.0f} MB/s, one after another")
        finally:
            server.stop()
            if peer:
                peer.terminate()


if __name__ == "__main__":
    main()
