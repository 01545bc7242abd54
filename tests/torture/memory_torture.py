"""Several engines and plain Python processes write one project's memory at once, and engines die throughout.

    python3 tests/torture/memory_torture.py [--seconds 60] [--binary PATH] [--json]

At work on one project, each process through the Python SDK:
  - two writers of the running engine (`sabir engine run`), which is killed with SIGKILL and started again all the time;
    while it is dead they get private engines, and go back to the running one;
  - one writer with a private engine of its own from start to end;
  - one loop of short-lived processes, as runs of a plain pytest are, each with whatever engine it finds;
  - one writer whose private engine is killed now and then.

Each keeps a list of what was acknowledged. At the end: every acknowledged item is there with its value, no counter has
lost an acknowledged step or gained one that nobody asked for, every conversation's numbers run without gap or repetition
and every acknowledged message stands under its number, and SQLite's integrity_check finds nothing. Prints one JSON object;
exit code 0 when all holds.
"""
import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONVERSATION = "torture"
KINDS = ("joined", "joined", "private", "short", "killed")


# ---- A writer: a process of its own --------------------------------------------------------------------------------
def write_until(end, name, kind, log_path):
    """Writes until the time `end` and appends a line to the log for each thing that was acknowledged."""
    import sabir
    from sabir import _channel

    log = open(log_path, "a", encoding="utf-8")
    choice = random.Random(name)

    def note(*entry):
        log.write(json.dumps(entry) + "\n")
        log.flush()

    def attempt(what, action):
        """The acknowledgement, or None; an unknown outcome is noted, since it may have happened."""
        try:
            return action()
        except sabir.Error as error:
            if error.type == "conflict":
                note("conflict")
            elif error.type in ("outcome_unknown", "protocol", "unavailable"):
                note("unknown", what)
                time.sleep(0.01)
            else:
                note("error", what, error.type, str(error))
            return None

    n = 0
    while time.time() < end:
        n += 1
        key = "%s/%d" % (name, n)
        if attempt("put", lambda: sabir.memory.put(key, {"from": name, "n": n})) is not None:
            note("put", key, n)

        seq = attempt("append", lambda: sabir.memory.append(CONVERSATION, {"role": "user", "content": key}))
        if seq is not None:
            note("append", seq, key)

        def count():
            items = sabir.memory.list("counter")
            value, version = (items[0].value, items[0].version) if len(items) else (0, 0)
            return sabir.memory.put("counter", value + 1, if_version=version)

        if attempt("count", count) is not None:
            note("count")

        client = _channel._client
        if kind == "joined" and client is not None and client.process is not None and n % 20 == 0:
            # A private engine, taken while the running one was dead: back to the running one.
            _channel.close()
        if kind == "killed" and client is not None and client.process is not None and choice.random() < 0.02:
            client.process.kill()
        if kind == "short" and n == 15:
            break
    log.close()


# ---- The stage -----------------------------------------------------------------------------------------------------
class Stage:
    def __init__(self, folder, binary):
        self.folder = folder
        self.binary = binary
        self.project = folder / "project"
        for name in ("home", "run", "logs"):
            (folder / name).mkdir()
        (folder / "run").chmod(0o700)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("SABIR_", "XDG_", "PYTHON"))}
        self.env.update(HOME=str(folder / "home"), XDG_RUNTIME_DIR=str(folder / "run"), XDG_CACHE_HOME=str(folder / "cache"),
                        SABIR_BIN=str(binary), SABIR_PROJECT=str(self.project))
        self.project.mkdir()
        (self.project / "sabir.yml").write_text("languages: [python]\n")
        self.env["PYTHONPATH"] = self.output("sdk", "path", "python").strip()
        self.quiet = open(folder / "errors.txt", "w")

    def output(self, *command):
        done = subprocess.run([str(self.binary), *command], cwd=self.project, env=self.env, capture_output=True, text=True,
                              timeout=60, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise SystemExit("sabir %s: %s%s" % (" ".join(command), done.stdout, done.stderr))
        return done.stdout

    def engine(self):
        return subprocess.Popen([str(self.binary), "engine", "run"], cwd=self.project, env=self.env, stdin=subprocess.DEVNULL,
                                stdout=self.quiet, stderr=self.quiet, start_new_session=True)

    def writer(self, name, kind, end):
        log = self.folder / "logs" / name.split("+")[0]
        return subprocess.Popen([sys.executable, str(Path(__file__).resolve()), "--writer", name, "--kind", kind,
                                 "--end", str(end), "--log", str(log)],
                                cwd=self.project, env=self.env, stdin=subprocess.DEVNULL, stdout=self.quiet,
                                stderr=self.quiet, start_new_session=True)


def kill_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def torture(stage, seconds):
    end = time.time() + seconds
    chance = random.Random(1)
    figures = {"engine_kills": 0, "short_processes": 0}
    writers = {}
    # The private ones first, while there is no engine to join.
    for i, kind in enumerate(KINDS):
        if kind in ("private", "killed"):
            writers["w%d" % i] = (kind, stage.writer("w%d" % i, kind, end))
    time.sleep(min(1.0, seconds / 5))
    engine = stage.engine()
    for i, kind in enumerate(KINDS):
        if kind in ("joined", "short"):
            writers["w%d" % i] = (kind, stage.writer("w%d" % i, kind, end))
    failed = []
    try:
        kill_at = time.time() + 0.6
        while time.time() < end:
            time.sleep(0.02)
            if time.time() >= kill_at:
                kill_group(engine)
                figures["engine_kills"] += 1
                time.sleep(chance.uniform(0, 0.1))
                engine = stage.engine()
                kill_at = time.time() + chance.uniform(0.3, 1.5)
            for name, (kind, process) in list(writers.items()):
                if kind == "short" and process.poll() is not None:
                    if process.returncode != 0:
                        failed.append("%s ended with status %d" % (name, process.returncode))
                    figures["short_processes"] += 1
                    fresh = "%s+%d" % (name.split("+")[0], figures["short_processes"])
                    del writers[name]
                    writers[fresh] = (kind, stage.writer(fresh, kind, end))
        for name, (kind, process) in writers.items():
            try:
                if process.wait(timeout=30) != 0:
                    failed.append("%s ended with status %d" % (name, process.returncode))
            except subprocess.TimeoutExpired:
                failed.append("%s hangs" % name)
    finally:
        kill_group(engine)
        for _, process in writers.values():
            kill_group(process)
    return figures, failed


# ---- The reckoning -------------------------------------------------------------------------------------------------
def examine(stage, figures, problems):
    acknowledged, messages = {}, {}
    totals = {"put": 0, "append": 0, "count": 0, "conflict": 0, "unknown": 0, "error": 0, "unknown_counts": 0}
    for log in sorted((stage.folder / "logs").iterdir()):
        for line in log.read_text(encoding="utf-8").splitlines():
            kind, *rest = json.loads(line)
            totals[kind] += 1
            if kind == "put":
                acknowledged[rest[0]] = rest[1]
            elif kind == "append":
                if rest[0] in messages:
                    problems.append("message number %d was given twice" % rest[0])
                messages[rest[0]] = rest[1]
            elif kind == "unknown" and rest[0] == "count":
                totals["unknown_counts"] += 1
            elif kind == "error":
                problems.append("a writer was refused: %s" % rest)

    # What the last process left is read first through an engine, as a user would, then from the file itself.
    counter = json.loads(stage.output("memory", "get", "counter", "--json"))
    store = stage.project / ".sabir" / "development" / "store.db"
    base = sqlite3.connect("file:%s?mode=ro" % store, uri=True)
    figures["integrity_check"] = base.execute("PRAGMA integrity_check").fetchone()[0]
    stored = {key: json.loads(value) for key, value in base.execute("SELECT key, value FROM item")}
    log = {seq: json.loads(message)["content"] for seq, message in
           base.execute("SELECT seq, message FROM message WHERE conversation = ?", (CONVERSATION,))}
    base.close()

    lost = [key for key, n in acknowledged.items() if stored.get(key, {}).get("n") != n]
    lost_messages = [seq for seq, content in messages.items() if log.get(seq) != content]
    value = stored.get("counter", 0)
    if lost:
        problems.append("%d acknowledged items are lost, for instance %s" % (len(lost), lost[:3]))
    if lost_messages:
        problems.append("%d acknowledged messages are lost, for instance numbers %s" % (len(lost_messages), lost_messages[:3]))
    if sorted(log) != list(range(1, len(log) + 1)):
        problems.append("the conversation's numbers have gaps")
    if not totals["count"] <= value <= totals["count"] + totals["unknown_counts"]:
        problems.append("the counter is %d after %d acknowledged steps and %d of unknown outcome"
                        % (value, totals["count"], totals["unknown_counts"]))
    if figures["integrity_check"] != "ok":
        problems.append("integrity_check: %s" % figures["integrity_check"])
    if isinstance(counter, dict) and counter.get("value") != value:
        problems.append("`sabir memory get counter` says %r, the file %r" % (counter.get("value"), value))
    if totals["put"] == 0 or figures["engine_kills"] == 0:
        problems.append("too little happened for this to mean anything")
    figures.update(acknowledged_items=totals["put"], acknowledged_messages=totals["append"], acknowledged_counts=totals["count"],
                   conflicts=totals["conflict"], unknown_outcomes=totals["unknown"], counter=value,
                   lost_items=len(lost), lost_messages=len(lost_messages))


def find_binary():
    for preset in ("release", "dev"):
        path = ROOT / "build" / preset / "sabir"
        if path.is_file():
            return path
    raise SystemExit("no built engine: script/build release, or --binary PATH")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--binary", type=Path, default=os.environ.get("SABIR_BIN"))
    parser.add_argument("--json", action="store_true", help="print the figures alone")
    parser.add_argument("--keep", action="store_true", help="leave the project for a look")
    for hidden in ("--writer", "--kind", "--log"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--end", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.writer:
        return write_until(options.end, options.writer, options.kind, options.log)

    folder = Path(tempfile.mkdtemp(prefix="sabir-"))
    try:
        stage = Stage(folder, Path(options.binary or find_binary()).resolve())
        if not options.json:
            print("writing for %g s in %s" % (options.seconds, folder), file=sys.stderr)
        figures, problems = torture(stage, options.seconds)
        examine(stage, figures, problems)
        if problems:
            problems.append((folder / "errors.txt").read_text()[-2000:])
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({"seconds": options.seconds, **figures, "ok": not problems, "problems": problems}, indent=2))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
