#!/bin/sh
# Compiles the glue of one file, or the worker. Usage: compile.sh COMPILER SOURCE OUT SDK PROJECT [@RESPONSE]
#
# The JSON library's header takes three times as long as a usual file of functions. The glue does without it; a file that
# includes it, or the SDK that does, gets it precompiled. It is made once for a compiler, its flags and the SDK, beside the
# objects. (Clang reads no such file by -include and compiles the header as it is.)
set -eu
compiler=$1
source=$2
out=$3
sdk=$4
project=$5
response=${6:-}  # how code that uses a library of existing code is compiled
set -- -std=c++20 -O1 -pthread -DSABIR_WORKER
# link.sh cannot make a unique symbol an object's own.
case $("$compiler" --version) in
  *clang*) ;;
  *) set -- "$@" -fno-gnu-unique ;;
esac

# The glue names the user's file, and the headers of the project that it includes. (The worker, compiled once, does not wait
# for a precompiled header.)
uses_json() {
  sed -n -e 's/^#include "\(.*\)"$/\1/p' -e 's/^\/\/ content of \(.*\): [0-9a-f]*$/\1/p' "$source" | while read -r file; do
    if [ -f "$project/$file" ] && grep -q '"sabir/sabir\.hpp"\|nlohmann/json' "$project/$file"; then echo yes; fi
  done | grep -q yes
}

if uses_json; then
  key=$({ "$compiler" -v 2>&1; echo "$compiler" "$sdk" "$@"; cat "$sdk"/sabir/*.hpp; } | cksum | tr ' ' -)
  folder=$(dirname "$out")/json-$key
  if [ ! -e "$folder/sabir.hpp.gch" ]; then
    # Several compilers may want it at once; the first makes it.
    mkdir -p "$folder"
    exec 9>"$folder/lock"
    flock 9
    if [ ! -e "$folder/sabir.hpp.gch" ]; then
      echo '#include "sabir/sabir.hpp"' >"$folder/sabir.hpp"
      "$compiler" "$@" "-I$sdk" -x c++-header "$folder/sabir.hpp" -o "$folder/making" && mv "$folder/making" "$folder/sabir.hpp.gch"
    fi
    exec 9>&-
  fi
  # The engine drops what no build has touched for a month.
  touch "$folder"
  [ ! -e "$folder/sabir.hpp.gch" ] || set -- "$@" -include "$folder/sabir.hpp"
fi
exec "$compiler" "$@" "-I$sdk" "-I$project" -c "$source" -o "$out" ${response:+"$response"}
