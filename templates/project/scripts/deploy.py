"""Deploys the project: python3 scripts/deploy.py [ENVIRONMENT]

The engine does the work (`sabir deploy`), by what config/deployment_config.yml says.
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path


def deploy(environment="development"):
    """Deploys to `environment`. Ends the program with the engine's exit code when that is not 0; 2 = it cannot do this yet."""
    engine = os.environ.get("SABIR_BIN") or shutil.which("sabir")
    if not engine:
        print("deploy needs the engine: put `sabir` on PATH or set SABIR_BIN to its path.", file=sys.stderr)
        raise SystemExit(2)
    code = subprocess.call([engine, "deploy", environment], cwd=Path(__file__).parent.parent)
    if code != 0:
        raise SystemExit(code)


if __name__ == "__main__":
    deploy(*sys.argv[1:2])
