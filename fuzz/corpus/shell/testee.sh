# What the conformance runner calls. conformance/README.md describes each function.

# @arg value any
# @return any
echo() { printf '%s' "$1"; }

# @arg a number
# @arg b number
# @return number
subtract() {
  if [[ $a$b == *[.eE]* ]]; then
    awk -v a="$a" -v b="$b" 'BEGIN { printf "%.17g", a - b }'
  else
    printf '%s' "$((a - b))"
  fi
}

# @arg a any
# @arg b any=10
# @arg rest... any
# @opt scale any=1
# @options options any
# @return object
describe() {
  local all=
  for one in "${rest[@]}"; do all+=${all:+,}$one; done
  printf '{"a":%s,"b":%s,"rest":[%s],"scale":%s,"options":%s}' "$a" "$b" "$all" "$scale" "$options"
}

# The greeting and the caller's user, joined by a space.
# @arg greeting string
context_user() { printf '%s %s' "$greeting" "$(sabir_context user)"; }

# @noargs
# @return object
context_fields() { sabir_context; }

# @arg message string
fail() {
  sabir_fail --class TesteeError "$message" # conformance: fail
}

# @noargs
# @return number
not_a_number() { printf NaN; }

# Bytes that are no text.
# @noargs
unfit() { printf '\xff\xfe'; }

# @arg n integer
# @stream integer
count() {
  local i
  for ((i = 0; i < n; i++)); do printf "%s\n" "$i"; done
}

# @arg size integer
text_of() {
  head -c "$((size / 2))" /dev/zero | LC_ALL=C sed 's/\x00/é/g'
  if ((size % 2)); then printf x; fi
}

# @arg size integer
# @return bytes
bytes_of() {
  local all i
  for ((i = 0; i < 256; i++)); do
    printf -v all '%s\\x%02x' "$all" "$i"
  done
  for ((i = 0; i <= size / 256; i++)); do printf '%b' "$all"; done | head -c "$size"
}

# @stdin value any
# @return integer
length() {
  if [[ $(sabir_kind value) == bytes ]]; then wc -c; else LC_ALL=C.UTF-8 wc -m; fi
}

# @stdin value any
kind() {
  case $(sabir_kind value) in
    bytes) printf bytes ;;
    string) printf text ;;
    *) printf other ;;
  esac
}

# @arg text string
print_line() {
  printf '%s\n' "$text"
  printf '%s\n' "$text" >&2
  sabir_return "$text"
}

# @arg milliseconds integer
# @return integer
sleep() {
  local seconds
  printf -v seconds '%d.%03d' "$((milliseconds / 1000))" "$((milliseconds % 1000))"
  command sleep "$seconds"
  printf %s "$milliseconds"
}

# @arg address string
# @arg arguments object={}
# @return any
call_engine() { sabir_call --json --args "$arguments" "$address"; }

# @arg address string
# @return any
call_engine_caught() {
  local answer
  answer=$(sabir_call --try "$address")
  if sabir_get /error <<<"$answer" >/dev/null; then
    sabir_json "type=$(sabir_get /error/type <<<"$answer")" "message=$(sabir_get /error/message <<<"$answer")"
  else
    printf '%s' "$answer"
  fi
}

# @arg message string
report() {
  sabir_progress 1 2 "$message"
  sabir_log "$message"
  printf '%s' "$message"
}

# Each call is a process of its own: what lasts as long as the worker is a file.
# @noargs
# @return integer
count_run() {
  local runs
  runs=$(($(runs) + 1))
  printf %s "$runs" >"$SABIR_WORKER_FOLDER/runs"
  printf %s "$runs"
}

# @noargs
# @return integer
runs() { cat "$SABIR_WORKER_FOLDER/runs" 2>/dev/null || printf 0; }

# @noargs
# @return object
structured() { sabir_json "point:=$(sabir_json x:=1.5 y:=2)" colour=red; }

# @arg moment date-time
# @return date-time
an_hour_later() { date -u -d "@$(($(date -u -d "$moment" +%s) + 3600))" +%Y-%m-%dT%H:%M:%SZ; }
