# start.sh's way over a socket: two `cat` make two pipes of it, and end with the worker.
socket=$SABIR_FD
exec 40< <(exec cat <&"$socket")
reader=$!
exec 41> >(exec cat >&"$socket" 40<&-)
writer=$!
exec {socket}>&-
SABIR_FD=40,41 "$1" "$2"
status=$?
exec 40<&- 41>&-
wait "$writer"
kill "$reader" 2>/dev/null
exit "$status"
