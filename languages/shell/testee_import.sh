# Sources what is not there.

source "${BASH_SOURCE[0]%/*}/sabir_no_such_file.sh"

# @noargs
never() { echo never; }
