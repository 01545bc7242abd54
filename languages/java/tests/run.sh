#!/bin/sh
# The unit tests of the SDK and the tools: run.sh [JAVAC]
set -eu
javac=$(readlink -f "$(command -v "${1:-javac}")")
here=$(cd "$(dirname "$0")" && pwd)
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
"$javac" -J-XX:TieredStopAtLevel=1 -Xlint:all -Werror -proc:none -encoding UTF-8 -d "$made" -sourcepath "$here/../sdk:$here/../tools" "$here/Units.java"
"$(dirname "$javac")/java" -XX:TieredStopAtLevel=1 -cp "$made" sabir.internal.Units "$here/../../../spec/vectors"
