"""Asks a streaming function and prints its answer piece by piece."""

import json
import sys

import boto3


def main(function, question):
    answer = boto3.client("lambda").invoke_with_response_stream(
        FunctionName=function, Payload=json.dumps({"ask": question})
    )
    for event in answer["EventStream"]:
        if "PayloadChunk" in event:
            print(event["PayloadChunk"]["Payload"].decode(), end="", flush=True)
        elif "ErrorCode" in event["InvokeComplete"]:
            sys.exit(event["InvokeComplete"]["ErrorDetails"])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
