#!/usr/bin/env bash
# What a trace adds to a call: not traced, its structure alone, with its texts. One JSON row per line with --json.
set -euo pipefail
cd "$(dirname "$0")/.."

ninja -C build/release bench_traces >&2
exec build/release/bench/bench_traces "$PWD" "$PWD/bench/traces/project" "$PWD/build/bench-cache" "$@"
