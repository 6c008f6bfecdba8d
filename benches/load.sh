#!/usr/bin/env bash
# State under a closed loop of requests: small and large objects, a SQL look-up, durable events.
#
#   make build && make venv && benches/load.sh [seconds]
#
# Needs wrk (Debian's package of that name). Rows D1, D3, D4 and D6 of SPECIFICATION.md. The load generator shares the
# machine's processors with the server, and in the last step also with the functions that the accepted events start.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-8}
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill -9 "$server" 2>/dev/null; rm -rf "$work"' EXIT

target/release/mayfly serve --listen 127.0.0.1:0 --data-dir "$work/data" > "$work/log" 2>&1 &
server=$!
disown # so that the shell does not tell of its end
for _ in $(seq 500); do
    url=$(grep -o 'http://127.0.0.1:[0-9]*' "$work/log" | head -1 || true)
    if [ -n "$url" ] && curl -sf "$url/health" > /dev/null; then break; fi
    sleep 0.02
done
export AWS_ENDPOINT_URL=$url AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=bench AWS_SECRET_ACCESS_KEY=bench
aws() { .venv/bin/aws "$@" > /dev/null; }
python=python$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
arns='"resourceArn":"arn:aws:rds:us-east-1:000000000000:cluster:bench","secretArn":"arn:aws:secretsmanager:us-east-1:000000000000:secret:bench"'

echo 'def handler(event, context): return event' > "$work/app.py"
(cd "$work" && python3 -m zipfile -c app.zip app.py)
aws lambda create-function --function-name echo --runtime "$python" --handler app.handler \
    --role arn:aws:iam::000000000000:role/bench --zip-file "fileb://$work/app.zip"
aws s3 mb s3://bench
for size in 1024 1048576; do
    head -c $size /dev/urandom > "$work/$size"
    aws s3api put-object --bucket bench --key $size --body "$work/$size"
done
for sql in "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)" "INSERT INTO t VALUES (1, 'x')"; do
    aws rds-data execute-statement --cli-input-json "{$arns,\"sql\":\"$sql\"}"
done

# load TITLE SERVICE CONNECTIONS PATH [EVENT_HEADER BODY]
load() {
    {
        at=$(date -u +%Y%m%dT%H%M%SZ) # S3 refuses requests that are not of this quarter of an hour
        echo "wrk.headers['X-Amz-Date'] = '$at'"
        echo "wrk.headers['Authorization'] = 'AWS4-HMAC-SHA256 Credential=b/${at%T*}/us-east-1/$2/aws4_request," \
            "SignedHeaders=host, Signature=0'"
        if [ $# -gt 4 ]; then
            echo "wrk.method = 'POST'; wrk.headers['X-Amz-Invocation-Type'] = '$5'; wrk.body = [[$6]]"
        fi
    } > "$work/load.lua"
    echo "$1, $3 connections"
    wrk -t1 -c"$3" -d"$seconds" --latency -s "$work/load.lua" "$url$4" |
        grep -E 'Requests/sec|Transfer/sec|50%|99%|Non-2xx' || true
}
load "D4  GET of 1 KiB" s3 32 /bench/1024
load "D3  GET of 1 MiB" s3 8 /bench/1048576
load "D6  ExecuteStatement, one indexed row" rds-data 32 /Execute "" "{$arns,\"sql\":\"SELECT v FROM t WHERE id = 1\"}"
load "D1  durable events accepted" lambda 64 /2015-03-31/functions/echo/invocations Event '{"n": 1}'
