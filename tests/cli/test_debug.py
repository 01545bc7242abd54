"""sabir call --debug: the worker has the terminal, so that a debugger may run in it. And what `sabir functions NAME` tells."""
import os
import pty
import select
import time

from harness import write

THING = '''
def thing(number: int) -> int:
    """Doubles.

    Effect: read
    Timeout: 1s
    """
    double = number * 2
    breakpoint()
    return double


def quick(number: int) -> int:
    """Adds one.

    Effect: read
    Retries: 2
    """
    if number < 0:
        raise ValueError("no negative numbers")
    return number + 1
'''


def converse(machine, project, command, steps):
    """Runs a command on a terminal; for each (awaited text, answer) waits for the text, then types the answer."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(project)
        os.execve(command[0], command, dict(machine.env, TERM="dumb"))
    seen = ""
    steps = list(steps)
    deadline = time.monotonic() + 30
    try:
        while True:
            assert time.monotonic() < deadline, seen
            if not select.select([terminal], [], [], 0.1)[0]:
                continue
            try:
                got = os.read(terminal, 65536).decode(errors="replace")
            except OSError:
                break
            if not got:
                break
            seen += got
            if steps and steps[0][0] in seen[seen.rfind("\0") + 1:]:
                os.write(terminal, steps.pop(0)[1].encode() + b"\n")
                seen += "\0"
        _, status = os.waitpid(pid, 0)
        pid = 0
        assert not steps, seen
        return os.waitstatus_to_exitcode(status), seen
    finally:
        os.close(terminal)
        if pid:
            os.kill(pid, 9)
            os.waitpid(pid, 0)


def test_pdb_runs_on_the_terminal(machine, project):
    write(project / "functions/python/thing.py", THING)
    code, seen = converse(machine, project, [str(machine.binary), "call", "--debug", "thing.thing", "number:=21"],
                          [("(Pdb)", "p double + 100"), ("142", "c")])
    # Typing took longer than the function's own second would have allowed, had there been a limit.
    assert code == 0 and "142" in seen and seen.rstrip().endswith("42"), seen


def test_what_is_told_of_a_function(machine, project):
    write(project / "functions/python/thing.py", THING)
    write(project / "functions/python/tests/test_thing.py", "def test_nothing():\n    assert True\n")
    machine.start_engine(project)
    assert machine.sabir("call", "thing.quick", "number:=1", cwd=project).json == 2
    assert machine.sabir("call", "thing.quick", "number:=-1", cwd=project).code == 1
    told = machine.sabir("functions", "thing.quick", "--json", cwd=project).json
    assert told["retries"] == 2 and told["recent"]["calls"] == 2 and told["recent"]["failed"] == 1
    assert told["recent"]["last_error"] == "no negative numbers" and told["recent"]["median_ms"] > 0
    page = machine.sabir("functions", "thing.quick", cwd=project).out
    for words in ("thing.quick number=integer", "functions/python/thing.py:13", "effect    read", "functions/python/tests/test_thing.py",
                  "2 calls, 1 failed", "no negative numbers", '"number"'):
        assert words in page, page
