#!/usr/bin/env bash
# Makes .venv with the Python packages that the tests and the example need.
# Does nothing when it is there already and the requirements are the same.
set -euo pipefail
cd "$(dirname "$0")/.."

requirements=(tests/requirements.txt examples/image-recognition/requirements.txt)
# An older SDK for those tests that ask how clients of old are served, in a place of its own.
old=tests/requirements-old-sdk.txt

fail() {
    echo "error: $*" >&2
    exit 1
}

command -v python3 >/dev/null || fail "type: apt-get install python3 python3-venv"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' || fail "Python 3.9 is needed"

# The stamp holds a hash of what is asked for and of the interpreter that it is made for.
interpreter=$(python3 -c 'import sys; print(sys.executable, sys.version)')
wanted=$({ echo "$interpreter"; cat "${requirements[@]}" "$old"; } | sha256sum)
stamp=.venv/stamp
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && .venv/bin/python -c '' 2>/dev/null; then
    exit 0
fi
rm -f "$stamp"

make_venv() {
    python3 -m venv --clear .venv >/dev/null 2>&1 && .venv/bin/python -m pip --version >/dev/null 2>&1
}

echo "==> making a Python environment in .venv"
if ! make_venv; then
    # Debian keeps what venv needs to install pip in a package of its own.
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "==> installing python3-venv with apt-get"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    else
        fail "python3 cannot make a virtual environment; type: sudo apt-get install python3-venv"
    fi
    make_venv || fail "python3 -m venv does not work here, even with python3-venv installed"
fi

echo "==> installing Python packages (boto3, awscli, numpy, pillow, pytest; about a minute)"
arguments=()
for file in "${requirements[@]}"; do arguments+=(-r "$file"); done
.venv/bin/python -m pip install --quiet --disable-pip-version-check "${arguments[@]}"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --target .venv/old-sdk -r "$old"
echo "$wanted" > "$stamp"
