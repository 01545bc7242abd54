"""`sabir top`: what a running engine is doing."""
import json
import re
import signal
import threading
import time

import pytest
from harness import write
from terminal import SOON, Terminal

NAPS = '''"""Naps."""
import time


def nap(seconds: float) -> float:
    """Sleeps.

    Effect: read
    """
    time.sleep(seconds)
    return seconds


def fail() -> str:
    """Fails.

    Effect: read
    """
    raise ValueError("no")
'''


@pytest.fixture
def running(machine, project):
    write(project / "functions/python/naps.py", NAPS)
    write(project / "sabir.yml", (project / "sabir.yml").read_text() + "pools: {python: {max: 1}}\n")
    machine.start_engine(project)
    return project


def stats_of(machine, project):
    done = machine.sabir("top", "--json", cwd=project)
    assert done.code == 0, done
    return done.json


def function(stats, address):
    return next((one for one in stats["functions"] if one["address"] == address), None)


def until(machine, project, fits):
    begin = time.monotonic()
    while time.monotonic() - begin < SOON:
        stats = stats_of(machine, project)
        if fits(stats):
            return stats
        time.sleep(0.05)
    raise AssertionError(stats)


def test_functions_workers_and_queues_are_told(machine, running):
    for _ in range(3):
        assert machine.sabir("call", "naps.nap", "seconds=0.1", cwd=running).code == 0
    assert machine.sabir("call", "naps.fail", cwd=running).code == 1
    stats = stats_of(machine, running)
    nap = function(stats, "python/naps.nap")
    assert (nap["calls"], nap["failed"], nap["in_flight"]) == (3, 0, 0)
    assert 100 <= nap["p50_ms"] <= nap["p99_ms"] < 5000, nap
    assert function(stats, "python/naps.fail")["failed"] == 1
    worker = next(pool for pool in stats["pools"] if pool["pool"] == "python")["workers"][0]
    assert worker["pid"] > 1 and worker["state"] == "ready" and worker["memory"] > 1_000_000 and worker["calls"] == 4, worker
    assert stats["environment"] == "development" and stats["memory"] > 1_000_000


def test_what_runs_and_what_waits_is_seen_while_it_does(machine, running):
    asking = [threading.Thread(target=machine.sabir, args=("call", "naps.nap", "seconds=3"), kwargs={"cwd": running}) for _ in range(3)]
    for one in asking:
        one.start()
    stats = until(machine, running, lambda s: any(p["queue"]["length"] == 2 for p in s["pools"]))
    pool = next(p for p in stats["pools"] if p["pool"] == "python")
    busy = [worker for worker in pool["workers"] if worker["state"] == "busy"]
    assert busy and busy[0]["running"] == "naps.nap" and busy[0]["running_ms"] >= 0
    assert function(stats, "python/naps.nap") is None or function(stats, "python/naps.nap")["in_flight"] == 3
    time.sleep(0.2)
    later = stats_of(machine, running)
    waits = next(p for p in later["pools"] if p["pool"] == "python")["queue"]
    assert waits["length"] == 0 or waits["oldest_ms"] >= 200, waits
    done = machine.sabir("top", "--once", cwd=running)
    assert done.code == 0 and "oldest" in done.out and "naps.nap" in done.out and "\x1b" not in done.out, done
    for one in asking:
        one.join()


def test_where_none_runs_it_says_what_starts_one(machine, project):
    done = machine.sabir("top", cwd=project)
    assert done.code == 1 and "no engine of this project runs" in done.err and "sabir engine run" in done.err, done
    done = machine.sabir("top", "--json", cwd=project)
    assert done.code == 1 and done.json["error"]["type"] == "not_found", done


def test_live_it_follows_and_its_keys_work(machine, running):
    assert machine.sabir("call", "naps.nap", "seconds=0.01", cwd=running).code == 0
    terminal = Terminal(machine, [machine.binary, "top"], running, columns=100, rows=24)
    try:
        terminal.until("python/naps.nap")
        terminal.until(lambda text: re.search(r"python/naps\.nap +1 ", text))
        assert machine.sabir("call", "naps.nap", "seconds=0.01", cwd=running).code == 0
        terminal.until(lambda text: re.search(r"python/naps\.nap +2 ", text))
        terminal.press("s")
        terminal.until("order: slowest")
        terminal.resize(40, 12)
        terminal.until(lambda text: "sabir top" in text and "python/naps" in text and "p99" in text)
        terminal.press("q")
        assert terminal.wait() == 0
        assert terminal.is_restored()
    finally:
        terminal.close()


def test_an_engine_that_ends_ends_the_view(machine, running):
    terminal = Terminal(machine, [machine.binary, "top"], running, columns=100, rows=24)
    try:
        terminal.until("sabir top")
        assert machine.sabir("engine", "stop", cwd=running).code == 0
        assert terminal.wait() == 1
        assert terminal.is_restored() and b"went away" in terminal.raw
    finally:
        terminal.close()


def test_logs_tell_what_workers_and_the_engine_said_and_what_failed(machine, project):
    write(project / "functions/python/says.py", '"""Says."""\n\n\ndef loud(text: str) -> int:\n    """Prints.\n\n    Effect: read\n    """\n    print("it says", text)\n    return 1\n\n\n'
          'def fails() -> int:\n    """Fails.\n\n    Effect: read\n    """\n    raise ValueError("nothing to say")\n')
    assert "no engine of this project runs" in machine.sabir("logs", cwd=project).err
    machine.start_engine(project)
    machine.sabir("call", "says.loud", "text=one", cwd=project)
    machine.sabir("call", "says.fails", cwd=project)
    lines = machine.sabir("logs", "--json", cwd=project).json["lines"]
    said = [(one["source"], one.get("level"), one["text"]) for one in lines]
    assert ("python", None, "it says one") in said, said
    assert any(source == "function" and level == "error" and "says.fails" in text and "nothing to say" in text for source, level, text in said), said
    assert [one["number"] for one in lines] == sorted(one["number"] for one in lines)
    assert machine.sabir("logs", "--source", "python", cwd=project).out.strip().endswith("python   it says one")
    assert machine.sabir("logs", "-n", "0", cwd=project).code == 2
    follower = machine.start(machine.binary, "logs", "-f", "--json", "--source", "python", cwd=project)
    machine.sabir("call", "says.loud", "text=two", cwd=project)
    first, second = json.loads(follower.stdout.readline()), json.loads(follower.stdout.readline())
    assert (first["text"], second["text"]) == ("it says one", "it says two")
    follower.send_signal(signal.SIGINT)
    assert follower.wait(20) == 0
