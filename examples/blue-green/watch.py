"""Calls an alias some times and tells how many answers and errors came from which version."""

import collections
import json
import sys

import boto3


def main(function, alias, calls):
    functions = boto3.client("lambda")
    answers, errors = collections.Counter(), collections.Counter()
    for _ in range(calls):
        answer = functions.invoke(FunctionName=function, Qualifier=alias, Payload=b'{"count": 10}')
        version = answer["ExecutedVersion"]
        answers[version] += 1
        errors[version] += "FunctionError" in answer
    print(json.dumps({"answers": answers, "errors": errors}))
    rates = {version: errors[version] / answers[version] for version in sorted(answers, key=int)}
    return int(len(rates) > 1 and list(rates.values())[-1] > list(rates.values())[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
