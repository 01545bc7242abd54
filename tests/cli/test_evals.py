"""Evals through the whole binary: cases on recordings, live with a gate for money, judged by a model, compared between two runs."""
import json
import re
import shutil
import xml.etree.ElementTree as xml

import pytest
from harness import write
from openai_stand_in import KEY, Listener, Server

PRICES = "prices:\n  stand-in: {input: 1000, output: 2000}\n"  # USD for a million tokens: a question of 11 + 5 tokens is 0.021


@pytest.fixture
def server():
    made = Server()
    yield made
    made.stop()


def use(project, server, scenario="key", prices=PRICES):
    if (project / "tests/evals/key_points.yml").exists():  # a new project's own
        shutil.rmtree(project / "tests/evals")
    write(project / "config/openai_config.yml", "default: server\n" + prices + "models:\n  server: {provider: openai, api: chat, model: stand-in, base_url: %s/%s/v1, key: openai_api_key, retries: 0}\n"
          "  scripted: {provider: scripted, script: tests/scripted_replies.json}\n" % (server.url if server else "http://127.0.0.1:9", scenario))
    write(project / "functions/python/clock.py", 'import sabir\n\n\ndef now(text: str, number: int) -> dict:\n    """The time."""\n    sabir.memory.put("asked", number)\n    return {"time": "noon %d" % number}\n')
    write(project / "assistants/python/teller.py", 'instructions = "Tell the time."\nfunctions = ["clock.now"]\n')


TELLER = """assistant: teller
cases:
  - id: time
    ask: What time is it?
    expect:
      contains: noon 0
      called: {function: clock.now, with: {number: {min: 0}}}
      steps: 2
"""


def scripted(project, *replies):
    write(project / "tests/scripted_replies.json", json.dumps({"replies": list(replies)}))


def evaluate(machine, project, *words, **options):
    return machine.sabir("eval", *words, cwd=project, **options)


def cases(done):
    return {one["id"]: one for result in done.json["evals"] for one in result["cases"]}


def test_what_was_recorded_live_passes_offline_and_leaves_the_projects_store_alone(machine, project, server):
    use(project, server)
    write(project / "tests/evals/teller.yml", TELLER)
    live = evaluate(machine, project, "teller", "--live", "--max-cost", "1", "--json", env=KEY)
    assert live.code == 0 and live.json["ok"], live
    assert cases(live)["time"]["samples"][0]["steps"] == 2
    assert live.json["spent_usd"] == pytest.approx(0.042)
    file = project / "tests/evals/recordings/tests-evals-teller.yml-time.json"
    recorded = json.loads(file.read_text())
    assert recorded["name"] == "tests/evals/teller.yml::time" and [one.get("function", "ask") for one in recorded["entries"]] == ["ask", "python/clock.now", "ask"]

    server.stop()
    listener = Listener(server.port)
    done = evaluate(machine, project)
    assert done.code == 0 and "✓ time" in done.out and "1 passed, 0 failed" in done.out, done
    assert "32 tokens" in done.out and "0.042 USD" in done.out and "2 steps" in done.out, done
    assert listener.connections() == 0
    # The function ran, elsewhere.
    assert machine.sabir("memory", "get", "asked", cwd=project).code == 1
    # The run can be looked into.
    trace = evaluate(machine, project, "--json").json["evals"][0]["cases"][0]["samples"][0]["trace"]
    assert machine.sabir("trace", trace[:8], cwd=project).code == 0


def test_a_failure_is_quoted_with_its_place_what_was_expected_and_what_came(machine, project, server):
    use(project, server)
    write(project / "tests/evals/teller.yml", TELLER)
    assert evaluate(machine, project, "--live", "--yes", env=KEY).code == 0
    write(project / "tests/evals/teller.yml", TELLER.replace("noon 0", "midnight").replace("steps: 2", "steps: 1").replace("min: 0", "min: 7"))
    done = evaluate(machine, project, "--junit", "evals.xml")
    assert done.code == 1, done
    assert "tests/evals/teller.yml:6:7: contains: 'midnight' is not in the answer" in done.out, done
    assert re.search(r"got: .*noon 0", done.out), done
    assert "tests/evals/teller.yml:7:7: called: clock.now was not called with" in done.out, done
    assert "tests/evals/teller.yml:8:7: steps: at most 1, and it took 2" in done.out, done
    assert re.search(r"sabir trace [0-9a-f]{8}", done.out), done
    failure = next(xml.parse(project / "evals.xml").getroot().iter("failure"))
    assert "midnight" in failure.get("message")
    # As JSON.
    done = evaluate(machine, project, "--json")
    assert done.code == 1 and done.json["failed"] == 1
    assert [(one["file"], one["line"]) for one in cases(done)["time"]["samples"][0]["failures"]] == [("tests/evals/teller.yml", 6), ("tests/evals/teller.yml", 7), ("tests/evals/teller.yml", 8)]


def test_an_answer_that_is_not_recorded_or_stale_is_no_verdict_and_names_the_command(machine, project, server):
    use(project, server)
    write(project / "tests/evals/teller.yml", TELLER)
    done = evaluate(machine, project)
    assert done.code == 1 and "! time" in done.out, done
    assert "there is no recording tests/evals/recordings/tests-evals-teller.yml-time.json" in done.out
    assert "`sabir eval teller --case 'time' --live`" in done.out
    assert evaluate(machine, project, "--live", "--yes", env=KEY).code == 0
    write(project / "assistants/python/teller.py", 'instructions = "Tell the time, quickly."\nfunctions = ["clock.now"]\n')
    done = evaluate(machine, project, "--json")
    assert done.code == 1 and done.json["errors"] == 1 and cases(done)["time"]["samples"][0]["error"]["type"] == "recording_stale", done
    # A live run that does not come to an answer leaves the recording as it was.
    file = project / "tests/evals/recordings/tests-evals-teller.yml-time.json"
    before = file.read_bytes()
    use(project, server, "bad")
    assert evaluate(machine, project, "--live", "--yes", env=KEY).code == 1
    assert file.read_bytes() == before


def test_money_is_refused_before_and_stopped_on_the_way(machine, project, server):
    use(project, server)
    four = "assistant: teller\nexpect: {contains: noon}\ncases:\n" + "".join("  - {id: c%d, ask: What time is it at %d}\n" % (i, i) for i in range(4))
    write(project / "tests/evals/teller.yml", four)
    # Nobody allowed it, and nobody can be asked.
    done = evaluate(machine, project, "--live", env=KEY)
    assert done.code == 1 and "nobody allowed it" in done.err and "--max-cost" in done.err, done
    assert server.asked() == []
    # Without recordings nobody knows what it takes: it stops once it is too much.
    done = evaluate(machine, project, "--live", "--max-cost", "0.05", "--json", env=KEY)
    assert done.code == 1, done
    assert [one["outcome"] for one in cases(done).values()] == ["passed", "passed", "error", "error"], done
    assert "not run: the budget of 0.05 USD is used up" in cases(done)["c2"]["why"], done
    assert len(server.asked()) == 4
    assert evaluate(machine, project, "--live", "--max-cost", "1", env=KEY).code == 0
    asked = len(server.asked())
    # Now it is known, and refused at once.
    done = evaluate(machine, project, "--live", "--max-cost", "0.1", env=KEY)
    assert done.code == 1 and "this takes about 0.168 USD, and --max-cost allows 0.1" in done.err, done
    assert "teller: 4 answers of models, about 0.168 USD (88 + 40 tokens, by the last recordings)" in done.err, done
    write(project / "tests/evals/teller.yml", "budget: 0.1\n" + four)
    done = evaluate(machine, project, "--live", env=KEY)
    assert done.code == 1 and "its budget is 0.1" in done.err and "tests/evals/teller.yml" in done.err, done
    # A budget in money needs prices.
    use(project, server, prices="")
    done = evaluate(machine, project, "--live", "--max-cost", "9", env=KEY)
    assert done.code == 1 and "nobody knows the price of stand-in" in done.err, done
    assert len(server.asked()) == asked
    # One case alone is cheaper; what is booked is the project's own.
    use(project, server)
    assert evaluate(machine, project, "--live", "--case", "c1", "--max-cost", "0.06", env=KEY).code == 0
    usage = json.loads(machine.sabir("usage", "--json", cwd=project).out)
    assert json.dumps(usage).count("cost_usd") >= 1 and len(server.asked()) == asked + 2


def test_a_judge_passes_fails_and_errs(machine, project):
    use(project, None)
    scripted(project, {"contains": "<rubric>\nmentions the sea", "json": {"score": 0.9, "reason": "It does."}}, {"contains": "<rubric>\nis polite", "json": {"score": 0.2, "reason": "It is curt."}},
             {"contains": "<rubric>\nis odd", "text": "I would say seven."}, {"contains": "tell me of", "text": "The sea."})
    write(project / "assistants/python/poet.py", 'model = "scripted"\ninstructions = "Be a poet."\n')
    write(project / "tests/evals/poet.yml", "assistant: poet\njudge: {model: scripted}\nask: Tell me of water.\ncases:\n"
          "  - {id: sea, expect: {judge: mentions the sea}}\n  - {id: polite, expect: {judge: {rubric: is polite, pass: 0.5}}}\n  - {id: odd, expect: {judge: is odd}}\n")
    # Nothing of it costs money: nobody need allow it.
    live = evaluate(machine, project, "--live")
    assert live.code == 1, live
    done = evaluate(machine, project, "--json")
    found = cases(done)
    assert found["sea"]["outcome"] == "passed" and found["sea"]["samples"][0]["judge"] == {"score": 0.9, "reason": "It does."}, done
    assert found["polite"]["outcome"] == "failed" and "It is curt." in found["polite"]["samples"][0]["failures"][0]["what"]
    assert found["polite"]["samples"][0]["failures"][0]["line"] == 6
    # The judge's own question is no step of the assistant's.
    assert found["sea"]["samples"][0]["steps"] == 1
    assert found["odd"]["outcome"] == "error", done
    # What the judge said is recorded as well.
    entries = json.loads((project / "tests/evals/recordings/tests-evals-poet.yml-sea.json").read_text())["entries"]
    assert len(entries) == 2 and "rubric" in json.dumps(entries[1]["ask"])


def test_samples_are_recorded_apart_and_need_their_rate(machine, project, server):
    use(project, server)
    write(project / "tests/evals/teller.yml", TELLER.replace("cases:", "samples: 3\npass_rate: 0.6\ncases:"))
    assert evaluate(machine, project, "--live", "--yes", env=KEY).code == 0
    names = sorted(path.name for path in (project / "tests/evals/recordings").glob("tests-evals-*"))
    assert names == ["tests-evals-teller.yml-time-2.json", "tests-evals-teller.yml-time-3.json", "tests-evals-teller.yml-time.json"]
    broken = project / "tests/evals/recordings" / names[0]
    second = json.loads(broken.read_text())
    second["entries"][-1]["reply"]["content"] = "I cannot say."
    second["entries"][-1]["reply"].pop("content_lines", None)
    broken.write_text(json.dumps(second))
    done = evaluate(machine, project)
    assert done.code == 0 and "2 of 3 pass (2 needed)" in done.out, done
    write(project / "tests/evals/teller.yml", TELLER.replace("cases:", "samples: 3\ncases:"))
    done = evaluate(machine, project)
    assert done.code == 1 and "sample 2: tests/evals/teller.yml:7:7: contains" in done.out, done


def test_a_prompt_over_a_table_and_the_difference_between_two_runs(machine, project):
    use(project, None)
    scripted(project, {"contains": "red wool", "json": {"points": ["red", "wool"]}}, {"contains": "blue silk", "json": {"points": ["blue"]}})
    write(project / "tests/evals/points.yml", "prompt: key_points\nmodel: scripted\ncases: {file: texts.csv}\nexpect:\n  schema: {required: [points]}\n  contains: \"{{ wanted }}\"\nwith: {text: \"{{ text }}\"}\n")
    write(project / "tests/evals/texts.csv", 'id,text,wanted\nfirst,"A coat of red wool, warm",wool\nsecond,A scarf of blue silk,blue\n')
    assert evaluate(machine, project, "--live").code == 0
    scripted(project, {"contains": "red wool", "json": {"points": ["red", "cloth"]}}, {"contains": "blue silk", "json": {"points": ["blue"]}})
    worse = evaluate(machine, project, "--live")
    assert worse.code == 1 and "tests/evals/points.yml:6:3: contains: 'wool' is not in the answer" in worse.out, worse
    done = evaluate(machine, project, "diff")
    assert done.code == 0 and "points: first  passed → failed" in done.out, done
    assert '+ {"points":["red","cloth"]}' in done.out and "1 case is the same, 1 is not" in done.out, done
    changes = json.loads(evaluate(machine, project, "diff", "-2", "-1", "--json").out)["changes"]
    assert [(one["case"], one["before"], one["after"]) for one in changes] == [("first", "passed", "failed")]
    runs = json.loads(evaluate(machine, project, "runs", "--json").out)["runs"]
    assert [one["passed"] for one in runs] == [2, 1]
    assert json.loads(evaluate(machine, project, "diff", runs[1]["id"], runs[0]["id"], "--json").out)["changes"][0]["after"] == "passed"
    assert evaluate(machine, project, "diff", "-9").code == 1


@pytest.mark.parametrize("text, said", [
    ("assistent: teller\ncases: []\n", "tests/evals/bad.yml:1:1: unknown key 'assistent'"),
    ("assistant: teller\ncases:\n  - ask: a\n    expect: {contians: b}\n", "tests/evals/bad.yml:4:14: unknown key 'contians'"),
    ("assistant: teller\ncases:\n  - ask: a\n", "tests/evals/bad.yml:3:5: the case expects nothing"),
    ("assistant: tellar\ncases:\n  - {ask: a, expect: {steps: 1}}\n", "teller"),
])
def test_a_file_that_is_wrong_is_refused_with_its_place(machine, project, text, said):
    use(project, None)
    write(project / "tests/evals/bad.yml", text)
    done = evaluate(machine, project, "bad")
    assert done.code == 1 and said in done.err and "tests/evals/bad.yml" in done.err, done


def test_names_and_options_that_lead_nowhere(machine, project):
    done = evaluate(machine, project, "key_point")
    assert done.code == 1 and "Did you mean key_points?" in done.err, done
    assert evaluate(machine, project, "--case", "nothing").code == 1
    assert evaluate(machine, project, "--max-cost", "1").code == 2
    shutil.rmtree(project / "tests/evals")
    done = evaluate(machine, project)
    assert done.code == 1 and "there are no evals" in done.err, done


def test_a_new_projects_eval_passes_without_key_and_model(machine, project):
    done = evaluate(machine, project)
    assert done.code == 0 and " passed, 0 failed" in done.out and "0 passed" not in done.out, done
    assert "sabir eval" in (project / "README.md").read_text()
    # Its expectations can fail.
    file = project / "tests/evals/key_points.yml"
    recording = next((project / "tests/evals/recordings").glob("tests-evals-key_points*"))
    text = recording.read_text()
    recording.write_text(re.sub(r'(\\"points\\": ?)\[.*?\]', r"\1[]", text))
    assert recording.read_text() != text and file.is_file()
    assert evaluate(machine, project).code == 1


def test_sabir_test_runs_evals_and_parity_groups_beside_the_suites(machine, project):
    use(project, None)
    write(project / "tests/evals/greeter.yml", "assistant: greeter\nmodel: scripted\ncases:\n  - {id: hello, ask: hello, expect: {contains: Good day}}\n")
    write(project / "assistants/python/greeter.py", 'instructions = "Greet."\nfunctions = []\n')
    scripted(project, {"contains": "hello", "text": "Good day to you"})
    live = evaluate(machine, project, "greeter", "--live", "--yes", "--json")
    assert live.code == 0, live
    write(project / "functions/python/twice.py", 'def twice(number: int) -> int:\n    """Doubles.\n\n    Effect: read\n    """\n    return number * 2\n')
    write(project / "functions/ruby/twice.rb", "# Doubles.\n# @param number [Integer]\n# @return [Integer]\n# @effect read\ndef twice(number)\n  number * 2\nend\n")
    write(project / "tests/parity/twice.twice.yml", "cases:\n  - {args: {number: 4}, gives: 8}\n")
    done = machine.sabir("test", "tests/evals", "--json", "--junit", str(project / "out.xml"), cwd=project)
    assert done.code == 0, done
    assert [(suite["name"], suite["passed"]) for suite in done.json["suites"]] == [("evals", 1)], done
    done = machine.sabir("test", "tests/parity", "--json", cwd=project)
    assert done.code == 0 and done.json["suites"][0]["name"] == "parity" and done.json["suites"][0]["passed"] == 1, done
    # What fails there fails here, at its own place, and `--affected` knows what it hangs on.
    write(project / "functions/ruby/twice.rb", "# Doubles.\n# @param number [Integer]\n# @return [Integer]\n# @effect read\ndef twice(number)\n  number * 3\nend\n")
    done = machine.sabir("test", "tests/parity", "--affected", "--json", cwd=project)
    assert done.code == 1 and done.json["suites"][0]["failed"] == 1, done
    write(project / "tests/evals/greeter.yml", (project / "tests/evals/greeter.yml").read_text().replace("Good day", "Good night"))
    done = machine.sabir("test", "tests/evals", "--affected", cwd=project)
    assert done.code == 1 and "tests/evals/greeter.yml:" in done.out and "Good night" in done.out, done
