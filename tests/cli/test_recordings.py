"""Recordings through the whole binary: what was recorded over a real socket replays offline, byte for byte, also without workers; what is
missing or stale is an error of its own, and is refreshed against the live model; secrets are in no recording."""
import base64
import json
import re
import shutil
import sys
import urllib.parse

import pytest
from harness import write
from openai_stand_in import KEY, Listener, Server

QUESTION = "What time is it?"


@pytest.fixture
def server():
    made = Server()
    yield made
    made.stop()


def use_server(project, server, scenario="key"):
    """The project asks the stand-in; its functions say on the disk that they ran."""
    shutil.rmtree(project / "tests/evals", ignore_errors=True)  # whose recordings are not these
    write(project / "config/openai_config.yml", "default: server\nmodels:\n  server: {provider: openai, api: chat, model: stand-in, "
          "base_url: %s/%s/v1, key: openai_api_key, retries: 0, parameters: {temperature: 0}}\n"
          "  scripted: {provider: scripted, script: tests/scripted_replies.json}\n" % (server.url, scenario))
    write(project / "functions/python/clock.py",
          'import pathlib\n\n(pathlib.Path(__file__).parents[2] / "python_ran").write_text("x")\n\n\n'
          'def now(text: str, number: int) -> dict:\n    """The time.\n\n    Effect: read\n    """\n'
          '    return {"time": "noon %d" % number, "exact": 12.50, "big": 12345678901234567}\n')
    write(project / "functions/ruby/bell.rb",
          'File.write(File.expand_path("../../ruby_ran", __dir__), "x")\n\n# Rings.\n#\n# @param text [String]\n# @param number [Integer]\n'
          '# @return [String]\n# @effect read\ndef ring(text, number)\n  "ding #{number} " + Sabir.call("clock.now", text: text, number: number)["time"]\nend\n')
    write(project / "assistants/python/teller.py", 'instructions = """\nTell the time.\nBe brief.\n"""\nfunctions = ["clock.now", "bell.ring"]\n')


def ran(project):
    """The languages whose functions ran since last asked."""
    found = []
    for language in ("python", "ruby"):
        mark = project / (language + "_ran")
        if mark.exists():
            mark.unlink()
            found.append(language)
    return found


def entries(project, name):
    return json.loads((project / "tests/recordings" / (name + ".json")).read_text(encoding="utf-8"))["entries"]


def chat(machine, project, *words, env=None):
    return machine.sabir("chat", "teller", QUESTION, *words, cwd=project, env=env)


def same(one, other):
    """The same to the byte; of calls side by side, either may be told to be done first."""
    return (one.code, one.out, sorted(one.err.splitlines())) == (other.code, other.out, sorted(other.err.splitlines()))


def without_ids(answer):
    return {name: value for name, value in answer.items() if name not in ("conversation", "run", "trace")}


# ---- recording and replaying a run ----------------------------------------------------------------------------------

def test_a_run_over_a_real_socket_replays_offline_byte_for_byte(machine, project, server):
    use_server(project, server)
    live = chat(machine, project, "--record", "time", env=KEY)
    assert live.code == 0 and "noon 0" in live.out and "ding 1" in live.out, live
    assert ran(project) == ["python", "ruby"]
    assert len(server.asked()) == 2
    file = project / "tests/recordings/time.json"
    recorded = file.read_bytes()
    made = entries(project, "time")
    # In the order in which the model asked, and what a function calls after itself.
    assert [entry.get("function", "ask") for entry in made] == ["ask", "python/clock.now", "ruby/bell.ring", "python/clock.now", "ask"], made
    assert made[0]["ask"]["model"] == "stand-in" and made[0]["ask"]["parameters"] == {"temperature": 0}
    assert [sorted(tool) for tool in made[0]["ask"]["tools"]] == [["hash", "name"]] * 2
    assert made[0]["prompts"][0]["name"] == "assistants/python/teller.py"
    assert made[-1]["reply"]["usage"] == {"input_tokens": 11, "output_tokens": 5} and len(made[-1]["reply"]["pieces"]) > 1
    assert b"sk-test" not in recorded

    # The same run is the same file, whatever function was quicker.
    for _ in range(3):
        assert chat(machine, project, "--record", "time", env=KEY).code == 0
        assert file.read_bytes() == recorded
    ran(project)

    # The server is gone, there is no key, and nobody so much as tries.
    server.stop()
    listener = Listener(server.port)
    again = chat(machine, project, "--replay", "time")
    assert same(again, live), again
    assert ran(project) == ["python", "ruby"]
    assert listener.connections() == 0
    # And without any worker.
    full = chat(machine, project, "--replay", str(file), "--replay-functions")
    assert same(full, live), full
    assert ran(project) == []
    # As JSON, with the calls' values as they were.
    one = chat(machine, project, "--replay", "time", "--json")
    two = chat(machine, project, "--replay", "time", "--replay-functions", "--json")
    assert one.code == two.code == 0 and without_ids(one.json) == without_ids(two.json), (one, two)
    assert one.json["calls"][0]["value"]["big"] == 12345678901234567
    assert file.read_bytes() == recorded


def test_full_replay_needs_no_interpreter(machine, project, server):
    use_server(project, server)
    live = machine.sabir("call", "bell.ring", "text=x", "number=3", "--record", "ring", cwd=project)
    assert live.code == 0 and live.out == "ding 3 noon 3\n", live
    assert [entry["function"] for entry in entries(project, "ring")] == ["ruby/bell.ring", "python/clock.now"]
    machine.bin.joinpath("ruby").symlink_to("/nonexistent")
    ran(project)
    done = machine.sabir("call", "bell.ring", "text=x", "number=3", "--replay", "ring", "--replay-functions", cwd=project,
                         env={"PATH": str(machine.bin)})
    assert (done.code, done.out) == (0, live.out), done
    assert ran(project) == []
    other = machine.sabir("call", "bell.ring", "text=x", "number=4", "--replay", "ring", "--replay-functions", "--json", cwd=project)
    assert other.code == 1 and other.json["error"]["type"] == "recording_missing", other
    assert "- number: 3\n+ number: 4" in other.json["error"]["message"], other


def test_streams_errors_bytes_and_long_texts_replay(machine, project):
    write(project / "functions/python/odd.py",
          'import typing\n\n\ndef count(n: int) -> typing.Iterator[float]:\n    """Counts.\n\n    Effect: read\n    """\n'
          '    for i in range(n):\n        yield i / 2\n\n\n'
          'def blob(n: int) -> bytes:\n    """Bytes.\n\n    Effect: read\n    """\n    return bytes(range(256)) * n\n\n\n'
          'def text(n: int) -> str:\n    """Text.\n\n    Effect: read\n    """\n    return "é\\n" * n\n\n\n'
          'def bad(n: int) -> int:\n    """Raises."""\n    raise ValueError("no %d" % n)\n')
    for index, words in enumerate((["odd.count", "n=4", "--stream"], ["odd.count", "n=3"], ["odd.blob", "n=1000", "--json"], ["odd.text", "n=70000"],
                                   ["odd.bad", "n=7", "--json"])):
        name = "odd%d" % index
        live = machine.sabir("call", *words, "--record", name, cwd=project)
        assert (live.code == 0) == (words[0] != "odd.bad"), live
        again = machine.sabir("call", *words, "--replay", name, "--replay-functions", cwd=project)
        assert (again.code, again.out, again.err) == (live.code, live.out, live.err), words
    assert entries(project, "odd4")[0]["error"]["type"] == "function_error"
    assert entries(project, "odd2")[0]["bytes"] == [""]


def test_complete_replays_its_stream_and_the_model_that_was_chosen(machine, project, server):
    use_server(project, server, "ok")
    live = machine.sabir("complete", "-m", "server", "Hello", "--system", "Be kind.", "--temperature", "1", "--record", "hello", cwd=project, env=KEY)
    assert live.code == 0 and "You said: Hello (été, 日本, 😀)" in live.out, live
    server.stop()
    again = machine.sabir("complete", "-m", "server", "Hello", "--system", "Be kind.", "--temperature", "1", "--replay", "hello", cwd=project)
    assert (again.code, again.out, again.err) == (0, live.out, live.err), again
    assert entries(project, "hello")[0]["ask"]["parameters"] == {"temperature": 1}
    # SABIR_MODEL is part of the recording.
    write(project / "tests/scripted_replies.json", json.dumps({"replies": [{"text": "scripted"}]}))
    live = machine.sabir("complete", "Hello", "--record", "chosen", cwd=project, env={"SABIR_MODEL": "scripted"})
    assert live.code == 0 and live.out == "scripted\n", live
    again = machine.sabir("complete", "Hello", "--replay", "chosen", cwd=project)
    assert (again.code, again.out) == (0, live.out), again


def test_a_models_error_is_recorded_and_replayed(machine, project, server):
    use_server(project, server, "quota")
    live = machine.sabir("complete", "Hello", "--json", "--record", "quota", cwd=project, env=KEY)
    assert live.code == 1 and live.json["error"]["type"] == "model", live
    server.stop()
    again = machine.sabir("complete", "Hello", "--json", "--replay", "quota", cwd=project)
    assert (again.code, again.out) == (1, live.out), again
    # What never reached the model is not an answer of it.
    missing = machine.sabir("complete", "Hello", "--json", "--record", "nokey", cwd=project)
    assert missing.json["error"]["type"] == "secret_missing" and not (project / "tests/recordings/nokey.json").exists(), missing


def test_recording_is_not_left_to_an_engine_that_runs_already(machine, project, server):
    use_server(project, server)
    machine.start_engine(project)
    assert machine.sabir("call", "clock.now", "text=x", "number=1", "--record", "now", cwd=project).code == 0
    assert [entry["function"] for entry in entries(project, "now")] == ["python/clock.now"]
    # An SDK's process as well.
    sdk = machine.sabir("sdk", "path", "python", cwd=project).out.strip()
    done = machine.run(sys.executable, "-c", "import sabir; print(sabir.complete('hi'))", cwd=project,
                       env=dict(KEY, PYTHONPATH=sdk, SABIR_BIN=str(machine.binary), SABIR_RECORD="tests/recordings/sdk.json"))
    assert done.code == 0, done
    assert entries(project, "sdk")[0]["caller"] == "python"
    server.stop()
    again = machine.run(sys.executable, "-c", "import sabir; print(sabir.complete('hi'))", cwd=project,
                        env=dict(PYTHONPATH=sdk, SABIR_BIN=str(machine.binary), SABIR_REPLAY="tests/recordings/sdk.json"))
    assert (again.code, again.out) == (0, done.out), again


def test_an_assistant_that_responds_by_itself_replays_without_workers(machine, project, server):
    use_server(project, server)
    write(project / "assistants/ruby/mine.rb", 'FUNCTIONS = %w[bell.ring].freeze\n\n# @param message [String]\ndef respond(message, context)\n'
          '  "#{Sabir.complete(message)} / #{Sabir.call("bell.ring", text: message, number: 2)} / #{context.user}"\nend\n')
    live = machine.sabir("chat", "mine", "hello", "--user", "ada", "--record", "mine", cwd=project, env=KEY)
    assert live.code == 0 and "You said: hello" in live.out and "ding 2 noon 2 / ada" in live.out, live
    assert [entry.get("function", "ask") for entry in entries(project, "mine")] == ["ruby/mine.respond", "ask", "ruby/bell.ring", "python/clock.now"]
    server.stop()
    ran(project)
    again = machine.sabir("chat", "mine", "hello", "--user", "ada", "--replay", "mine", cwd=project)
    assert (again.code, again.out) == (0, live.out) and ran(project) == ["python", "ruby"], again
    full = machine.sabir("chat", "mine", "hello", "--user", "ada", "--replay", "mine", "--replay-functions", cwd=project)
    assert (full.code, full.out) == (0, live.out) and ran(project) == [], full


def test_a_shell_functions_own_commands_belong_to_the_recorded_call(machine, project, server):
    use_server(project, server)
    write(project / "functions/shell/ring.sh", '# Rings.\n# @arg text string\n# @return string\n# @effect read\nring_twice() {\n'
          '  sabir call bell.ring text="$text" number=5\n  sabir call bell.ring text="$text" number=6 --record inner || true\n}\n')
    live = machine.sabir("call", "ring.ring_twice", "text=x", "--record", "shell", cwd=project)
    assert live.code == 0 and "ding 5 noon 5" in live.out and "ding 6" not in live.out, live
    assert [entry["function"] for entry in entries(project, "shell")] == ["shell/ring.ring_twice", "ruby/bell.ring", "python/clock.now"]
    assert not (project / "tests/recordings/inner.json").exists()


# ---- misses, stale answers, refresh, prune ---------------------------------------------------------------------------

def test_a_miss_is_an_error_of_its_own_with_the_difference(machine, project, server):
    use_server(project, server)
    assert chat(machine, project, "--record", "time", env=KEY).code == 0
    done = machine.sabir("chat", "teller", "What time was it?", "--replay", "time", cwd=project)
    assert done.code == 1, done
    assert "tests/recordings/time.json has no answer to this question to model 'server'; entry 1 is nearest" in done.err, done
    assert "- user: What time is it?\n+ user: What time was it?" in done.err and "refresh --missing" in done.err, done
    assert "Traceback" not in done.err and len(done.err.splitlines()) < 12, done
    told = machine.sabir("chat", "teller", "What time was it?", "--replay", "time", "--json", cwd=project)
    error = told.json["error"]
    assert told.code == 1 and error["type"] == "recording_missing" and error["entry"] == 1 and error["cost"]["output_tokens"] == 5, told
    # Through a function that asks a model, the error is the same.
    write(project / "functions/python/wise.py", 'import sabir\n\n\ndef ask(text: str) -> str:\n    """Asks."""\n    return str(sabir.complete(text))\n')
    assert machine.sabir("call", "wise.ask", "text=hi", "--record", "wise", cwd=project, env=KEY).code == 0
    good = machine.sabir("call", "wise.ask", "text=hi", "--replay", "wise", cwd=project)
    assert good.code == 0 and good.out.startswith("You said: hi"), good
    bad = machine.sabir("call", "wise.ask", "text=ho", "--replay", "wise", "--json", cwd=project)
    assert bad.code == 1 and bad.json["error"]["type"] == "recording_missing" and "- user: hi\n+ user: ho" in bad.json["error"]["message"], bad


def test_what_a_refresh_costs_is_told_by_the_price_and_it_takes_no_kept_answer(machine, project, server):
    use_server(project, server)
    config = project / "config/openai_config.yml"
    text = config.read_text(encoding="utf-8")
    name = re.search(r"model: ([\w.-]+)", text)[1]
    config.write_text(text + "prices: {%s: {input: 1000, output: 100000}}\n" % name, encoding="utf-8")
    assert machine.sabir("complete", "hi", "--record", "one", cwd=project, env=KEY).code == 0
    assert machine.sabir("complete", "ho", "--cache", "1h", cwd=project, env=KEY).code == 0
    missed = machine.sabir("complete", "ho", "--replay", "one", "--json", cwd=project)
    cost = re.search(r"about (\d+) \+ 5 tokens, (0\.5\d*) USD", missed.json["error"]["hint"])
    assert cost, missed
    usd = (int(cost[1]) * 1000 + 5 * 100000) / 1e6
    assert abs(float(cost[2]) - usd) < 1e-6
    told, = machine.sabir("recordings", "list", "--json", cwd=project).json["recordings"]
    assert abs(told["last_replay"]["cost"]["usd"] - usd) < 1e-6, told
    asked = len(server.asked())
    done = machine.sabir("recordings", "refresh", "--missing", cwd=project, env=KEY)
    assert done.code == 0 and " tokens, 0.5" in done.err and " USD" in done.err, done
    assert len(server.asked()) == asked + 1, "a refresh asks the model"


def test_an_edited_prompt_is_stale_and_refresh_asks_for_it_alone(machine, project, server):
    use_server(project, server)
    write(project / "completions/tone.prompt", "== system ==\nBe kind to {{ assistant }}.\n")
    write(project / "assistants/python/teller.py", 'prompt = "tone"\n')
    assert chat(machine, project, "--record", "time", env=KEY).code == 0
    assert machine.sabir("complete", "Other", "--record", "other", cwd=project, env=KEY).code == 0
    file = project / "tests/recordings/time.json"
    before = file.read_text(encoding="utf-8")
    assert entries(project, "time")[0]["prompts"][0]["name"].startswith("tone"), before
    write(project / "completions/tone.prompt", "== system ==\nBe short with {{ assistant }}.\n")
    asked = len(server.asked())
    stale = chat(machine, project, "--replay", "time", "--json")
    assert stale.code == 1 and stale.json["error"]["type"] == "recording_stale", stale
    assert "tone" in stale.json["error"]["message"] and "- system: Be kind to teller.\n+ system: Be short with teller." in stale.json["error"]["message"], stale
    assert re.search(r"about \d+ \+ 5 tokens", stale.json["error"]["hint"]), stale
    listed = machine.sabir("recordings", "list", "--json", cwd=project)
    told = {one["file"]: one for one in listed.json["recordings"]}
    assert told["tests/recordings/time.json"]["last_replay"]["stale"] == 1 and "last_replay" not in told["tests/recordings/other.json"], listed
    assert len(server.asked()) == asked

    bare = machine.sabir("recordings", "refresh", cwd=project)
    assert bare.code == 2 and "--missing" in bare.err, bare
    # Without the key nothing is lost.
    failed = machine.sabir("recordings", "refresh", "--missing", cwd=project)
    assert failed.code == 1 and "openai_api_key" in failed.err and file.read_text(encoding="utf-8") == before, failed
    done = machine.sabir("recordings", "refresh", "--missing", "--json", cwd=project, env=KEY)
    assert done.code == 0 and done.json["refreshed"] == [{"file": "tests/recordings/time.json", "renewed": 1, "added": 0, "left": 0}], done
    assert done.json["usage"] == {"input_tokens": 11, "output_tokens": 5}, done
    assert len(server.asked()) == asked + 1
    assert "Be short" in file.read_text(encoding="utf-8") and len(entries(project, "time")) == 1
    server.stop()
    assert chat(machine, project, "--replay", "time").code == 0
    again = machine.sabir("recordings", "refresh", "--missing", cwd=project)
    assert again.code == 0 and "Nothing is stale" in again.out, again


def test_a_missing_answer_is_added_and_an_unused_one_pruned(machine, project, server):
    use_server(project, server, "ok")
    assert machine.sabir("complete", "one", "--record", "c", cwd=project, env=KEY).code == 0
    assert machine.sabir("complete", "two", "--replay", "c", cwd=project).code == 1
    # A replay that missed something says nothing about what is in use.
    pruned = machine.sabir("recordings", "prune", "--json", cwd=project)
    assert pruned.code == 0 and pruned.json["pruned"] == [], pruned
    done = machine.sabir("recordings", "refresh", "--missing", "c", cwd=project, env=KEY)
    assert done.code == 0 and "0 answers renewed, 1 added" in done.out, done
    assert [entry["ask"]["messages"][-1]["content"] for entry in entries(project, "c")] == ["one", "two"]
    server.stop()
    assert machine.sabir("complete", "two", "--replay", "c", cwd=project).code == 0
    would = machine.sabir("recordings", "prune", "--dry-run", cwd=project)
    assert "would remove tests/recordings/c.json: 1 entry" in would.out and len(entries(project, "c")) == 2, would
    assert machine.sabir("recordings", "prune", cwd=project).code == 0
    assert [entry["ask"]["messages"][-1]["content"] for entry in entries(project, "c")] == ["two"]
    # A recording of a test that is no more goes whole.
    file = project / "tests/recordings/c.json"
    gone = json.loads(file.read_text())
    gone["name"] = "tests/integration/test_gone.py::test_x"
    write(file, json.dumps(gone))
    pruned = machine.sabir("recordings", "prune", "--json", cwd=project)
    assert pruned.json["files"] == 1 and not file.exists(), pruned


def test_list_show_and_bad_recordings(machine, project, server):
    use_server(project, server)
    assert "no recordings" in machine.sabir("recordings", "list", cwd=project).err
    assert chat(machine, project, "--record", "time", env=KEY).code == 0
    shown = machine.sabir("recordings", "show", "time", cwd=project)
    assert shown.code == 0 and "function ruby/bell.ring (read)" in shown.out and "user: What time is it?" in shown.out, shown
    whole = machine.sabir("recordings", "show", "time", "--json", cwd=project)
    assert whole.json == json.loads((project / "tests/recordings/time.json").read_text(encoding="utf-8"))
    listed = machine.sabir("recordings", "list", cwd=project)
    assert "tests/recordings/time.json  2 model calls, 3 function calls" in listed.out, listed
    write(project / "tests/recordings/newer.json", '{"format": 2, "entries": []}\n')
    write(project / "tests/recordings/broken.json", '{"format": 1,\n "entries": [\n  {"function": 7}]}\n')
    listed = machine.sabir("recordings", "list", "--json", cwd=project)
    types = {one["file"]: one.get("error", {}).get("type") for one in listed.json["recordings"]}
    assert listed.code == 1 and types == {"tests/recordings/broken.json": "config", "tests/recordings/newer.json": "store_newer",
                                          "tests/recordings/time.json": None}, listed
    newer = machine.sabir("complete", "x", "--replay", "newer", cwd=project)
    assert newer.code == 1 and "format 2" in newer.err and "format 1" in newer.err, newer
    broken = machine.sabir("complete", "x", "--replay", "broken", cwd=project)
    assert broken.code == 1 and "broken.json:3: 'function' is not a text" in broken.err, broken
    none = machine.sabir("complete", "x", "--replay", "none", cwd=project)
    assert none.code == 1 and "there is no recording tests/recordings/none.json" in none.err, none
    both = machine.sabir("complete", "x", "--replay", "time", "--record", "time", cwd=project)
    assert both.code == 2 and "exclude" in both.err, both
    alone = machine.sabir("call", "clock.now", "--replay-functions", cwd=project)
    assert alone.code == 2 and "--replay FILE" in alone.err, alone


# ---- secrets ---------------------------------------------------------------------------------------------------------

def test_a_secret_is_in_no_recording_and_no_log(machine, project, server):
    secret = 'Gold"en/Kéy+77'
    use_server(project, server, "ok")
    write(project / "completions/leak.j2", "The key is {{ key }}.\n")
    write(project / "functions/python/vault.py", '''import base64
import json

import sabir


def leak(key: str) -> dict:
    """Says too much.

    Secrets: weather_api_key
    """
    sabir.log("the key is " + sabir.secret("weather_api_key"), "error")
    print("printed " + key)
    answer = sabir.complete(sabir.render("leak", key=sabir.secret("weather_api_key")))
    inner = sabir.call("vault.inner", key=json.dumps({"key": key}))
    return {"plain": key, "base64": base64.b64encode(("user:" + key).encode()).decode(), "inner": inner, "answer": str(answer), key: 1}


def inner(key: str) -> str:
    """Passes it on."""
    return json.dumps(key)


def fail(key: str) -> str:
    """Fails loudly."""
    raise ValueError("bad key " + key)
''')
    env = dict(KEY, WEATHER_API_KEY=secret, SABIR_LOG="debug")
    forms = [secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], urllib.parse.quote(secret, safe=""),
             base64.b64encode(("user:" + secret).encode()).decode(), "Gold", "Kéy+77", "K\\u00e9y"]
    done = machine.sabir("call", "vault.leak", "key=" + secret, "--json", "--record", "leak", cwd=project, env=env)
    # What leaves the workers that were given it, for the terminal too, is without it.
    assert done.code == 0 and done.json["plain"] == "[secret:weather_api_key]", done
    failed = machine.sabir("call", "vault.fail", "key=" + secret, "--json", "--record", "fail", cwd=project, env=env)
    assert failed.code == 1 and "bad key" in failed.json["error"]["message"], failed
    missed = machine.sabir("call", "vault.leak", "key=" + secret, "--json", "--replay", "fail", cwd=project, env=env)
    assert missed.json["error"]["type"] == "recording_missing", missed
    assert server.asked("ok")[0]["body"]["messages"][0]["content"].strip() == "The key is [secret:weather_api_key].", server.asked("ok")
    kept = [path.read_text(encoding="utf-8") for place in ("tests/recordings", ".sabir/replays") for path in sorted((project / place).glob("*.json"))]
    assert len(kept) == 3 and "[secret:weather_api_key]" in kept[0], kept
    for text in kept + [done.err, failed.err, missed.err]:
        for form in forms:
            assert form not in text, (form, text)
    assert "[secret:weather_api_key]" in done.err, done
    # The replay asks with another value of the secret, and is answered.
    server.stop()
    other = "another-secret-value"
    again = machine.sabir("call", "vault.leak", "key=" + other, "--json", "--replay", "leak", cwd=project, env={"WEATHER_API_KEY": other})
    assert again.code == 0 and "[secret:weather_api_key]" in again.json["answer"], again


# ---- sabir test ------------------------------------------------------------------------------------------------------

# The project's own asks for an answer by a schema as well, which the stand-in has none of.
SCRIPT_TEST = '''
from scripts.call_openai_api import call_openai


def test_call_openai_prints_and_returns_the_answer():
    assert call_openai("Once upon a time")
'''

PYTHON_TEST = '''import sabir


def test_teller():
    assert "noon 0" in sabir.ask("teller", "What time is it?")


def test_prompt():
    assert "Ada" in sabir.complete(sabir.render("greet", name="Ada"))


def test_no_model():
    assert sabir.call("clock.now", text="x", number=1)["time"] == "noon 1"


def test_command(engine):
    assert "You said: from a command" in engine("complete", "from a command")["content"]
'''
RUBY_TEST = '''require "sabir"

RSpec.describe "a model" do
  it "answers in Ruby" do
    expect(Sabir.complete("from Ruby").to_s).to include("You said: from Ruby")
  end
end
'''


@pytest.fixture
def tested(project, server):
    use_server(project, server)
    for folder in [*project.glob("assistants/*/tests"), project / "completions/tests"]:
        shutil.rmtree(folder)  # they are for the scripted model's answers
    write(project / "tests/test_scripts.py", SCRIPT_TEST)
    write(project / "completions/greet.j2", "Greet {{ name }}.\n")
    write(project / "tests/integration/test_models.py", PYTHON_TEST)
    write(project / "functions/ruby/tests/test_models.rb", RUBY_TEST)
    return project


def suites(done):
    return {suite["name"]: suite for suite in done.json["suites"]}


def test_integration_tests_are_recorded_each_in_a_file_and_replay(machine, tested, server):
    done = machine.sabir("test", "--json", "--record", "tests/recordings", cwd=tested, env=KEY, timeout=240)
    assert done.code == 0, [case for suite in done.json["suites"] for case in suite["cases"] if case["outcome"] == "failed"] or done
    asked = len(server.asked())
    folder = tested / "tests/recordings"
    files = {path.name: path.read_bytes() for path in folder.glob("*.json")}
    assert {"tests-integration-test_models.py-test_teller.json", "tests-integration-test_models.py-test_prompt.json",
            "tests-integration-test_models.py-test_command.json", "tests-integration-test_models.py-test_no_model.json",
            "functions-ruby-tests-test_models.rb-a-model-answers-in-Ruby.json"} <= set(files), files.keys()
    prompt = entries(tested, "tests-integration-test_models.py-test_prompt")
    assert [entry["prompts"][0]["name"] for entry in prompt if "ask" in entry] == ["greet.j2"], prompt
    # Once more, to the byte.
    assert machine.sabir("test", "--json", "--record", "tests/recordings", cwd=tested, env=KEY, timeout=240).code == 0
    models = [name for name in files if b'"ask"' in files[name]]
    assert len(models) == 5 and all((folder / name).read_bytes() == files[name] for name in models)

    # Replayed without being asked to, offline and without a key; tests without models are as ever.
    server.stop()
    done = machine.sabir("test", "--json", cwd=tested, timeout=240)
    assert done.code == 0 and done.json["failed"] == 0, done
    assert done.json["recordings"] == {"stale": 0, "missing": 0, "cost": {"input_tokens": 0, "output_tokens": 0}}, done
    assert asked > 0
    # So do bare pytest and rspec, with nothing set.
    tools = dict(PYTHONPATH=machine.sabir("sdk", "path", "python").out.strip(), SABIR_BIN=str(machine.binary))
    bare = machine.run(sys.executable, "-m", "pytest", "-q", "tests/integration/test_models.py", cwd=tested, env=tools)
    assert bare.code == 0 and "4 passed" in bare.out, bare
    bare = machine.run("rspec", "functions/ruby/tests/test_models.rb", cwd=tested)
    assert bare.code == 0 and " examples, 0 failures" in bare.out, bare

    # An edited prompt is told apart, with its price, and so is a new question that the test itself forgives.
    write(tested / "completions/greet.j2", "Hail {{ name }}!\n")
    write(tested / "tests/integration/test_models.py", PYTHON_TEST + '''

def test_swallows():
    try:
        sabir.complete("never asked")
    except sabir.Error as error:
        assert error.type == "recording_missing"
''')
    (folder / "tests-integration-test_models.py-test_swallows.json").write_text('{"format": 1, "name": "", "entries": []}\n')
    done = machine.sabir("test", "tests/integration/test_models.py", "--json", cwd=tested, timeout=240)
    assert done.code == 1 and done.json["recordings"]["stale"] == 1 and done.json["recordings"]["missing"] == 1, done
    failed = [case for case in suites(done)["pytest"]["cases"] if case["outcome"] == "failed"]
    assert [case["id"].split("::")[-1] for case in failed] == ["test_prompt"] and "another text of the prompt greet" in failed[0]["text"], failed
    shown = machine.sabir("test", "tests/integration/test_models.py", cwd=tested, timeout=240)
    assert re.search(r"Recordings: 1 stale, 1 missing\. `sabir recordings refresh --missing` asks the models, about \d+ \+ \d+ tokens", shown.out), shown

    # Refreshed against the live model, all is well again.
    fresh = Server()
    try:
        use_server(tested, fresh)
        done = machine.sabir("recordings", "refresh", "--missing", "--json", cwd=tested, env=KEY)
        assert done.code == 0 and sum(one["renewed"] + one["added"] for one in done.json["refreshed"]) == 2, done
        assert len(fresh.asked()) == 2
    finally:
        fresh.stop()
    write(tested / "tests/integration/test_models.py", PYTHON_TEST.replace('"Ada" in', '"Hail Ada" in'))
    done = machine.sabir("test", "tests/integration/test_models.py", "--json", cwd=tested, timeout=240)
    assert done.code == 0, done


def test_strict_replay_wants_a_recording_for_every_question(machine, tested, server):
    none = machine.sabir("test", "--replay", "tests/recordings", "tests/integration", cwd=tested)
    assert none.code == 1 and "there is no recording tests/recordings" in none.err, none
    server.stop()
    (tested / "tests/recordings").mkdir()
    done = machine.sabir("test", "tests/integration/test_models.py", "--replay", "tests/recordings", "--json", cwd=tested, timeout=240)
    failed = [case for case in suites(done)["pytest"]["cases"] if case["outcome"] == "failed"]
    assert done.code == 1 and len(failed) == 3, done
    assert done.json["recordings"]["missing"] == 3, done
    assert "there is no recording tests/recordings/tests-integration-test_models.py-test_prompt.json" in failed[1]["text"], failed
    # They can be made from what was asked for. An assistant's further questions come to light with its first answer.
    fresh = Server()
    try:
        use_server(tested, fresh)
        for missing in (3, 1):
            made = machine.sabir("recordings", "refresh", "--missing", "--json", cwd=tested, env=KEY)
            assert made.code == 0 and sum(one["added"] for one in made.json["refreshed"]) == missing, made
            done = machine.sabir("test", "tests/integration/test_models.py", "--replay", "tests/recordings", "--json", cwd=tested, timeout=240)
            assert done.json["recordings"]["missing"] == (1 if missing == 3 else 0), done
    finally:
        fresh.stop()
    assert done.code == 0, done
