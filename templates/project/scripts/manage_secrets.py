"""Shows and stores the project's secrets: python3 scripts/manage_secrets.py list | get NAME | set NAME | rotate NAME | rm NAME |
import FILE | export | scan | doctor | recipients … [--env ENVIRONMENT]

The engine does the work (`sabir secrets`, which explains each with --help). A value comes from a prompt or standard input. By default
secrets are taken from the environment (OPENAI_API_KEY for openai_api_key), then from config/secrets.json, which only you can read and
git ignores; config/secrets_config.yml names other places.
"""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

# sabir depends: config
ROOT = Path(__file__).resolve().parent.parent


def _engine():
    engine = os.environ.get("SABIR_BIN") or shutil.which("sabir")
    if not engine:
        print("manage_secrets needs the engine: put `sabir` on PATH or set SABIR_BIN to its path.", file=sys.stderr)
        raise SystemExit(2)
    return engine


def _secrets(*arguments, environment=None, value=None):
    arguments += ("--env", environment) if environment else ()
    done = subprocess.run([_engine(), "secrets", *arguments], input=value, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    if done.returncode != 0:
        raise SystemExit(done.returncode)
    return done.stdout


def load_secrets(environment=None):
    """The secrets that are set, by name. Keep the values out of logs.

    Functions do not need this: they ask for one with sabir.secret(name), and get it when config/grants.yml says so.
    """
    return json.loads(_secrets("export", "--reveal", "--json", environment=environment))


def list_secrets(environment=None):
    """The secrets' names and where each comes from, as dicts with name and source; no values."""
    return json.loads(_secrets("list", "--json", environment=environment))["secrets"]


def store_secret(name, value, environment=None):
    """Writes a secret where the environment keeps them. The value does not appear on any command line."""
    _secrets("set", name, environment=environment, value=value)


def rotate_secret(name, value=None, environment=None):
    """Gives a secret that is there another value, or one of 40 letters and digits that nobody has seen."""
    _secrets("rotate", name, *(() if value else ("--generate", "40")), environment=environment, value=value)


def remove_secret(name, environment=None):
    _secrets("rm", name, environment=environment)


if __name__ == "__main__":
    if sys.argv[1:2] in (["-h"], ["--help"]):
        print(__doc__)
        raise SystemExit(0)
    os.chdir(ROOT)
    os.execv(_engine(), ["sabir", "secrets", *(sys.argv[1:] or ["list"])])
