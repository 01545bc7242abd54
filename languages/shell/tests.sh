# Runs Bats over the project's test files: tests.sh REPORT FILE…. Status 127: there is no Bats.
report=$1
shift
if [[ -x node_modules/.bin/bats ]]; then
  bats=node_modules/.bin/bats
elif ! bats=$(command -v bats); then
  echo "bats is not installed" >&2
  exit 127
fi
"$bats" --formatter junit "$@" >"$report.raw"
status=$?
# `(in test file a.bats, line 3)` becomes `a.bats:3: (in …)`, which says where in the form that everyone reads.
sed -E 's/\((in test file|from function [^,]* in (test )?file) ([^,()]+), line ([0-9]+)/\3:\4: &/' "$report.raw" >"$report"
rm -f "$report.raw"
exit "$status"
