#!/bin/sh
# Installs what a project needs into its .venv, which is made where there is none: setup.sh PYTHON requirements.txt|.
set -eu
python=$1
what=$2
case $what in
  .) [ ! -f pyproject.toml ] || grep -qE '^\[(project|tool\.poetry)\]' pyproject.toml || [ -f setup.py ] || exit 0 ;;
  *) grep -qE '^[[:space:]]*[^#[:space:]]' "$what" || exit 0 ;;
esac
if [ ! -x .venv/bin/python ]; then
  "$python" -m venv .venv || {
    echo "a virtual environment cannot be made with $python (Debian: apt install python3-venv)" >&2
    exit 1
  }
fi
case $what in
  .)
    # What is no package itself, for want of a way to build it, has dependencies all the same.
    if [ ! -f setup.py ] && [ ! -f setup.cfg ] && ! grep -q '^\[build-system\]' pyproject.toml; then
      wanted=$(.venv/bin/python -c '
try:
    import tomllib
except ImportError:
    from pip._vendor import tomli as tomllib
with open("pyproject.toml", "rb") as file:
    print("\n".join(tomllib.load(file).get("project", {}).get("dependencies", [])))')
      [ -n "$wanted" ] || exit 0
      printf '%s\n' "$wanted" >.venv/.sabir-dependencies
      set -- -r .venv/.sabir-dependencies
    else
      set -- -e .
    fi
    exec .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input "$@"
    ;;
  *) exec .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input -r "$what" ;;
esac
