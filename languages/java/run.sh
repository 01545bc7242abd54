#!/bin/sh
# Compiles tools/ once for each of its versions, into the user's cache, and runs them: run.sh JAVAC COMMAND …
set -eu
javac=$(readlink -f "$1")
shift
java=$(dirname "$javac")/java
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sabir/java
kept=$cache/$( { echo "$javac"; cat "$here"/tools/sabir/tools/*.java "$here"/sdk/sabir/*.java "$here"/sdk/sabir/*/*.java; } | cksum | tr ' ' -)
case $1 in
  compile) main=$2 ;;
  describe) main=Main ;;  # less to compile: the engine waits for its answer
  *) main=Tools ;;
esac
if [ "$1" = compile ]; then
  # Another process may have been faster.
  [ ! -d "$kept/$main" ] || exit 0
  made=$(mktemp -d "$kept/making.XXXXXX")
  trap 'rm -rf "$made"' EXIT
  "$javac" -J-XX:TieredStopAtLevel=1 -J-XX:+UseSerialGC -J-Xshare:auto -XDstringConcat=inline -g:source,lines -proc:none -nowarn -encoding UTF-8 -d "$made" \
    -sourcepath "$here/sdk:$here/tools" "$here/tools/sabir/tools/$main.java"
  mv -T "$made" "$kept/$main"
  exit 0
fi
if [ ! -d "$kept/$main" ] && [ ! -f "$kept/tools.jsa" ]; then
  mkdir -p "$kept"
  # In a session and with a time of its own: on a machine so busy that the engine's patience ends before it, the next try
  # finds its work done.
  if ! setsid flock "$kept/lock" timeout 300 sh "$here/run.sh" "$javac" compile "$main" >"$kept/said" 2>&1 </dev/null; then
    cat "$kept/said" >&2
    exit 1
  fi
fi
# The build program makes the archive, from which Java starts in half the time.
if [ -f "$kept/tools.jsa" ]; then
  set -- "-XX:SharedArchiveFile=$kept/tools.jsa" -cp "$kept/tools.jar" "sabir.tools.$main" "$@"
else
  set -- -cp "$kept/$main" "sabir.tools.$main" "$@"
fi
exec "$java" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData -Xshare:auto -Xlog:disable -Xlog:all=error:stderr -Dfile.encoding=UTF-8 "-Dsabir.cache=$kept" "$@"
