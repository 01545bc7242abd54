"""Shows and stores the project's secrets: python3 scripts/manage_secrets.py [list | set NAME]

The engine does the work (`sabir secrets`). A value comes from the environment (OPENAI_API_KEY for openai_api_key), then
from config/secrets.json, which only you can read and git ignores.
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
    """The secrets that are set, by name. Keep the values out of logs.

    Functions do not need this: they ask for one with sabir.secret(name), and get it when config/grants.yml says so.
    """
    names = [secret["name"] for secret in list_secrets() if secret["source"] != "missing"]
    return {name: json.loads(_secrets("get", name, "--reveal", "--json"))["value"] for name in names}


def list_secrets():
    """The secrets' names and where each comes from, as dicts with name and source; no values."""
    return json.loads(_secrets("list", "--json"))["secrets"]


def store_secret(name, value):
    """Writes a secret to config/secrets.json. The value does not appear on any command line."""
    _secrets("set", name, value=value)


if __name__ == "__main__":
    if sys.argv[1:2] == ["set"] and len(sys.argv) == 3:
        store_secret(sys.argv[2], getpass.getpass(sys.argv[2] + ": ") if sys.stdin.isatty() else sys.stdin.read().strip())
    elif sys.argv[1:] in ([], ["list"]):
        for secret in list_secrets():
            print("%-30s %s" % (secret["name"], secret["source"]))
    else:
        print(__doc__, file=sys.stderr)
        raise SystemExit(2)
