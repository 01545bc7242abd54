#!/bin/sh
# Links the worker's program, or with SABIR_LINK=-shared a library. Usage: link.sh COMPILER OUT OBJECT… [@RESPONSE…]
#
# Each source file is a module of its own, as in every language: a function that several files define stays each one's
# own, where a plain link would refuse them all. Symbols that one file alone defines remain common to all. Response files
# name the libraries of existing code.
#
# What a compiler emits for inline functions, templates and types is merged by name at a link, even where two files mean
# different things by it. The glue notes in symbols sabir_defines_<file>_<name> what is defined where; what bears a name
# that two files define differently stays each object's own as well.
set -eu
compiler=$1
out=$2
shift 2
trap 'rm -rf "$out.own"' EXIT
mkdir -p "$out.own"
for object in "$@"; do
  case $object in
    @*) ;;
    *) printf '%s\0' "$object" ;;
  esac
done | xargs -0 nm -A --defined-only -f posix 2>/dev/null | awk -v own="$out.own" '
  {
    object = $1; sub(/(\[[^]]*\])?:$/, "", object)
    symbol = $2; type = $3
    if (match(symbol, /sabir_defines_[0-9a-f]+_/)) {
      file = substr(symbol, RSTART + 14, RLENGTH - 15)
      name = substr(symbol, RSTART + RLENGTH)
      if (!((name, file) in defined)) { defined[name, file]; if (++files[name] == 2) meanings[name] }
    } else if (type ~ /^[TDBRGSC]$/) {
      if (symbol != "main" && ++seen[symbol] == 2) print symbol > (own "/symbols")
    } else if (type ~ /^[WVu]$/) {
      weak[object] = weak[object] symbol "\n"
    }
  }
  END {
    for (name in meanings) pattern = pattern (pattern == "" ? "" : "|") name
    if (pattern == "") exit
    for (object in weak) {
      count = split(weak[object], symbols, "\n")
      found = 0
      for (i = 1; i <= count; i++) if (symbols[i] ~ pattern) { print symbols[i] > (own "/symbols"); found = 1 }
      if (found) print object > (own "/objects")
    }
  }'
if [ -s "$out.own/symbols" ]; then
  sort -u "$out.own/symbols" -o "$out.own/symbols"
  touch "$out.own/objects"
  count=0
  for object in "$@"; do
    shift
    count=$((count + 1))
    own="$out.own/$count.o"
    case $object in
      @*)
        set -- "$@" "$object"
        continue
        ;;
    esac
    if grep -Fxq "$object" "$out.own/objects"; then
      # Out of their groups, of which a link keeps one for all.
      "$compiler" -r -nostdlib -Wl,--force-group-allocation "$object" -o "$own"
      objcopy --localize-symbols="$out.own/symbols" "$own"
    else
      objcopy --localize-symbols="$out.own/symbols" "$object" "$own"
    fi
    set -- "$@" "$own"
  done
fi
"$compiler" ${SABIR_LINK:-} -pthread "$@" -o "$out"
