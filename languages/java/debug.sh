#!/bin/sh
# A worker that waits for a debugger, and jdb on the terminal: debug.sh JAVAC PROGRAM PROJECT
#
# In jdb: `stop in Orders.lookupOrder`, then `cont`; `print name`, `where`, `next`, `step`. Another debugger can be used
# instead: SABIR_JAVA_DEBUG_ADDRESS=127.0.0.1:5005 says where it may attach.
set -eu
jdb=$(dirname "$(readlink -f "$1")")/jdb
program=$2
project=$3
address=${SABIR_JAVA_DEBUG_ADDRESS:-127.0.0.1:0}
SABIR_JAVA_DEBUG="-agentlib:jdwp=transport=dt_socket,server=y,suspend=y,address=$address"
export SABIR_JAVA_DEBUG
if [ -n "${SABIR_JAVA_DEBUG_ADDRESS-}" ] || [ ! -x "$jdb" ]; then
  exec "$program/worker"
fi
said=$(mktemp)
trap 'rm -f "$said"' EXIT
"$program/worker" >"$said" 2>&1 </dev/null &
worker=$!
trap 'kill "$worker" 2>/dev/null; rm -f "$said"' EXIT
port=
while kill -0 "$worker" 2>/dev/null; do
  port=$(sed -n 's/^Listening for transport dt_socket at address: \(.*:\)\{0,1\}\([0-9][0-9]*\)$/\2/p' "$said")
  [ -z "$port" ] || break
  sleep 0.1
done
[ -n "$port" ] || { cat "$said" >&2; exit 1; }
"$jdb" -attach "127.0.0.1:$port" -sourcepath "$project/functions/java:$project/assistants/java:$project/memory/java:$project/src/main/java" || true
wait "$worker" || true
