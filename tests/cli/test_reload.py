"""What is saved while an engine runs: served soon, without a dropped call, and never worse than what served before."""
import json
import threading
import time

import pytest
from harness import write

# Seconds that a busy machine may take; nothing here waits longer than it must.
SOON = 60


def python(number):
    return 'def number() -> int:\n    """A number.\n\n    Effect: read\n    """\n    return %s\n' % number


def ruby(number):
    return "# A number.\n#\n# @return [Integer]\n# @effect read\ndef number\n  %s\nend\n" % number


def cpp(number):
    return "/// A number.\n/// @effect read\nint number() { return %s; }\n" % number


class Running:
    """An engine whose events are read as they come."""

    def __init__(self, machine, project):
        self.machine, self.project = machine, project
        self.process = machine.start(machine.binary, "engine", "run", "--json", cwd=project)
        self.events, self.ready = [], threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        assert self.ready.wait(60), self.process.poll()

    def _read(self):
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            self.ready.set()

    def call(self, address="thing.number"):
        return self.machine.sabir("call", address, cwd=self.project)

    def until(self, value, address="thing.number"):
        """Seconds until a call gives the value."""
        begin = time.monotonic()
        while time.monotonic() - begin < SOON:
            done = self.call(address)
            if done.code == 0 and done.json == value:
                return time.monotonic() - begin
        raise AssertionError("still %r after %d s; events %r" % (done, SOON, self.events))

    def reloads(self):
        return [event for event in self.events if event["event"] == "reloaded"]

    def reloaded(self, count):
        begin = time.monotonic()
        while len(self.reloads()) < count:
            assert time.monotonic() - begin < SOON, self.events
            time.sleep(0.02)
        return self.reloads()


@pytest.mark.parametrize("language, extension, text", [("python", "py", python), ("ruby", "rb", ruby)])
def test_a_saved_file_is_served(machine, project, language, extension, text):
    file = write(project / ("functions/%s/thing.%s" % (language, extension)), text(1))
    engine = Running(machine, project)
    assert engine.call().json == 1
    write(file, text(2))
    engine.until(2)
    event = engine.reloads()[-1]
    assert event["languages"] == [language] and event["problems"] == []
    assert event["files"] == ["functions/%s/thing.%s" % (language, extension)]


def test_a_type_of_another_file_is_read_again(machine, project):
    def order(*members):
        return "from dataclasses import dataclass\n@dataclass\nclass Order:\n" + "".join("    %s: int\n" % member for member in members)

    file = write(project / "functions/python/_orders.py", order("a"))
    write(project / "functions/python/thing.py",
          'from ._orders import Order\ndef members(order: Order) -> list[str]:\n    """Effect: read"""\n    return sorted(vars(order))\n')
    engine = Running(machine, project)

    def members(**arguments):
        return machine.sabir("call", "thing.members", "--json", "--args", json.dumps({"order": arguments}), cwd=project)

    assert members(a=1).json == ["a"] and members(a=1, b=2).code == 1
    write(file, order("a", "b"))
    assert engine.reloaded(1)[0]["files"] == ["functions/python/_orders.py"]
    assert members(a=1, b=2).json == ["a", "b"] and members(a=1).code == 1


def test_no_call_is_dropped(machine, project):
    file = write(project / "functions/python/thing.py", python(0))
    engine = Running(machine, project)
    assert engine.call().json == 0
    stop, seen, failed = threading.Event(), [], []

    def call():
        while not stop.is_set():
            done = engine.call()
            (seen if done.code == 0 else failed).append(done)

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    for number in range(1, 11):
        before, begin = len(seen), time.monotonic()
        write(file, python(number))
        time.sleep(0.25)
        while len(seen) < before + 4 and time.monotonic() - begin < SOON:
            time.sleep(0.05)
    engine.until(10)
    stop.set()
    for caller in callers:
        caller.join(SOON)
    assert failed == [] and len(seen) > 30
    assert {done.json for done in seen} <= set(range(11)) and len({done.json for done in seen}) > 5


def test_a_broken_file_keeps_the_last_good_version_serving(machine, project):
    file = write(project / "functions/python/thing.py", python(1))
    engine = Running(machine, project)
    assert engine.call().json == 1
    write(file, "def number() -> int:\n    return (2\n")
    problem = engine.reloaded(1)[0]["problems"][0]
    assert problem["file"] == "functions/python/thing.py" and problem["line"] in (2, 3), problem
    assert engine.call().json == 1
    listed = machine.sabir("functions", "--json", cwd=project).json
    assert any("thing.number" == one["address"] for one in listed["functions"])
    assert any("keeps serving" in json.dumps(one) for one in listed["unavailable"])
    write(file, python(3))
    engine.until(3)
    assert engine.reloads()[-1]["problems"] == []


def test_new_files_and_deleted_ones(machine, project):
    engine = Running(machine, project)
    assert engine.call().code == 1
    file = write(project / "functions/python/deep/down/thing.py", python(5))
    engine.until(5, "deep.down.thing.number")
    file.unlink()
    begin = time.monotonic()
    while engine.call("deep.down.thing.number").code == 0:
        assert time.monotonic() - begin < SOON
    # An editor that saves by renaming another file over it.
    whole = write(project / "functions/python/thing.py", python(6))
    engine.until(6)
    write(project / "functions/python/.thing.swp", python(7)).rename(whole)
    engine.until(7)


def test_tests_and_caches_change_nothing(machine, project):
    engine = Running(machine, project)
    write(project / "functions/python/tests/test_more.py", "def test_nothing():\n    pass\n")
    write(project / "functions/python/__pycache__/thing.cpython-311.pyc", "x")
    write(project / "functions/python/thing.py", python(1))
    engine.until(1)
    assert [event["files"] for event in engine.reloads()] == [["functions/python/thing.py"]]


def test_what_a_ruby_file_takes_its_types_from_is_read_again(machine, project):
    write(project / "functions/ruby/thing.rb", 'require_relative "shapes/box"\n# @effect read\n# @param box [Box]\ndef number(box: Box.new(1)) = box.size\n')
    box = write(project / "functions/ruby/shapes/box.rb", "# @attr size [Integer]\nBox = Struct.new(:size)\n")
    engine = Running(machine, project)

    def types():
        listed = machine.sabir("functions", "--json", cwd=project).json["functions"]
        return next(one for one in listed if one["address"] == "thing.number")["input_schema"]["properties"]["box"]["properties"]["size"]["type"]

    assert engine.call().json == 1 and types() == "integer"
    write(box, "# @attr size [String]\nBox = Struct.new(:size)\n")
    engine.reloaded(1)
    assert types() == "string"


def test_a_changed_header_is_a_changed_function(machine, whole_project):
    write(whole_project / "functions/cpp/thing.cpp", '#include "kept/number.h"\n/// @effect read\nint number(Given given) { return given.value; }\n')
    header = write(whole_project / "functions/cpp/kept/number.h", "struct Given { int value = 1; };\n")
    assert machine.sabir("call", "thing.number", "given:={}", cwd=whole_project, timeout=300).json == 1
    write(header, "struct Given { int value = 2; };\n")
    assert machine.sabir("call", "thing.number", "given:={}", cwd=whole_project, timeout=300).json == 2


def test_compiled_functions_serve_the_old_build_until_the_new_one_is_ready(machine, whole_project):
    file = write(whole_project / "functions/cpp/thing.cpp", cpp(1))
    engine = Running(machine, whole_project)
    assert machine.sabir("call", "thing.number", cwd=whole_project, timeout=120).json == 1
    write(file, cpp(2))
    values = []
    begin = time.monotonic()
    while not values or values[-1] != 2:
        assert time.monotonic() - begin < 120, values
        done = engine.call()
        assert done.code == 0, done
        values.append(done.json)
    assert values[0] == 1 and set(values) == {1, 2}
    write(file, "int number() { return two; }\n")
    problem = engine.reloaded(2)[1]["problems"][0]
    assert problem["file"] == "functions/cpp/thing.cpp" and problem["line"] == 1 and "two" in problem["message"]
    assert engine.call().json == 2
