#!/bin/sh
# The unit tests of the SDK, the worker and the tools: run.sh [TARGET_FOLDER]
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
target=${1:-$(mktemp -d)}
for crate in sdk/sabir tools; do
  cargo test --quiet --locked --manifest-path "$here/$crate/Cargo.toml" --target-dir "$target" 2>&1
done
