"""Short links that nobody has to keep: the code of a link is the address itself, signed."""

import base64
import hashlib
import hmac
import json
import os
import urllib.parse

SECRET = os.environ["SECRET"].encode()
PAGE = '<!doctype html><form method="post"><input name="url"><button>Shorten</button></form>'


def signature(code):
    return base64.urlsafe_b64encode(hmac.digest(SECRET, code.encode(), hashlib.sha256)[:9]).decode()


def shorten(url):
    code = base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
    return f"{signature(code)}{code}"


def lengthen(link):
    mark, code = link[:12], link[12:]
    if code and hmac.compare_digest(mark, signature(code)):
        return base64.urlsafe_b64decode(code + "=" * (-len(code) % 4)).decode()
    return None


def fields(event):
    """What was sent, as JSON or as a form."""
    body = event.get("body", "")
    if event["isBase64Encoded"]:
        body = base64.b64decode(body).decode()
    if event["headers"].get("content-type", "").startswith("application/json"):
        return json.loads(body)
    return dict(urllib.parse.parse_qsl(body))


def handler(event, context):
    method, path = event["requestContext"]["http"]["method"], event["rawPath"].strip("/")
    if method == "POST" and not path:
        try:
            url = fields(event).get("url", "")
        except (ValueError, AttributeError):
            url = ""
        if not url.startswith(("http://", "https://")):
            return {"statusCode": 400, "body": json.dumps({"error": "url must be an address"})}
        headers = event["headers"]
        base = f"{headers['x-forwarded-proto']}://{headers['host']}"
        return {
            "statusCode": 201, "headers": {"Content-Type": "application/json"},
            "cookies": ["last=" + urllib.parse.quote(url, safe="")],
            "body": json.dumps({"link": shorten(url), "at": base}),
        }
    if method == "GET" and not path:
        return {"statusCode": 200, "headers": {"Content-Type": "text/html; charset=utf-8"}, "body": PAGE}
    url = lengthen(path) if method == "GET" else None
    if url:
        return {"statusCode": 302, "headers": {"Location": url}}
    return {"statusCode": 404, "body": json.dumps({"error": "no such link"})}
