"""Code for functions in tests: reaches the platform from inside a sandbox with the standard library alone.

Add SOURCE to a package as `platform_api.py`. Any credential will do, so the signature is a blank one.
"""

SOURCE = '''
import json, os, time, urllib.request

def call(service, method, path, body=b"", content_type="application/octet-stream"):
    """One request to the platform; the body of the answer."""
    at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"test/{at[:8]}/us-east-1/{service}/aws4_request"
    request = urllib.request.Request(
        os.environ["AWS_ENDPOINT_URL"] + path, data=body or None, method=method,
        headers={
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
            "x-amz-date": at,
            "Content-Type": content_type,
        },
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        return response.read()

def put(bucket, key, body):
    """Put an object."""
    call("s3", "PUT", f"/{bucket}/{key}", body)

def sql(statement):
    """Run one SQL statement on the cluster `test`."""
    body = {
        "resourceArn": "arn:aws:rds:us-east-1:000000000000:cluster:test",
        "secretArn": "arn:aws:secretsmanager:us-east-1:000000000000:secret:test",
        "sql": statement,
    }
    return json.loads(call("rds-data", "POST", "/Execute", json.dumps(body).encode(), "application/json"))
'''
