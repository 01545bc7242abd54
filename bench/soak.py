#!/usr/bin/env python3
"""Mixed load at half of what the machine can do, for long: memory and descriptors of the engine and its workers stay flat.

    script/bench soak                 30 minutes (2 with CI=true)
    script/bench soak --minutes 10

The capacity is measured first, with every client calling as fast as it is answered. Then the clients keep to half of it. The
first quarter is warm-up, and at least twenty seconds; the growth is that of the median of the last fifth over the median of the
first fifth after it. A worker is watched for as long as it lives.
"""
import argparse
import collections
import json
import os
import statistics
import subprocess
import sys
import threading
import time

from machine import Place, Rows, children, descriptors, resident_mb
from worker_torture import LANGUAGES, here

MEMORY = 2.0  # MB that may be gained
EXTRA = {
    "functions/python/mixed.py": '''
import sabir


def echo(text: str) -> str:
    """Gives a text back.

    Effect: read
    """
    return text


def fail(text: str) -> str:
    """Fails.

    Effect: read
    """
    raise ValueError(text)


def count(to: int):
    """Counts.

    Effect: read
    """
    yield from range(to)


def across(number: int) -> int:
    """Calls Ruby, which answers.

    Effect: read
    """
    return sabir.call("ruby/mixed.next_number", number=number)


def keep(number: int) -> int:
    """Keeps a value in the memory.

    Idempotent: yes
    """
    sabir.memory.put("soak_%d" % (number % 50), {"number": number})
    return number
''',
    "functions/ruby/mixed.rb": '''
# @param number [Integer]
# @return [Integer]
# @effect read
def next_number(number)
  number + 1
end
'''}
# A client's process: reads how long each call may take from its line, so that it keeps a pace.
CLIENT = r'''
import json, sys, time
import sabir
calls = json.loads(sys.stdin.readline())
failed = 0
for line in sys.stdin:
    pace, seconds = json.loads(line)
    done, until, next_at = 0, time.monotonic() + seconds, time.monotonic()
    while time.monotonic() < until:
        for address, arguments, expected in calls:
            try:
                if expected == "stream":
                    value = len(list(sabir.stream(address, **arguments)))
                    good = value == arguments["to"]
                else:
                    good = sabir.call(address, **arguments) == expected
            except sabir.Error as error:
                good = error.type == expected
            if not good:
                failed += 1
            done += 1
            if pace:
                next_at += pace
                time.sleep(max(0, next_at - time.monotonic()))
    print(json.dumps([done, failed]), flush=True)
'''


def mix(languages):
    calls = [["python/mixed.echo", {"text": "x" * 100}, "x" * 100], ["python/mixed.echo", {"text": "y" * 100_000}, "y" * 100_000],
             ["python/mixed.fail", {"text": "on purpose"}, "function_error"], ["python/mixed.count", {"to": 20}, "stream"],
             ["python/mixed.across", {"number": 1}, 2], ["python/mixed.keep", {"number": 7}, 7]]
    for name in languages:
        calls.append([name + "/steps.look", {"number": 1}, 2])
        calls.append([name + "/steps.change", {"number": 1, "ledger": "/dev/null"}, 2])
    return calls


class Load:
    def __init__(self, place, calls, count):
        sdk = place.machine.sabir("sdk", "path", "python", cwd=place.project).out.strip()
        self.processes = []
        for index in range(count):
            order = calls[index % len(calls):] + calls[:index % len(calls)]
            self.processes.append(subprocess.Popen([sys.executable, "-c", CLIENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                                   text=True, cwd=str(place.project), env=dict(place.machine.env, PYTHONPATH=sdk)))
            self.processes[-1].stdin.write(json.dumps(order) + "\n")

    def run(self, pace, seconds):
        """Calls and failures of all."""
        for process in self.processes:
            process.stdin.write(json.dumps([pace, seconds]) + "\n")
            process.stdin.flush()
        answers = [json.loads(process.stdout.readline()) for process in self.processes]
        return sum(done for done, _ in answers), sum(failed for _, failed in answers)

    def close(self):
        for process in self.processes:
            process.stdin.close()
            process.wait(20)
            process.stdout.close()


class Watch(threading.Thread):
    """Looks at the engine and its workers every now and then."""

    def __init__(self, engine, every):
        super().__init__(daemon=True)
        self.engine, self.every, self.over = engine, every, threading.Event()
        self.memory = collections.defaultdict(list)       # pid -> [(when, MB)]
        self.descriptors = collections.defaultdict(list)  # pid -> [(when, count)]
        self.names = {engine: "engine"}

    def run(self):
        while not self.over.wait(self.every):
            now = time.monotonic()
            for pid, state, command in children(self.engine):
                name = next((name for name in LANGUAGES if LANGUAGES[name][3] in command), None)
                if name and state != "Z":
                    self.names[pid] = name
            workers = len(self.names) - 1
            for pid in list(self.names):
                try:
                    self.memory[pid].append((now, resident_mb(pid)))
                    # Pools grow and shrink; the engine holds a worker's socket, its output and its pidfd.
                    self.descriptors[pid].append((now, descriptors(pid) - (3 * workers if pid == self.engine else 0)))
                except OSError:
                    self.names.pop(pid, None)  # it has left
                    self.memory.pop(pid, None)
                    self.descriptors.pop(pid, None)


def growth(samples, begin, end):
    """(first fifth's median, last fifth's median) of what was seen between; None where there is too little."""
    fifth = (end - begin) / 5
    first = [value for when, value in samples if begin <= when < begin + fifth]
    last = [value for when, value in samples if end - fifth <= when <= end]
    return (statistics.median(first), statistics.median(last)) if first and last else None


def soak(rows, minutes, languages):
    sources = dict(EXTRA)
    for name in languages:
        # No deadline is missed because the machine is busy.
        sources["functions/%s/%s" % (name, LANGUAGES[name][0])] = LANGUAGES[name][1].replace("2s", "30s")
    place = Place(languages, sources)
    try:
        calls = mix(languages)
        for address, arguments, expected in calls:
            if expected != "stream" and expected != "function_error":
                # The functions' own deadlines are short, and workers have to start.
                done = place.served(address, **arguments)
                assert done.code == 0 and done.json == expected, done
        load = Load(place, calls, 6)
        load.run(0, 3)
        seconds = min(10.0, minutes * 12)
        done, failed = load.run(0, seconds)
        capacity = done / seconds
        watch = Watch(place.engine.pid, min(2.0, minutes * 2))
        watch.start()
        begin = time.monotonic()
        done, more = load.run(len(load.processes) / (capacity / 2), minutes * 60)
        end = time.monotonic()
        watch.over.set()
        watch.join()
        load.close()
        rate = done / (end - begin)
        note = "soak: %d languages, %.1f minutes at %.0f calls/s of %.0f, %d calls" % (len(languages), (end - begin) / 60, rate, capacity, done)
        print(note, file=sys.stderr)
        rows.add("soak: calls that did not end as they should", failed + more, "calls", 0, done)
        # Warm-up, of a short run no more than half.
        begin += min(max(20.0, (end - begin) / 4), (end - begin) / 2)
        by_name = collections.defaultdict(list)
        for pid, name in watch.names.items():
            memory, count = growth(watch.memory[pid], begin, end), growth(watch.descriptors[pid], begin, end)
            if memory and count:
                by_name[name].append((memory[1] - memory[0], memory[0], count[1] - count[0], count[0]))
        for name in ["engine"] + languages:
            who = "engine" if name == "engine" else name + " worker"
            if not by_name[name]:
                continue
            gained, first, more_descriptors, at_first = max(by_name[name])
            rows.add("soak: %s, memory gained" % who, gained, "MB", MEMORY, round(first, 2))
            # The engine's are counted beside the three that each of its workers costs.
            rows.add("soak: %s, descriptors gained" % who, max(one[2] for one in by_name[name]), "fds", 0, at_first)
        assert place.engine.poll() is None, "the engine ended"
    finally:
        place.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--minutes", type=float, default=2 if os.environ.get("CI") == "true" else 30)
    parser.add_argument("--languages", default="", help="python,ruby,…; all that run here by default")
    options = parser.parse_args()
    rows = Rows(options.json)
    soak(rows, options.minutes, [name for name in options.languages.split(",") if name] or here())
    return 0 if rows.all_met else 1


if __name__ == "__main__":
    sys.exit(main())
