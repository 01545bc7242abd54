"""Chat prompts of 20 messages and 4.6 KB, rendered by the engine and by Jinja2 from the same files and the same variables, in turns:
one that writes the messages out, and one with filters, conditions and a part for each message. What reading the latter costs both; and
`sabir prompt render` as a whole process beside a running engine.

    completions.py [--json]
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine

ROOT = machine.ROOT
HERE = ROOT / "bench" / "completions"
PEERS = ROOT / "build" / "bench-jinja2"
ROUNDS = 15
RENDERINGS = 200
READINGS = 40
COMMANDS = 40
FILES = ["chat.prompt", "prompt_parts/turn.txt"]


def install_jinja2():
    wanted = (HERE / "requirements.txt").read_text()
    stamp = PEERS / "installed.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade", "--no-deps",
                        "--require-hashes", "--target", str(PEERS), "-r", str(HERE / "requirements.txt")], check=True, stdout=sys.stderr)
        stamp.write_text(wanted)
    sys.path.insert(0, str(PEERS))


def variables():
    """Of each prompt; the same on every machine and in every run."""
    words = ("parcel lamp oak desk invoice refund Tuesday carrier label street receipt colour drawer screw warranty photo "
             "address morning discount wrapping").split()

    def sentence(seed, length):
        return " ".join(words[(seed * 7 + i * i * 3 + i) % len(words)] for i in range(length)).capitalize() + "."

    turns = []
    for i in range(20):
        turn = {"role": "assistant" if i % 2 else "user", "at": "2026-03-%02d %02d:15" % (1 + i // 4, 8 + i % 9),
                "text": "  " + " ".join(sentence(i + k, 9) for k in range(2 + i % 2)) + "\n"}
        if i % 2:
            turn["tools"] = [{"name": "find_order", "seconds": 0.25 * (i + k), "tries": 1 + k} for k in range(i % 3)]
        else:
            turn.update(name="ana lopes", files=["photo_%d.jpg" % k for k in range(i % 3)])
        turns.append(turn)
    plain = {"system": "You answer for a small shop. " + sentence(1, 12),
             "messages": [{"role": turn["role"], "content": " ".join(sentence(i + k, 9) for k in range(4))[:217]}
                          for i, turn in enumerate(turns)]}
    return {"messages": plain, "chat": {
        "shop": {"name": "Lisbon Lamps"}, "tone": "FRIENDLY and brief", "customer": {"name": "Ana"},
        "rules": [{"active": i % 3 != 1, "text": sentence(i, 6)[:-1]} for i in range(9)],
        "orders": [{"number": 1000 + i, "open": i % 2 == 0, "total": 19.5 * (i + 1),
                    "lines": [{"name": words[(i + k) % len(words)]} for k in range(3)]} for i in range(8)],
        "turns": turns,
    }}


class Engine:
    def __init__(self, name):
        command = [str(ROOT / "build/release/bench/bench_completions"), str(HERE / "project"), name, *FILES]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


class Jinja:
    def __init__(self, name):
        import jinja2

        self.environment = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE / "project" / "completions"), auto_reload=False)
        self.template = self.environment.get_template(name + ".prompt")
        self.sources = [(HERE / "project" / "completions" / name).read_text() for name in FILES]

    def render_us(self, given, count):
        begin = time.process_time_ns()
        for _ in range(count):
            self.template.render(given)
        return (time.process_time_ns() - begin) / count / 1e3

    def parse_us(self, count):
        begin = time.process_time_ns()
        for _ in range(count):
            for source in self.sources:
                self.environment.compile(source)
        return (time.process_time_ns() - begin) / count / 1e3


def command_ms(given):
    """Of `sabir prompt render`, from its start to its end, beside a running engine; and of a process that does nothing."""
    import shutil

    with tempfile.TemporaryDirectory(prefix="sabir-") as folder:
        held = machine.Machine(Path(folder), machine.find_binary(), Path(folder) / "cache")
        try:
            project = Path(folder) / "shop"
            assert held.sabir("new", project, "--languages", "python").code == 0
            shutil.copytree(HERE / "project" / "completions", project / "completions", dirs_exist_ok=True)
            arguments = Path(folder) / "variables.json"
            arguments.write_text(json.dumps(given))
            held.start_engine(project)
            command = [str(machine.find_binary()), "prompt", "render", "chat", "--args", "@%s" % arguments]
            took, nothing = [], []
            for round_ in range(COMMANDS + 3):
                for what, into in ((command, took), (["/bin/true"], nothing)):
                    begin = time.perf_counter()
                    done = subprocess.run(what, cwd=project, env=held.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
                    if round_ >= 3:
                        into.append((time.perf_counter() - begin) * 1e3)
                    assert done.returncode == 0, done
            return statistics.median(took), statistics.median(nothing)
        finally:
            held.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    install_jinja2()
    subprocess.run(["ninja", "-C", str(ROOT / "build" / "release"), "bench_completions"], check=True, stdout=sys.stderr)
    given = variables()
    pairs = {name: (Engine(name), Jinja(name)) for name in given}
    rows = machine.Rows(options.json)
    figures = {name: ([], []) for name in [*given, "parse"]}
    try:
        for name, (engine, jinja) in pairs.items():
            ours, theirs = engine.ask("text " + json.dumps(given[name])), jinja.template.render(given[name])
            assert ours == theirs, "the rendered texts differ"
            print("%s: %d bytes rendered" % (name, len(ours.encode())), file=sys.stderr)
        for round_ in range(ROUNDS + 1):
            took = {name: (engine.ask("render %d %s" % (RENDERINGS, json.dumps(given[name]))), jinja.render_us(given[name], RENDERINGS))
                    for name, (engine, jinja) in pairs.items()}
            took["parse"] = tuple(reader(READINGS) for reader in (lambda count: pairs["chat"][0].ask("parse %d" % count), pairs["chat"][1].parse_us))
            # The first warms up.
            for name, pair in took.items() if round_ else ():
                for kept, value in zip(figures[name], pair):
                    kept.append(value)
    finally:
        for engine, _ in pairs.values():
            engine.close()
    for name, what, times in (("messages", "render 20 messages, from JSON to bytes", 3), ("chat", "and with filters, conditions and parts", 3),
                              ("parse", "read a changed template", 5)):
        ours, theirs = (statistics.median(values) for values in figures[name])
        rows.add("%s (from: Jinja2)" % what, ours, "us", target=round(theirs / times, 1), reference=theirs)
    whole, nothing = command_ms(given["chat"])
    rows.add("sabir prompt render, a process (from: true)", whole, "ms", target=8, reference=nothing)
    sys.exit(0 if rows.all_met else 1)


if __name__ == "__main__":
    main()
