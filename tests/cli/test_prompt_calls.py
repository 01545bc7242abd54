"""Templates call the project's functions where their prompt grants it."""
import json
import time
from pathlib import Path

import pytest
from harness import write

NUMBERS = '''
import os
import time
from pathlib import Path

import sabir


def mean(values: list[float]) -> float:
    """The mean.

    Effect: read
    """
    return sum(values) / len(values)


def describe(first: int, second: str = "two", *rest: int, third: bool = False) -> dict:
    """Says what it was given.

    Effect: read
    """
    return {"first": first, "second": second, "rest": list(rest), "third": third}


def note(text: str) -> str:
    """May change something."""
    return text


def whoami(context: sabir.Context) -> str:
    """Who asks.

    Effect: read
    """
    return context.user + "@" + context.tenant


def nested(depth: int) -> str:
    """Renders a prompt that calls it again, and keeps something on the way.

    Effect: read
    """
    if depth == 0:
        return "end"
    sabir.memory.put("depth", depth)
    return str(depth) + " " + sabir.render("nested", depth=depth - 1)


def slow(marker: str) -> str:
    """Takes its time.

    Effect: read
    Timeout: 20s
    """
    Path(marker).write_text(str(os.getpid()))
    time.sleep(19)
    return "done"


def quick(seconds: float) -> str:
    """Has half a second.

    Effect: read
    Timeout: 500ms
    """
    time.sleep(seconds)
    return "done"


def count(path: str) -> int:
    """Counts its calls.

    Effect: read
    """
    with open(path, "a") as file:
        file.write("x")
    return os.path.getsize(path)
'''


def until(found, otherwise):
    end = time.monotonic() + 15
    while not found():
        assert time.monotonic() < end, otherwise
        time.sleep(0.05)


@pytest.fixture
def shop(machine, project):
    write(project / "functions/python/numbers.py", NUMBERS)

    class Shop:
        folder = project

        @staticmethod
        def prompt(name, calls, body, more=""):
            write(project / ("completions/%s.prompt" % name), "---\ncalls: [%s]\n%s---\n%s\n" % (calls, more, body))

        @staticmethod
        def render(*words, **options):
            return machine.sabir("prompt", "render", *words, cwd=project, **options)

    return Shop


def test_arguments_are_bound_by_the_functions_schema(machine, shop):
    shop.prompt("p", "numbers.mean, numbers.describe, ruby/slugify",
                "{{ numbers.mean(values) }} {{ slugify(title) }} {{ slugify(text=title) }}\n"
                "{{ numbers.describe(1, 'é', 3, 4, third=true) }}\n{{ numbers.describe(first=2).second|upper }}")
    wanted = "2.0 ete-a-paris ete-a-paris\n{'first': 1, 'second': 'é', 'rest': [3, 4], 'third': True}\nTWO"
    words = ("p", "values:=[1,2,3]", "title=Été à Paris")
    alone = shop.render(*words)
    assert (alone.code, alone.out) == (0, wanted), alone
    machine.start_engine(shop.folder)
    joined = shop.render(*words)
    assert (joined.code, joined.out) == (0, wanted), joined
    counted = machine.sabir("prompt", "tokens", *words, "--json", cwd=shop.folder)
    assert counted.code == 0 and counted.json["text"] > 20, counted


def test_explain_and_check_know_what_a_prompt_calls(machine, shop):
    shop.prompt("p", "ruby/slugify, numbers.mean", "{{ slugify(title) }} of {{ numbers.mean(values) }}",
                "input: {schema: {type: object, required: [title, values], properties: {title: {type: string}, values: {type: array}}}}\n")
    words = ("p", "title=Été à Paris", "values:=[1,3]")
    told = machine.sabir("prompt", "explain", *words, "--json", cwd=shop.folder)
    assert told.code == 0 and told.json["text"] == shop.render(*words).out == "ete-a-paris of 2.0", told
    assert [span["kind"] for span in told.json["spans"]] == ["derived", "literal", "derived"], told
    checked = machine.sabir("prompt", "check", "p", cwd=shop.folder)
    assert checked.code == 0 and "0 errors, 0 warnings" in checked.out, checked


def test_what_cannot_be_called_is_told_with_place_and_remedy(shop):
    def refused(body, *wanted, calls="numbers.mean, numbers.note, numbers.describe"):
        shop.prompt("p", calls, body)
        done = shop.render("p", "values:=[]")
        assert done.code == 1 and all(text in done.err for text in ("completions/p.prompt:4:", *wanted)), done

    refused("{{ numbers.note('x') }}", "numbers.note()", "its effect is 'write'", "Effect: read", "functions/python/numbers.py:")
    refused("{{ numbers.whoami() }}", "'numbers.whoami' is undefined", "add `calls: [numbers.whoami]`")
    refused("{{ numbers.mean(values) }}", "numbers.mean()", "functions/python/numbers.py:14", "division by zero")
    refused("{{ numbers.mean('text') }}", "numbers.mean()", "/values")
    refused("{{ numbers.mean([1], [2]) }}", "2 arguments without a name, and it takes 1", "values")
    refused("{{ numbers.mean([1], values=[2]) }}", "'values' is given twice")
    refused("{{ numbers.mean(valeus=[1]) }}", "valeus")
    refused("{{ numbers.meen([1]) }}", "numbers.meen()", "Did you mean numbers.mean", calls="numbers.meen")
    done = shop.render("p", "--json")
    assert done.json["error"]["type"] == "template" and done.json["error"]["cause"]["type"] == "unknown_function", done


def test_the_callers_identity_goes_to_the_function(machine, shop):
    shop.prompt("p", "numbers.whoami", "{{ numbers.whoami() }}")
    done = shop.render("p", "--user", "ada", "--tenant", "acme")
    assert done.out == "ada@acme", done
    machine.start_engine(shop.folder)
    assert shop.render("p", "--user", "bob", "--tenant", "acme").out == "bob@acme"


def test_a_budgets_passes_see_one_call(shop, tmp_path):
    shop.prompt("p", "numbers.count", "{{ numbers.count(path) }}{{ numbers.count(path) }}{% block long %}{% for i in range(200) %}word {% endfor %}{% endblock %}",
                more="budget: {tokens: 30}\nparts: {long: {shorten: end}}\n")
    done = shop.render("p", "path=%s" % (tmp_path / "calls"))
    assert done.code == 0 and done.out.startswith("11word") and "long was shortened" in done.err, done
    assert (tmp_path / "calls").read_text() == "x"


def test_functions_that_render_prompts_that_call_functions_come_to_an_end(machine, shop):
    shop.prompt("nested", "numbers.nested", "{{ numbers.nested(depth) }}")
    machine.start_engine(shop.folder)
    done = shop.render("nested", "depth=5")
    assert (done.code, done.out) == (0, "5 4 3 2 1 end"), done
    # More at once than any pool of threads that they could hold.
    began = [machine.start(machine.binary, "prompt", "render", "nested", "depth=3", cwd=shop.folder) for _ in range(24)]
    for process in began:
        out, err = process.communicate(timeout=100)
        assert (process.returncode, out) == (0, "3 2 1 end"), err
    done = shop.render("nested", "depth=100", "--json")
    assert done.code == 1 and done.json["error"]["type"] == "depth_exceeded", done


def test_a_function_that_takes_too_long_ends_the_rendering(shop):
    shop.prompt("p", "numbers.quick", "{{ numbers.quick(seconds) }}")
    assert shop.render("p", "seconds=0").out == "done"
    done = shop.render("p", "seconds=30")
    assert done.code == 1 and "completions/p.prompt:4:" in done.err and "numbers.quick()" in done.err and done.seconds < 20, done


def test_a_call_ends_with_the_client_that_asked_for_the_prompt(machine, shop, tmp_path):
    shop.prompt("p", "numbers.slow", "{{ numbers.slow(marker) }}")
    machine.start_engine(shop.folder)
    marker = tmp_path / "marker"
    client = machine.start(machine.binary, "prompt", "render", "p", "marker=%s" % marker, cwd=shop.folder)
    until(lambda: marker.exists() and marker.read_text(), "the function did not begin")
    worker = Path("/proc") / marker.read_text()
    client.kill()
    client.wait()
    # Python cannot be told to stop in the middle of a function: its worker ends.
    until(lambda: not worker.exists(), "the function went on without anybody to answer to")


def test_an_assistants_prompt_calls_too(machine, shop):
    shop.prompt("teller", "numbers.whoami", "You talk to {{ numbers.whoami() }}.")
    write(shop.folder / "assistants/python/teller.py", 'prompt = "teller"\n')
    write(shop.folder / "tests/scripted_replies.json", json.dumps({"replies": [{"text": "Hello."}]}))
    done = machine.sabir("chat", "teller", "hi", "--user", "ada", "--tenant", "acme", "--record", "said", cwd=shop.folder, env={"SABIR_MODEL": "scripted"})
    assert done.code == 0, done
    kept = json.loads((shop.folder / "tests/recordings/said.json").read_text())["entries"]
    assert [entry.get("function", "model") for entry in kept] == ["python/numbers.whoami", "model"], kept
    assert kept[1]["ask"]["messages"][0] == {"role": "system", "content": "You talk to ada@acme."}, kept


def test_calls_are_recorded_and_replayed(machine, shop, tmp_path):
    shop.prompt("p", "numbers.count", "{{ numbers.count(path) }} {{ numbers.count(path) }} {{ numbers.count(path=path) }}")
    write(shop.folder / "functions/python/page.py", 'import sabir\n\n\ndef show(path: str) -> str:\n    """Shows it.\n\n    Effect: read\n    """\n'
                                                    '    return sabir.render("p", path=path)\n')
    path = str(tmp_path / "calls")
    live = machine.sabir("call", "page.show", "path=" + path, "--record", "page", cwd=shop.folder)
    # By place and by name it is the same function, and yet another call.
    assert (live.code, live.out) == (0, "1 1 2\n"), live
    kept = json.loads((shop.folder / "tests/recordings/page.json").read_text())["entries"]
    assert [entry["function"] for entry in kept] == ["python/page.show", "python/numbers.count", "python/numbers.count"], kept
    assert kept[1]["caller"] == "prompt p" and kept[1]["arguments"] == {"path": path}, kept
    rendering = shop.render("p", "path=" + path, env={"SABIR_REPLAY": "tests/recordings/page.json", "SABIR_REPLAY_FUNCTIONS": "1"})
    assert (rendering.code, rendering.out) == (0, "1 1 2"), rendering
    assert len((tmp_path / "calls").read_text()) == 2, "a replay calls nothing"
    missing = shop.render("p", "path=other", "--json", env={"SABIR_REPLAY": "tests/recordings/page.json", "SABIR_REPLAY_FUNCTIONS": "1"})
    assert missing.code == 1 and missing.json["error"]["type"] == "recording_missing", missing


def test_what_a_function_gave_makes_no_prompt_stale(machine, shop, tmp_path):
    shop.prompt("p", "numbers.count", "Number {{ numbers.count(path) }}", more="model: scripted\n")
    write(shop.folder / "tests/scripted_replies.json", json.dumps({"replies": [{"text": "Yes."}]}))
    words = ("complete", "p", "path=%s" % (tmp_path / "calls"))
    assert machine.sabir(*words, "--record", "c", cwd=shop.folder).code == 0
    other = machine.sabir(*words, "--replay", "c", "--json", cwd=shop.folder)
    assert other.code == 1 and other.json["error"]["type"] == "recording_missing", other
    whole = machine.sabir(*words, "--replay", "c", "--replay-functions", cwd=shop.folder)
    assert (whole.code, whole.out) == (0, "Yes.\n"), whole
