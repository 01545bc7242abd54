"""Shows and stores the project's secrets: python3 scripts/manage_secrets.py [list | set NAME]

The engine does the work (`sabir secrets`). A value comes from the environment (OPENAI_API_KEY for openai_api_key), then
from config/secrets.json, which only you can read and git ignores. It is never printed.
"""
import getpass
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path


def _secrets(*arguments, value=None):
    engine = os.environ.get("SABIR_BIN") or shutil.which("sabir")
    if not engine:
        print("manage_secrets needs the engine: put `sabir` on PATH or set SABIR_BIN to its path.", file=sys.stderr)
        raise SystemExit(2)
    done = subprocess.run([engine, "secrets", *arguments], input=value, stdout=subprocess.PIPE, text=True,
                          cwd=Path(__file__).parent.parent)
    if done.returncode != 0:
        raise SystemExit(done.returncode)
    return done.stdout


def load_secrets():
    """Where each secret that the project names would come from: "environment", "config/secrets.json" or "missing".

    Values stay in the engine: a function gets one with sabir.secret(name) when config/grants.yml says so.
    """
    return {secret["name"]: secret["source"] for secret in json.loads(_secrets("list", "--json"))["secrets"]}


def store_secret(name, value):
    """Writes a secret to config/secrets.json. The value does not appear on any command line."""
    _secrets("set", name, value=value)


if __name__ == "__main__":
    if sys.argv[1:2] == ["set"] and len(sys.argv) == 3:
        store_secret(sys.argv[2], getpass.getpass(sys.argv[2] + ": ") if sys.stdin.isatty() else sys.stdin.read().strip())
    elif sys.argv[1:] in ([], ["list"]):
        for name, source in load_secrets().items():
            print("%-30s %s" % (name, source))
    else:
        print(__doc__, file=sys.stderr)
        raise SystemExit(2)
