#!/usr/bin/env python3
"""What `sabir test` takes over 1,000 test files of pytest: all of them, and a run in which nothing is affected, beside plain pytest."""
import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from machine import Machine, Rows, find_binary, write

FILES = 1000
ROUNDS = 15


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = Rows(options.json)
    folder = Path(tempfile.mkdtemp(prefix="sabir-"))
    machine = Machine(folder, find_binary(), folder / "cache")
    try:
        root = folder / "shop"
        write(root / "sabir.yml", "engine: 0.1.0\n")
        write(root / "pytest.ini", "[pytest]\npythonpath = .\naddopts = --import-mode=importlib\n")
        for i in range(FILES):
            write(root / ("lib/module_%d.py" % i), "import lib.module_%d\n\nVALUE = %d\n" % (i // 10, i))
            write(root / ("tests/test_%d.py" % i), "from lib import module_%d\n\ndef test_value():\n    assert module_%d.VALUE == %d\n" % (i, i, i))
        plain = machine.run(sys.executable, "-m", "pytest", "-q", cwd=root, timeout=600)
        whole = machine.sabir("test", cwd=root, timeout=600)
        assert plain.code == 0 and whole.code == 0 and "1000 passed" in whole.out, (plain, whole)
        rows.add("1,000 files of pytest, all", whole.seconds * 1000, "ms", plain.seconds * 1000 * 1.3, plain.seconds * 1000)
        again, last_failed = [], []
        for _ in range(ROUNDS):
            done = machine.sabir("test", "--affected", cwd=root)
            assert done.code == 0 and "1000 test files unchanged" in done.out, done
            again.append(done.seconds * 1000)
        for _ in range(3):
            # The nearest that pytest itself has: it loads every file to know that none had failed.
            done = machine.run(sys.executable, "-m", "pytest", "-q", "--lf", "--lfnf=none", cwd=root, timeout=600)
            last_failed.append(done.seconds * 1000)
        rows.add("1,000 files, none affected", statistics.median(again), "ms", 150.0, statistics.median(last_failed))
        write(root / "lib/module_999.py", "VALUE = 999  # edited\n")
        done = machine.sabir("test", "--affected", "--json", cwd=root)
        assert done.code == 0 and done.json["passed"] == 1, done
        rows.add("1,000 files, one affected", done.seconds * 1000, "ms", plain.seconds * 1000)
    finally:
        machine.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if rows.all_met else 1


if __name__ == "__main__":
    sys.exit(main())
