"""Functions of one name in several languages, through the whole binary: what disagrees is found, shrunk to the smallest input, and told with
both places and the command that repeats it; what crashes, writes or cannot agree is told apart."""
import json
import re
import xml.etree.ElementTree as xml

import pytest
from harness import write

PYTHON = '''
import os


def rounded(value: float) -> int:
    """Rounds.

    Effect: read
    """
    return round(value)


def upper(text: str) -> str:
    """Upper case.

    Effect: read
    """
    return text.upper()


def mean(values: list[float]) -> float:
    """The mean.

    Effect: read
    """
    return 0 if not values else values[0]


def size(text: str) -> int:
    """How many characters.

    >>> size("four")
    4

    Effect: read
    """
    return len(text)


def same(text: str, times: int = 2) -> dict:
    """Says it again.

    Effect: read
    """
    return {"text": text, "lengths": [len(text.encode())] * min(3, max(0, times))}


def careful(number: int) -> int:
    """Goes down with a large number.

    Effect: read
    """
    if number > 1000:
        os._exit(3)
    return number


def kept(text: str) -> str:
    """Writes."""
    import sabir
    sabir.memory.put("kept", text)
    return text
'''

RUBY = '''
# Rounds.
# @param value [Float]
# @return [Integer]
# @effect read
def rounded(value)
  value.round
end

# Upper case.
# @param text [String]
# @return [String]
# @effect read
def upper(text)
  text.upcase(:ascii)
end

# The mean.
# @param values [Array<Float>]
# @return [Float]
# @effect read
def mean(values)
  raise ArgumentError, "no values" if values.empty?

  values.first
end

# How many characters.
# @param text [String]
# @return [Integer]
# @effect read
def size(text)
  text.length
end

# Says it again.
# @param text [String]
# @param times [Integer]
# @return [Hash]
# @effect read
def same(text, times = 2)
  {"lengths" => [text.bytesize] * times.clamp(0, 3), "text" => text}
end

# Goes nowhere.
# @param number [Integer]
# @return [Integer]
# @effect read
def careful(number)
  number
end

# Writes.
# @param text [String]
# @return [String]
def kept(text)
  Sabir.memory.put("kept", text)
  text
end
'''

NODE = '''
/** Rounds. Effect: read */
export function rounded(value: number): number {
  return Math.sign(value) * Math.round(Math.abs(value)) + 0;
}

/** Upper case. Effect: read */
export function upper(text: string): string {
  return text.toUpperCase();
}

/** How many characters. Effect: read */
export function size(text: string): number {
  return text.length;
}
'''


@pytest.fixture
def work(machine, project):
    """A project whose module `work` is there in Python, Ruby and TypeScript."""
    machine.use_node()
    write(project / "functions/python/work.py", PYTHON)
    write(project / "functions/ruby/work.rb", RUBY)
    write(project / "functions/node/work.ts", NODE.replace(". Effect: read */", ".\n *\n * Effect: read\n */").replace("/** ", "/**\n * "))
    return project


def parity(machine, project, *words, **options):
    return machine.sabir("parity", *words, "--json", cwd=project, **options)


def group(done, address):
    return next(one for one in done.json["groups"] if one["address"] == address)


def test_planted_disagreements_are_found_and_shrunk_to_the_smallest_input(machine, work):
    done = parity(machine, work, "work", "--runs", "60")
    assert done.code == 1, done
    found = {one["address"]: one for one in done.json["groups"]}
    assert {name: one["outcome"] for name, one in found.items()} == {
        "work.rounded": "failed", "work.upper": "failed", "work.mean": "failed", "work.size": "failed", "work.same": "passed",
        "work.careful": "failed", "work.kept": "skipped"}, done

    # Half to even in one, away from zero in the others.
    rounded = [one["input"] for one in found["work.rounded"]["disagreements"]]
    assert {"value": 0.5} in rounded or {"value": -0.5} in rounded, rounded
    # One character outside of ASCII, and nothing else.
    for one in found["work.upper"]["disagreements"]:
        assert len(one["input"]["text"].encode("utf-16-le")) <= 4 and not one["input"]["text"].isascii(), one
    # The empty list.
    (mean,) = found["work.mean"]["disagreements"]
    assert mean["input"] == {"values": []} and mean["what"] == "ruby fails where python gives a result", mean
    assert mean["answers"][0]["value"] == 0 and mean["answers"][1]["error"]["type"] == "function_error", mean
    # One character outside of the first plane.
    (size,) = found["work.size"]["disagreements"]
    assert len(size["input"]["text"]) == 1 and ord(size["input"]["text"]) > 0xFFFF, size
    assert [answer["value"] for answer in size["answers"]] in ([1, 1, 2], [1, 2, 1], [2, 1, 1]), size
    # A worker that goes down disagrees, and is quoted.
    (careful,) = found["work.careful"]["disagreements"]
    assert careful["input"] == {"number": 1001} and careful["what"] == "python takes its worker down", careful
    assert "effect write" in found["work.kept"]["why"] and "effects: allowed" in found["work.kept"]["why"]

    # Each says where it stands, and the command repeats it.
    answer = next(one for one in size["answers"] if one["value"] == 2)
    assert answer["place"].startswith("functions/node/work.ts:"), answer
    line = int(answer["place"].rsplit(":", 1)[1])
    assert "size" in (work / "functions/node/work.ts").read_text().splitlines()[line - 1]
    again = machine.run("sh", "-c", answer["command"], cwd=work)
    assert again.code == 0 and again.out.strip() == "2", again

    # Latencies side by side, of the same number of calls.
    members = found["work.same"]["members"]
    assert [one["language"] for one in members] == ["python", "ruby"]
    assert len({one["latency"]["calls"] for one in members}) == 1
    assert all(0 < one["latency"]["p50_ms"] <= one["latency"]["p99_ms"] and one["latency"]["per_second"] > 0 for one in members)


def test_for_a_person_it_quotes_input_results_places_and_latencies(machine, work):
    done = machine.sabir("parity", "work.mean", "work.same", "--runs", "20", "--junit", "parity.xml", cwd=work)
    assert done.code == 1, done
    assert "work.mean  python, ruby  disagree on 1 of" in done.out, done
    assert 'given {"values":[]}' in done.out
    assert re.search(r"python  0  functions/python/work.py:\d+", done.out), done
    assert re.search(r"ruby    function_error: .*no values.*functions/ruby/work.rb:\d+", done.out), done
    assert "sabir call ruby/work.mean --args '{\"values\":[]}'" in done.out
    assert "work.same  python, ruby  agree on" in done.out and "calls/s" in done.out
    assert "1 group agrees, 1 disagrees" in done.out
    suite = xml.parse(work / "parity.xml").getroot()
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert cases["work.mean"].find("failure") is not None and cases["work.same"].find("failure") is None


def test_the_same_seed_gives_the_same_inputs(machine, work):
    one = parity(machine, work, "work.rounded", "--runs", "40", "--seed", "9")
    two = parity(machine, work, "work.rounded", "--runs", "40", "--seed", "9")
    facts = [[(d["what"], d["input"]) for d in group(done, "work.rounded")["disagreements"]] for done in (one, two)]
    assert facts[0] and facts[0] == facts[1]


def test_settings_of_a_group_have_cases_tolerance_skips_and_effects(machine, work):
    write(work / "functions/python/rates.py", 'def third(x: float) -> float:\n    """A third.\n\n    Effect: read\n    """\n    return x / 3\n')
    write(work / "functions/ruby/rates.rb", "# A third.\n# @param x [Float]\n# @return [Float]\n# @effect read\ndef third(x)\n  x * (1.0 / 3)\nend\n")
    # The last digit differs.
    assert group(parity(machine, work, "rates.third"), "rates.third")["outcome"] == "failed"
    write(work / "tests/parity/rates.third.yml", "equal: {tolerance: 1e-9}\ncases:\n  - args: {x: 3}\n    gives: 1\n")
    assert group(parity(machine, work, "rates.third"), "rates.third")["outcome"] == "passed"
    write(work / "tests/parity/rates.third.yml", "equal: {tolerance: 1e-9}\ncases:\n  - args: {x: 3}\n    gives: 2\n")
    wrong = group(parity(machine, work, "rates.third"), "rates.third")
    assert wrong["disagreements"][0]["what"] == "python does not give what tests/parity/rates.third.yml:3 says", wrong

    write(work / "tests/parity/work.size.yml", "skip: [node]\nreason: counts UTF-16\n")
    size = group(parity(machine, work, "work.size"), "work.size")
    assert size["outcome"] == "passed" and size["left_out"] == ["node: counts UTF-16"], size

    # What writes does so in a store that is thrown away.
    write(work / "tests/parity/work.kept.yml", "effects: allowed\nruns: 10\n")
    kept = parity(machine, work, "work.kept")
    assert kept.code == 0 and group(kept, "work.kept")["inputs"] == 10, kept
    assert machine.sabir("memory", "get", "kept", cwd=work).code == 1

    write(work / "tests/parity/work.kept.yml", "effect: allowed\n")
    refused = machine.sabir("parity", cwd=work)
    assert refused.code == 1 and "tests/parity/work.kept.yml:1:1" in refused.err and "effects" in refused.err, refused
    (work / "tests/parity/work.kept.yml").rename(work / "tests/parity/work.keep.yml")
    write(work / "tests/parity/work.keep.yml", "runs: 1\n")
    unknown = machine.sabir("parity", cwd=work)
    assert unknown.code == 1 and "tests/parity/work.keep.yml" in unknown.err and "work.kept" in unknown.err, unknown


def test_schemas_that_differ_are_told_first_and_only_their_common_ground_is_asked(machine, project):
    write(project / "functions/python/cut.py", 'from typing import Annotated, Literal\n\n\ndef cut(text: str, at: int, side: Literal["left", "right"] = "left") -> str:\n'
          '    """Cuts.\n\n    Effect: read\n    """\n    return "x"\n')
    write(project / "functions/ruby/cut.rb", '# Cuts.\n# @param text [String]\n# @param at [Float]\n# @return [String]\n# @effect read\ndef cut(text, at)\n  "x"\nend\n')
    done = machine.sabir("parity", "cut", cwd=project)
    assert done.code == 0, done
    lines = done.out.splitlines()
    assert lines[0].startswith("cut.cut  python, ruby  agree on"), done
    assert any("side is there in python and not in ruby" in line and "functions/python/cut.py:4, functions/ruby/cut.rb:6" in line for line in lines[1:3]), done
    assert any('at: type is "integer" in python and "number" in ruby' in line for line in lines), done

    # No common ground.
    write(project / "functions/ruby/cut.rb", "# Cuts.\n# @param text [Array<String>]\n# @param at [Float]\n# @return [String]\n# @effect read\ndef cut(text, at)\n  1\nend\n")
    done = machine.sabir("parity", "cut", cwd=project)
    assert done.code == 1 and "cannot agree" in done.out and "exclude one another" in done.out, done


def test_what_is_no_group_is_refused_by_name(machine, project):
    done = machine.sabir("parity", "slugify", cwd=project)
    assert done.code == 1 and "is written in ruby alone" in done.err and "functions/ruby/slugify.rb:" in done.err, done
    done = machine.sabir("parity", "memory_managment", cwd=project)
    assert done.code == 1 and "there is no parity group 'memory_managment'" in done.err, done
    assert machine.sabir("parity", "--runs", "0", cwd=project).code == 2


def test_a_new_projects_groups_agree_and_leave_no_traces(machine, whole_project):
    done = parity(machine, whole_project, "--runs", "40", timeout=300)
    assert done.code == 0 and done.json["ok"] is True, done
    outcomes = {one["address"]: one["outcome"] for one in done.json["groups"]}
    assert outcomes["memory_management.retrieve_result"] == "passed" and outcomes["memory_management.store_result"] == "skipped", outcomes
    assert [one["language"] for one in group(done, "memory_management.retrieve_result")["members"]] == ["python", "ruby", "cpp"]
    assert json.loads(machine.sabir("trace", "--json", cwd=whole_project).out).get("traces", []) == []
