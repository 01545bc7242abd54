"""Deploys the project: python3 scripts/deploy.py [ENVIRONMENT] [--yes] [--skip-tests] [...]

The engine does the work (`sabir deploy`), by what config/deployment_config.yml says. Without arguments it deploys to
development, which is this machine.
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path


def deploy(environment="development", *options):
    """Deploys to `environment`; `options` are those of `sabir deploy apply`. Ends the program with the engine's exit code when that is not 0.

    Nobody can be asked for approval without a terminal: then development, and in CI every environment, is deployed to as if with --yes.
    """
    engine = os.environ.get("SABIR_BIN") or shutil.which("sabir")
    if not engine:
        print("deploy needs the engine: put `sabir` on PATH or set SABIR_BIN to its path.", file=sys.stderr)
        raise SystemExit(2)
    words = [engine, "deploy", "apply", "--env", environment, *options]
    unattended = not (sys.stdin and sys.stdin.isatty())
    if unattended and (environment == "development" or os.environ.get("CI") == "true") and "--yes" not in words:
        words.append("--yes")
    code = subprocess.call(words, cwd=Path(__file__).parent.parent)
    if code != 0:
        raise SystemExit(code)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    named = [word for word in arguments[:1] if not word.startswith("-")]
    deploy(*(named or ["development"]), *arguments[len(named):])
