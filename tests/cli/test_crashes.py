"""Workers that die, callers that nest: every call has one outcome, and nothing is left behind."""
import json
import os
import signal
import sys
import time
from collections import Counter

import pytest
from harness import children, descendants, descriptors, write

CALLS = 1000

CLIENT = '''
import collections, json, sys, threading
import sabir

address, calls, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
outcomes, lock, numbers = collections.Counter(), threading.Lock(), iter(range(calls))

def work():
    while True:
        with lock:
            number = next(numbers, None)
        if number is None:
            return
        try:
            value = sabir.call(address, number=number)
            outcome = "ok" if value == number + 1 else "wrong value"
        except sabir.Error as error:
            outcome = error.type
        except Exception as error:
            outcome = "untyped " + repr(error)
        with lock:
            outcomes[outcome] += 1

workers = [threading.Thread(target=work) for _ in range(threads)]
[worker.start() for worker in workers]
[worker.join() for worker in workers]
print(json.dumps(outcomes))
'''


@pytest.fixture
def client(machine, project):
    write(project / "functions/python/steps.py", '''
import time

def look(number: int) -> int:
    """Adds one, slowly enough to be killed at it.

    Effect: read
    """
    time.sleep(0.002)
    return number + 1


def change(number: int) -> int:
    """Adds one, and might have done more.

    Effect: write
    """
    time.sleep(0.002)
    return number + 1
''')
    sdk = machine.sabir("sdk", "path", "python").out.strip()

    def start(address, calls, threads):
        return machine.start(sys.executable, "-c", CLIENT, address, calls, threads, cwd=project, env={"PYTHONPATH": sdk})

    return start


def workers_of(engine):
    return [pid for pid, state, command in descendants(engine.pid) if "launch.py" in command and state != "Z"]


@pytest.mark.parametrize("address, wanted", [("steps.change", {"ok", "outcome_unknown"}), ("steps.look", {"ok", "worker_crashed"})])
def test_killing_workers_during_a_thousand_calls_gives_each_call_a_typed_outcome(machine, project, client, address, wanted):
    engine = machine.start_engine(project)
    warm = client(address, 20, 4)
    assert json.loads(warm.communicate(timeout=60)[0]) == {"ok": 20}
    before = descriptors(engine.pid)

    calling = client(address, CALLS, 16)
    killed = 0
    while calling.poll() is None and killed < 6:
        time.sleep(0.25)
        pids = workers_of(engine)
        if pids:
            os.kill(pids[killed % len(pids)], signal.SIGKILL)
            killed += 1
    out, err = calling.communicate(timeout=120)
    assert calling.returncode == 0, err
    outcomes = Counter(json.loads(out))
    assert sum(outcomes.values()) == CALLS
    assert set(outcomes) <= wanted, outcomes
    assert killed >= 2
    # One worker holds few calls at a time, so a death spoils few: the others are not affected.
    assert outcomes["ok"] >= CALLS - killed * 20, outcomes
    if address == "steps.change":
        assert outcomes["outcome_unknown"] >= 1, outcomes

    after = client(address, 20, 4)
    assert json.loads(after.communicate(timeout=60)[0]) == {"ok": 20}
    assert engine.poll() is None
    assert [child for child in children(engine.pid) if child[1] == "Z"] == []
    deadline = time.monotonic() + 10
    while descriptors(engine.pid) > before + 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    # A pool may have one worker more than before, with its socket, its two pipes and its pidfd.
    assert descriptors(engine.pid) <= before + 8


def test_a_worker_that_is_killed_by_its_own_function_spoils_that_call_only(machine, project):
    write(project / "functions/python/fatal.py", '''
import os, signal

def die() -> None:
    """Ends its own process."""
    os.kill(os.getpid(), signal.SIGKILL)
''')
    machine.start_engine(project)
    done = machine.sabir("call", "fatal.die", "--json", cwd=project)
    assert done.json["error"]["type"] == "outcome_unknown", done
    assert machine.sabir("call", "function1.do_something", cwd=project).code == 0


def test_a_grandchild_of_a_killed_worker_does_not_survive(machine, project):
    write(project / "functions/python/parent.py", '''
import os, signal, subprocess

def leave(file: str) -> None:
    """Starts a child and ends its own process."""
    child = subprocess.Popen(["sleep", "300"])
    with open(file, "w") as out:
        out.write(str(child.pid))
    os.kill(os.getpid(), signal.SIGKILL)
''')
    machine.start_engine(project)
    machine.sabir("call", "parent.leave", "file=" + str(machine.folder / "pid"), cwd=project)
    pid = int((machine.folder / "pid").read_text())
    deadline = time.monotonic() + 5
    while _lives(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _lives(pid)


def _lives(pid):
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_when_the_engine_is_killed_its_workers_end_and_the_next_call_is_served(machine, project):
    engine = machine.start_engine(project)
    assert machine.sabir("call", "function1.do_something", cwd=project).code == 0
    workers = [pid for pid, _, _ in descendants(engine.pid)]
    assert workers
    engine.send_signal(signal.SIGKILL)
    engine.wait(timeout=10)
    deadline = time.monotonic() + 5
    while any(_lives(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_lives(pid) for pid in workers)
    assert machine.sabir("call", "function1.do_something", cwd=project).code == 0


def test_sixty_four_roots_nest_eight_deep_with_one_worker_a_pool(machine, project):
    write(project / "sabir.yml", "languages: [python, ruby]\npools: {python: {max: 1}, ruby: {max: 1}}\n")
    write(project / "functions/python/deep.py", '''
import sabir

def down(number: int) -> int:
    """Goes down through Ruby and back up.

    Effect: read
    """
    return 0 if number <= 0 else 1 + sabir.call("deeper.down", number=number - 1)
''')
    write(project / "functions/ruby/deeper.rb", '''
require "sabir"

# Goes down through Python and back up.
# @param number [Integer] how deep
# @return [Integer]
# @effect read
def down(number)
  number <= 0 ? 0 : 1 + Sabir.call("deep.down", number: number - 1)
end
''')
    sdk = machine.sabir("sdk", "path", "python").out.strip()
    machine.start_engine(project)
    code = CLIENT.replace("number=number", "number=7").replace("value == number + 1", "value == 7")
    start = time.monotonic()
    done = machine.run(sys.executable, "-c", code, "deep.down", 64, 64, cwd=project, env={"PYTHONPATH": sdk}, timeout=120)
    assert done.code == 0, done
    assert json.loads(done.out) == {"ok": 64}, done
    assert time.monotonic() - start < 60


def test_nesting_without_end_is_refused_with_a_typed_error(machine, project):
    write(project / "functions/python/endless.py", '''
import sabir

def again(number: int = 0) -> int:
    """Calls itself.

    Effect: read
    """
    return sabir.call("endless.again", number=number + 1)
''')
    done = machine.sabir("call", "endless.again", "--json", cwd=project, timeout=60)
    assert done.json["error"]["type"] == "depth_exceeded", done


def test_an_interrupted_command_ends_its_workers(machine, project):
    write(project / "functions/python/slow.py", "import time\n\ndef wait() -> None:\n    time.sleep(60)\n")
    process = machine.start(machine.binary, "call", "slow.wait", cwd=project)
    deadline = time.monotonic() + 10
    while not workers_of(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = workers_of(process)
    assert workers
    process.send_signal(signal.SIGINT)
    process.wait(timeout=15)
    assert process.returncode != 0
    deadline = time.monotonic() + 5
    while any(_lives(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_lives(pid) for pid in workers)
