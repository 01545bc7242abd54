"""Asks a model: python3 scripts/call_openai_api.py "Once upon a time"

The engine does the work (`sabir complete`): config/openai_config.yml names the models and says which is the default.
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path


def call_openai(prompt, model=None):
    """Prints and returns the model's answer. model: a name in config/openai_config.yml. Raises RuntimeError."""
    engine = os.environ.get("SABIR_BIN") or shutil.which("sabir")
    if not engine:
        raise RuntimeError("call_openai needs the engine: put `sabir` on PATH or set SABIR_BIN to its path.")
    choice = ["--model", model] if model else []
    done = subprocess.run([engine, "complete", *choice, "-"], input=prompt, capture_output=True, text=True,
                          cwd=Path(__file__).parent.parent)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    answer = done.stdout.strip()
    print(answer)
    return answer


if __name__ == "__main__":
    try:
        call_openai(sys.argv[1] if len(sys.argv) > 1 else "Once upon a time")
    except RuntimeError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1)
