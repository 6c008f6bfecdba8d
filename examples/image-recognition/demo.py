"""`make demo`: starts a server, deploys the example, uploads pictures, and checks what comes out.

Ends with 0 only if all of it came out right. KEEP=1 leaves the server running.
"""

import http.client
import io
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "scripts"))
import deploy  # noqa: E402
from mayfly_process import MayflyProcess, binary, trouble, wait_for  # noqa: E402

DEADLINE = 60  # seconds for the rows of uploaded pictures to appear
COLUMNS = ["key", "sequencer", "status", "digit", "confidence", "error", "bytes", "request_id"]


@dataclass
class Upload:
    """A file put into the bucket, and what became of it."""

    name: str
    data: bytes
    digit: int = None  # the truth, or
    error: str = None  # what the row has to say instead
    started: float = 0
    row: dict = None
    seconds: float = 0  # from the beginning of the upload to the visible row
    report: dict = field(default_factory=dict)

    @property
    def key(self) -> str:
        return deploy.PREFIX + self.name

    def right(self) -> bool:
        """Whether the row says what it should."""
        if self.error:
            return self.row["status"] == "error" and self.error in self.row["error"]
        return self.row["status"] == "ok" and self.row["digit"] == self.digit


class Demo:
    """One run against one server: the clients, the uploads so far, and what went wrong."""

    def __init__(self, server: MayflyProcess):
        self.server = server
        self.s3, self.data = deploy.client("s3"), deploy.client("rds-data")
        self.functions = deploy.client("lambda")
        self.url, self.uploads, self.problems = "", [], []

    def check(self, right: bool, problem: str) -> None:
        """Note a problem unless it is right."""
        if not right:
            self.problems.append(problem)
            print(f"    WRONG: {problem}")

    def put(self, upload: Upload) -> None:
        """Upload with the client."""
        upload.started = time.monotonic()
        self.s3.put_object(Bucket=deploy.PICTURES_BUCKET, Key=upload.key, Body=upload.data)

    def put_presigned(self, upload: Upload) -> None:
        """Upload as a browser does: plain HTTP to a presigned URL, no AWS software."""
        url = self.s3.generate_presigned_url(
            "put_object", {"Bucket": deploy.PICTURES_BUCKET, "Key": upload.key}, ExpiresIn=300
        )
        upload.started = time.monotonic()
        request = urllib.request.Request(url, data=upload.data, method="PUT")
        request.add_header("Content-Type", "image/png")
        with urllib.request.urlopen(request, timeout=30) as response:
            response.read()

    def rows(self) -> dict:
        """The table as it is now, by key."""
        answer = self.data.execute_statement(
            resourceArn=deploy.CLUSTER, secretArn=deploy.SECRET, database=deploy.DATABASE,
            sql=f"select {', '.join(COLUMNS)} from pictures",
        )
        rows = [
            [None if cell.get("isNull") else next(iter(cell.values())) for cell in record]
            for record in answer["records"]
        ]
        return {row[0]: dict(zip(COLUMNS, row)) for row in rows}

    def reports(self) -> dict:
        """What the function's log says of each event, by request id: the REPORT line's fields."""
        command = [binary(), "logs", "recognise", "--endpoint", self.server.url]
        lines = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=True,
        ).stdout.splitlines()
        found = {}
        for line in lines:
            match = re.match(r"\S+ \S+ REPORT RequestId: (\S+)\t(.*)", line)
            if match:
                pairs = (part.split(": ", 1) for part in match[2].split("\t") if ": " in part)
                found[match[1]] = dict(pairs)
        return found

    def watch(self, waiting: list, previous: dict = None, puts: list = ()) -> None:
        """Wait for the uploads' rows, and show each as it comes. `previous` maps the keys that
        had a row before to that row's sequencer; `puts` are the uploads still under way."""
        previous, waiting, arrived = previous or {}, list(waiting), []
        self.uploads += waiting

        def look() -> bool:
            for put in puts:
                if put.done():
                    put.result()  # raises what went wrong
            rows, now = self.rows(), time.monotonic()
            for upload in list(waiting):
                row = rows.get(upload.key)
                if row and row["sequencer"] != previous.get(upload.key):
                    upload.row, upload.seconds = row, now - upload.started
                    waiting.remove(upload)
                    arrived.append(upload)
            # The REPORT line is written when the function has ended, a little after the row.
            reports = self.reports() if arrived else {}
            for upload in [u for u in arrived if u.row["request_id"] in reports]:
                upload.report = reports[upload.row["request_id"]]
                arrived.remove(upload)
                self.show(upload)
            return not waiting and not arrived

        def missing() -> str:
            return (f"the rows of {[upload.key for upload in waiting]}"
                    f" and the REPORT lines of {[upload.key for upload in arrived]}")

        wait_for(look, DEADLINE, missing)

    def show(self, upload: Upload) -> None:
        """Print one line of the table."""
        row, report = upload.row, upload.report
        truth = "-" if upload.digit is None else upload.digit
        result = "error" if row["status"] == "error" else row["digit"]
        confidence = "" if row["confidence"] is None else f"{row['confidence']:.3f}"
        print(TABLE.format(
            upload.name, f"{len(upload.data):,}", truth, result, confidence,
            report.get("Start", "?"), report.get("Duration", "?"),
            report.get("Billed Duration", "?"), report.get("Max Memory Used", "?"),
            f"{upload.seconds * 1000:.0f} ms",
        ), flush=True)
        if row["error"]:
            print(f"      {row['error']}")
        self.check(upload.right(), f"{upload.key}: {row}, expected {upload.error or upload.digit}")

    def get(self, path: str) -> tuple:
        """GET from the function URL: (status, JSON). Connects to the server itself, since not
        every machine resolves names below localhost."""
        url = urlsplit(self.url)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        try:
            connection.request("GET", url.path.rstrip("/") + path, headers={"Host": url.netloc})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()


TABLE = "  {:24} {:>9}  {:>5} {:>6} {:>10}  {:>8} {:>11} {:>8} {:>7} {:>8}"
HEADER = TABLE.format("picture", "bytes", "truth", "result", "confidence", "start", "duration",
                      "billed", "memory", "to row")


def say(text: str) -> None:
    print(f"==> {text}", flush=True)


def load_pictures() -> list:
    """The committed pictures. One is uploaded under a name that needs encoding everywhere."""
    folder = HERE / "pictures"
    labels = json.loads((folder / "labels.json").read_text())
    pictures = [Upload(name, (folder / name).read_bytes(), digit) for name, digit in labels.items()]
    pictures[-1].name = "Größe 8 + mehr & so.jpg"
    return pictures


def bad_inputs() -> list:
    """Files that must end as rows that say what is wrong with them."""
    bomb = io.BytesIO()
    Image.new("1", (8000, 8000)).save(bomb, "PNG")
    return [
        Upload("shopping-list.png", b"milk, bread, seven eggs\n", error="not a PNG or JPEG"),
        Upload("64-megapixels.png", bomb.getvalue(), error="megapixels"),
        Upload("six-megabytes.bmp", bytes(6 << 20), error="bytes"),
    ]


def upload_all(demo: Demo) -> None:
    """The pictures, in every way they come: alone, in a row, at once, broken, and once more."""
    pictures = load_pictures()
    print(HEADER)
    demo.put_presigned(pictures[0])
    demo.watch(pictures[:1])
    for upload in pictures[1:5]:
        demo.put(upload)
        demo.watch([upload])
    say("the others at once, and files that are none")
    rest = pictures[5:] + bad_inputs()
    with ThreadPoolExecutor(4) as pool:
        puts = [pool.submit(demo.put, upload) for upload in rest]
        demo.watch(rest, puts=puts)
    say("one key, written twice: the row follows")
    first, second = (Upload("again.png", p.data, p.digit) for p in (pictures[0], pictures[8]))
    demo.put(first)
    demo.watch([first])
    demo.put(second)
    demo.watch([second], previous={first.key: first.row["sequencer"]})


def notification(upload: Upload) -> dict:
    """The event that this upload caused, as S3 would send it again."""
    return {"Records": [{
        "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": {
            "bucket": {"name": deploy.PICTURES_BUCKET},
            "object": {
                "key": quote(upload.key, safe="/"), "size": len(upload.data),
                "sequencer": upload.row["sequencer"],
            },
        },
    }]}


def repeat(demo: Demo, upload: Upload, times: int) -> list:
    """Deliver an event again, and wait for each answer; the seconds each took."""
    took = []
    for _ in range(times):
        started = time.monotonic()
        answer = demo.functions.invoke(
            FunctionName="recognise", Payload=json.dumps(notification(upload))
        )
        payload = json.load(answer["Payload"])
        took.append(time.monotonic() - started)
        right = "FunctionError" not in answer and payload[0]["counted"] is False
        demo.check(right, f"a repeated event was answered {payload}")
    return took


BARE = """
import json, resource, sys, types
import recognise
context = types.SimpleNamespace(aws_request_id="bare")
print(recognise.handler(json.loads(sys.argv[1]), context)[0]["digit"])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def bare(demo: Demo, upload: Upload, archive: Path, times: int) -> tuple:
    """The same handler on the same event in a new python3 process each time, with no platform
    around it: (seconds of each, megabytes of memory)."""
    with tempfile.TemporaryDirectory() as unpacked:
        with zipfile.ZipFile(archive) as package:
            package.extractall(unpacked)
        env = {**os.environ, **deploy.SETTINGS, "PYTHONPATH": unpacked}
        command = [sys.executable, "-c", BARE, json.dumps(notification(upload))]
        took = []
        for _ in range(times + 1):
            started = time.monotonic()
            done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=60)
            took.append(time.monotonic() - started)
            if done.returncode:
                demo.check(False, f"the bare process failed: {done.stderr[-2000:]}")
                return took, 0
        *_, digit, memory = done.stdout.split()
        demo.check(digit == str(upload.digit), f"the bare process read {digit}")
    return took[1:], int(memory) // 1024  # the first one filled the file cache


def check_results(demo: Demo) -> None:
    """Ask the HTTP API as a user would, and compare."""
    status, listing = demo.get("/results")
    expected = len(demo.uploads)
    demo.check(status == 200, f"GET /results answered {status}")
    demo.check(listing["count"] == expected, f"count is {listing['count']}, not {expected}")
    keys = sorted({upload.key for upload in demo.uploads})
    found = [row["key"] for row in listing["results"]]
    demo.check(sorted(found) == keys, f"GET /results lists {found}")
    last = {upload.key: upload for upload in demo.uploads}
    for upload in last.values():
        status, row = demo.get("/results/" + quote(upload.key))
        right = status == 200 and row["digit"] == upload.digit
        demo.check(right, f"GET /results/{upload.key} answered {status} {row}")
    status, _ = demo.get("/results/no-such-picture.png")
    demo.check(status == 404, f"GET /results/no-such-picture.png answered {status}")
    print(f"    count {listing['count']}, {len(found)} rows, each found by its key")


def milliseconds(text: str) -> float:
    """The number in '12.34 ms'."""
    return float(text.split()[0]) if text else 0.0


def summary(demo: Demo, figures: dict) -> None:
    """The measured figures."""
    first, later = demo.uploads[0], demo.uploads[1:5]
    rows = statistics.median(upload.seconds for upload in later) * 1000
    run = statistics.median(milliseconds(u.report.get("Duration", "")) for u in later)
    invoke, alone = (statistics.median(figures[name]) * 1000 for name in ("invoke", "bare"))
    lines = [
        ("server start to first answered request", f"{figures['start'] * 1000:.0f} ms"),
        ("deploy (package in hand)", f"{figures['deploy']:.1f} s"),
        ("first picture: upload to row", f"{first.seconds * 1000:.0f} ms"),
        ("  of it the handler, initialisation",
         f"{first.report.get('Duration', '?')}, {first.report.get('Init Duration', 'prepared')}"),
        ("later pictures, one by one: upload to row", f"{rows:.0f} ms (median of {len(later)})"),
        ("  of it the handler", f"{run:.0f} ms"),
        ("one event, invoked and answered", f"{invoke:.0f} ms (median of {len(figures['invoke'])})"),
        ("the same in a bare python3 process",
         f"{alone:.0f} ms (median of {len(figures['bare'])}), {figures['bare_memory']} MB"),
    ]
    if figures["build"]:
        lines.insert(0, ("build (cargo build --release)", f"{figures['build']} s"))
    say("figures of this run")
    for name, value in lines:
        print(f"    {name:44} {value}")


def play(server: MayflyProcess, work: Path) -> list:
    """The whole demo; the problems found."""
    figures = {"build": os.environ.get("BUILD_SECONDS", "")}
    say("packaging the functions (the first time installs their packages; half a minute)")
    archive = deploy.package()
    print(f"    {archive.relative_to(HERE)}: {archive.stat().st_size / 1e6:.1f} MB")
    figures["start"] = server.start()
    say(f"server at {server.url}, pid {server.pid}, data in {work}")
    os.environ.update({
        "AWS_ENDPOINT_URL": server.url, "AWS_DEFAULT_REGION": deploy.REGION,
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
    })
    demo = Demo(server)
    say("deploying: tables, package, two functions, bucket events, function URL")
    started = time.monotonic()
    demo.url = deploy.deploy(archive)
    figures["deploy"] = time.monotonic() - started
    print(f"    results at {demo.url}results")
    say("uploading pictures: the first through a presigned URL, then one by one")
    upload_all(demo)
    say("the same event once more: at least once must not count twice")
    chosen = demo.uploads[1]
    figures["invoke"] = repeat(demo, chosen, 5)
    say("asking the HTTP API")
    check_results(demo)
    say("the same handler in a bare python3 process")
    figures["bare"], figures["bare_memory"] = bare(demo, chosen, archive, 3)
    summary(demo, figures)
    for line in trouble(server.read_log()):
        demo.check(False, f"in the server's log: {line}")
    return demo.problems


def how_to_go_on(server: MayflyProcess, work: Path) -> None:
    """What to type while the server is left running."""
    aws = f".venv/bin/aws --endpoint-url {server.url}"
    print(f"""
==> the server is left running at {server.url}
    export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1
    {aws} lambda list-functions
    {aws} s3 cp {os.path.relpath(HERE)}/pictures/zero-28x28.png s3://pictures/uploads/mine.png
    {aws} lambda get-function-url-config --function-name results
    {os.path.relpath(binary())} logs recognise --endpoint {server.url}
    stop it: kill {server.pid}; rm -r {work}""")


def main() -> int:
    """Run the demo around a server that is always stopped in the end, or kept on request."""
    def interrupted(*_):
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    if not binary().exists():
        print(f"error: {binary()} is missing: run `make build`", file=sys.stderr)
        return 2
    keep = os.environ.get("KEEP", "") not in ("", "0")
    work = Path(tempfile.mkdtemp(prefix="mayfly-demo-"))
    server = MayflyProcess(work / "data", work / "server.log")
    status = 1
    try:
        problems = play(server, work)
        if problems:
            listed = "\n  ".join(problems)
            print(f"\nerror: not all came out right:\n  {listed}", file=sys.stderr)
        else:
            status = 0
            print("\nAll came out right.")
    except KeyboardInterrupt:
        keep, status = False, 130
        print("\ninterrupted", file=sys.stderr)
    except Exception as error:
        print(f"\nerror: {type(error).__name__}: {error}", file=sys.stderr)
    finally:
        if status == 1:
            print(f"\nthe end of the server's log:\n{server.tail()}", file=sys.stderr)
        if keep and server.running():
            how_to_go_on(server, work)
        else:
            server.stop()
            shutil.rmtree(work, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
