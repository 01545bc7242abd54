"""What the suites in Python share: a project in several languages, its engine, what its processes use, and rows.

A row is {measure, value, unit, reference, ratio, target, met}.
"""
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "torture")]
from harness import Machine, children, descriptors, find_binary, write  # noqa: E402,F401

TICK = 1.0 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGESIZE")


class Rows:
    def __init__(self, as_json):
        self.as_json, self.all_met = as_json, True

    def add(self, measure, value, unit, target, reference=None):
        """`target` is the most that the value may be; the reference is shown beside it."""
        met = value <= target
        self.all_met = self.all_met and met
        row = {"measure": measure, "value": round(value, 2), "unit": unit, "reference": reference,
               "ratio": round(value / reference, 3) if reference else None, "target": target, "met": met}
        if self.as_json:
            print(json.dumps(row), flush=True)
        else:
            print("%-48s %10.2f %-6s %s  target <= %g  %s" % (measure, value, unit, "from %10.2f" % reference if reference is not None else " " * 15,
                                                             target, "met" if met else "MISSED"), flush=True)


def resident_mb(pid):
    """Megabytes that a process keeps."""
    return int(Path("/proc/%d/statm" % pid).read_text().split()[1]) * PAGE / 2**20


def cpu_seconds(pid):
    text = Path("/proc/%d/stat" % pid).read_text()
    fields = text[text.rindex(")") + 2:].split()
    return (int(fields[11]) + int(fields[12])) * TICK


class Place:
    """A machine in a folder of its own, with a project and its running engine."""

    def __init__(self, languages, sources):
        self.folder = tempfile.TemporaryDirectory(prefix="sabir-")
        folder = Path(self.folder.name)
        self.machine = Machine(folder, find_binary(), folder / "cache")
        # What this user's Go has compiled before need not be compiled again.
        self.machine.env["GOCACHE"] = os.path.expanduser("~/.cache/go-build")
        if "node" in languages:
            self.machine.use_node()
        self.project = folder / "shop"
        made = self.machine.sabir("new", self.project, "--languages", "python,ruby")
        assert made.code == 0, made
        for path, text in sources.items():
            write(self.project / path, text)
        # What reads compiled languages is compiled first, which may take longer than an engine waits for it.
        for _ in range(6):
            if "took more than" not in self.machine.sabir("functions", "--json", cwd=self.project, timeout=300).text:
                break
        self.engine = self.machine.start_engine(self.project)
        self.printed = []
        for pipe in (self.engine.stdout, self.engine.stderr):
            threading.Thread(target=lambda p=pipe: self.printed.append(p.read()[-4000:]), daemon=True).start()

    def call(self, address, **arguments):
        words = ["%s:=%s" % (name, json.dumps(value)) for name, value in arguments.items()]
        done = self.machine.sabir("call", address, *words, "--json", cwd=self.project, timeout=300)
        assert done.code == 0, done
        return done.json

    def served(self, address, **arguments):
        """A call that may have to wait for its worker's start longer than the function's own deadline."""
        words = ["%s:=%s" % (name, json.dumps(value)) for name, value in arguments.items()]
        for _ in range(20):
            done = self.machine.sabir("call", address, *words, "--json", cwd=self.project, timeout=300)
            if done.code == 0 or '"timeout"' not in done.out:
                break
        return done

    def close(self):
        self.machine.stop()
        self.folder.cleanup()


def measure_idle(pid, seconds=10):
    """(percent of one core, megabytes) of a process that should do nothing."""
    begin, before = time.monotonic(), cpu_seconds(pid)
    time.sleep(seconds)
    return 100 * (cpu_seconds(pid) - before) / (time.monotonic() - begin), resident_mb(pid)
