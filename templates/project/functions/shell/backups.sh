# Backups: which to keep, and how large they are.

# Names the backups that can go, oldest first: all but the newest ones.
#
# @arg names string[] files such as backup-2026-05-04.tar.gz: their names sort by date
# @arg keep integer(1..)=7 how many stay
# @stream string
# @effect read
expired() {
  # "names" is a bash array here, since its type is; "$1" is the same as JSON.
  if ((${#names[@]} > 0)); then
    printf '%s\n' "${names[@]}" | LC_ALL=C sort | head -n "-$keep"
  fi
}

# A size as people write it.
#
# @arg bytes integer(0..) how large
# @return string for instance 1.5 GB
# @effect read
readable() {
  local bytes=$1 units=(B KB MB GB TB PB) unit=0 rest=0
  while ((bytes >= 1024 && unit < 5)); do
    rest=$((bytes % 1024 * 10 / 1024)) bytes=$((bytes / 1024)) unit=$((unit + 1))
  done
  printf '%s%s %s\n' "$bytes" "$( ((rest > 0)) && printf '.%s' "$rest")" "${units[unit]}"
}
