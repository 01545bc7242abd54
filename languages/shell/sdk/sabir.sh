# shellcheck shell=bash
# The SDK of bash. Inside a function that the engine calls these are there without a word; elsewhere (a test, a script)
#
#   source "$(sabir sdk path shell)/sabir.sh"
#
# brings them. Inside a function every request belongs to the running call: its caller, its depth, its deadline. Options
# stand before everything else, and `--` ends them. A request that fails says why on standard error and has status 1; with
# `--try` as the first word it has status 0 and writes {"value": …} or {"error": {"type": …, "message": …, "hint": …}}.

# The words go through a descriptor: a command line can be read by everyone, and holds no long ones.
__sabir_ask() {
  command "${SABIR_BIN:-sabir}" from-shell 9 9< <(builtin printf '%s\0' "$@")
}

# sabir_call [--json] [--stream] [--timeout SECONDS] [--key KEY] [--args JSON|-|@FILE] ADDRESS [name=value | name:=JSON]…
# Calls a function in whatever language and writes its value: a string as it is, anything else (with --json: everything) as
# JSON. name=value is read by the function's schema. --stream writes each value that it yields as a line, as it comes.
sabir_call() { __sabir_ask call "$@"; }

# sabir_memory put [--json] [--if-version N] [--ttl SECONDS] [-n NAMESPACE] KEY VALUE   writes the version
# sabir_memory get [--json] [-n NAMESPACE] KEY            status 1 where there is none; with --json `null`
# sabir_memory list [--keys] [--limit N] [-n NAMESPACE] [PREFIX]      a line {"key": …, "value": …} for each, or the keys
# sabir_memory delete [-n NAMESPACE] KEY                  writes true, or false where there was none
# sabir_memory append CONVERSATION ROLE CONTENT           writes the message's number
# sabir_memory messages [--limit N] CONVERSATION          a line {"role": …, "content": …} for each
sabir_memory() { __sabir_ask memory "$@"; }

# sabir_render [--messages] [--args JSON] NAME [name=value | name:=JSON]…   a completion's text, or its messages as JSON
sabir_render() { __sabir_ask render "$@"; }

# sabir_complete [--json] [--model MODEL] [--system TEXT] PROMPT   a model's answer; PROMPT may be - for standard input
sabir_complete() { __sabir_ask complete "$@"; }

# sabir_ask [--json] [--conversation ID] ASSISTANT MESSAGE   an assistant's answer; --json: with its conversation and calls
sabir_ask() { __sabir_ask ask "$@"; }

# sabir_secret NAME   a secret's value; the function needs `# @secret NAME`, or a grant
sabir_secret() { __sabir_ask secret "$@"; }

# sabir_functions [--json]   the addresses of all functions, one a line
sabir_functions() { __sabir_ask functions "$@"; }

# sabir_json [--args JSON] [name=text | name:=JSON]…   an object
# sabir_array [text | :=JSON]…                         an array
# sabir_get [--json] [--each] POINTER <<<"$json"       the value that a JSON Pointer leads to; status 1 where there is none
sabir_json() { __sabir_ask json "$@"; }
sabir_array() { __sabir_ask array "$@"; }
sabir_get() { __sabir_ask get "$@"; }

# sabir_progress DONE [TOTAL] [MESSAGE]
sabir_progress() {
  if [[ -n ${SABIR_CONTROL-} ]]; then
    builtin printf 'progress\0003\000%s\000%s\000%s\000' "${1-}" "${2-}" "${3-}" >&"$SABIR_CONTROL"
  else
    builtin printf 'progress: %s\n' "${1-}${2:+ of $2}${3:+  $3}" >&2
  fi
}

# sabir_log [debug|info|warning|error] MESSAGE
sabir_log() {
  if (($# < 2)); then set -- info "${1-}"; fi
  if [[ -n ${SABIR_CONTROL-} ]]; then
    builtin printf 'log\0002\000%s\000%s\000' "$1" "$2" >&"$SABIR_CONTROL"
  else
    builtin printf '%s: %s\n' "$1" "$2" >&2
  fi
}

# sabir_fail [--class NAME] MESSAGE   ends the function with an error
sabir_fail() {
  local class=Error
  if [[ ${1-} == --class ]]; then
    class=${2-}
    shift 2
  fi
  if [[ -n ${SABIR_CONTROL-} ]]; then
    builtin printf 'error\0004\000%s\000%s\000%s\000%s\000' "$class" "${1-}" "${BASH_SOURCE[1]-}" "${BASH_LINENO[0]-}" >&"$SABIR_CONTROL"
  else
    builtin printf '%s\n' "${1-}" >&2
  fi
  exit 1
}

# sabir_return VALUE   the function's value; what it writes to standard output is log text then. It goes on running.
sabir_return() {
  if [[ -n ${SABIR_CONTROL-} ]]; then
    builtin printf 'return\0001\000%s\000' "${1-}" >&"$SABIR_CONTROL"
  else
    builtin printf '%s\n' "${1-}"
  fi
}

# sabir_context user|tenant|conversation|run   on whose behalf the function runs; sabir_context alone: all as JSON
sabir_context() {
  case ${1-} in
    user) builtin printf '%s\n' "${SABIR_CONTEXT_USER-}" ;;
    tenant) builtin printf '%s\n' "${SABIR_CONTEXT_TENANT-}" ;;
    conversation) builtin printf '%s\n' "${SABIR_CONTEXT_CONVERSATION-}" ;;
    run) builtin printf '%s\n' "${SABIR_CONTEXT_RUN-}" ;;
    '') sabir_json "user=${SABIR_CONTEXT_USER-}" "tenant=${SABIR_CONTEXT_TENANT-}" "conversation=${SABIR_CONTEXT_CONVERSATION-}" "run=${SABIR_CONTEXT_RUN-}" ;;
    *)
      builtin printf 'sabir_context: there is no %s, only user, tenant, conversation and run\n' "$1" >&2
      return 2
      ;;
  esac
}

# sabir_kind NAME    how the argument came: string, integer, number, boolean, null, array, object, bytes or absent
# sabir_given NAME   true when the caller gave it, even as null
sabir_kind() { builtin printf '%s\n' "${SABIR_KINDS[$1]-absent}"; }
sabir_given() { [[ ${SABIR_KINDS[$1]-absent} != absent ]]; }
