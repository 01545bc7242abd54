#!/bin/sh
# Compiles tools/ once for each of its versions, into the user's cache, and runs them: run.sh CARGO COMMAND …
set -eu
cargo=$1
shift
case $0 in */*) here=${0%/*} ;; *) here=. ;; esac
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sabir/rust
# Of each file's sum and size. One process: the tools' own work on a small project is over in ten milliseconds.
sums=$(cd -- "$here/tools" && exec cksum Cargo.toml Cargo.lock src/*.rs)
stamp=0
for number in $sums; do
  case $number in *[!0-9]*) ;; *) stamp=$(((stamp * 31 + number) % 36028797018963968)) ;; esac
done
tools=$cache/tools-$stamp
if [ ! -x "$tools" ]; then
  mkdir -p "$cache"
  making=$(mktemp -d "$cache/making.XXXXXX")
  trap 'rm -rf "$making"' EXIT
  "$cargo" build --quiet --release --locked --offline --manifest-path "$here/tools/Cargo.toml" --target-dir "$making" >"$making/said" 2>&1 || {
    cat "$making/said" >&2
    echo "$cargo cannot compile $here/tools: $(grep -m 1 '^error' "$making/said" || echo 'see above')" >&2
    exit 1
  }
  mv "$making/release/sabir-rust-tools" "$tools"
  rm -rf "$making"
  trap - EXIT
fi
exec "$tools" "$@"
