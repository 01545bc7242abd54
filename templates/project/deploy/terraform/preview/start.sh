#!/bin/sh
# Unpacks a release, sets it up, and starts its engine, which takes over from the one that serves. Called by main.tf.
set -eu
umask 077

run="$FOLDER/run"
root="$FOLDER/releases/$(printf %.16s "$BUNDLE_HASH")-$(printf %.8s "$ENGINE_HASH")"
mkdir -p "$run" "$FOLDER/logs" "$FOLDER/state" "$FOLDER/releases"

if [ ! -e "$root/.sabir/staged" ]; then
  rm -rf "$root"
  mkdir -p "$root/.sabir"
  tar -xzf "$BUNDLE" -C "$root"
  # Every release has the same memory, journal and tokens.
  ln -s "$FOLDER/state" "$root/.sabir/$ENVIRONMENT"
  (cd "$root" && SABIR_SECRETS_FILE="$SECRETS_FILE" "$ENGINE" setup --env "$ENVIRONMENT")
  echo "$BUNDLE_HASH" >"$root/.sabir/staged"
fi

# When a process began, which with its number names it for good; nothing for one that has ended.
started() { sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" { print $20 }'; }
field() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p" "$run/current.json" 2>/dev/null || true; }

old_pid=$(field pid)
takeover=
if [ -n "$old_pid" ] && [ -n "$(field started)" ] && [ "$(started "$old_pid")" = "$(field started)" ] && [ "$(field port)" = "$PORT" ]; then
  takeover=$(field root)
fi

out="$run/$INSTANCE.out"
if [ -n "$takeover" ]; then
  set -- --takeover-from "$takeover"
else
  set --
fi
cd "$root"
SABIR_SECRETS_FILE="$SECRETS_FILE" setsid nohup "$ENGINE" serve --json --env "$ENVIRONMENT" --project "$root" --host 127.0.0.1 --port "$PORT" "$@" \
  >"$out" 2>>"$FOLDER/logs/engine.log" </dev/null &
pid=$!

waited=0
until grep -q '"event":"ready"' "$out"; do
  if ! kill -0 "$pid" 2>/dev/null; then
    echo "the engine of $RELEASE ended before it was ready:"
    cat "$out"
    exit 1
  fi
  if [ "$waited" -ge "$((SECONDS_MOST * 5))" ]; then
    kill -9 "$pid"
    echo "the engine of $RELEASE was not ready within $SECONDS_MOST s"
    exit 1
  fi
  waited=$((waited + 1))
  sleep 0.2
done

printf '{"instance": "%s", "generation": "%s", "pid": %s, "started": "%s", "port": %s, "release": "%s", "root": "%s"}\n' \
  "$INSTANCE" "$GENERATION" "$pid" "$(started "$pid")" "$PORT" "$RELEASE" "$root" >"$run/$INSTANCE.json"
cp "$run/$INSTANCE.json" "$run/current.json.new"
mv "$run/current.json.new" "$run/current.json"
echo "process $pid serves $RELEASE at http://127.0.0.1:$PORT"
