"""Golden cases (spec/golden-cases.md): what signatures and comments become, and that such functions are called as they say.

One project for each language holds all of its cases, one folder each, and one engine runs their calls.
"""
import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from harness import ROOT, Machine, node, write

# How many cases a language has at the least. A language that is missing here is one without golden cases.
LEAST = {"python": 40, "ruby": 40, "node": 40, "go": 40, "cpp": 40, "rust": 20, "java": 20, "shell": 20, "php": 20}
CASES = {}
for file in sorted(ROOT.glob("languages/*/golden/*.json")):
    CASES.setdefault(file.parent.parent.name, []).extend(json.loads(file.read_text(encoding="utf-8")))


def group_of(item):
    """The tests of one language use the same project (conftest.py)."""
    return "golden-%s" % (item.callspec.params["language"] if hasattr(item, "callspec") else "all")


CLIENT = """
import json, sys, sabir
for line in sys.stdin:
    address, arguments = json.loads(line)
    try:
        answer = {"value": sabir.call(address, **arguments)}
    except sabir.Error as error:
        answer = {"refused": error.type, "message": str(error)}
    print(json.dumps(answer), flush=True)
"""


def slug(index):
    return "case_%03d" % index


def same(expected, actual):
    """Equal by value; an integer is no float, except that a float's integral value may be written either way."""
    if isinstance(expected, bool) or isinstance(actual, bool) or expected is None or actual is None:
        return expected is actual
    if isinstance(expected, float) or isinstance(actual, float):
        return isinstance(actual, (int, float)) and isinstance(expected, (int, float)) and expected == actual
    if isinstance(expected, dict):
        return isinstance(actual, dict) and expected.keys() == actual.keys() and all(same(expected[k], actual[k]) for k in expected)
    if isinstance(expected, list):
        return isinstance(actual, list) and len(expected) == len(actual) and all(map(same, expected, actual))
    return type(expected) is type(actual) and expected == actual


def ordered(value):
    """`required` lists no order."""
    if isinstance(value, dict):
        return {key: sorted(item) if key == "required" else ordered(item) for key, item in value.items()}
    return [ordered(item) for item in value] if isinstance(value, list) else value


class Golden:
    """A language's project with all of its cases, its listing and a client of its engine."""

    def __init__(self, machine, language):
        self.machine, self.language = machine, language
        self.project = machine.folder / "golden"
        if language == "node":
            machine.use_node()
        if language == "rust":
            machine.use_rust()
        made = machine.sabir("new", self.project, "--languages", "python")
        assert made.code == 0, made
        for folder in ("functions", "assistants", "memory", "completions"):
            for source in (self.project / folder).rglob("*.py"):
                source.unlink()
        for index, case in enumerate(CASES[language]):
            folder = self.project / "functions" / language / slug(index)
            write(folder / case["file"], "\n".join(case["source"]) + "\n")
            for name, lines in case.get("beside", {}).items():
                write(folder / name, "\n".join(lines) + "\n")
        # A describe program that is compiled first may need more time on a busy machine than the engine gives; it goes on meanwhile.
        for _ in range(5):
            listed = machine.sabir("functions", "--json", cwd=self.project, timeout=300)
            assert listed.code in (0, 1), listed
            if not any(one.get("type") == "timeout" for one in listed.json["unavailable"]):
                break
        self.listing = listed.json
        sdk = machine.sabir("sdk", "path", "python", cwd=self.project).out.strip()
        engine = machine.start_engine(self.project)
        for stream in (engine.stdout, engine.stderr):
            threading.Thread(target=stream.read, daemon=True).start()
        self.client = subprocess.Popen([sys.executable, "-c", CLIENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                       cwd=str(self.project), env=dict(machine.env, PYTHONPATH=sdk))

    def prefix(self, index):
        return "functions/%s/%s/" % (self.language, slug(index))

    def functions(self, index):
        path = self.prefix(index) + CASES[self.language][index]["file"]
        return {one["address"].rsplit(".", 1)[1]: one for one in self.listing["functions"] if one["file"] == path}

    def unavailable(self, index):
        path = self.prefix(index) + CASES[self.language][index]["file"]
        return [one for one in self.listing["unavailable"] if one.get("file") == path]

    def call(self, address, arguments):
        self.client.stdin.write(json.dumps([address, arguments]) + "\n")
        self.client.stdin.flush()
        return json.loads(self.client.stdout.readline() or '{"refused": "the client ended"}')

    def close(self):
        self.client.stdin.close()
        self.client.wait(20)
        self.client.stdout.close()
        self.machine.stop()


@pytest.fixture(scope="module")
def golden(binary, cache, tmp_path_factory):
    made = {}

    def of(language):
        if language not in made:
            made[language] = Golden(Machine(tmp_path_factory.mktemp("g"), binary, cache), language)
        return made[language]

    yield of
    for one in made.values():
        one.close()


def test_every_language_has_its_share():
    short = {name: len(CASES.get(name, [])) for name, least in LEAST.items()
             if (ROOT / "languages" / name / "language.yml").exists() and len(CASES.get(name, [])) < least}
    assert short == {} and set(CASES) <= set(LEAST)


def test_every_case_is_complete():
    for language, cases in CASES.items():
        names = [case["name"] for case in cases]
        assert len(set(names)) == len(names), language
        for case in cases:
            where = "%s: %s" % (language, case["name"])
            assert case.get("functions") or case.get("unavailable") or case.get("error"), where
            if case.get("functions") and "uncallable" not in case:
                assert any("value" in call for call in case["calls"]), where + " has no accepted call"
                assert any("refused" in call for call in case["calls"]), where + " has no refused call"


@pytest.mark.parametrize("language, index", [pytest.param(language, index, id="%s-%s" % (language, re.sub(r"\W+", "_", case["name"])))
                                             for language, cases in sorted(CASES.items()) for index, case in enumerate(cases)])
def test_case(golden, language, index):
    case = CASES[language][index]
    one = golden(language)
    listed = one.functions(index)
    unavailable = one.unavailable(index)
    if "error" in case:
        assert not listed, listed
        text = json.dumps(unavailable, ensure_ascii=False)
        assert case["error"]["message"] in text, text
        if "line" in case["error"]:
            assert any(entry.get("line") == case["error"]["line"] for entry in unavailable), text
        return
    problems = []
    if set(listed) != set(case.get("functions", {})):
        problems.append("listed are %s, not %s; unavailable: %s" % (sorted(listed), sorted(case.get("functions", {})), unavailable))
    for name, members in case.get("functions", {}).items():
        for key, expected in members.items():
            actual = listed.get(name, {}).get(key)
            if not same(ordered(expected), ordered(actual)):
                problems.append("%s of %s\nexpected %s\nbut it is %s" % (key, name, json.dumps(expected), json.dumps(actual)))
    for name, words in case.get("unavailable", {}).items():
        if not any(name in json.dumps(entry, ensure_ascii=False) and words in json.dumps(entry, ensure_ascii=False) for entry in unavailable):
            problems.append("%s should be unavailable (%s): %s" % (name, words, unavailable))
    for call in case.get("calls", []):
        entry = listed.get(call["function"])
        if not entry:
            continue
        answer = one.call(entry["address"], call["arguments"])
        if "refused" in call:
            if answer.get("refused") != call["refused"]:
                problems.append("%s(%s) should be refused as %s: %s" % (call["function"], json.dumps(call["arguments"]), call["refused"], answer))
        elif "value" not in answer or not same(call["value"], answer["value"]):
            problems.append("%s(%s) should give %s: %s" % (call["function"], json.dumps(call["arguments"]), json.dumps(call["value"]), answer))
    if problems:
        pytest.fail("\n".join(problems + ["source:"] + case["source"]), pytrace=False)
