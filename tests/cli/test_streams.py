"""What a function yields arrives while it runs: at the command line, through a running engine, and from one language to another."""
import os
import subprocess
import time

import pytest
from harness import node, write

COUNT = '''
import os
import time

import sabir


def count(n: int, pause: float = 0.0, marker: str = ""):
    """Counts.

    Effect: read
    """
    try:
        for i in range(n):
            if i % 2 == 0:
                sabir.progress(i, n, "so far")
            yield {"number": i}
            time.sleep(pause)
    finally:
        if marker:
            open(marker, "w").close()


def plain() -> str:
    """One value.

    Effect: read
    """
    return "all at once"


def half_way():
    """Fails in the middle.

    Effect: read
    """
    yield 1
    raise ValueError("half way")


def large():
    """Two large texts.

    Effect: read
    """
    yield "é" * 50000
    yield "x" * 100000


def relay(n: int) -> list:
    """Another function's stream, seen as it comes.

    Effect: read
    """
    seen = []
    for value in sabir.stream("ruby/steps.steps", n=n):
        seen.append([value, time.monotonic()])
    return [seen[0][0], len(seen), seen[-1][1] - seen[0][1]]


def first_of(n: int, marker: str) -> int:
    """Leaves a stream early.

    Effect: read
    """
    for value in sabir.stream("counting.count", n=n, pause=0.05, marker=marker):
        return value["number"]
'''

STEPS = '''
# Steps, one every 50 ms.
#
# @param n [Integer]
# @effect read
def steps(n)
  Enumerator.new do |out|
    n.times do |i|
      out << i
      sleep 0.05
    end
  end
end
'''


@pytest.fixture
def counting(project):
    write(project / "functions/python/counting.py", COUNT)
    write(project / "functions/ruby/steps.rb", STEPS)
    return project


@pytest.mark.parametrize("engine", ["its own", "a running one"])
def test_values_are_printed_as_they_come(machine, counting, engine):
    if engine == "a running one":
        machine.start_engine(counting)
        machine.sabir("call", "counting.plain", cwd=counting)
    process = machine.start(machine.binary, "call", "counting.count", "n:=4", "pause:=0.3", "--stream", cwd=counting)
    times = []
    for line in process.stdout:
        times.append(time.monotonic())
        assert line == '{"number":%d}\n' % (len(times) - 1)
    assert process.wait(20) == 0 and len(times) == 4
    assert times[-1] - times[0] > 0.7
    assert "2 of 4  so far" in process.stderr.read()


def test_a_function_that_yields_nothing_gives_its_value(machine, counting):
    assert machine.sabir("call", "counting.plain", "--stream", cwd=counting).out == "all at once\n"
    assert machine.sabir("call", "counting.plain", "--stream", "--json", cwd=counting).out == '"all at once"\n'


def test_an_error_comes_after_the_values(machine, counting):
    line = COUNT[:COUNT.index('raise ValueError("half way")')].count("\n") + 1
    done = machine.sabir("call", "counting.half_way", "--stream", cwd=counting)
    assert done.code == 1 and done.out == "1\n" and "half way" in done.err and "functions/python/counting.py:%d: half way" % line in done.err, done


def test_large_values(machine, counting):
    done = machine.sabir("call", "counting.large", "--stream", cwd=counting)
    assert done.code == 0 and done.out == "é" * 50000 + "\n" + "x" * 100000 + "\n"


def test_from_one_language_to_another(machine, counting):
    done = machine.sabir("call", "counting.relay", "n:=6", cwd=counting)
    assert done.code == 0, done
    first, count, seconds = done.json
    assert (first, count) == (0, 6) and seconds > 0.1


def test_a_stream_that_is_left_early(machine, counting):
    marker = counting / "ended"
    done = machine.sabir("call", "counting.first_of", "n:=1000", "marker=%s" % marker, cwd=counting)
    assert done.code == 0 and done.json == 0, done


def test_a_plain_process_leaves_early_and_the_call_is_cancelled(machine, counting):
    machine.start_engine(counting)
    sdk = machine.sabir("sdk", "path", "python", cwd=counting).out.strip()
    script = ("import sabir, time\n"
              "begin = time.monotonic()\n"
              "for value in sabir.stream('counting.count', n=1000, pause=0.05):\n"
              "    if value['number'] == 2: break\n"
              "print(sabir.call('counting.plain'), time.monotonic() - begin < 20)\n")
    done = machine.run("python3", "-c", script, cwd=counting, env={"PYTHONPATH": sdk})
    assert done.code == 0 and done.out == "all at once True\n", done


def test_a_reader_that_does_not_read_ends_the_stream(machine, counting):
    write(counting / "functions/python/flood.py", 'def flood():\n    """Much.\n\n    Effect: read\n    """\n    for _ in range(3000):\n        yield "x" * 60000\n')
    engine = machine.start_engine(counting)
    machine.sabir("call", "counting.plain", cwd=counting)
    process = subprocess.Popen([str(machine.binary), "call", "flood.flood", "--stream", "--json"], cwd=str(counting), env=machine.env,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(3)  # nothing is read meanwhile
        resident = int(open("/proc/%d/statm" % engine.pid).read().split()[1]) * 4096
        assert resident < 400 << 20, resident
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1 and "were not read" in out.splitlines()[-1], (process.returncode, out[-500:], err[:500])


RELAY_RUBY = '''
# @effect read
def relay_in_ruby(n)
  seen = []
  Sabir.stream("counting.count", n: n, pause: 0.05) { |value| seen << [value["number"], Process.clock_gettime(Process::CLOCK_MONOTONIC), Sabir.call("counting.plain")] }
  [seen.map(&:first), seen.map(&:last).uniq, seen.last[1] - seen.first[1], Sabir.stream("counting.count", n: 1000).first(2).size]
end
'''

RELAY_NODE = '''
import * as sabir from "sabir";

/** Effect: read */
export async function relayInNode(n) {
  const seen = [];
  const times = [];
  for await (const value of sabir.stream("counting.count", {n, pause: 0.05})) {
    seen.push(value.number);
    times.push(performance.now());
  }
  const plain = [];
  for await (const value of sabir.stream("counting.plain")) plain.push(value);
  for await (const value of sabir.stream("counting.count", {n: 1000})) {
    if (value.number === 1) break;
  }
  let error = null;
  try {
    for await (const value of sabir.stream("counting.half_way")) seen.push(value);
  } catch (caught) {
    error = caught.type;
  }
  return [seen, plain, times.at(-1) - times[0], error];
}
'''


def test_a_stream_in_ruby(machine, counting):
    write(counting / "functions/ruby/relay.rb", RELAY_RUBY)
    done = machine.sabir("call", "relay_in_ruby", "n:=5", cwd=counting)
    assert done.code == 0, done
    numbers, texts, seconds, left = done.json
    assert (numbers, texts, left) == ([0, 1, 2, 3, 4], ["all at once"], 2) and seconds > 0.05


def test_a_stream_in_node(machine, counting):
    write(counting / "functions/node/relay.mjs", RELAY_NODE)
    done = machine.sabir("call", "relay_in_node", "n:=5", cwd=counting, env={"PATH": os.path.dirname(node()) + os.pathsep + machine.env["PATH"]})
    assert done.code == 0, done
    numbers, plain, milliseconds, error = done.json
    assert (numbers, plain, error) == ([0, 1, 2, 3, 4, 1], ["all at once"], "function_error") and milliseconds > 50
