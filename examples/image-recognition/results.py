"""The function behind the URL: what was read in the pictures so far, as JSON.

GET /results lists all of them with the global count, GET /results/{key} shows one.
"""

import json
from urllib.parse import unquote

import database

COLUMNS = [
    "key", "sequencer", "status", "digit", "confidence", "error",
    "bytes", "milliseconds", "request_id", "recognised",
]
SELECT = f"select {', '.join(COLUMNS)} from pictures"
MOST = 1000


def handler(event, context):
    """Answer one request in payload format 2.0."""
    method = event["requestContext"]["http"]["method"]
    path = event["rawPath"]
    if path.rstrip("/") == "/results":
        key = None
    elif path.startswith("/results/"):
        key = unquote(path[len("/results/"):])
    else:
        return answer(404, {"message": "ask for /results or /results/{key}"})
    if method not in ("GET", "HEAD"):
        return answer(405, {"message": f"{method} is not allowed here"}, allow="GET, HEAD")
    return listing() if key is None else single(key)


def listing() -> dict:
    """The global count and the results, by key."""
    [counter] = database.query("select value from counters where name = 'pictures'", ["count"])
    results = database.query(f"{SELECT} order by key limit :most", COLUMNS, most=MOST)
    return answer(200, {**counter, "results": results})


def single(key: str) -> dict:
    """One picture's result."""
    found = database.query(f"{SELECT} where key = :key", COLUMNS, key=key)
    if not found:
        return answer(404, {"message": "no such picture", "key": key})
    return answer(200, found[0])


def answer(status: int, body: dict, **headers) -> dict:
    """A function URL's response."""
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", **headers},
        "body": json.dumps(body),
    }
