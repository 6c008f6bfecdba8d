#!/usr/bin/env bash
# Builds runtimes/java/target/bootstrap.jar, which the program embeds; without it there are no Java functions.
# Does nothing if it is newer than its sources, or if there is no JDK or no Maven. See `make build`.
set -euo pipefail
cd "$(dirname "$0")/../runtimes/java"
jar=target/bootstrap.jar

if [ -f "$jar" ] && [ -z "$(find pom.xml src -newer "$jar" -print -quit)" ]; then
    exit 0
fi
if ! command -v javac >/dev/null || ! command -v mvn >/dev/null; then
    echo "==> no JDK or no Maven here: mayfly is built without Java"
    exit 0
fi
echo "==> building the Java runtime"
rm -f "$jar"
if ! mvn -q -B package; then
    rm -f "$jar"
    echo "error: the Java runtime cannot be built: mayfly is built without Java" >&2
fi
