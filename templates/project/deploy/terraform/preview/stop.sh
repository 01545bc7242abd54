#!/bin/sh
# Ends the process of one instance, if it still runs, and forgets it. Called by main.tf.
set -eu

run="$FOLDER/run"
about="$run/$INSTANCE.json"
[ -e "$about" ] || exit 0

field() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p" "$about"; }
pid=$(field pid)
# Another process may have its number by now, and one that has ended may not be reaped yet.
lives() { [ "$(sed 's/^.*) //' "/proc/$pid/stat" 2>/dev/null | awk '$1 != "Z" { print $20 }')" = "$(field started)" ]; }

if lives; then
  kill "$pid" 2>/dev/null || true
  waited=0
  while lives && [ "$waited" -lt 225 ]; do
    waited=$((waited + 1))
    sleep 0.2
  done
  if lives; then kill -9 "$pid" 2>/dev/null || true; fi
fi
if grep -q "\"instance\": \"$INSTANCE\"" "$run/current.json" 2>/dev/null; then rm -f "$run/current.json"; fi
rm -f "$about" "$run/$INSTANCE.out"
