#!/usr/bin/env bash
# Calls through the engine: each language against the best hand-written loop in it, one language calling another, a large
# string, what else serves a Python function, and the listing of 1,000 functions. One JSON row per line with --json.
set -euo pipefail
cd "$(dirname "$0")/.."

ninja -C build/release bench_functions bench_cpp_reference >&2
here=$PWD/bench/functions loops=$PWD/bench/workers/reference work=$PWD/build/bench-functions
mkdir -p "$work"
# Not a version manager's script around an interpreter: it would be measured too.
python=$(command -v /usr/bin/python3 || command -v python3)
export PATH=$PWD/build/venv/bin:$PATH
[ -x build/bench-venv/bin/fastmcp ] || {
  python3 -m venv build/bench-venv
  build/bench-venv/bin/pip install --quiet --disable-pip-version-check -r "$here/peers/requirements.txt"
} >&2
languages=(python "$python $loops/loop.py")
! command -v ruby >/dev/null || languages+=(ruby "$(command -v ruby) $loops/loop.rb")
! command -v node >/dev/null || languages+=(node "$(command -v node) $loops/loop.mjs")
if command -v go >/dev/null; then
  go build -o "$work/loop_go" "$loops/loop.go" >&2
  (cd "$here/peers/grpc_client" && go build -o "$work/grpc_client" .) >&2
  languages+=(go "$work/loop_go")
fi
languages+=(cpp build/release/bench/bench_cpp_reference)

# A folder with all of the engine's resources: the C++ SDK needs a header that lies elsewhere in the repository's build.
resources=$("$SABIR_BIN" sdk path python)
resources=${resources%/languages/*}
driver=(build/release/bench/bench_functions "$resources" "$here/project" "$work/cache")
code=0
"${driver[@]}" "${languages[@]}" --raw "$python $loops/raw.py" "$@" || code=1
if [ -x "$work/grpc_client" ]; then
  python3 "$here/peers.py" build/bench-venv/bin/python "$work/grpc_client" "$@" -- "${driver[@]}" --rates python || code=1
else
  echo "Go is not installed: the comparison with peers is left out, for lack of a gRPC client" >&2
fi
python3 "$here/listing.py" "$SABIR_BIN" "$@" || code=1
exit "$code"
