#!/bin/sh
# The unit tests of the SDK, the worker and the tools: run.sh [GO]
set -eu
go=${1:-go}
here=$(cd "$(dirname "$0")/.." && pwd)
for module in sdk/sabir tools; do
  (cd "$here/$module" && GOWORK=off GOFLAGS= "$go" vet ./... && GOWORK=off GOFLAGS= "$go" test -count=1 ./...)
done
