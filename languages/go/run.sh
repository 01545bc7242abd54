#!/bin/sh
# Compiles tools/ once for each of its versions, into the user's cache, and runs them: run.sh GO COMMAND …
set -eu
go=$1
shift
case $0 in */*) here=${0%/*} ;; *) here=. ;; esac
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sabir/go-tools
# Of each file's sum and size. One process: the tools' own work on a small project is over in ten milliseconds.
sums=$(cd -- "$here/tools" && exec cksum go.mod ./*.go)
stamp=0
for number in $sums; do
  case $number in *[!0-9]*) ;; *) stamp=$(((stamp * 31 + number) % 36028797018963968)) ;; esac
done
tools=$cache/$stamp
if [ ! -x "$tools" ]; then
  mkdir -p "$cache"
  made=$(mktemp "$cache/making.XXXXXX")
  trap 'rm -f "$made"' EXIT
  (cd "$here/tools" && GOWORK=off GOFLAGS= GO111MODULE=on "$go" build -o "$made" .) >&2
  mv "$made" "$tools"
  trap - EXIT
fi
exec "$tools" "$@"
