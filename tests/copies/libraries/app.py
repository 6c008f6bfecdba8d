"""Libraries that are loaded, and used, before a copy is made: boto3, requests, numpy and Pillow."""

import io
import os

import boto3
import numpy
import requests
from PIL import Image, ImageDraw

s3 = boto3.client("s3")
bucket = boto3.resource("s3").Bucket("libraries")
buckets = [one["Name"] for one in s3.list_buckets()["Buckets"]]  # its connection is kept open
session = requests.Session()
first = session.get(s3.generate_presigned_url("get_object", Params={"Bucket": "libraries", "Key": "first"})).text
matrix = numpy.arange(250_000.0).reshape(500, 500)
product = float((matrix @ matrix.T).sum())  # its threads have worked
picture = Image.new("RGB", (64, 64), "white")
ImageDraw.Draw(picture).ellipse((8, 8, 56, 56), fill="red")


def handler(event, context):
    key, body = event["key"], os.urandom(1_000)
    s3.put_object(Bucket="libraries", Key=key, Body=body, Metadata={"for": key})
    got = s3.get_object(Bucket="libraries", Key=key)
    s3.upload_fileobj(io.BytesIO(bytes(100_000)), "libraries", key + "-large")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "libraries", "Key": key})
    shown = session.get(url)
    drawn = io.BytesIO()
    picture.resize((32, 32)).save(drawn, "PNG")
    pixels = numpy.asarray(Image.open(io.BytesIO(drawn.getvalue())))
    inverse = numpy.linalg.inv(numpy.eye(50) * 4)
    return {
        "kind": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], "buckets": buckets, "first": first,
        "same": got["Body"].read() == body == shown.content, "metadata": got["Metadata"],
        "large": s3.head_object(Bucket="libraries", Key=key + "-large")["ContentLength"],
        "listed": [one.key for one in bucket.objects.filter(Prefix=key + "-")],
        "product": float((matrix @ matrix.T).sum()) == product, "inverse": float(inverse[7, 7]),
        "pixels": [pixels.shape, pixels[16, 16].tolist(), pixels[0, 0].tolist()],
        "random": [float(numpy.random.random()), float(numpy.random.default_rng().random())],
    }
