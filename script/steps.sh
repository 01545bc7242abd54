# Saying steps with their durations. Sourced by the other scripts, which run from the repository's root.
#
#   step "Building the engine" ninja -C build/release     output only if it fails, then its last lines
#   fail "what is wrong" "what to do"                     ends the script with exit code 1
#
# A function given to step runs without errexit, as everything left of || does: chain its commands with &&.

steps_log=${TMPDIR:-/tmp}/sabir-steps.$$.log
trap 'rm -f "$steps_log"' EXIT

# Seconds since the start with one decimal, without a process: EPOCHREALTIME counts microseconds.
now_us() { local t=${EPOCHREALTIME/[.,]/}; printf '%s' "$t"; }
since() { local us=$(($(now_us) - $1)); printf '%d.%d s' $((us / 1000000)) $((us % 1000000 / 100000)); }

fail() {
  printf '\n%s\n' "$1" >&2
  [ -z "${2:-}" ] || printf '  %s\n' "$2" >&2
  exit 1
}

step() {
  local what=$1 start code=0
  shift
  start=$(now_us)
  printf '%s … ' "$what"
  "$@" >"$steps_log" 2>&1 </dev/null || code=$?
  if [ "$code" -eq 0 ]; then
    printf '%s\n' "$(since "$start")"
    return 0
  fi
  printf 'failed after %s (exit code %d)\n' "$(since "$start")" "$code"
  tail -n "${steps_tail:-40}" "$steps_log" | sed 's/^/    /'
  return "$code"
}
