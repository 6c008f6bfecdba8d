#!/usr/bin/env bash
# Runs all the tests, one step after the other, each within a time limit. See `make test`.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python
total=2340 # seconds for everything
child=

# `timeout` puts a step in a process group of its own, so that it can end all of it:
# Ctrl-C does not reach there, and has to be passed on.
trap '[ -z "$child" ] || { kill "$child" && wait "$child"; } 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM

step() {
    local limit=$1 title=$2 status=0
    shift 2
    limit=$((limit < total - SECONDS ? limit : total - SECONDS))
    if [ "$limit" -le 0 ]; then
        echo "error: no time left for '$title'" >&2
        return 1
    fi
    echo "==> $title"
    timeout --kill-after=20 "$limit" "$@" &
    child=$!
    wait "$child" || status=$?
    child=
    if [ "$status" = 124 ]; then
        echo "error: '$title' did not end within $limit seconds" >&2
    fi
    return "$status"
}

step 120 "the Java runtime" scripts/java_runtime.sh
if cargo fmt --version >/dev/null 2>&1; then
    step 60 "cargo fmt --check" cargo fmt --all --check
else
    echo "==> rustfmt is missing: formatting not checked (rustup component add rustfmt)"
fi
if cargo clippy --version >/dev/null 2>&1; then
    step 600 "cargo clippy" cargo clippy --workspace --all-targets -- -D warnings
else
    echo "==> clippy is missing: no lints (rustup component add clippy)"
fi
step 1100 "cargo test" cargo test --workspace
step 800 "cargo build --release" cargo build --release
step 120 "the example's unit tests" "$python" -m pytest -q --timeout 60 examples/image-recognition
step 1300 "tests against the program" "$python" -m pytest -q --durations 5 tests
echo "==> all tests passed"
