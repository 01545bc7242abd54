#!/usr/bin/env bash
# Each language's worker against the best hand-written loop in that language (bench/workers/reference/).
# One JSON row per line with --json. A language that this machine lacks is left out, and said so on standard error.
set -euo pipefail
cd "$(dirname "$0")/.."

ninja -C build/release bench_workers bench_cpp_worker bench_cpp_reference >&2
here=$PWD/bench/workers
driver=build/release/bench/bench_workers
code=0
# Not a version manager's script around an interpreter: its start does not matter here, but its affinity does.
python=$(command -v /usr/bin/python3 || command -v python3 || true)
ruby=$(command -v ruby || true)
if [ -n "$python" ]; then
  "$driver" python "$here/functions/bench.py" "$python languages/python/worker.py" "$python $here/reference/loop.py" "$@" || code=1
else
  echo "Python is not installed: left out" >&2
fi
if [ -n "$ruby" ]; then
  "$driver" ruby "$here/functions/bench.rb" "$ruby languages/ruby/worker.rb" "$ruby $here/reference/loop.rb" "$@" || code=1
else
  echo "Ruby is not installed: left out" >&2
fi
"$driver" cpp "$here/functions/bench.cc" build/release/bench/bench_cpp_worker build/release/bench/bench_cpp_reference "$@" || code=1
exit "$code"
