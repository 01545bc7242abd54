# Runs one call: sources the file, sets the arguments and calls the function (spec/exec-adapter.md). Words come on
# descriptor 3, each ended by a NUL; what is told beside the result goes to descriptor 4 in the same way. Nothing that a
# caller has sent is ever read as code: it is the value of an assignment or a word of a command, never more.

builtin mapfile -d '' -t __sabir_words <&3
exec 3<&- {SABIR_CONTROL}>&4 4>&-
if [[ ${1-} == --trace ]]; then
  PS4='+ ${BASH_SOURCE[0]##*/}:$LINENO: '
  shift
  __sabir_trace=1
fi

builtin source "$SABIR_SDK/sabir.sh"

# Where a command failed: the last one is why the function fails, and a function that failed inside knows better than the line
# that called it. While the file is loaded the first one is the end.
__sabir_failed() {
  if [[ $1 == "$0" ]]; then return; fi
  # The same command, one level up: its function fails with it.
  if (($3 >= __sabir_depth)) || [[ $4 != "$__sabir_command" ]]; then
    builtin printf 'at\0002\000%s\000%s\000' "$1" "$2" >&"$SABIR_CONTROL"
  fi
  __sabir_depth=$3 __sabir_command=$4
  if [[ -n $__sabir_loading && $BASH_SUBSHELL == 0 ]]; then exit 1; fi
}
__sabir_depth=0 __sabir_command=
set -o errtrace
trap '__sabir_failed "${BASH_SOURCE[0]}" "$LINENO" "${#BASH_SOURCE[@]}" "$BASH_COMMAND"' ERR

__sabir_function=${__sabir_words[2]}
__sabir_loading=1
set --
builtin source "${__sabir_words[1]}" >&2 </dev/null
__sabir_loading=
if ! builtin declare -F -- "$__sabir_function" >/dev/null; then
  builtin printf 'unknown\0000\000' >&"$SABIR_CONTROL"
  exit 0
fi

__sabir_count=${__sabir_words[3]}
set -- "${__sabir_words[@]:4:__sabir_count}"
__sabir_at=$((4 + __sabir_count))
builtin declare -A SABIR_KINDS
SABIR_KINDS=()
__sabir_variables=${__sabir_words[__sabir_at]}
__sabir_at=$((__sabir_at + 1))
while ((__sabir_variables > 0)); do
  # The names are the source's own, and identifiers; only the values are a caller's.
  __sabir_name=${__sabir_words[__sabir_at]}
  SABIR_KINDS[$__sabir_name]=${__sabir_words[__sabir_at + 1]}
  __sabir_form=${__sabir_words[__sabir_at + 2]}
  __sabir_count=${__sabir_words[__sabir_at + 3]}
  __sabir_at=$((__sabir_at + 4))
  # Without the attributes that the file may have given it: an integer's assignment would evaluate the text.
  builtin unset -v "$__sabir_name"
  case $__sabir_form in
    text)
      builtin printf -v "$__sabir_name" %s "${__sabir_words[__sabir_at]}"
      ;;
    list)
      builtin declare -a "$__sabir_name"
      builtin declare -n __sabir_ref=$__sabir_name
      __sabir_ref=("${__sabir_words[@]:__sabir_at:__sabir_count}")
      builtin unset -n __sabir_ref
      ;;
    map)
      builtin declare -A "$__sabir_name"
      builtin declare -n __sabir_ref=$__sabir_name
      __sabir_ref=()
      for ((__sabir_i = 0; __sabir_i < __sabir_count; __sabir_i += 2)); do
        __sabir_key=${__sabir_words[__sabir_at + __sabir_i]}
        __sabir_ref[$__sabir_key]=${__sabir_words[__sabir_at + __sabir_i + 1]}
      done
      builtin unset -n __sabir_ref
      ;;
  esac
  __sabir_at=$((__sabir_at + __sabir_count))
  __sabir_variables=$((__sabir_variables - 1))
done
builtin unset -v __sabir_words __sabir_name __sabir_form __sabir_count __sabir_at __sabir_i __sabir_key __sabir_variables

builtin printf 'loaded\0000\000' >&"$SABIR_CONTROL"
if [[ -n ${__sabir_trace-} ]]; then set -x; fi
"$__sabir_function" "$@"
exit
