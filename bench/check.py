#!/usr/bin/env python3
"""What `sabir check` takes: on a new project in its default languages, and on one with 200 functions and 50 prompts."""
import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import Machine, Rows, find_binary, write

ROUNDS = 15


def took(machine, project):
    begin = time.perf_counter()
    done = subprocess.run([str(machine.binary), "check", "--json"], cwd=project, env=machine.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=120)
    seconds = time.perf_counter() - begin
    assert done.returncode == 0, done.stderr
    return seconds * 1000


def drop_caches(project):
    """As after a reboot, as far as a user may: what this project has learned of itself is gone."""
    for folder in ("described", "development"):
        shutil.rmtree(project / ".sabir" / folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    rows = Rows(parser.parse_args().json)
    folder = Path(tempfile.mkdtemp(prefix="sabir-"))
    machine = Machine(folder, find_binary(), folder / "cache")
    try:
        project = folder / "demo"
        made = machine.sabir("new", project)
        assert made.code == 0, made
        took(machine, project)
        cold = []
        for _ in range(ROUNDS):
            drop_caches(project)
            cold.append(took(machine, project))
        warm = [took(machine, project) for _ in range(ROUNDS)]
        rows.add("sabir check, new project, nothing kept", statistics.median(cold), "ms", 200.0)
        rows.add("sabir check, new project, again", statistics.median(warm), "ms", 200.0)
        for number in range(200):
            write(project / ("functions/python/many_%d.py" % number), 'def one(text: str) -> str:\n    """Gives it.\n\n    Args:\n        text: What.\n    Effect: read\n    """\n    return text\n')
        for number in range(50):
            write(project / ("completions/many/p%d.j2" % number), "Say {{ word }}.\n")
        took(machine, project)
        rows.add("sabir check, 200 functions and 50 prompts more", statistics.median(took(machine, project) for _ in range(5)), "ms", 600.0)
    finally:
        machine.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if rows.all_met else 1


if __name__ == "__main__":
    sys.exit(main())
