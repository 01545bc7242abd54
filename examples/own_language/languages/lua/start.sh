# Starts the worker over two pipes: start.sh INTERPRETER WORKER. The engine gives pipes (`pipes: true`); where there is one
# socket instead, which `sabir conformance` tries too, two `cat` carry its bytes.
case $SABIR_FD in
*,*) exec "$1" "$2" ;;
*) exec bash "${0%/*}/over_socket.sh" "$1" "$2" ;;
esac
