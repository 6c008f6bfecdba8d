"""Packages the functions, and deploys them through the AWS APIs: boto3 and nothing else.

By itself: `python deploy.py` deploys to wherever the standard AWS environment
variables point (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ...).
"""

import compileall
import hashlib
import os
import platform
import py_compile
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import boto3
from botocore.config import Config

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"
SOURCES = ["classify.py", "database.py", "recognise.py", "results.py", "model.npz"]

REGION = "us-east-1"
ACCOUNT = "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/demo"
CLUSTER = f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster:demo"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:demo"
DATABASE = "demo"
SETTINGS = {"CLUSTER_ARN": CLUSTER, "SECRET_ARN": SECRET, "DATABASE": DATABASE}
RUNTIME = f"python{sys.version_info[0]}.{sys.version_info[1]}"

PICTURES_BUCKET, CODE_BUCKET = "pictures", "deployments"
PREFIX = "uploads/"
SUFFIXES = [".png", ".jpg", ".bmp"]

# botocore describes 400 services in 25 MB. The functions call two of them.
SERVICES = {"s3", "rds-data"}


def client(service: str):
    """A boto3 client that gives up in time."""
    # Presigned URLs are asked for in the current signature version.
    signature = {"signature_version": "s3v4"} if service == "s3" else {}
    return boto3.client(service, config=Config(connect_timeout=5, read_timeout=60, **signature))


def package() -> Path:
    """The deployment package: made once for each state of what goes into it."""
    stamp = _hash((HERE / "requirements.txt").read_bytes(), sys.version, platform.machine())
    parts = BUILD / f"packages-{stamp}"
    if not parts.exists():
        _install(parts)
    contents = [(HERE / name).read_bytes() for name in SOURCES]
    archive = BUILD / f"functions-{_hash(stamp, Path(__file__).read_bytes(), *contents)}.zip"
    if not archive.exists():
        for older in BUILD.glob("functions-*.zip"):
            older.unlink()
        _write(archive, parts)
    return archive


def _hash(*parts) -> str:
    digest = hashlib.sha256()
    for part in parts:
        part = part if isinstance(part, bytes) else part.encode()
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]


def _install(target: Path) -> None:
    """Install the functions' packages, without what they never use there."""
    making = target.with_name(target.name + f".{os.getpid()}")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-compile", "--target", str(making), "-r", str(HERE / "requirements.txt")]
    try:
        subprocess.run(pip, check=True, timeout=600)
        records = making.glob("*.dist-info/RECORD")
        for unused in [*making.rglob("tests"), *records, making / "bin"]:
            shutil.rmtree(unused) if unused.is_dir() else unused.unlink(missing_ok=True)
        for service in (making / "botocore/data").iterdir():
            if service.is_dir() and service.name not in SERVICES:
                shutil.rmtree(service)
        # Byte code that is valid whatever the files' times: the functions cannot write
        # their own, and would compile every import anew.
        compileall.compile_dir(
            making, quiet=1, stripdir=str(making), prependdir="/var/task",
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        making.rename(target)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _write(archive: Path, parts: Path) -> None:
    """Write the zip: sorted names, a fixed time, so that equal contents give equal bytes."""
    files = {path.relative_to(parts).as_posix(): path for path in parts.rglob("*") if path.is_file()}
    files.update({name: HERE / name for name in SOURCES})
    making = archive.with_name(archive.name + f".{os.getpid()}")
    try:
        with zipfile.ZipFile(making, "w") as out:
            for name in sorted(files):
                info = zipfile.ZipInfo(name)
                info.external_attr = 0o644 << 16
                info.compress_type = zipfile.ZIP_DEFLATED
                out.writestr(info, files[name].read_bytes())
        making.rename(archive)
    finally:
        making.unlink(missing_ok=True)


def statements(schema: str) -> list:
    """The statements of an SQL file without its comments: the Data API takes one at a time."""
    lines = [line.split("--")[0] for line in schema.splitlines()]
    return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]


def create_tables() -> None:
    """The database's tables, through the Data API."""
    data = client("rds-data")
    for statement in statements((HERE / "schema.sql").read_text()):
        data.execute_statement(
            resourceArn=CLUSTER, secretArn=SECRET, database=DATABASE, sql=statement
        )


def create_functions(archive: Path) -> str:
    """Both functions, from a package in a bucket; the ARN of the one that recognises."""
    s3, functions = client("s3"), client("lambda")
    s3.create_bucket(Bucket=CODE_BUCKET)
    s3.put_object(Bucket=CODE_BUCKET, Key=archive.name, Body=archive.read_bytes())
    arns = {}
    for name, memory in [("recognise", 512), ("results", 256)]:
        arns[name] = functions.create_function(
            FunctionName=name, Runtime=RUNTIME, Role=ROLE, Handler=f"{name}.handler",
            MemorySize=memory, Timeout=30, Environment={"Variables": SETTINGS},
            Code={"S3Bucket": CODE_BUCKET, "S3Key": archive.name},
        )["FunctionArn"]
    for name in arns:
        functions.get_waiter("function_active_v2").wait(
            FunctionName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 1200}
        )
    return arns["recognise"]


def create_url() -> str:
    """The results' function URL, open to all."""
    functions = client("lambda")
    functions.add_permission(
        FunctionName="results", StatementId="everyone", Action="lambda:InvokeFunctionUrl",
        Principal="*", FunctionUrlAuthType="NONE",
    )
    return functions.create_function_url_config(FunctionName="results", AuthType="NONE")[
        "FunctionUrl"
    ]


def connect_bucket(function: str) -> None:
    """The bucket, and the events that it sends when a picture is uploaded."""
    s3 = client("s3")
    s3.create_bucket(Bucket=PICTURES_BUCKET)
    client("lambda").add_permission(
        FunctionName="recognise", StatementId="bucket", Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com", SourceArn=f"arn:aws:s3:::{PICTURES_BUCKET}",
        SourceAccount=ACCOUNT,
    )
    rules = [
        {
            "Id": f"uploaded{suffix.replace('.', '-')}",
            "LambdaFunctionArn": function,
            "Events": ["s3:ObjectCreated:*"],
            "Filter": {"Key": {"FilterRules": [
                {"Name": "prefix", "Value": PREFIX}, {"Name": "suffix", "Value": suffix},
            ]}},
        }
        for suffix in SUFFIXES
    ]
    s3.put_bucket_notification_configuration(
        Bucket=PICTURES_BUCKET,
        NotificationConfiguration={"LambdaFunctionConfigurations": rules},
    )


def deploy(archive: Path) -> str:
    """Everything, in an order in which each part finds what it needs; the results' URL."""
    create_tables()
    function = create_functions(archive)
    connect_bucket(function)
    return create_url()


if __name__ == "__main__":
    print(deploy(package()))
