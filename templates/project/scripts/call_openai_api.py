"""Asks a model, by a text or by a prompt of completions/ with its variables; it takes what `sabir complete` takes:

    python3 scripts/call_openai_api.py "Once upon a time"
    python3 scripts/call_openai_api.py key_points text="A long story." --model openai --json

The engine does the work: config/openai_config.yml names the models and says which is the default.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# sabir depends: prompts, config
ROOT = Path(__file__).resolve().parent.parent


def find_engine():
    engine = os.environ.get("SABIR_BIN") or shutil.which("sabir")
    if not engine:
        raise RuntimeError("call_openai needs the engine: put `sabir` on PATH or set SABIR_BIN to its path.")
    return engine


def call_openai(prompt, variables=None, model=None, schema=None, as_json=False):
    """Prints the model's answer while it comes, and returns it.

    prompt: the name of a prompt with its variables (a dict), or a text without. model: a name in config/openai_config.yml.
    schema: a JSON Schema (a dict) that the answer must fit. as_json: prints nothing and returns the whole reply as a dict.
    Raises RuntimeError.
    """
    by_name = variables is not None
    command = [find_engine(), "complete", *([prompt, "--args", "-"] if by_name else ["-"])]
    command += ["--model", model] if model else []
    command += ["--schema", json.dumps(schema)] if schema else []
    command += ["--json"] if as_json else []
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as errors:
        given.write(json.dumps(variables) if by_name else prompt)
        given.seek(0)
        process = subprocess.Popen(command, stdin=given, stdout=subprocess.PIPE, stderr=errors, text=True, encoding="utf-8", cwd=ROOT)
        answer = ""
        for piece in iter(lambda: process.stdout.read(1), ""):
            answer += piece
            if not as_json:
                print(piece, end="", flush=True)
        errors.seek(0)
        if process.wait() != 0:
            raise RuntimeError(json.loads(answer)["error"]["message"] if as_json else errors.read().strip())
    return json.loads(answer) if as_json else answer.rstrip("\n")


if __name__ == "__main__":
    try:
        os.environ.setdefault("SABIR_PROJECT", str(ROOT))
        os.execv(find_engine(), ["sabir", "complete", *sys.argv[1:]])
    except RuntimeError as error:
        raise SystemExit(str(error))
