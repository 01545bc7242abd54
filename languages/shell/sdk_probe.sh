# Does through the SDK what tests/languages/sdk_behaviour.json asks.

# The SDK's call.
# @arg address string
# @arg arguments object
# @return any
probe_call() { sabir_call --json --args "$2" "$1"; }

# @arg address string
# @arg arguments object
# @return object
probe_call_error() {
  local answer
  answer=$(sabir_call --try --args "$2" "$1")
  sabir_json "type=$(sabir_get /error/type <<<"$answer")" "message=$(sabir_get /error/message <<<"$answer")" \
    "hint=$(sabir_get /error/hint <<<"$answer" || true)"
}

# @noargs
# @return lines
probe_functions() { sabir_functions | LC_ALL=C sort; }

# @arg key string
# @arg value any
# @arg namespace string=""
# @return integer
probe_put() { sabir_memory put --json -n "${namespace:-default}" -- "$key" "$value"; }

# @arg key string
# @arg value any
# @arg version integer
# @return object
probe_put_if() {
  local answer
  answer=$(sabir_memory put --try --json --if-version "$version" -- "$key" "$value")
  if sabir_get /error <<<"$answer" >/dev/null; then
    sabir_json "type=$(sabir_get /error/type <<<"$answer")"
  else
    sabir_json "version:=$(sabir_get /value <<<"$answer")"
  fi
}

# @arg key string
# @arg namespace string=""
# @return any
probe_get() { sabir_memory get --json -n "${namespace:-default}" -- "$key"; }

# @arg prefix string
# @return array
probe_list() {
  local line items=()
  while IFS= read -r line; do items+=(":=$line"); done < <(sabir_memory list -- "$prefix")
  sabir_array -- "${items[@]}"
}

# @arg key string
# @return boolean
probe_delete() { sabir_memory delete -- "$key"; }

# @arg conversation string
# @arg role string
# @arg content string
# @return integer
probe_append() { sabir_memory append -- "$@"; }

# @arg conversation string
# @arg limit integer=0
# @return array
probe_messages() {
  local line items=() options=()
  if ((limit > 0)); then options=(--limit "$limit"); fi
  while IFS= read -r line; do items+=(":=$line"); done < <(sabir_memory messages "${options[@]}" -- "$conversation")
  sabir_array -- "${items[@]}"
}

# @arg name string
# @arg variables object
probe_render() { sabir_render --args "$variables" "$name"; }

# @arg prompt string
probe_complete() { sabir_complete -- "$prompt"; }

# @arg assistant string
# @arg message string
# @return object
probe_ask() {
  local answer
  answer=$(sabir_ask --json -- "$assistant" "$message") || return
  sabir_json "content=$(sabir_get /content <<<"$answer")" "conversation_is_set:=$([[ -n $(sabir_get /conversation <<<"$answer") ]] && printf true || printf false)"
}

# @arg name string
# @secret probe_secret
probe_secret() { sabir_secret "$name"; }

# @arg name string
probe_secret_error() { sabir_secret --try "$name" | sabir_get /error/type; }

# @arg steps integer
# @return integer
probe_progress() {
  local step
  for ((step = 1; step <= steps; step++)); do sabir_progress "$step" "$steps"; done
  printf '%s\n' "$steps"
}

# @arg message string
probe_log() {
  sabir_log "$message"
  printf '%s\n' "$message"
}

# @noargs
# @return object
probe_context() { sabir_context; }
