#!/bin/sh
# Links the worker's program. Usage: link.sh COMPILER OUT OBJECT…
#
# Each source file is a module of its own, as in every language: a function that several files define stays each one's
# own, where a plain link would refuse them all. Symbols that one file alone defines remain common to all.
set -eu
compiler=$1
out=$2
shift 2
again=$(nm -g --defined-only -f posix "$@" 2>/dev/null |
  awk '$2 ~ /^[TDBRGSC]$/ && $1 != "main" && ++seen[$1] == 2 {print $1}') || again=
if [ -z "$again" ]; then
  exec "$compiler" -pthread "$@" -o "$out"
fi
trap 'rm -rf "$out.own"' EXIT
mkdir -p "$out.own"
printf '%s\n' "$again" >"$out.own/symbols"
count=0
for object in "$@"; do
  shift
  count=$((count + 1))
  objcopy --localize-symbols="$out.own/symbols" "$object" "$out.own/$count.o"
  set -- "$@" "$out.own/$count.o"
done
"$compiler" -pthread "$@" -o "$out"
