"""Kills and stops an engine's workers at random while clients call functions, and checks every outcome.

    worker_torture.py --rounds 1000                            # of kill -9 (6 of 7) and SIGSTOP (1 of 7), all languages here
    worker_torture.py --rounds 100 --languages python,ruby

What has to hold: a read answers, or dies twice in a row (`worker_crashed`); a write answers or is `outcome_unknown`; a call in
a stopped worker ends at its deadline (`timeout`); nothing else comes back, but that a function is left alone after at least five
blows to its workers since it last answered. A write whose worker was killed is told within
100 ms of the death, in 99 of 100 cases. Afterwards every function works, no process and no descriptor is left over, and a
counter of the writes proves that each "ok" was one effect and no call ran twice.
"""
import argparse
import collections
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import Machine, children, descendants, descriptors, find_binary, has, node, write  # noqa: E402

TIMEOUT = 2.0

PYTHON = '''
import time


def look(number: int) -> int:
    """Adds one, slowly enough to be killed at it.

    Effect: read
    Timeout: 2s
    """
    time.sleep(0.003)
    return number + 1


def change(number: int, ledger: str) -> int:
    """Adds one, and writes it down.

    Timeout: 2s
    """
    time.sleep(0.002)
    with open(ledger, "a") as file:
        file.write("%d\\n" % number)
    time.sleep(0.001)
    return number + 1
'''
RUBY = '''
# Adds one, slowly enough to be killed at it.
#
# @param number [Integer]
# @return [Integer]
# @effect read
# @timeout 2s
def look(number)
  sleep 0.003
  number + 1
end

# Adds one, and writes it down.
#
# @param number [Integer]
# @param ledger [String]
# @return [Integer]
# @timeout 2s
def change(number, ledger)
  sleep 0.002
  File.write(ledger, "#{number}\\n", mode: "a")
  sleep 0.001
  number + 1
end

# Calls Python in the middle.
#
# @param number [Integer]
# @return [Integer]
# @effect read
# @timeout 2s
def look_through(number)
  Sabir.call("python/steps.look", number: number)
end
'''
NODE = '''
import { appendFileSync } from "node:fs";

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

/** Adds one, slowly enough to be killed at it.
 * @effect read
 * @timeout 2s */
export async function look(number: number): Promise<number> {
  await pause(3);
  return number + 1;
}

/** Adds one, and writes it down.
 * @timeout 2s */
export async function change(number: number, ledger: string): Promise<number> {
  await pause(2);
  appendFileSync(ledger, `${number}\\n`);
  await pause(1);
  return number + 1;
}
'''
PHP = '''<?php
/**
 * Adds one, slowly enough to be killed at it.
 * @effect read
 * @timeout 2s
 */
function look(int $number): int
{
    usleep(3000);
    return $number + 1;
}

/**
 * Adds one, and writes it down.
 * @timeout 2s
 */
function change(int $number, string $ledger): int
{
    usleep(2000);
    file_put_contents($ledger, "$number\\n", FILE_APPEND);
    usleep(1000);
    return $number + 1;
}
'''
GO = '''package functions

import (
	"fmt"
	"os"
	"time"
)

// Look adds one, slowly enough to be killed at it.
//
// Effect: read
// Timeout: 2s
func Look(number int) int {
	time.Sleep(3 * time.Millisecond)
	return number + 1
}

// Change adds one, and writes it down.
//
// Timeout: 2s
func Change(number int, ledger string) (int, error) {
	time.Sleep(2 * time.Millisecond)
	file, err := os.OpenFile(ledger, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	_, err = fmt.Fprintf(file, "%d\\n", number)
	time.Sleep(time.Millisecond)
	return number + 1, err
}
'''
CPP = '''#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <thread>

// Adds one, slowly enough to be killed at it.
//
// Effect: read
// Timeout: 2s
std::int64_t look(std::int64_t number) {
  std::this_thread::sleep_for(std::chrono::milliseconds(3));
  return number + 1;
}

// Adds one, and writes it down.
//
// Timeout: 2s
std::int64_t change(std::int64_t number, const std::string& ledger) {
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  std::FILE* file = std::fopen(ledger.c_str(), "a");
  std::fprintf(file, "%lld\\n", static_cast<long long>(number));
  std::fclose(file);
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return number + 1;
}
'''
# By language: its file, its text, the program it needs, and what its worker's command line is known by.
LANGUAGES = {"python": ("steps.py", PYTHON, "python3", "launch.py"), "ruby": ("steps.rb", RUBY, "ruby", "worker.rb"),
             "node": ("steps.ts", NODE, None, "worker.mjs"), "go": ("steps.go", GO, "go", "build/go/"),
             "php": ("steps.php", PHP, "php", "worker.php"), "cpp": ("steps.cpp", CPP, "g++", "build/cpp/")}
LEFT_ALONE_AFTER = 5
READ = {"ok", "worker_crashed", "timeout", "left alone"}
WRITE = {"ok", "outcome_unknown", "timeout", "left alone"}
# The inner call's end may come as its error.
NESTED = READ | {"function_error", "cancelled"}


class Client(threading.Thread):
    """Calls one function over and over, through the Python SDK in a process of its own."""

    def __init__(self, torture, address, allowed, seed):
        super().__init__(daemon=True)
        self.torture, self.address, self.allowed, self.seed = torture, address, allowed, seed
        self.language = address.split("/")[0]
        self.languages = {"ruby", "python"} if address.endswith("look_through") else {self.language}
        self.outcomes, self.ends, self.done_ids, self.overdue = collections.Counter(), [], [], []
        self.answered = time.monotonic()

    def run(self):
        script = ("import json, sys, sabir\n"
                  "for line in sys.stdin:\n"
                  "    address, arguments = json.loads(line)\n"
                  "    try:\n"
                  "        answer = {'value': sabir.call(address, **arguments)}\n"
                  "    except sabir.Error as error:\n"
                  "        answer = {'type': error.type, 'message': str(error)}\n"
                  "    print(json.dumps(answer), flush=True)\n")
        process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                   cwd=str(self.torture.project), env=dict(self.torture.machine.env, PYTHONPATH=self.torture.sdk))
        number = self.seed * 10_000_000
        try:
            while not self.torture.over.is_set():
                number += 1
                arguments = {"number": number}
                if self.address.endswith("change"):
                    arguments["ledger"] = str(self.torture.ledger)
                begin = time.monotonic()
                process.stdin.write(json.dumps([self.address, arguments]) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
                now = time.monotonic()
                if not line:
                    self.outcomes["the client ended"] += 1
                    return
                answer = json.loads(line)
                if "type" in answer:
                    outcome = answer["type"]
                    if outcome == "worker_crashed" and "left alone" in answer["message"]:
                        # An engine that leaves alone what has not earned it is found out here.
                        earned = self.torture.blows_since(self.languages, self.answered) >= LEFT_ALONE_AFTER
                        outcome = "left alone" if earned else "left alone too early"
                        time.sleep(0.2)
                else:
                    outcome = "ok" if answer["value"] == number + 1 else "wrong value"
                    self.answered = begin  # a blow may fall between the answer and its arrival
                if outcome not in self.allowed:
                    self.torture.strange.append("%s: %s" % (self.address, answer.get("message")))
                self.outcomes[outcome] += 1
                self.done_ids.append((number, outcome))
                if outcome == "outcome_unknown":
                    self.ends.append(now)
                if outcome == "timeout":
                    self.overdue.append(now - begin - TIMEOUT)
        finally:
            process.stdin.close()
            process.wait(10)


class Torture:
    def __init__(self, rounds, seed, languages, soon):
        self.soon = soon / 1000  # seconds
        self.rounds, self.random, self.languages = rounds, random.Random(seed), languages
        self.over = threading.Event()
        self.strange = []
        self.blows = []          # (when, language) of each SIGKILL and SIGSTOP
        self.seen = {}           # pid -> when
        self.start_seconds = 0   # what a worker's start takes, generously

    def functions(self):
        """Address -> the outcomes that may come."""
        out = {}
        for name in self.languages:
            out[name + "/steps.look"] = READ
            out[name + "/steps.change"] = WRITE
        if {"python", "ruby"} <= set(self.languages):
            out["ruby/steps.look_through"] = NESTED
        return out

    def workers(self, engine):
        """(pid, language) of each; nine in ten of those that are younger than what a start takes here are spared, since workers
        that are killed before they are ready again and again end in `unavailable`, as they should."""
        found = []
        for pid, state, command in children(engine):
            language = next((name for name in self.languages if LANGUAGES[name][3] in command), None)
            if state != "Z" and language:
                first = self.seen.setdefault(pid, time.monotonic())
                if time.monotonic() - first >= self.start_seconds or self.random.random() < 0.1:
                    found.append((pid, language))
        return found

    def run(self):
        folder = Path(tempfile.mkdtemp(prefix="sabir-"))
        self.machine = Machine(folder, find_binary(), folder / "cache")
        # What this user's Go has compiled before need not be compiled again.
        self.machine.env["GOCACHE"] = os.path.expanduser("~/.cache/go-build")
        if "node" in self.languages:
            self.machine.use_node()
        try:
            return self.in_folder(folder)
        finally:
            self.over.set()
            self.machine.stop()
            subprocess.run(["rm", "-rf", str(folder)], check=False, timeout=60)

    def measured_start(self, engine):
        """Twice what the slowest language takes from the death of its worker to the next answer."""
        slowest = 0
        for pid, language in self.workers(engine.pid):
            os.kill(pid, signal.SIGKILL)
            begin = time.monotonic()
            done = self.served(language + "/steps.look")
            assert done.code == 0, done
            slowest = max(slowest, time.monotonic() - begin)
        return 2 * slowest

    def served(self, address):
        """Its answer; a deadline that passes while workers start is no answer yet, nor is the rest after a row of blows."""
        for _ in range(20):
            done = self.call(address)
            if "is left alone" in done.out:
                time.sleep(1)
            elif done.code == 0 or '"timeout"' not in done.out:
                break
        return done

    def blows_since(self, languages, begin):
        return sum(1 for when, language in self.blows if when >= begin and language in languages)

    def call(self, address):
        arguments = ["number:=1"] + (["ledger=/dev/null"] if address.endswith("change") else [])
        return self.machine.sabir("call", address, *arguments, "--json", cwd=self.project, timeout=300)

    def in_folder(self, folder):
        self.project = folder / "shop"
        made = self.machine.sabir("new", self.project, "--languages", "python,ruby")
        assert made.code == 0, made
        for name in self.languages:
            write(self.project / "functions" / name / LANGUAGES[name][0], LANGUAGES[name][1])
        self.ledger = folder / "ledger"
        self.ledger.touch()
        self.sdk = self.machine.sabir("sdk", "path", "python", cwd=self.project).out.strip()
        # What reads compiled languages is compiled first, which may take longer than an engine waits for it.
        for _ in range(6):
            if "took more than" not in self.machine.sabir("functions", "--json", cwd=self.project, timeout=300).text:
                break
        engine = self.machine.start_engine(self.project)
        threading.Thread(target=engine.stdout.read, daemon=True).start()
        threading.Thread(target=engine.stderr.read, daemon=True).start()
        for address in self.functions():
            done = self.served(address)
            assert done.code == 0 and done.json == 2, done
        time.sleep(0.5)
        before = (descriptors(engine.pid), len(self.workers(engine.pid)))
        self.start_seconds = self.measured_start(engine)
        clients = [Client(self, address, allowed, seed) for seed, (address, allowed) in enumerate(self.functions().items(), 1)]
        for client in clients:
            client.start()
        kills, stops = collections.defaultdict(list), 0
        begin = time.monotonic()
        done = 0
        while done < self.rounds:
            time.sleep(self.random.uniform(0.01, 0.12))
            workers = self.workers(engine.pid)
            if not workers:
                continue
            pid, language = self.random.choice(workers)
            try:
                self.blows.append((time.monotonic(), language))
                if self.random.randrange(7) == 0:
                    os.kill(pid, signal.SIGSTOP)
                    stops += 1
                else:
                    os.kill(pid, signal.SIGKILL)
                    kills[language].append(time.monotonic())
                done += 1
            except ProcessLookupError:
                pass
            assert engine.poll() is None, "the engine ended"
        seconds = time.monotonic() - begin
        self.over.set()
        for client in clients:
            client.join(30)
            assert not client.is_alive(), "a client still waits"
        return self.judge(engine, clients, kills, stops, before, seconds)

    def judge(self, engine, clients, kills, stops, before, seconds):
        problems = []
        for client in clients:
            strange = set(client.outcomes) - client.allowed
            if strange:
                problems.append("%s: %s" % (client.address, {name: client.outcomes[name] for name in strange}))
        problems += self.strange[:10]
        # From the last kill of the language before it: what a death's news took at the most.
        told = sorted(min((end - kill for kill in kills[client.language] if kill <= end), default=9) for client in clients for end in client.ends)
        late = sum(1 for one in told if one > self.soon)
        if told and late > max(1, len(told) // 100):
            problems.append("%d of %d deaths were told later than %d ms after" % (late, len(told), self.soon * 1000))
        overdue = sorted(late for client in clients for late in client.overdue)
        if overdue and overdue[int(len(overdue) * 0.99)] > 1:
            problems.append("timeouts came up to %.2f s after the deadline" % overdue[-1])
        # Those that were stopped while they had nothing to do are found out by the calls.
        time.sleep(1.5)
        for address in self.functions():
            done = self.served(address)
            if done.code != 0:
                problems.append("afterwards %s: %s" % (address, done.out))
        time.sleep(1.0)
        zombies = [one for one in descendants(engine.pid) if one[1] == "Z"]
        if zombies:
            problems.append("zombies: %s" % zombies)
        grandchildren = [one for child in children(engine.pid) for one in descendants(child[0])]
        if grandchildren:
            problems.append("grandchildren: %s" % grandchildren)
        self.start_seconds = 0
        after = (descriptors(engine.pid), len(self.workers(engine.pid)))
        # Each live worker holds a few; none may be left by those that died.
        if after[0] > before[0] + 5 * max(0, after[1] - before[1]):
            problems.append("descriptors: %d before with %d workers, %d after with %d" % (before + after))
        # A worker that was stopped while it had nothing to do is found out by its next call, or goes with the engine.
        family = [pid for pid, _, _ in descendants(engine.pid)]
        engine.terminate()
        engine.wait(20)
        outlived = [pid for pid in family if Path("/proc/%d" % pid).exists()]
        if outlived:
            problems.append("outlived the engine: %s" % outlived)
        written = collections.Counter(int(line) for line in self.ledger.read_text().split())
        for client in clients:
            if not client.address.endswith("change"):
                continue
            for number, outcome in client.done_ids:
                if outcome == "ok" and written[number] != 1:
                    problems.append("write %d was ok and happened %d times" % (number, written[number]))
        twice = [number for number, count in written.items() if count > 1]
        if twice:
            problems.append("writes that ran more than once: %s" % twice[:5])

        def at(values, share):
            return round(values[min(len(values) - 1, int(len(values) * share))] * 1000, 1) if values else None

        return {"rounds": self.rounds, "languages": self.languages, "kills": self.rounds - stops, "stops": stops, "seconds": round(seconds, 1),
                "outcomes": {client.address: dict(client.outcomes) for client in clients},
                "told_ms": {"count": len(told), "median": at(told, 0.5), "p99": at(told, 0.99), "most": at(told, 1)},
                "overdue_ms": {"count": len(overdue), "median": at(overdue, 0.5), "p99": at(overdue, 0.99), "most": at(overdue, 1)},
                "descriptors": [before[0], after[0]], "workers": [before[1], after[1]], "problems": problems}


def here():
    """The languages that this machine can run."""
    found = []
    for name, (_, _, program, _) in LANGUAGES.items():
        try:
            if program is None:
                node()
            elif not has(program):
                continue
            found.append(name)
        except AssertionError:
            continue
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--soon", type=int, default=100, help="milliseconds within which a death is told; more on a busy machine")
    parser.add_argument("--languages", default="", help="python,ruby,…; all that run here by default")
    options = parser.parse_args()
    languages = [name for name in options.languages.split(",") if name] or here()
    report = Torture(options.rounds, options.seed, languages, options.soon).run()
    print(json.dumps(report, indent=1))
    return 1 if report["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
