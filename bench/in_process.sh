#!/usr/bin/env bash
# A call of a C++ function that runs inside the engine (isolation: in_process). One JSON row per line with --json.
set -euo pipefail
cd "$(dirname "$0")/.."

ninja -C build/release bench_in_process >&2
exec build/release/bench/bench_in_process "$PWD" "$PWD/bench/in_process/project" "$PWD/build/bench-cache" "$@"
