"""A project brings a language of its own: a folder languages/<name>/ in the project, and nothing in the engine changes."""
import json
import os

import pytest
from harness import write

LANGUAGE = """
name: calc
extensions: [.calc]
interpreters: [python3]
missing_hint: "install Python 3"
worker: worker.py
launch: ["{interpreter}", "{worker}"]
describe: ["{interpreter}", "{resources}/describe.py"]
"""

# One function on a line: `name(a, b) = a + b  # comment`.
DESCRIBE = r'''
import json, os, re, sys

os.makedirs(".sabir", exist_ok=True)

asked = json.load(sys.stdin)
answers = []
for file in asked["files"]:
    open(".sabir/asked.txt", "a").write(file["path"] + "\n")
    functions, error = [], None
    for number, line in enumerate(file["source"].splitlines(), 1):
        if not line.strip():
            continue
        match = re.fullmatch(r"(\w+)\((.*?)\) = [^#]*(?:# (.*))?", line)
        if not match:
            error = {"message": "expected name(a, b) = expression", "line": number, "column": 1}
            break
        names = [name.strip() for name in match[2].split(",") if name.strip()]
        functions.append({"name": match[1], "line": number, "doc": (match[3] or "") + "\n\nEffect: read",
                          "parameters": [{"name": name, "schema": {"type": "number"}} for name in names],
                          "result": {"schema": {"type": "number"}}})
    answers.append({"path": file["path"], "error": error} if error else {"path": file["path"], "functions": functions})
print(json.dumps({"version": 1, "files": answers}))
'''

WORKER = r'''
import json, os, re, socket

peer = socket.socket(fileno=int(os.environ["SABIR_FD"]))
stream = peer.makefile("rb")


def send(message):
    body = json.dumps(dict({"jsonrpc": "2.0"}, **message)).encode()
    peer.sendall(b"%d\n%s" % (len(body), body))


while True:
    head = stream.readline()
    if not head:
        break
    message = json.loads(stream.read(int(head)))
    method, params = message.get("method"), message.get("params", {})
    if method == "hello":
        send({"id": message["id"], "result": {"protocol": 1, "language": "calc", "worker": "calc", "capabilities": {}}})
    elif method == "call":
        text = open(params["module"]).read()
        match = re.search(r"^%s\((.*?)\) = ([^#\n]*)" % re.escape(params["function"]), text, re.M)
        value = eval(match[2], {}, params.get("arguments", {}))
        send({"id": message["id"], "result": {"value": value}})
    elif "id" in message:
        send({"id": message["id"], "result": {}})
'''


@pytest.fixture
def calculating(project):
    for name, text in (("language.yml", LANGUAGE), ("describe.py", DESCRIBE), ("worker.py", WORKER)):
        write(project / "languages/calc" / name, text)
    write(project / "functions/calc/sums.calc", "add(a, b) = a + b  # Adds two numbers.\nhalf(x) = x / 2\n")
    return project


def test_its_functions_are_listed_and_called_like_any_other(machine, calculating):
    done = machine.sabir("functions", "sums.add", "--json", cwd=calculating)
    assert done.code == 0, done
    assert done.json["summary"] == "Adds two numbers." and done.json["effect"] == "read", done
    assert machine.sabir("call", "sums.add", "a=2", "b=3", cwd=calculating).out.strip() == "5"
    wrong = machine.sabir("call", "sums.half", "x=seven", cwd=calculating)
    assert wrong.code != 0 and "/x" in wrong.text or "x" in wrong.text, wrong
    # And from another language.
    write(calculating / "functions/python/twice.py", 'import sabir\n\n\ndef twice(x: float) -> float:\n    """Twice."""\n'
          '    return sabir.call("sums.add", a=x, b=x)\n')
    assert float(machine.sabir("call", "twice", "x=4", cwd=calculating).out) == 8


def test_its_program_is_asked_for_changed_files_only(machine, calculating):
    asked = calculating / ".sabir/asked.txt"
    assert machine.sabir("functions", cwd=calculating).code == 0
    assert machine.sabir("functions", cwd=calculating).code == 0
    assert asked.read_text().splitlines() == ["functions/calc/sums.calc"]
    write(calculating / "functions/calc/more.calc", "one() = 1\n")
    assert "more.one" in machine.sabir("functions", cwd=calculating).out
    assert asked.read_text().splitlines() == ["functions/calc/sums.calc", "functions/calc/more.calc"]


def test_what_it_cannot_read_is_told_with_file_and_line(machine, calculating):
    write(calculating / "functions/calc/broken.calc", "fine(a) = a\nnonsense\n")
    done = machine.sabir("check", cwd=calculating)
    assert done.code == 1 and "functions/calc/broken.calc:2" in done.text and "expected name" in done.text, done
    assert machine.sabir("call", "sums.add", "a=1", "b=1", cwd=calculating).out.strip() == "2"


@pytest.mark.parametrize("program, wanted", [
    ("raise SystemExit('it fell over')", "it fell over"),
    ("print('no json')", "no JSON"),
    ("print('{}')", "one entry for each file"),
    ("import json; print(json.dumps({'files': [{'functions': [{'name': 'f', 'parameters': [{'name': 'a', 'schema': {'type': 7}}]}]}]}))",
     "schema of parameter 'a'"),
])
def test_a_broken_describe_program_is_told_and_disables_its_language_only(machine, calculating, program, wanted):
    write(calculating / "languages/calc/describe.py", program)
    done = machine.sabir("check", cwd=calculating)
    assert done.code == 1 and wanted in done.text, done
    assert machine.sabir("call", "slugify", "text=A b", cwd=calculating).code == 0


def test_a_file_that_ends_the_describe_program_is_told_alone(machine, calculating):
    write(calculating / "languages/calc/describe.py",
          DESCRIBE.replace("for file in asked", "if any('abort' in file['source'] for file in asked['files']):\n    os.abort()\nfor file in asked", 1))
    for number in range(6):
        write(calculating / ("functions/calc/more_%d.calc" % number), "one_%d(a) = a\n" % number)
    write(calculating / "functions/calc/more_3.calc", "abort(a) = a\n")
    listed = machine.sabir("functions", "--json", cwd=calculating).json
    names = {one["address"] for one in listed["functions"] if one["language"] == "calc"}
    assert {"more_%d.one_%d" % (number, number) for number in (0, 1, 2, 4, 5)} <= names, listed
    assert ["functions/calc/more_3.calc"] == [one["file"] for one in listed["unavailable"]], listed
    assert "SIGABRT" in listed["unavailable"][0]["message"], listed


def test_a_language_without_grammar_and_describe_is_refused(machine, calculating):
    write(calculating / "languages/calc/language.yml", LANGUAGE.replace("describe:", "version:"))
    done = machine.sabir("functions", cwd=calculating)
    assert done.code == 1 and "languages/calc/language.yml" in done.err and "describe" in done.err, done


def test_it_replaces_the_engines_language_of_the_same_name(machine, calculating):
    (calculating / "languages/calc").rename(calculating / "languages/ruby")
    write(calculating / "languages/ruby/language.yml", LANGUAGE.replace("name: calc", "name: ruby").replace(".calc", ".rb"))
    write(calculating / "functions/ruby/sums.rb", "add(a, b) = a + b  # Adds two numbers.\n")
    assert machine.sabir("call", "ruby/sums.add", "a=2", "b=3", cwd=calculating).out.strip() == "5"
