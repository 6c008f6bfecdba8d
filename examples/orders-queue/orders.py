"""Reads uploaded lists of orders and puts a message for each order into the queue of the shop floor.

It is started by a queue that hears of uploads. A file that cannot be read fails alone: the other messages of its batch are
done, and it ends in the dead-letter queue, from which it is replayed once the function knows better.
"""

import csv
import io
import json
import os
import time
import urllib.parse
import urllib.request


def handler(event, context):
    failed = []
    for record in event["Records"]:
        try:
            process(json.loads(record["body"]))
        except Exception as error:
            print("cannot process", record["messageId"], "-", error)
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def process(notification):
    for record in notification.get("Records", []):
        bucket, key = record["s3"]["bucket"]["name"], record["s3"]["object"]["key"]
        text = call("s3", f"/{bucket}/{urllib.parse.quote(urllib.parse.unquote_plus(key))}").decode()
        orders = list(csv.DictReader(io.StringIO(text), delimiter=os.environ.get("DELIMITER", ",")))
        # All of a file or nothing: what is wrong shows before the first message is sent.
        messages = [json.dumps({"item": order["item"], "pieces": int(order["pieces"])}) for order in orders]
        for message in messages:
            call("sqs", "/", {"QueueUrl": os.environ["FLOOR"], "MessageBody": message}, "AmazonSQS.SendMessage")


def call(service, path, body=None, target=None):
    """The platform knows a function by its socket; the signature only says which service is meant."""
    at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"function/{at[:8]}/us-east-1/{service}/aws4_request"
    headers = {"X-Amz-Date": at,
               "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
    if target:
        headers |= {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.0"}
    request = urllib.request.Request(
        os.environ["AWS_ENDPOINT_URL"] + path, headers=headers, data=body and json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()
