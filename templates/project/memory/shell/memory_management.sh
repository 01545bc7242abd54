# What is kept here, every language of the project reads: they share one store.

# Keeps a result under a name, in place of the one that was there.
#
# @arg result any anything that JSON can hold
# @arg name string=latest what to ask for it by
# @return integer the result's version: 1 for the first of that name, then 2, and so on
store_result() {
  sabir_memory put --json "results/$2" "$1"
}

# Gives back the result that was last stored under a name, or null if there is none.
#
# @arg name string=latest the name it was stored under
# @return any
# @effect read
retrieve_result() {
  sabir_memory get --json "results/$1"
}
