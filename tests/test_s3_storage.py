"""What lies on the disk: damage is found and told by key, orphans go, and a full disk harms nothing."""

import datetime
import json
import os
import random
import subprocess
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from conftest import make_function
from mayfly_process import binary, wait_for
from s3_support import MB

TRUST = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}]})
PAYLOAD = json.dumps("x" * 200_000)


def fsck(server, code=0):
    done = subprocess.run([str(binary()), "fsck", "--data-dir", str(server.data_dir)], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def blobs(server):
    return [path for path in (server.data_dir / "blobs").glob("??/*") if path.is_file()]


def test_damage_is_found_and_orphans_go(fresh_server):
    server = fresh_server()
    s3 = server.client("s3")
    s3.create_bucket(Bucket="box")
    s3.put_bucket_versioning(Bucket="box", VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket="box", Key="a/b", Body=os.urandom(50_000))["VersionId"]
    damaged = blobs(server)[0]
    s3.put_object(Bucket="box", Key="a/b", Body=os.urandom(50_000))
    s3.put_object(Bucket="box", Key="few", Body=b"few bytes have no file")
    assert len(blobs(server)) == 2
    assert "2 blobs" in fsck(server) and " 0 problems" in fsck(server)
    server.stop()
    body = bytearray(damaged.read_bytes())
    body[random.randrange(len(body))] ^= 1
    damaged.write_bytes(body)
    orphan = server.data_dir / "blobs/00" / ("0" * 64)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"nobody's")
    told = fsck(server, 1)
    assert f"damaged: s3://box/a/b?versionId={old}" in told and "1 files without a record" in told
    server.start()
    assert not orphan.exists()
    # Damaged bytes are not given out as right ones.
    server.expect_log("could not be read|failed")
    s3 = server.client("s3")
    with pytest.raises(Exception):
        s3.get_object(Bucket="box", Key="a/b", VersionId=old)["Body"].read()
    assert len(s3.get_object(Bucket="box", Key="a/b")["Body"].read()) == 50_000
    server.check_log()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 48 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("a disk of its own needs root")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def until_refused(call):
    """Call until that is refused; how often it was not, and the refusal."""
    for n in range(1_000):
        try:
            call(n)
        except ClientError as error:
            return n, error.response
    raise AssertionError("never refused")


def test_a_full_disk_harms_nothing(fresh_server, small_disk):
    server = fresh_server(data_dir=small_disk / "data")
    server.expect_log("disk is full|database or disk is full|rolled the transaction back|failed|could not|cannot")
    s3 = server.client("s3")
    s3.create_bucket(Bucket="box")
    filler = small_disk / "filler"
    filler.write_bytes(bytes(8 * MB))
    sqs, functions, iam = server.client("sqs"), server.client("lambda"), server.client("iam")
    queue = sqs.create_queue(QueueName="jobs")["QueueUrl"]
    make_function(functions, "never", "def handler(event, context):\n    return event\n")
    bodies = {f"k{n}": os.urandom(MB) for n in range(48)}
    stored, failure = until_refused(lambda n: s3.put_object(Bucket="box", Key=f"k{n}", Body=bodies[f"k{n}"]))
    assert failure["ResponseMetadata"]["HTTPStatusCode"] == 507
    assert failure["Error"]["Code"] == "InsufficientStorage" and stored > 10
    bodies = {f"k{n}": bodies[f"k{n}"] for n in range(stored)}
    for key, body in bodies.items():
        assert s3.get_object(Bucket="box", Key=key)["Body"].read() == body
    listed = {one["Key"] for one in s3.list_objects_v2(Bucket="box")["Contents"]}
    assert listed == set(bodies)
    # Small things are kept as long as there is room; then they are refused in words that say why.
    with filler.open("ab", buffering=0) as file, pytest.raises(OSError):
        while True:
            file.write(bytes(4096))
    tags = [{"Key": f"k{n}", "Value": "v" * 200} for n in range(40)]
    kept = {}
    for service, name, call in [
        ("sqs", "messages", lambda n: sqs.send_message(QueueUrl=queue, MessageBody="m" * 200_000)),
        ("lambda", "events", lambda n: functions.invoke(FunctionName="never", InvocationType="Event", Payload=PAYLOAD)),
        ("iam", "roles", lambda n: iam.create_role(RoleName=f"r{n}", AssumeRolePolicyDocument=TRUST, Tags=tags)),
    ]:
        os.truncate(filler, filler.stat().st_size - 2 * MB)
        kept[name], failure = until_refused(call)
        assert kept[name] > 0, service
        assert (failure["Error"]["Code"], failure["ResponseMetadata"]["HTTPStatusCode"]) == ("ServiceUnavailable", 503)
        assert "disk is full" in failure["Error"]["Message"], service
    filler.unlink()
    assert len(iam.list_roles()["Roles"]) == kept["roles"]
    def ran():
        lines = server.mayfly("runs", "never", "--json", "--endpoint", server.url, "--limit", "1000").splitlines()
        return len({json.loads(line)["requestId"] for line in lines}) == kept["events"]
    wait_for(ran, 60, "every event that was accepted to run")
    asked = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    assert asked["ApproximateNumberOfMessages"] == str(kept["messages"])
    for key in list(bodies)[:5]:
        s3.delete_object(Bucket="box", Key=key)
    s3.put_object(Bucket="box", Key="again", Body=os.urandom(MB))
    server.restart()
    assert " 0 problems" in fsck(server)
    server.check_log()


def settings(tmp_path, text):
    """The arguments of a server with these settings."""
    file = tmp_path / "mayfly.toml"
    file.write_text(text)
    return ["--config", str(file)]


def test_the_scrubber_reports_damage_by_key_and_keeps_its_rate(fresh_server, tmp_path):
    server = fresh_server(args=settings(tmp_path, "[buckets]\nscrub_s = 1\nscrub_mb_s = 64\n"))
    s3 = server.client("s3")
    s3.create_bucket(Bucket="box")
    s3.put_object(Bucket="box", Key="sound", Body=os.urandom(100_000))
    s3.put_object(Bucket="box", Key="bad/one", Body=os.urandom(200_000))
    server.stop()
    victim = max(blobs(server), key=lambda path: path.stat().st_size)
    body = bytearray(victim.read_bytes())
    body[random.randrange(len(body))] ^= 1
    victim.write_bytes(body)
    server.start()
    server.expect_log("an object is damaged.*s3://box/bad/one")
    wait_for(lambda: "s3://box/bad/one" in server.read_log(0), 30, "the report of the scrubber")
    assert "s3://box/sound" not in server.read_log(0)
    server.client("s3").delete_object(Bucket="box", Key="bad/one")
    server.stop()
    assert " 0 problems" in fsck(server)


def test_a_slow_scrubber_reads_slowly_and_stops_at_once(fresh_server, tmp_path):
    server = fresh_server(args=settings(tmp_path, "[buckets]\nscrub_s = 1\nscrub_mb_s = 1\n"))
    s3 = server.client("s3")
    s3.create_bucket(Bucket="box")
    s3.put_object(Bucket="box", Key="large", Body=os.urandom(64 * MB))
    # At this rate a pass takes a minute. It is read in pieces, so what was read is not much more than the time allows.
    server.restart()
    begun = time.monotonic()
    time.sleep(2)
    files = [line for line in Path(f"/proc/{server.pid}/io").read_text().splitlines() if line.startswith("rchar")]
    read = int(files[0].split()[1]) / MB
    assert read < 16 + 4 * (time.monotonic() - begun), "the rate is not kept"
    assert server.stop() == 0, "the scrubber does not hold up the end"


def test_lifecycles_are_followed_by_a_timer_that_outlives_the_server(fresh_server, tmp_path):
    server = fresh_server()
    s3 = server.client("s3")
    s3.create_bucket(Bucket="box")
    past = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    s3.put_bucket_lifecycle_configuration(Bucket="box", LifecycleConfiguration={"Rules": [
        {"ID": "gone", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Date": past}}]})
    server.restart(args=settings(tmp_path, "[buckets]\nlifecycle_s = 1\n"))
    s3 = server.client("s3")
    for _ in range(2):
        s3.put_object(Bucket="box", Key="kept", Body=b"x")
        s3.put_object(Bucket="box", Key="logs/a", Body=b"x")
        wait_for(lambda: s3.list_objects_v2(Bucket="box")["KeyCount"] == 1, 30, "the expiry")
        server.kill()
        server.start()
        s3 = server.client("s3")
    s3.delete_bucket_lifecycle(Bucket="box")


def test_how_many_bytes_have_no_file_can_be_set(fresh_server, tmp_path):
    server = fresh_server(args=settings(tmp_path, "[buckets]\ninline_kb = 0\n"))
    s3 = server.client("s3")
    s3.create_bucket(Bucket="box")
    s3.put_object(Bucket="box", Key="k", Body=b"some")
    assert len(blobs(server)) == 1 and s3.get_object(Bucket="box", Key="k")["Body"].read() == b"some"
