"""What sabir.yml's `pools` and the doc tags Retries and Concurrency promise, with real workers."""
import json
import time

import pytest
from harness import write

FLAKY = '''
import os
import time


def sometimes(path: str, good_at: int) -> int:
    """Fails until its call number `good_at`.

    Effect: read
    Retries: 3
    """
    with open(path, "a") as file:
        file.write(".")
    count = os.path.getsize(path)
    if count < good_at:
        raise ValueError("not yet: %d" % count)
    return count


def written(path: str) -> int:
    """Fails, and has effects.

    Retries: 3
    """
    with open(path, "a") as file:
        file.write(".")
    raise ValueError("no")


def grow(megabytes: int) -> int:
    """Fills memory.

    Effect: read
    """
    kept = b"x" * (megabytes << 20)
    time.sleep(20)
    return len(kept)


def together(path: str, seconds: float) -> int:
    """How many of its calls ran at once.

    Effect: read
    Concurrency: 1
    """
    with open(path, "a") as file:
        file.write("+")
    time.sleep(seconds)
    with open(path) as file:
        text = file.read()
    with open(path, "a") as file:
        file.write("-")
    return text.count("+") - text.count("-")
'''

CALLER = '''
from concurrent.futures import ThreadPoolExecutor

import sabir


def many(address: str, count: int, arguments: dict) -> list:
    """Calls a function several times at once, through connections of their own.

    Timeout: 60s
    """
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: sabir.call(address, **arguments), range(count)))
'''


@pytest.fixture
def flaky(project):
    write(project / "functions/python/flaky.py", FLAKY)
    return project


def test_a_reading_function_is_called_again(machine, flaky):
    seen = flaky / "seen"
    done = machine.sabir("call", "flaky.sometimes", "path=%s" % seen, "good_at:=3", cwd=flaky)
    assert done.code == 0 and done.json == 3, done
    assert seen.read_text() == "..."


def test_it_is_not_called_for_ever(machine, flaky):
    seen = flaky / "seen"
    done = machine.sabir("call", "flaky.sometimes", "path=%s" % seen, "good_at:=9", cwd=flaky)
    assert done.code == 1 and "not yet: 4" in done.err, done
    assert seen.read_text() == "...."


def test_a_function_with_effects_is_called_once_and_the_listing_says_so(machine, flaky):
    seen = flaky / "seen"
    done = machine.sabir("call", "flaky.written", "path=%s" % seen, cwd=flaky)
    assert done.code == 1 and seen.read_text() == ".", done
    listed = {one["address"]: one for one in machine.sabir("functions", "--json", cwd=flaky).json["functions"]}
    assert "Effect: read" in " ".join(listed["flaky.written"]["warnings"])


def test_a_call_that_fills_the_memory_is_ended_with_the_reason(machine, flaky):
    with open(flaky / "sabir.yml", "a") as file:
        file.write("\npools:\n  python: {max_memory: 150MB}\n")
    begin = time.monotonic()
    done = machine.sabir("call", "flaky.grow", "megabytes:=300", cwd=flaky)
    assert done.code == 1 and "more than 150 MB" in done.err and "max_memory" in done.err, done
    assert time.monotonic() - begin < 15


def test_calls_at_once_are_limited(machine, flaky):
    write(flaky / "functions/python/caller.py", CALLER)
    with open(flaky / "sabir.yml", "a") as file:
        file.write("\npools:\n  python: {max: 4}\n")
    seen = flaky / "seen"
    arguments = json.dumps({"path": str(seen), "seconds": 0.2})
    done = machine.sabir("call", "caller.many", "address=flaky.together", "count:=3", "arguments:=" + arguments, cwd=flaky)
    assert done.code == 0 and done.json == [1, 1, 1], done


@pytest.mark.parametrize("text, words", [
    ("{max_memory: 10}", "512MB"), ("{max_memory: many}", "512MB"), ("{idle: never}", "30s"), ("{queue: 0}", "from 1"),
    ("{max_calls: 1.5}", "whole number"), ("{max_age: -1s}", "30s"), ("{maximum: 2}", "max"), ("{min: 3, max: 2}", "above its max")])
def test_wrong_bounds_are_refused_with_their_place(machine, project, text, words):
    lines = (project / "sabir.yml").read_text().rstrip("\n").count("\n") + 1
    with open(project / "sabir.yml", "a") as file:
        file.write("pools:\n  python: %s\n" % text)
    done = machine.sabir("functions", cwd=project)
    assert done.code == 1 and "sabir.yml:%d" % (lines + 2) in done.err and words in done.err, done
